/**
 * One input of a watermark valve, and the heap of those that count for its minimum.
 *
 * A binary heap in which every input knows its place: an input's watermark only grows, so advancing one is a sift down from
 * there, O(log n) at worst and a single comparison when its children stand higher or equal, as they do on a watermark grid.
 * (A minimum recomputed when its holder moves would be O(n) for each step of a single input that lags behind thousands.)
 */

import { maxWatermark } from "./watermark.ts";

/** What is known of one input. Changed by its valve alone. */
export class ValveInput {
  readonly name: string;
  /** The input's watermark, epoch ms; of a waiting input without meaning. */
  at: number;
  active = true;
  ended = false;
  /** The inputs that must end before this one is live; undefined once it is. */
  waitsFor: readonly string[] | undefined;
  /** The place in the heap, or −1: the input does not count for the minimum. */
  heapIndex = -1;

  constructor(name: string, at: number, waitsFor: readonly string[] | undefined) {
    this.name = name;
    this.at = at;
    this.waitsFor = waitsFor;
  }

  /** Live inputs are those whose parents have ended and that have not ended themselves (L8). */
  get live(): boolean {
    return !this.ended && this.waitsFor === undefined;
  }

  /** Live, and its watermark is not the final one: something may still come from it. */
  get open(): boolean {
    return this.live && this.at < maxWatermark;
  }

  /** Whether the input counts for the valve's minimum. */
  get aligned(): boolean {
    return this.heapIndex >= 0;
  }
}

/** Min-heap of inputs by watermark. */
export class AlignedInputs {
  readonly #heap: ValveInput[] = [];

  /** The lowest watermark of all, or +∞ when there is none. */
  get lowest(): number {
    const first = this.#heap[0];
    return first === undefined ? Number.POSITIVE_INFINITY : first.at;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(input: ValveInput): void {
    if (input.heapIndex >= 0) return;
    this.#heap.push(input);
    this.#siftUp(input, this.#heap.length - 1);
  }

  remove(input: ValveInput): void {
    const index = input.heapIndex;
    if (index < 0) return;
    input.heapIndex = -1;
    const last = this.#heap.pop()!;
    if (last === input) return;
    this.#siftUp(last, index);
    this.#siftDown(last, last.heapIndex);
  }

  /** To be called after the watermark of an input in the heap has grown. */
  grown(input: ValveInput): void {
    this.#siftDown(input, input.heapIndex);
  }

  #siftUp(input: ValveInput, from: number): void {
    const heap = this.#heap;
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above]!;
      if (parent.at <= input.at) break;
      heap[index] = parent;
      parent.heapIndex = index;
      index = above;
    }
    heap[index] = input;
    input.heapIndex = index;
  }

  #siftDown(input: ValveInput, from: number): void {
    const heap = this.#heap;
    const size = heap.length;
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= size) break;
      if (below + 1 < size && heap[below + 1]!.at < heap[below]!.at) below++;
      const child = heap[below]!;
      if (child.at >= input.at) break;
      heap[index] = child;
      child.heapIndex = index;
      index = below;
    }
    heap[index] = input;
    input.heapIndex = index;
  }
}
