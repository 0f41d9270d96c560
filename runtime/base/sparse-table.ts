/**
 * A map from small whole numbers to objects, which lists them in the order of their numbers without sorting. Numbers lie in pages that
 * are made when the first of theirs comes, so that few numbers of a large range cost little, and a look-up is two reads.
 */
const pageBits = 8;
const pageSize = 1 << pageBits;

type Page<V> = (V | undefined)[];

export class SparseTable<V extends object> {
  private readonly pages: (Page<V> | undefined)[] = [];
  private taken = 0;

  constructor(entries: Iterable<readonly [n: number, value: V]> = []) {
    for (const [n, value] of entries) this.set(n, value);
  }

  get size(): number {
    return this.taken;
  }

  get(n: number): V | undefined {
    const page = this.pages[n >>> pageBits];
    return page === undefined ? undefined : page[n & (pageSize - 1)];
  }

  has(n: number): boolean {
    return this.get(n) !== undefined;
  }

  set(n: number, value: V): void {
    const page = this.pageOf(n >>> pageBits);
    const at = n & (pageSize - 1);
    if (page[at] === undefined) this.taken++;
    page[at] = value;
  }

  private pageOf(number: number): Page<V> {
    const { pages } = this;
    // A list with gaps is slower than one that says of each place that there is nothing.
    while (pages.length <= number) pages.push(undefined);
    return (pages[number] ??= new Array<V | undefined>(pageSize).fill(undefined));
  }

  /** Takes the value out; a page stays. */
  delete(n: number): void {
    const page = this.pages[n >>> pageBits];
    if (page?.[n & (pageSize - 1)] === undefined) return;
    page[n & (pageSize - 1)] = undefined;
    this.taken--;
  }

  /** All values in the order of their numbers. */
  values(): V[] {
    const all: V[] = [];
    for (const page of this.pages) {
      if (page === undefined) continue;
      for (let at = 0; at < pageSize; at++) if (page[at] !== undefined) all.push(page[at] as V);
    }
    return all;
  }
}
