/**
 * Marble diagrams: what goes into a job and what comes out, line under line, as text. Columns are the order of things: what a sink is
 * given stands at or after the column of the step that brings it, and before the next step.
 *
 *     in    a@1s  a:2@4s  |9999                a@3s  |
 *     out                       a[0,10s)=2
 *
 * Columns are counted from the line's name, so the first line may begin right after the quote. A line is a source's, a sink's or the clock's, by its first word; a name may have several lines, and a blank line begins a new block of
 * columns, which goes on where the last one ended. In the lines of sources:
 * - `k@t` is a record `{ key: "k", at: t }` at event time t, `k:5@t` one with `n: 5`; `#1` after it is its shard;
 * - `|t` is a watermark, `|` alone the end of the source.
 * In the line `clock`: `t` turns the clock to t. In the lines of sinks:
 * - `k@t` and `k:5@t` are such records; `k[s,e)=v` is `[k, s, e, v]`, `k[s,e)` is `[k, s, e]`, `(a,b)` is `[a, b]`;
 * - a number is a number, a time with its unit is its milliseconds, `{1;2}` is `[1, 2]`, any other word is text.
 * Times are milliseconds, or have a unit: 300, 1.5s, 2m, 1h, 1d, -3s.
 */
import { AssertionError } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import type { Job } from "../api/job.ts";
import { MillraceError } from "../base/errors.ts";
import { harness, type RunningHarness } from "./harness.ts";
import { carryOutSteps, describeStep, type OperatorStep, show } from "./operator-steps.ts";
import { type OperatorTest, verifyOperator } from "./verify-operator.ts";

/** A diagram as data. */
export interface Marbles {
  readonly steps: readonly OperatorStep[];
  /** What each sink is given, by uid. */
  readonly expected: Readonly<Record<string, readonly unknown[]>>;
  /** The same by step: what each sink is given by the step of this place. */
  readonly given: readonly Readonly<Record<string, readonly unknown[]>>[];
}

export interface MarbleOptions {
  /** The job's sinks; their lines are outputs. Default `out`. */
  readonly sinks?: readonly string[];
  /** The value of a record of a source; default `{ key, at }`, with `n` where it is given. */
  readonly record?: (key: string, at: number, n: number | undefined) => unknown;
}

interface Token {
  readonly line: string;
  readonly text: string;
  readonly column: number;
}

/** Reads a diagram. Throws `invalid` for what is none, and for an output that stands before every step. */
export function marbles(text: string, options: MarbleOptions = {}): Marbles {
  const { sinks = ["out"] } = options;
  const tokens = tokensOf(text);
  const inputs = tokens.filter(({ line }) => !sinks.includes(line)).sort((a, b) => a.column - b.column);
  const outputs = tokens.filter(({ line }) => sinks.includes(line)).sort((a, b) => a.column - b.column);
  const given = inputs.map(() => Object.fromEntries(sinks.map((sink) => [sink, [] as unknown[]])));
  for (const output of outputs) {
    const step = inputs.findLastIndex(({ column }) => column <= output.column);
    if (step < 0) throw invalid("stands before every step, so nothing brings it", output);
    given[step]![output.line]!.push(outputOf(output));
  }
  const expected = Object.fromEntries(sinks.map((sink) => [sink, given.flatMap((by) => by[sink] as unknown[])]));
  return { steps: inputs.map((token) => stepOf(token, options)), expected, given };
}

/**
 * Holds a job to a diagram: `verifyOperator` in all its ways, and, element by element, that everything comes when the diagram says.
 * Throws an `AssertionError` that names the step and the difference.
 */
export async function verifyMarbles(
  job: Job,
  text: string,
  options: MarbleOptions & Omit<OperatorTest, "steps" | "expected"> = {},
): Promise<void> {
  const { sinks = ["out"], record: _record, ...test } = options;
  const { steps, expected, given } = marbles(text, options);
  const run = (await harness(job, test.options)) as RunningHarness;
  const seen = new Map(sinks.map((sink) => [sink, 0]));
  for (const [place, step] of steps.entries()) {
    await carryOutSteps(run, { steps: [step], last: place });
    for (const sink of sinks) {
      const all = run.output(sink);
      const now = all.slice(seen.get(sink));
      seen.set(sink, all.length);
      check(job, sink, `step ${place + 1} of ${steps.length} (${describeStep(step)})`, now, given[place]![sink]!, test.order);
    }
  }
  await verifyOperator(job, { ...test, steps, expected });
}

function check(
  job: Job,
  sink: string,
  step: string,
  actual: readonly unknown[],
  expected: readonly unknown[],
  order: OperatorTest["order"],
): void {
  const isSame =
    order === undefined || order === "asListed"
      ? isDeepStrictEqual(actual, expected)
      : isDeepStrictEqual(bag(actual), bag(expected));
  if (isSame) return;
  const list = (values: readonly unknown[]) => (values.length === 0 ? "nothing" : values.map(show).join(" "));
  const message = `job ${job.name}: after ${step} ${sink} was given ${list(actual)}, the diagram says ${list(expected)}`;
  throw new AssertionError({ message, actual, expected, operator: "verifyMarbles", stackStartFn: verifyMarbles });
}

function bag(values: readonly unknown[]): readonly string[] {
  return values.map(show).sort();
}

// ---- lines ----

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  let width = 0;
  for (const line of text.split("\n")) {
    const [name, ...words] = line.matchAll(/\S+/g);
    if (name === undefined) {
      offset += width;
      width = 0;
      continue;
    }
    width = Math.max(width, line.length - name.index + 1);
    for (const word of words) tokens.push({ line: name[0], text: word[0], column: offset + word.index - name.index });
  }
  return tokens;
}

function invalid(problem: string, { line, text }: Token): MillraceError {
  return new MillraceError("invalid", `not a marble diagram: ${text} in line ${line} ${problem}`);
}

// ---- what goes in ----

function stepOf(token: Token, { record = recordOf }: MarbleOptions): OperatorStep {
  const { line: source, text } = token;
  if (source === "clock") return { processingTime: required(timeOf(text), "is no time", token) };
  if (text === "|") return { endInput: true, source };
  const [, body = "", shard] = /^(.*?)(?:#(\d+))?$/.exec(text)!;
  const where = shard === undefined ? {} : { shard: Number(shard) };
  if (body.startsWith("|")) return { source, watermark: required(timeOf(body.slice(1)), "is no watermark", token), ...where };
  const { key, at, n } = required(eventOf(body), "is no record: write key@time or key:number@time", token);
  return { source, value: record(key, at, n), timestamp: at, ...where };
}

function required<T>(value: T | undefined, problem: string, token: Token): T {
  if (value === undefined) throw invalid(problem, token);
  return value;
}

function recordOf(key: string, at: number, n: number | undefined): unknown {
  return n === undefined ? { key, at } : { key, at, n };
}

function eventOf(text: string): { readonly key: string; readonly at: number; readonly n: number | undefined } | undefined {
  const match = /^([^@:]+)(?::(-?[\d.]+))?@(.+)$/.exec(text);
  const at = timeOf(match?.[3] ?? "");
  if (match === null || at === undefined) return undefined;
  return { key: match[1] as string, at, n: match[2] === undefined ? undefined : Number(match[2]) };
}

// ---- what comes out ----

function outputOf({ text }: Token): unknown {
  const window = /^([^[(]+)\[([^,\]]+),([^)]+)\)(?:=(.+))?$/.exec(text);
  if (window !== null) {
    const [, key, start, end, value] = window;
    return [key, start, end, ...(value === undefined ? [] : [value])].map((part) => partOf(part as string));
  }
  const tuple = /^\((.*)\)$/.exec(text);
  if (tuple !== null) return (tuple[1] as string).split(",").map(partOf);
  const event = eventOf(text);
  return event === undefined ? partOf(text) : recordOf(event.key, event.at, event.n);
}

/** A list of parts between `{` and `}`, a time or number, or text. */
function partOf(text: string): unknown {
  const list = /^\{(.*)\}$/.exec(text);
  if (list !== null) return list[1] === "" ? [] : (list[1] as string).split(";").map(partOf);
  return timeOf(text) ?? text;
}

const units = { "": 1, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds; undefined for what is no time. */
function timeOf(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(text);
  if (match === null) return undefined;
  const ms = Number(match[1]) * units[match[2] as keyof typeof units];
  // 1.001 s is 1,001 ms, and so it is written, whatever floating point makes of it.
  return match[2] === "" ? ms : Math.round(ms * 1_000) / 1_000;
}
