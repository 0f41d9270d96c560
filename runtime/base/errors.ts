/**
 * The six kinds of error that others meet. The kind says what to do; the message is lower case with the offending values last.
 *
 * - `unavailable`: an outside part did not answer, or may have taken effect without saying so: retry.
 * - `fenced`: another incarnation has taken over: stop.
 * - `invalid`: the job or its input must be changed.
 * - `corrupt`: durable data contradicts itself: stop and ring.
 * - `user`: the author's function threw.
 * - `internal`: our own mistake.
 */
export type ErrorKind = "unavailable" | "fenced" | "invalid" | "corrupt" | "user" | "internal";

/** Where an error happened, as far as it is known. */
export interface ErrorContext {
  readonly operator?: string;
  readonly task?: string;
  readonly [name: string]: unknown;
}

/** The only error class that leaves the engine. */
export class MillraceError extends Error {
  readonly kind: ErrorKind;
  readonly context: ErrorContext;

  constructor(kind: ErrorKind, message: string, options: { cause?: unknown; context?: ErrorContext } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MillraceError";
    this.kind = kind;
    this.context = options.context ?? {};
  }
}

/** True when `error` is ours and of this kind. */
export function isKind(error: unknown, kind: ErrorKind): error is MillraceError {
  return error instanceof MillraceError && error.kind === kind;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A value that is at fault, in a message: text is quoted, so that "5" is not taken for 5. */
export function shownValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return value.map(shownValue).join(" and ");
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
