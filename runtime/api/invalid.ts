import { MillraceError, shownValue } from "../base/errors.ts";

/**
 * The author's mistake: `message` says what is wrong and what to do, then come the offending values by name. An operator's uid
 * stands under `operator`, so that whoever reports the error can point at it.
 */
export function invalid(message: string, values: Readonly<Record<string, unknown>> = {}): MillraceError {
  const shown = Object.entries(values).map(([name, value]) => `${name} ${shownValue(value)}`);
  return new MillraceError("invalid", [message, shown.join(", ")].filter(Boolean).join(": "), { context: values });
}
