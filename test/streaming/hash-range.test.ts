/** The arithmetic of hash ranges (H1, H2) and the order of positions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  fullRange,
  inRange,
  mergeRanges,
  middleOf,
  rangesOverlap,
  splitEvenly,
  splitRange,
} from "../../runtime/streaming/hash-range.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";

const size = 1n << 128n;

describe("hash ranges", () => {
  it("split evenly: gapless, ascending, sizes differing by at most one (H2)", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), (count) => {
        const ranges = splitEvenly(count);
        assert.equal(ranges.length, count);
        assert.equal(ranges[0]!.from, 0n);
        assert.equal(ranges.at(-1)!.to, size - 1n);
        for (const [n, range] of ranges.slice(1).entries()) assert.equal(range.from, ranges[n]!.to + 1n);
        const small = size / BigInt(count);
        for (const { from, to } of ranges) assert.ok([small, small + 1n].includes(to - from + 1n));
      }),
    );
  });

  it("every hash key is in exactly one part", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.bigInt({ min: 0n, max: size - 1n }), (count, key) => {
        assert.equal(splitEvenly(count).filter((range) => inRange(range, key)).length, 1);
      }),
    );
  });

  it("a split merges back to what it was", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: size - 1n }), fc.bigInt({ min: 0n, max: size - 1n }), (a, b) => {
        const range = { from: a < b ? a : b, to: a < b ? b : a };
        const parts = splitRange(range, middleOf(range));
        if (range.from === range.to) return assert.equal(parts, undefined);
        assert.equal(rangesOverlap(parts![0], parts![1]), false);
        assert.deepEqual(mergeRanges(parts![1], parts![0]), range);
      }),
    );
  });

  it("does not split at the ends, nor merge what is apart", () => {
    assert.equal(splitRange({ from: 10n, to: 20n }, 10n), undefined);
    assert.equal(splitRange({ from: 10n, to: 20n }, 21n), undefined);
    assert.deepEqual(splitRange({ from: 10n, to: 20n }, 20n)?.[1], { from: 20n, to: 20n });
    assert.equal(mergeRanges({ from: 0n, to: 1n }, { from: 3n, to: 4n }), undefined);
    assert.ok(rangesOverlap({ from: 0n, to: 3n }, { from: 3n, to: 4n }));
    assert.equal(inRange(fullRange, size), false);
  });
});

describe("positions", () => {
  it("are ordered as the numbers they spell", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 190n }), fc.bigInt({ min: 0n, max: 1n << 190n }), (a, b) => {
        assert.equal(Math.sign(comparePositions(String(a), String(b))), a < b ? -1 : a > b ? 1 : 0);
      }),
    );
    assert.ok(comparePositions("9", "10") < 0);
  });
});
