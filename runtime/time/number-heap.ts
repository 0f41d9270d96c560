/** A min-heap of numbers that are not NaN; the same number may be in it more than once. */
export class NumberHeap {
  #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The lowest, or Infinity when empty. */
  peek(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0]!;
  }

  push(value: number): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(value);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above]!;
      if (parent <= value) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = value;
  }

  /** Takes the lowest out; Infinity when empty. */
  pop(): number {
    const heap = this.#heap;
    const lowest = this.peek();
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#siftDown(last);
    return lowest;
  }

  /** Replaces the content. */
  reset(values: Iterable<number>): void {
    // A sorted array is a heap.
    this.#heap = Array.from(values).sort((a, b) => a - b);
  }

  #siftDown(value: number): void {
    const heap = this.#heap;
    const size = heap.length;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= size) break;
      if (below + 1 < size && heap[below + 1]! < heap[below]!) below++;
      if (heap[below]! >= value) break;
      heap[index] = heap[below]!;
      index = below;
    }
    heap[index] = value;
  }
}
