/** Text in columns: how commands print what they found. */

/** Rows as lines, each column as wide as its widest text. Columns named in `right` are set to the right. Trailing blanks are cut. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = [], indent = ""): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((text, n) => (widths[n] = Math.max(widths[n] ?? 0, text.length)));
  return rows.map((row) => {
    const cells = row.map((text, n) => (right.includes(n) ? text.padStart(widths[n]!) : text.padEnd(widths[n]!)));
    return `${indent}${cells.join("  ")}`.trimEnd();
  });
}

/** Labels and what they stand for, beneath each other; those without text are left out. */
export function fields(list: readonly (readonly [label: string, text: string | undefined])[]): readonly string[] {
  const shown = list.filter((field): field is readonly [string, string] => field[1] !== undefined);
  return columns(shown.map(([label, text]) => [label, text]));
}

/** A table with a head; of no rows, nothing. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): readonly string[] {
  return rows.length === 0 ? [] : columns([head, ...rows], right, "  ");
}
