import { MillraceError } from "../base/errors.ts";

/** The time of a timer that the author's code asks for. Throws `user` unless it is whole ms within what numbers hold exactly. */
export function checkedTime(at: number): number {
  if (typeof at === "number" && Number.isSafeInteger(at)) return at;
  throw new MillraceError("user", `a timer's time must be whole epoch milliseconds: ${String(at)}`);
}
