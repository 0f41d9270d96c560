/**
 * Flink's expectations of assigners, triggers, merging, and the window operator as a whole. The operator runs through the public
 * API in a harness; the others at their modules.
 */
import { assignerOf } from "../../../runtime/operators/window/assigner.ts";
import { addWindow, retireWindow, type MergingWindow } from "../../../runtime/time/merging-windows.ts";
import { globalWindow, timeWindow, tumblingStart, windowsIntersect } from "../../../runtime/time/windows.ts";
import { purgingTrigger } from "../../../runtime/operators/window/wrapping-triggers.ts";
import { neverTrigger } from "../../../runtime/operators/window/end-triggers.ts";
import type { TriggerContext } from "../../../runtime/operators/window/trigger.ts";
import type { TriggerResult } from "../../../runtime/index.ts";
import { isKind } from "../../../runtime/index.ts";
import { compare } from "../compare.ts";
import { noDriver } from "../run-vector.ts";
import type { Failure, Vector } from "../vector.ts";
import { assignerSpecOf, windowJob } from "./window-jobs.ts";
import { runWindowOperator } from "./window-operator.ts";
import { runTrigger } from "./window-trigger.ts";

type Pair = [start: number, end: number];

const pairOf = ({ start, end }: { start: number; end: number }): Pair => [start, end];
const byStart = (a: Pair, b: Pair): number => a[0] - b[0] || a[1] - b[1];

export function run(vector: Vector): Failure | undefined | Promise<Failure | undefined> {
  switch (vector.config.driver) {
    case "assigner":
      return runAssigner(vector);
    case "assignerInvalid":
      return runAssignerInvalid(vector);
    case "windowStart":
      return runWindowStart(vector);
    case "windowsIntersect":
      return runWindowsIntersect(vector);
    case "mergeWindows":
      return runMergeWindows(vector);
    case "mergingWindowSet":
      return runMergingWindowSet(vector);
    case "purgingMap":
      return runPurgingMap(vector);
    case "trigger":
      return runTrigger(vector);
    case "windowOperator":
      return runWindowOperator(vector);
    default:
      return noDriver(vector);
  }
}

/** The first of these that a step or the driver's configuration has. */
function pick(from: readonly any[], ...names: readonly string[]): any {
  for (const source of from) for (const name of names) if (source?.[name] !== undefined) return source[name];
  return undefined;
}

// ---- assigners ----

function runAssigner(vector: Vector): Failure | undefined {
  const { assigner } = vector.config;
  const at = (step: any): number => step.ts ?? step.pt;
  // A natural stagger shifts all windows to where the clock stood in its own when the first record came.
  const [first] = vector.input;
  const begun = first?.pt ?? vector.config.pt ?? first?.ts;
  const stagger = assigner.stagger === "natural" ? begun - tumblingStart(begun, assigner.offsetMs ?? 0, assigner.sizeMs) : 0;
  const spec = assignerSpecOf({ ...assigner, offsetMs: (assigner.offsetMs ?? 0) + stagger });
  const assign = assignerOf(spec, () => "key");
  for (const [index, step] of vector.input.entries()) {
    const { windows, order } = vector.expected.assignments[index];
    const assigned = assign
      .assign(step, at(step))
      .map((window) => (window.maxTimestamp === globalWindow.maxTimestamp ? "GLOBAL" : pairOf(window)));
    const failure =
      order === "any"
        ? compare((assigned as Pair[]).sort(byStart), windows.toSorted(byStart), `step ${index + 1}`)
        : compare(assigned, windows, `step ${index + 1}`);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function runAssignerInvalid(vector: Vector): Failure | undefined {
  for (const [index, { assigner }] of vector.input.entries()) {
    if (isRefused(assigner)) continue;
    return { expected: vector.expected, actual: `input ${index + 1} is accepted` };
  }
  return undefined;
}

/** At once, or, where a record says it, at the first record. */
function isRefused(assigner: any): boolean {
  try {
    windowJob({ assigner, keyBy: "key", allowedLatenessMs: 0, function: { type: "reduceSum", emit: "key,sum" } });
    if (assigner.gap === "dynamic") assignerOf(assignerSpecOf(assigner), () => "key").assign(assigner, 0);
    return false;
  } catch (error) {
    if (isKind(error, "invalid") || isKind(error, "user")) return true;
    throw error;
  }
}

function runWindowStart(vector: Vector): Failure | undefined {
  const starts = vector.input.map((step) => {
    const from = [step, vector.config];
    return tumblingStart(
      ...([pick(from, "ts", "timestamp"), pick(from, "offsetMs", "offset") ?? 0] as const),
      pick(from, "sizeMs", "size", "windowSizeMs", "windowSize"),
    );
  });
  const listed = Object.values(vector.expected).find(Array.isArray) ?? vector.input.map((step) => step.start);
  return compare(starts, listed);
}

function runWindowsIntersect(vector: Vector): Failure | undefined {
  const { intersects, symmetric } = vector.expected;
  for (const [index, { a, b }] of vector.input.entries()) {
    const [x, y] = [timeWindow(a[0], a[1]), timeWindow(b[0], b[1])];
    const both = symmetric ? [windowsIntersect(x, y), windowsIntersect(y, x)] : [windowsIntersect(x, y)];
    const failure = compare(
      both,
      both.map(() => intersects[index]),
      `input ${index + 1}`,
    );
    if (failure !== undefined) return failure;
  }
  return undefined;
}

// ---- merging ----

function runMergeWindows(vector: Vector): Failure | undefined {
  let windows: readonly MergingWindow[] = [];
  for (const [start, end] of vector.input) windows = addWindow(windows, start, end).windows;
  const inside = ({ start, end }: MergingWindow): Pair[] => vector.input.filter(([s, e]: Pair) => s >= start && e <= end);
  const merges = windows
    .map((window) => ({ from: inside(window).sort(byStart), into: pairOf(window) }))
    .filter(({ from }) => from.length > 1);
  const expected = vector.expected.merges
    .map(({ from, into }: { from: Pair[]; into: Pair }) => ({ from: from.toSorted(byStart), into }))
    .sort((a: { into: Pair }, b: { into: Pair }) => byStart(a.into, b.into));
  return compare(merges, expected);
}

function runMergingWindowSet(vector: Vector): Failure | undefined {
  let windows: readonly MergingWindow[] = [];
  for (const [index, step] of vector.expected.steps.entries()) {
    const at = `step ${index + 1}`;
    if (step.retire !== undefined) {
      windows = retireWindow(windows, step.retire[0], step.retire[1]);
      continue;
    }
    if (step.add === undefined) continue; // stored and read back: the set is plain data
    const added = addWindow(windows, step.add[0], step.add[1]);
    windows = added.windows;
    const merged = added.merged.length > 0;
    const failure =
      (step.result === undefined ? undefined : compare(pairOf(added.window), step.result, at)) ??
      (step.merged === undefined ? undefined : compare(merged, step.merged, at)) ??
      (step.mergedFrom === undefined ? undefined : compare(added.merged.map(pairOf), step.mergedFrom.toSorted(byStart), at));
    if (failure !== undefined) return failure;
  }
  return undefined;
}

// ---- a trigger's results as the purging one maps them ----

const results: Readonly<Record<string, TriggerResult>> = {
  CONTINUE: "continue",
  FIRE: "fire",
  PURGE: "purge",
  FIRE_AND_PURGE: "fireAndPurge",
};

/** What the inner trigger says, and what becomes of it: by a map, or by a list of pairs, or by one beside the input. */
function runPurgingMap({ input, expected }: Vector): Failure | undefined {
  const wanted = Object.values(expected).find((part) => typeof part === "object" && part !== null) ?? expected;
  const pairs = (Array.isArray(wanted) ? wanted : Object.entries(wanted))
    .map((item, index) => [...resultsIn(Array.isArray(wanted) ? input[index] : undefined), ...resultsIn(item)])
    .filter((named) => named.length > 0);
  if (pairs.length === 0) return { expected, actual: "nothing to map" };
  for (const [inner, ...outer] of pairs) {
    const wanted = results[outer.at(-1) ?? ""];
    const failure = compare(purged(inner!), [wanted, wanted, wanted], inner);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** The results that a text, a list or an object names, in its order. */
function resultsIn(part: unknown): string[] {
  if (typeof part === "string") return results[part] === undefined ? [] : [part];
  return typeof part === "object" && part !== null ? Object.values(part).flatMap(resultsIn) : [];
}

/** What a purging trigger says around one that says `inner`: to a record, to a timer of event time, to one of the clock. */
function purged(inner: string): TriggerResult[] {
  const says = () => results[inner]!;
  const purging = purgingTrigger({ ...neverTrigger, onElement: says, onTimer: says });
  const window = timeWindow(0, 2);
  const context = {} as TriggerContext;
  return [
    purging.onElement(1, 1, window, context, true),
    purging.onTimer("eventTime", 1, window, context),
    purging.onTimer("processingTime", 1, window, context),
  ];
}
