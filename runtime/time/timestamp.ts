/** What is a timestamp: whole epoch milliseconds that a date can hold. */
import { MillraceError } from "../base/errors.ts";

/** The furthest a date can be from the epoch, ms. */
export const timestampMax = 8.64e15;

export function isTimestamp(timestamp: unknown): timestamp is number {
  return typeof timestamp === "number" && Number.isInteger(timestamp) && timestamp <= timestampMax && timestamp >= -timestampMax;
}

/** The error for what an author's function gave instead of one. */
export function notATimestamp(timestamp: unknown, operator: string): MillraceError {
  const shown = typeof timestamp === "object" && timestamp !== null ? "an object" : String(timestamp);
  return new MillraceError("invalid", `no valid timestamp (whole epoch milliseconds within ±8.64e15): ${shown}`, {
    context: { operator },
  });
}
