/** Says whose fault an exception is: the operator is attached once, where it happened. */
import { MillraceError, messageOf } from "../base/errors.ts";

/**
 * An exception out of an operator as `user` (the author's code threw) or `invalid` (a key or value that cannot be used), with the
 * operator's uid. Our own mistakes and corrupt data pass as they are: no dead letter may hide them.
 */
export function blame(error: unknown, operator: string): MillraceError {
  if (!(error instanceof MillraceError))
    return new MillraceError("user", `${messageOf(error)} (thrown in operator ${operator})`, {
      cause: error,
      context: { operator },
    });
  if (error.context.operator !== undefined || (error.kind !== "user" && error.kind !== "invalid")) return error;
  return new MillraceError(error.kind, `${error.message} (operator ${operator})`, {
    cause: error.cause,
    context: { ...error.context, operator },
  });
}

/** True when a dead letter may take the place of the work that failed. */
export function isPoison(error: unknown): error is MillraceError {
  return (
    error instanceof MillraceError && (error.kind === "user" || error.kind === "invalid") && error.context.operator !== undefined
  );
}
