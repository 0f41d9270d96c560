/**
 * The event-time grid on which source watermarks advance, so that they do not depend on how records were batched and a frame
 * does not carry a watermark for every record.
 *
 * The grid's points are k·step − 1: a window whose end lies on a multiple of the step closes exactly when its last
 * millisecond has passed, not one step later.
 */
import { assert } from "../base/assert.ts";

/** Throws unless `stepMs` is a whole number of at least 1. */
export function assertGridStep(stepMs: number): void {
  assert(
    Number.isSafeInteger(stepMs) && stepMs >= 1,
    `a watermark step is a whole number of milliseconds, at least 1: ${stepMs}`,
  );
}

/**
 * The highest grid point that is not above `watermark`; ±∞ stay what they are.
 *
 * Exact for |watermark| up to 8.64e15 (the range of dates): the quotient of two whole numbers below 2^53 is at least 1/step
 * from the next whole number, which is more than half a unit in its last place, so rounding cannot lift it over the edge.
 */
export function floorToGrid(watermark: number, stepMs: number): number {
  if (watermark === Number.NEGATIVE_INFINITY || watermark === Number.POSITIVE_INFINITY) return watermark;
  return Math.floor((watermark + 1) / stepMs) * stepMs - 1;
}

/** The lowest grid point above `watermark`: a watermark below it does not move one that stands at `watermark`. −∞ has none. */
export function nextOnGrid(watermark: number, stepMs: number): number {
  return floorToGrid(watermark, stepMs) + stepMs;
}
