/** What a handler throws: an error whose name, which Lambda reports as its type, says the kind. */
import { MillraceError, messageOf } from "../runtime/base/errors.ts";

export class HandlerError extends Error {
  readonly kind: MillraceError["kind"];

  constructor(error: unknown) {
    super(messageOf(error), { cause: error });
    this.kind = kindOf(error);
    this.name = `Millrace.${this.kind}`;
  }
}

export function kindOf(error: unknown): MillraceError["kind"] {
  return error instanceof MillraceError ? error.kind : "internal";
}

export function millraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError("internal", messageOf(error), { cause: error });
}
