/** What is missing from results, and what is too much. */
import type { Results } from "./scenario.ts";

export interface Difference {
  readonly output: string;
  readonly missing: readonly string[];
  readonly extra: readonly string[];
}

/**
 * Empty when both are the same. `repeatable`: outputs whose lines may come more than once, which docs/connectors.md calls at least once.
 */
export function compareResults(found: Results, expected: Results, repeatable: ReadonlySet<string> = new Set()): Difference[] {
  const outputs = [...new Set([...Object.keys(found), ...Object.keys(expected)])];
  return outputs.flatMap((output) => {
    const once = (lines: readonly string[] = []) => (repeatable.has(output) ? [...new Set(lines)] : lines);
    const missing = without(once(expected[output]), once(found[output]));
    const extra = without(once(found[output]), once(expected[output]));
    return missing.length + extra.length === 0 ? [] : [{ output, missing, extra }];
  });
}

/** A line for each output, with the first few of what differs. */
export function describeDifferences(differences: readonly Difference[]): readonly string[] {
  return differences.map(({ output, missing, extra }) => {
    const shown = [...missing.slice(0, 3).map((line) => `- ${line}`), ...extra.slice(0, 3).map((line) => `+ ${line}`)];
    return `${output}: ${missing.length} missing, ${extra.length} too many: ${shown.join("  ")}`;
  });
}

/** Each line as often as it stands in the first beyond the second. */
function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = left.get(line) ?? 0;
    if (count > 0) left.set(line, count - 1);
    return count === 0;
  });
}
