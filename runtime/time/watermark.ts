/**
 * Event time as numbers: epoch ms, with −∞ before the first watermark and +∞ as the final one.
 *
 * Flink's Long.MIN_VALUE and Long.MAX_VALUE stand for the same two; here they are the infinities, so that the minimum and the
 * comparison of watermarks need no special case. `now − bound` and the like stay infinite when they should.
 */

/** The watermark before any has been seen. It is never sent. */
export const minWatermark = Number.NEGATIVE_INFINITY;

/** The final watermark: no record with event time will follow. */
export const maxWatermark = Number.POSITIVE_INFINITY;

/** A watermark in a form that every self-describing format keeps, JSON too, which has no infinities. */
export type StoredWatermark = number | "min" | "max";

/** The stored form of a watermark. */
export function storeWatermark(at: number): StoredWatermark {
  return at === minWatermark ? "min" : at === maxWatermark ? "max" : at;
}

/** The watermark of a stored form. */
export function loadWatermark(stored: StoredWatermark): number {
  return stored === "min" ? minWatermark : stored === "max" ? maxWatermark : stored;
}
