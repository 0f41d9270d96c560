import { MillraceError } from "./errors.ts";

/** Checks one of our own assumptions; on in production. Throws `internal`. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new MillraceError("internal", `assertion failed: ${message}`);
}

/** For switches over unions: compiles only when every case is handled. */
export function unreachable(value: never): never {
  throw new MillraceError("internal", `unreachable: ${JSON.stringify(value)}`);
}
