import { MillraceError } from "../base/errors.ts";

/**
 * The author's mistake: `message` says what is wrong and what to do, then come the offending values by name. An operator's uid
 * stands under `operator`, so that whoever reports the error can point at it.
 */
export function invalid(message: string, values: Readonly<Record<string, unknown>> = {}): MillraceError {
  const shown = Object.entries(values).map(([name, value]) => `${name} ${quoted(value)}`);
  return new MillraceError("invalid", [message, shown.join(", ")].filter(Boolean).join(": "), { context: values });
}

function quoted(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? value.map(quoted).join(" and ")
      : String(value);
}
