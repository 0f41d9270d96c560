/**
 * Flink's expectations of batch mode, for the area process-timers: the timer service of one key after the other, through a job, and
 * the sorted input, at its module.
 */
import { ByteWriter } from "../../../runtime/base/byte-writer.ts";
import { type BlobName, id } from "../../../runtime/base/ids.ts";
import { defineJob, type Key, keyedProcess, type } from "../../../runtime/index.ts";
import { SortBuffer } from "../../../runtime/state/sort-buffer.ts";
import { SortedRuns } from "../../../runtime/state/sorted-runs.ts";
import { harness } from "../../../runtime/testing/index.ts";
import { anySink, anySource } from "../../operators/pipeline.ts";
import { compare } from "../compare.ts";
import { timeOf, type Failure, type Vector } from "../vector.ts";

/** One step of a vector, as a record of its key. */
interface Step {
  readonly key: any;
  readonly index: number;
  readonly op: any;
}

/** What the job saw: a timer that fired, or the watermark after a step. */
type Seen =
  | { readonly fired: number; readonly key: any; readonly watermark: number }
  | { readonly step: number; readonly watermark: number };

/** Driver `batchTimerService`. */
export async function runBatchTimerService(vector: Vector): Promise<Failure | undefined> {
  const { onTimer = "" } = vector.config as { onTimer?: string };
  const again = /register\w* an? (event|processing)[- ](?:time )?timer (?:for|at) its own time \+ (\d+)/.exec(onTimer);
  if (onTimer !== "" && again === null) return { expected: vector.expected, actual: `not understood: ${onTimer}` };
  const steps = stepsOf(vector);
  const run = await harness(timerJob(again));
  await run.push("in", ...steps.map((value) => ({ value, timestamp: value.index })));
  await run.endInput();
  const seen = byFirstSeen(run.output<Seen>("out"), steps);
  // Without a final watermark the last key has not ended.
  const ended = timeOf(vector.input.at(-1)?.wm ?? 0) === Infinity;
  const fired = seen.flatMap((one) => ("fired" in one && (ended || one.key !== steps.at(-1)?.key) ? [one] : []));
  return (
    compare(
      fired.map((one) => one.fired),
      vector.expected.fired,
      "fired",
    ) ?? compareWatermarks(vector, seen, fired)
  );
}

/** In which order keys come is nobody's to rely on: in that of the vector's steps. */
function byFirstSeen(seen: readonly Seen[], steps: readonly Step[]): readonly Seen[] {
  const places = new Map<unknown, number>();
  for (const { key } of steps) if (!places.has(key)) places.set(key, places.size);
  const placeOf = (one: Seen): number => places.get("fired" in one ? one.key : steps[one.step]!.key) ?? 0;
  return seen.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function compareWatermarks(
  { expected }: Vector,
  seen: readonly Seen[],
  fired: readonly { watermark: number }[],
): Failure | undefined {
  for (const [index, watermark] of Object.entries<string>(expected.currentWatermarkAfterStep ?? {})) {
    const after = seen.find((one) => "step" in one && one.step === Number(index));
    const failure = compare(after?.watermark, timeOf(watermark), `watermark after step ${index}`);
    if (failure !== undefined) return failure;
  }
  if (expected.currentWatermarkInTimer === undefined) return undefined;
  const inTimers = fired.map(({ watermark }) => watermark);
  return compare(
    inTimers,
    inTimers.map(() => timeOf(expected.currentWatermarkInTimer)),
    "watermark in timers",
  );
}

/** Each step is done when its key is the current one; what moves time in the vector is a step that does nothing. */
function stepsOf({ input }: Vector): Step[] {
  let key: any;
  return input.map((op, index) => {
    key = op.key ?? key;
    return { key, index, op };
  });
}

function timerJob(again: RegExpExecArray | null) {
  const timers = keyedProcess({
    key: type<any>(),
    output: type<Seen>(),
    onRecord({ index, op }: Step, ctx) {
      if (op.register === "event") ctx.timers.eventTime(op.time);
      if (op.register === "processing") ctx.timers.processingTime(op.time);
      if (op.delete === "event") ctx.timers.cancelEventTime(op.time);
      if (op.delete === "processing") ctx.timers.cancelProcessingTime(op.time);
      ctx.emit({ step: index, watermark: ctx.watermark });
    },
    onTimer(at, ctx) {
      ctx.emit({ fired: at, key: ctx.key, watermark: ctx.watermark });
      if (again?.[1] === "event") ctx.timers.eventTime(at + Number(again[2]));
      if (again?.[1] === "processing") ctx.timers.processingTime(at + Number(again[2]));
    },
  });
  return defineJob(
    "timers",
    (job) =>
      job
        .source("in", anySource<Step>("in", true))
        .keyBy(({ key }) => key)
        .process("timers", timers)
        .sinkTo("out", anySink()),
    { mode: "batch" },
  );
}

/** Driver `sortingInput`: all at once, and with a run for each record. */
export function runSortingInput(vector: Vector): Failure | undefined {
  const keyOf = sortKeyOf(vector.config.keyBy);
  const [phase] = vector.expected.phases;
  const expected = phase.emit.map((item: any) => ("wm" in item ? { wm: timeOf(item.wm) } : item));
  return (
    compare(sorted(vector.input, keyOf, vector.input.length), expected, "one run") ??
    compare(sorted(vector.input, keyOf, 1), expected, "many runs")
  );
}

function sortKeyOf(words: string): (el: any) => Key {
  if (/text|string/i.test(words)) return (el) => String(el);
  if (/first field/.test(words)) return (el) => el[0];
  if (/value|itself|element/.test(words)) return (el) => el;
  throw new Error(`no key: ${words}`);
}

function sorted(input: readonly any[], keyOf: (el: any) => Key, perRun: number): unknown[] {
  const written = new ByteWriter();
  const blob = id<BlobName>("runs");
  const runs: { blob: BlobName; offset: number; length: number }[] = [];
  let highest = -Infinity;
  for (let from = 0; from < input.length; from += perRun) {
    const buffer = new SortBuffer();
    for (const { el, ts, wm } of input.slice(from, from + perRun)) {
      if (wm !== undefined) highest = Math.max(highest, timeOf(wm));
      if (el !== undefined) buffer.add(keyOf(el), ts ?? NaN, 0, el);
    }
    const offset = written.length;
    buffer.takeInto(written);
    if (written.length > offset) runs.push({ blob, offset, length: written.length - offset });
  }
  const bytes = written.take();
  const merged = new SortedRuns(runs);
  const out: unknown[] = [];
  while (!merged.done) {
    for (const { range, supply } of merged.wanted) supply(bytes.subarray(range.offset, range.offset + range.length));
    const { value, timestamp } = merged.take();
    out.push(Number.isNaN(timestamp) ? { value } : { value, ts: timestamp });
  }
  // The operator passes on the final watermark alone; what Flink's test sees before it is the highest so far.
  return highest === -Infinity ? out : [...out, { wm: highest }];
}
