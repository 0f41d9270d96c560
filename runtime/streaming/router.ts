/** Which downstream task a hash belongs to. Boundaries are of the downstream tasks' shards, in the order of their ranges. */
import type { HashRange } from "./hash-range.ts";

/** Answers by binary search over the first 32-bit hash of each range (exchange hashes have zero low bits). */
export class KeyRouter {
  private readonly starts: readonly number[];

  constructor(ranges: readonly HashRange[]) {
    this.starts = ranges.map((range) => Number((range.from + (1n << 96n) - 1n) >> 96n));
  }

  route(hash: number): number {
    const { starts } = this;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= hash) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
