/**
 * Marble diagrams written: steps and what they brought, in columns.
 *
 * P1 `marbles(printMarbles(m))` is m again, and a diagram that was written so is written the same again.
 */
import { MillraceError } from "../base/errors.ts";
import { recordWord, timeWord, type WordMeanings, wordOf } from "./marble-words.ts";
import { type MarbleOptions, type Marbles, resolve } from "./marbles.ts";
import { describeStep, type OperatorStep } from "./operator-steps.ts";

/** A column of a diagram: the step's word, the line that it stands in, and the words of what it brought by line. */
export interface MarbleColumn {
  readonly line: string;
  readonly word: string;
  readonly given: Readonly<Record<string, readonly string[]>>;
}

/** A block of columns ends where it would be wider. */
const widthMost = 120;

/**
 * Writes a diagram: sources in the order of their first steps, the clock, the sinks. Throws `invalid` for steps and values that a
 * diagram has no words for.
 */
export function printMarbles(
  { steps, given }: Pick<Marbles, "steps" | "given">,
  options: Pick<MarbleOptions, "sinks" | "values"> = {},
): string {
  const { sinks, meanings } = resolve(options);
  const columns = steps.map((step, place) => ({ ...stepWord(step, meanings), given: givenWords(given[place] ?? {}, meanings) }));
  return layOut(columns, sinks);
}

/** The words of what a step brought, by line. Throws `invalid` for what is no plain data. */
export function givenWords(given: Marbles["given"][number], meanings: WordMeanings): MarbleColumn["given"] {
  return Object.fromEntries(Object.entries(given).map(([sink, values]) => [sink, values.map((v) => wordOf(v, meanings))]));
}

function stepWord(step: OperatorStep, meanings: WordMeanings): Pick<MarbleColumn, "line" | "word"> {
  if ("processingTime" in step) return { line: "clock", word: timeWord(step.processingTime) };
  if (step.source === undefined) throw noWord(step, "names no source");
  if ("endInput" in step) return { line: step.source, word: "|" };
  const line = step.shard === undefined ? step.source : `${step.source}#${step.shard}`;
  if ("watermark" in step) return { line, word: `|${timeWord(step.watermark)}` };
  const { value, timestamp } = step;
  if (timestamp === undefined || step.partitionKey !== undefined)
    throw noWord(step, "must have a timestamp and no partition key");
  return { line, word: recordWord({ value, at: timestamp }, meanings) };
}

function noWord(step: OperatorStep, problem: string): MillraceError {
  return new MillraceError("invalid", `a marble diagram has no word for a step that ${problem}: ${describeStep(step)}`);
}

/** Columns as text; every column begins behind all that the one before it brought. */
export function layOut(columns: readonly MarbleColumn[], sinks: readonly string[]): string {
  const steps = [...new Set(columns.map(({ line }) => line))];
  const names = [...steps.filter((line) => line !== "clock"), ...steps.filter((line) => line === "clock"), ...sinks];
  const indent = Math.max(...names.map((name) => name.length)) + 2;
  const blocks: Map<string, string>[] = [];
  let width = Infinity;
  for (const column of columns) {
    const needed = widthOf(column);
    if (width + needed > widthMost) {
      blocks.push(new Map());
      width = indent;
    }
    place(blocks.at(-1)!, column, width);
    width += needed + 2;
  }
  return blocks.map((lines) => show(lines, names)).join("\n\n");
}

function widthOf({ word, given }: MarbleColumn): number {
  return Math.max(word.length, ...Object.values(given).map((words) => words.join("  ").length));
}

function place(lines: Map<string, string>, { line, word, given }: MarbleColumn, column: number): void {
  for (const [name, words] of [[line, [word]] as const, ...Object.entries(given)])
    if (words.length > 0) lines.set(name, (lines.get(name) ?? name).padEnd(column) + words.join("  "));
}

function show(lines: ReadonlyMap<string, string>, names: readonly string[]): string {
  return names.flatMap((name) => lines.get(name) ?? []).join("\n");
}
