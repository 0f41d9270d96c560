/**
 * Authors' functions are synchronous. An `async` one is refused when the job is defined (api/check-functions.ts); that a plain one gives a
 * promise shows only when it is called.
 */
import { MillraceError } from "../base/errors.ts";

/** What a function returned. Throws `user` for a promise: what it waits for would come after its record, outside its commit. */
export function synchronous<T>(returned: T): T {
  if (returned instanceof Promise) refuse(returned);
  return returned;
}

function refuse(promise: Promise<unknown>): never {
  // Whatever becomes of it is nobody's concern any more: a rejection must not end the process.
  promise.catch(() => undefined);
  throw new MillraceError(
    "user",
    "a function of an operator returned a promise: functions are synchronous, look things up by another stream",
  );
}
