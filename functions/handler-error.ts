/**
 * What a handler throws: an error whose name, which Lambda reports as its type, says the kind.
 *
 * H1 Lambda writes it into the log. What an author's function threw may quote a record: of that, where it was thrown is all that is said.
 */
import { type ErrorKind, messageOf, MillraceError } from "../runtime/base/errors.ts";

export class HandlerError extends Error {
  readonly kind: ErrorKind;

  constructor(error: unknown) {
    const known = millraceError(error);
    const isQuoting = known.kind === "user";
    super(
      isQuoting ? `a function of the job threw: ${known.context.operator ?? "?"}` : known.message,
      isQuoting ? {} : { cause: error },
    );
    this.kind = known.kind;
    this.name = `Millrace.${known.kind}`;
  }
}

/** What is logged of an error, beside a message. */
export function fieldsOf({ kind, message, context }: MillraceError): object {
  return kind === "user" ? { kind, operator: context.operator } : { kind, error: message, ...context };
}

/** Anything that was thrown, as an error of ours. */
export function millraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError("internal", messageOf(error), { cause: error });
}
