import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { floorToGrid, nextOnGrid } from "../../runtime/time/watermark-grid.ts";
import {
  cleanupTime,
  coverWindows,
  isWindowLate,
  largestTime,
  slidingWindows,
  timeWindow,
  tumblingStart,
  windowsIntersect,
} from "../../runtime/time/windows.ts";
import { maxWatermark, minWatermark } from "../../runtime/time/watermark.ts";

const farthest = 8.64e15;
const time = fc.oneof(
  fc.integer({ min: -100, max: 100 }),
  fc.maxSafeInteger().map((n) => n % farthest),
  fc.constantFrom(farthest, -farthest),
);
const size = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.integer({ min: 1, max: 1e9 }),
  fc.constantFrom(1_000, 60_000, 86_400_000),
);

/** Floor division of whole numbers without rounding. */
function floorDiv(a: bigint, b: bigint): bigint {
  return a / b - (a % b < 0n ? 1n : 0n);
}

describe("window starts", () => {
  it("are exact over the whole range of dates, negative times and offsets too", () => {
    fc.assert(
      fc.property(time, size, fc.double({ min: -1, max: 1, noNaN: true }), (at, length, share) => {
        const offset = Math.trunc(share * (length - 1));
        const expected = floorDiv(BigInt(at) - BigInt(offset), BigInt(length)) * BigInt(length) + BigInt(offset);
        assert.equal(BigInt(tumblingStart(at, offset, length)), expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it("hold next to every edge at the far ends", () => {
    for (const length of [2, 3, 7, 1_000, 60_000]) {
      for (const edge of [Math.floor(farthest / length) * length, -Math.floor(farthest / length) * length]) {
        assert.equal(tumblingStart(edge, 0, length), edge);
        assert.equal(tumblingStart(edge - 1, 0, length), edge - length);
        assert.equal(tumblingStart(edge + length - 1, 0, length), edge);
      }
    }
  });

  it("of sliding windows are all that hold the timestamp, the latest first", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -50, max: 50 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(11),
        (at, length, slide, o) => {
          const offset = o % slide;
          const expected: number[] = [];
          for (let start = at; start > at - length; start--)
            if ((((start - offset) % slide) + slide) % slide === 0) expected.push(start);
          assert.deepEqual(
            slidingWindows(at, offset, length, slide).map((w) => w.start),
            expected,
          );
        },
      ),
    );
  });
});

describe("the watermark grid", () => {
  it("takes the highest point k·step − 1 that is not above the watermark", () => {
    fc.assert(
      fc.property(time, size, (at, step) => {
        const expected = floorDiv(BigInt(at) + 1n, BigInt(step)) * BigInt(step) - 1n;
        assert.equal(BigInt(floorToGrid(at, step)), expected);
        assert.equal(BigInt(nextOnGrid(at, step)), expected + BigInt(step));
      }),
      { numRuns: 2_000 },
    );
  });

  it("closes a window that ends on the grid on time, and not earlier", () => {
    assert.equal(floorToGrid(59_999, 1_000), 59_999);
    assert.equal(floorToGrid(59_998, 1_000), 58_999);
    assert.equal(floorToGrid(-1, 1_000), -1);
    assert.equal(floorToGrid(-2, 1_000), -1_001);
  });

  it("leaves the first and the final watermark alone", () => {
    assert.equal(floorToGrid(minWatermark, 1_000), minWatermark);
    assert.equal(floorToGrid(maxWatermark, 1_000), maxWatermark);
    assert.equal(nextOnGrid(minWatermark, 1_000), minWatermark);
  });

  it("with step 1 takes every watermark", () => fc.assert(fc.property(time, (at) => assert.equal(floorToGrid(at, 1), at))));
});

describe("windows", () => {
  it("end one past their last millisecond", () => {
    assert.deepEqual(timeWindow(-10, 0), { start: -10, end: 0, maxTimestamp: -1 });
    assert.deepEqual(coverWindows(timeWindow(0, 5), timeWindow(-3, 2)), { start: -3, end: 5, maxTimestamp: 4 });
  });

  it("intersect when they touch, not when a millisecond is between", () => {
    assert.equal(windowsIntersect({ start: 0, end: 5 }, { start: 5, end: 6 }), true);
    assert.equal(windowsIntersect({ start: 0, end: 5 }, { start: 6, end: 7 }), false);
  });

  it("are late once the watermark has reached their cleanup time", () => {
    assert.equal(isWindowLate(999, 500, 1_498), false);
    assert.equal(isWindowLate(999, 500, 1_499), true);
    assert.equal(isWindowLate(999, 0, minWatermark), false);
  });

  it("never outlive the final watermark, however long the lateness", () => {
    assert.equal(cleanupTime(999, Number.POSITIVE_INFINITY), largestTime);
    assert.equal(cleanupTime(largestTime, 1), largestTime);
    assert.equal(isWindowLate(largestTime, 0, farthest), false);
    assert.equal(isWindowLate(largestTime, 0, maxWatermark), true);
  });
});
