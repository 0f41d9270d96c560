import type { Key } from "../api/key.ts";
import { MillraceError, shownValue } from "../base/errors.ts";
import { showKey } from "../state/key.ts";
import { largestTime } from "../time/windows.ts";

/**
 * The time of a timer that the author's code asks for. Throws `user`, naming the key where it is known, unless it is whole ms that
 * numbers hold exactly.
 */
export function checkedTime(at: number, key?: Key): number {
  if (typeof at === "number" && Number.isInteger(at) && at <= largestTime && at >= -largestTime) return at;
  const hint = at === -Infinity ? " (before the first watermark?)" : "";
  const of = key === undefined ? "" : `, key ${showKey(key)}`;
  throw new MillraceError(
    "user",
    `a timer's time must be whole epoch milliseconds within ±(2^53 - 1): ${shownValue(at)}${hint}${of}`,
  );
}
