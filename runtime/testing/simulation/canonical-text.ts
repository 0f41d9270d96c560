import { inspect } from "node:util";

/** Text that is the same exactly for values that are deeply equal, whatever the order of their fields. */
export function canonicalText(value: unknown): string {
  return inspect(value, {
    depth: Infinity,
    sorted: true,
    compact: true,
    breakLength: Infinity,
    maxArrayLength: null,
    maxStringLength: null,
  });
}
