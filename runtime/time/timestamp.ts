/** What a point in time may be: whole epoch milliseconds that a date can hold. */

/** The furthest a date can be from the epoch, ms: what lies beyond is no time. */
export const timestampMax = 8.64e15;

/** True for whole epoch ms within ±8.64e15. */
export function isTimestamp(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value <= timestampMax && value >= -timestampMax;
}
