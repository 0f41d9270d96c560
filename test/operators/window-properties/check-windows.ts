/** Runs a job of one window operator on the engine, and holds it against the oracle. */
import assert from "node:assert/strict";
import {
  boundedOutOfOrderness,
  millis,
  outputTag,
  type DataStream,
  type Evictor,
  type TimeWindow,
  type Trigger,
  type Window,
  type WindowAssigner,
  type WindowedStream,
} from "../../../runtime/index.ts";
import { pipeline } from "../pipeline.ts";
import { runOn, type Schedule, sorted } from "../schedule.ts";
import { defaultBoundMs, type Event, expectedOf, type Result, type Step, type Windowing } from "./oracle.ts";

/** What is done with the records: all of them at once, or one value folded as they come. */
export type Fold = "apply" | "reduce" | "aggregate" | "merging";
export const folds: readonly Fold[] = ["apply", "reduce", "aggregate", "merging"];

export interface Subject {
  readonly assigner: WindowAssigner<any, any>;
  readonly trigger?: Trigger<any, any>;
  readonly evictor?: Evictor<any>;
  /** Default "apply", which shows the order in which records lie in their window. */
  readonly fold?: Fold;
  /** Late records are counted, not given out. */
  readonly countsLate?: boolean;
  /** Of the whole stream, without keys. */
  readonly all?: boolean;
}

type Windows = WindowedStream<Event, any, Window>;
const late = outputTag<Event>("late");

/** The job's results, its late records, and nothing else: as the oracle has them. */
export async function checkWindows(
  input: readonly Step[],
  schedule: Schedule,
  subject: Subject,
  windowing: Windowing,
): Promise<void> {
  const expected = expectedOf(
    subject.all ? input.map((step) => ("clock" in step ? step : { ...step, key: null })) : input,
    windowing,
  );
  const steps = input.map((step) => ("clock" in step ? { processingTime: step.clock } : { value: step }));
  const { out, lateDropped, deadLetters } = await runOn(jobOf(subject, windowing), steps, schedule);
  assert.deepEqual(deadLetters, []);
  const { fold = "apply", countsLate } = subject;
  assert.deepEqual(byWindow(out.filter(Array.isArray) as unknown as Result[], fold), byWindow(expected.out, fold));
  const given = out.filter((item) => typeof item === "number");
  if (countsLate) assert.deepEqual([lateDropped, given], [expected.late.length, []]);
  else assert.deepEqual([lateDropped, sorted(given)], [0, sorted(expected.late)]);
}

/**
 * The results of each window in their order. Within one, records have an order only where nothing is folded; where all were evicted,
 * a reduce has no result.
 */
function byWindow(results: readonly Result[], fold: Fold): Record<string, readonly (readonly number[])[]> {
  const windows = new Map<string, number[][]>();
  for (const [key, start, end, ...ns] of results) {
    if (fold === "reduce" && ns.length === 0) continue;
    const name = JSON.stringify([key, start, end]); // of the window of all time: null
    windows.set(name, [...(windows.get(name) ?? []), fold === "apply" ? ns : ns.toSorted((a, b) => a - b)]);
  }
  return Object.fromEntries([...windows].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function jobOf(subject: Subject, { latenessMs = 0, boundMs = defaultBoundMs }: Windowing) {
  return pipeline(
    (stream) => {
      const events = stream as unknown as DataStream<Event>;
      const { assigner, trigger, evictor, fold = "apply", countsLate, all } = subject;
      let windows: Windows = all ? events.windowAll(assigner) : events.keyBy(({ key }) => key as string).window(assigner);
      if (latenessMs > 0) windows = windows.allowedLateness(millis(latenessMs));
      if (trigger) windows = windows.trigger(trigger);
      if (evictor) windows = windows.evictor(evictor);
      if (countsLate) return resultsOf(windows, fold);
      const results = resultsOf(windows.sideOutputLate(late), fold);
      return results.union(results.sideOutput(late).map("late", ({ n }) => n));
    },
    { watermarks: boundedOutOfOrderness(millis(boundMs)) },
  );
}

function shape(key: unknown, window: Window, ns: readonly number[]): unknown {
  if (window.maxTimestamp === Number.MAX_SAFE_INTEGER) return [key, null, null, ...ns];
  const { start, end } = window as TimeWindow;
  return [key, start, end, ...ns];
}

function resultsOf(windows: Windows, fold: Fold): DataStream<unknown> {
  switch (fold) {
    case "apply":
      return windows.apply("windows", (key, window, events) => [
        shape(
          key,
          window,
          events.map(({ n }) => n),
        ),
      ]);
    case "reduce":
      return windows.reduce("windows", both, (key, window, event) => shape(key, window, partsOf(event)));
    case "aggregate":
      return windows.aggregate("windows", collect, shape);
    case "merging":
      return windows.aggregate("windows", { ...collect, merge }, shape);
  }
}

/** An event that holds what two hold. */
function both(a: Event, b: Event): Event {
  return { ...a, parts: [...partsOf(a), ...partsOf(b)] } as Event;
}

function partsOf(event: Event & { readonly parts?: readonly number[] }): readonly number[] {
  return event.parts ?? [event.n];
}

const collect = {
  create: (): number[] => [],
  // Changed in place, and so are both that are merged: nothing else may show it.
  add: (ns: number[], { n }: Event) => (ns.push(n), ns),
  result: (ns: number[]) => [...ns],
};
const merge = (a: number[], b: number[]) => (b.push(...a), a.splice(0), b);
