/**
 * Arithmetic of Kinesis' 128-bit hash space: how shards share it out, split it and merge it.
 *
 * Owns: what a hash range is. Invariants:
 * H1 Both ends are inclusive, 0 <= from <= to < 2^128.
 * H2 The ranges of `splitEvenly` cover the space without gaps or overlaps, in ascending order.
 */
import { assert } from "../base/assert.ts";

/** Kinesis' 128-bit hash space; both ends inclusive. */
export interface HashRange {
  readonly from: bigint;
  readonly to: bigint;
}

const size = 1n << 128n;

/** The whole hash space. */
export const fullRange: HashRange = { from: 0n, to: size - 1n };

/** The hash space in `count` parts that differ by at most one in size, ascending. */
export function splitEvenly(count: number): readonly HashRange[] {
  assert(Number.isInteger(count) && count > 0, `a hash space is split into one part or more, not ${count}`);
  const parts = BigInt(count);
  return Array.from({ length: count }, (_, n) => ({ from: (size * BigInt(n)) / parts, to: (size * BigInt(n + 1)) / parts - 1n }));
}

/** Into how many parts the hash space is split when `range` is one of them. */
export function partsLike({ from, to }: HashRange): number {
  const width = to - from + 1n;
  return Number((size + width / 2n) / width);
}

/** True when `hashKey` lies in `range`. */
export function inRange(range: HashRange, hashKey: bigint): boolean {
  return range.from <= hashKey && hashKey <= range.to;
}

/** True when the two ranges have a hash key in common. */
export function rangesOverlap(a: HashRange, b: HashRange): boolean {
  return a.from <= b.to && b.from <= a.to;
}

/** The first hash key of the upper half. */
export function middleOf(range: HashRange): bigint {
  return range.from + (range.to - range.from + 1n) / 2n;
}

/** The parts of `range` below `at` and from `at` on; undefined when one of them would be empty. */
export function splitRange(range: HashRange, at: bigint): readonly [HashRange, HashRange] | undefined {
  if (at <= range.from || at > range.to) return undefined;
  return [
    { from: range.from, to: at - 1n },
    { from: at, to: range.to },
  ];
}

/** Both ranges as one; undefined when they do not lie side by side. */
export function mergeRanges(a: HashRange, b: HashRange): HashRange | undefined {
  const [low, high] = a.from <= b.from ? [a, b] : [b, a];
  return low.to + 1n === high.from ? { from: low.from, to: high.to } : undefined;
}
