/**
 * Marble diagrams: what goes into a job and what comes out, line under line, as text. Columns are the order of things: what a sink is
 * given stands at or after the column of the step that brings it, and before the next step.
 *
 *     in    a@1s  a:2@4s  |9999                a@3s  |
 *     out                       a[0,10s)=2
 *
 * Each line begins with a name; columns are counted from there, so the first line may begin right after the quote. A name may have
 * several lines, and a blank line begins a new block of columns, which goes on where the last one ended.
 * - A line of a source, or of its shard 1 as `in#1`: `k@t` is the record `{ key: "k", at: t }` at event time t, `k:5@t` one with
 *   `n: 5`, `{page:/a}@t` any other; `|t` is a watermark, `|` alone the end of the source.
 * - The line `clock`: `t` turns processing time to t.
 * - A line of a sink or side output: values. `k[s,e)=v` is `["k", s, e, v]`.
 * Values and times are those of marble-words.ts.
 */
import { MillraceError } from "../base/errors.ts";
import { isPlain, plainRecord, WordError, type WordMeanings, WordReader } from "./marble-words.ts";
import type { OperatorStep } from "./operator-steps.ts";

/** A diagram as data. */
export interface Marbles {
  readonly steps: readonly OperatorStep[];
  /** What each sink is given, by uid. */
  readonly expected: Readonly<Record<string, readonly unknown[]>>;
  /** The same by step: what each sink is given by the step of this place. */
  readonly given: readonly GivenBySink[];
}

/** What each sink is given, by uid. */
export type GivenBySink = Readonly<Record<string, readonly unknown[]>>;

export interface MarbleOptions {
  /** Names of lines that are outputs: the job's sinks, and side outputs by their ids. Default `out`. */
  readonly sinks?: readonly string[];
  /** Values by name: `login@1s` is a record of that value, and where something comes out, `login` is the value. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** The value of `key@at` and of `key:n@at`; default `{ key, at }`, with `n` where it is given. */
  readonly record?: (key: any, at: number, n: any) => unknown;
}

/** A word of a diagram, and where it stands. */
export interface MarbleWord {
  /** The name that its line begins with. */
  readonly line: string;
  readonly text: string;
  /** Counted from the line's name, on from block to block. */
  readonly column: number;
  /** In the text, from 1, with the line itself: for messages. */
  readonly place: { readonly row: number; readonly column: number; readonly shown: string };
}

/** Reads a diagram. Throws `invalid`, with the place, for what is none, and for an output that stands before every step. */
export function marbles(text: string, options: MarbleOptions = {}): Marbles {
  const { inputs, outputs } = wordsOf(text, options);
  const { sinks, meanings } = resolve(options);
  const given = inputs.map(() => Object.fromEntries(sinks.map((sink) => [sink, [] as unknown[]])));
  for (const word of outputs) {
    const step = inputs.findLastIndex(({ column }) => column <= word.column);
    if (step < 0) throw invalid(word, "stands before every step, so nothing brings it");
    given[step]![word.line]!.push(read(word, meanings, (reader) => reader.value()));
  }
  const expected = Object.fromEntries(sinks.map((sink) => [sink, given.flatMap((by) => by[sink] as unknown[])]));
  return { steps: inputs.map((word) => stepOf(word, meanings)), expected, given };
}

/** Fills in the defaults. Throws `invalid` for a name of the table that means something already. */
export function resolve({ sinks = ["out"], values, record = plainRecord }: MarbleOptions): {
  readonly sinks: readonly string[];
  readonly meanings: WordMeanings;
} {
  for (const name of Object.keys(values ?? {}))
    if (!isPlain(name)) throw new MillraceError("invalid", `a value of a marble diagram cannot have this name: ${name}`);
  return { sinks, meanings: { values, record } };
}

/** The words of a diagram from left to right: those that are steps, and those of sinks. */
export function wordsOf(
  text: string,
  options: MarbleOptions,
): { readonly inputs: readonly MarbleWord[]; readonly outputs: readonly MarbleWord[] } {
  const { sinks } = resolve(options);
  const words = split(text).sort((a, b) => a.column - b.column);
  const isOutput = ({ line }: MarbleWord) => sinks.includes(line);
  return { inputs: words.filter((word) => !isOutput(word)), outputs: words.filter(isOutput) };
}

/** Without spaces but in quotes. */
const wordPattern = /(?:"(?:[^"\\]|\\.)*"|\S)+/g;

function split(text: string): MarbleWord[] {
  const words: MarbleWord[] = [];
  let offset = 0;
  let width = 0;
  for (const [row, shown] of text.split("\n").entries()) {
    const [name, ...rest] = shown.matchAll(wordPattern);
    if (name === undefined) {
      offset += width;
      width = 0;
      continue;
    }
    width = Math.max(width, shown.length - name.index + 1);
    for (const word of rest) {
      const place = { row: row + 1, column: word.index + 1, shown };
      words.push({ line: name[0], text: word[0], column: offset + word.index - name.index, place });
    }
  }
  return words;
}

function stepOf(word: MarbleWord, meanings: WordMeanings): OperatorStep {
  const { text } = word;
  if (word.line === "clock") return { processingTime: read(word, meanings, (reader) => reader.time("time")) };
  const [, source = word.line, shard] = /^(.*)#(\d+)$/.exec(word.line) ?? [];
  const of = shard === undefined ? {} : { shard: Number(shard) };
  if (text === "|" && shard !== undefined) throw invalid(word, "ends a shard: only whole sources end");
  if (text === "|") return { endInput: true, source };
  if (text.startsWith("|"))
    return { source, watermark: read(word, meanings, (reader) => reader.timeAfter("|", "watermark")), ...of };
  const { value, at } = read(word, meanings, (reader) => reader.record());
  return { source, value, timestamp: at, ...of };
}

function read<T>(word: MarbleWord, meanings: WordMeanings, how: (reader: WordReader) => T): T {
  try {
    return how(new WordReader(word.text, meanings));
  } catch (error) {
    throw error instanceof WordError ? invalid(word, error.message, error.at) : error;
  }
}

/** With the line, and under it a sign where it goes wrong. */
function invalid({ text, line, place }: MarbleWord, problem: string, at = 0): MillraceError {
  const column = place.column + at;
  const shown = `${place.shown}\n${" ".repeat(column - 1)}^`;
  return new MillraceError(
    "invalid",
    `not a marble diagram: ${text} of ${line} ${problem}: line ${place.row}, column ${column}\n${shown}`,
  );
}
