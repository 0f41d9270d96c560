import { MillraceError } from "../../runtime/base/errors.ts";

/** What was asked for is not there: `invalid`, with what is. */
export function absent(kind: string, name: string, known: Iterable<string>): MillraceError {
  return new MillraceError("invalid", `the cloud has no ${kind} of this name, but ${[...known].join(", ") || "none"}: ${name}`);
}
