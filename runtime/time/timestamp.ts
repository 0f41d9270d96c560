/** What is a timestamp: whole epoch milliseconds that a date can hold. */
import { MillraceError, shownValue } from "../base/errors.ts";

/** The furthest a date can be from the epoch, ms. */
export const timestampMax = 8.64e15;

export function isTimestamp(timestamp: unknown): timestamp is number {
  return typeof timestamp === "number" && Number.isInteger(timestamp) && timestamp <= timestampMax && timestamp >= -timestampMax;
}

/** The error for what an author's function gave instead of one. */
export function notATimestamp(timestamp: unknown, operator: string): MillraceError {
  const message = `no valid timestamp (whole epoch milliseconds within ±8.64e15): ${shownValue(timestamp)}`;
  return new MillraceError("invalid", message, { context: { operator } });
}
