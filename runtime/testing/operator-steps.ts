/** What a test of an operator does, step by step, as data: so that it can be done in several ways. */
import { inspect } from "node:util";
import { millis } from "../api/duration.ts";
import type { RunningHarness } from "./harness.ts";
import type { Pushed, PushedRecord, PushedWatermark } from "./harness-source.ts";

export type OperatorStep =
  /** A record of a source. */
  | (PushedRecord & { readonly source: string })
  /** A watermark of a source, exact. */
  | (PushedWatermark & { readonly source: string })
  /** The clock is turned to this time, epoch ms. */
  | { readonly processingTime: number }
  /** A source ends; without name, all of them. */
  | { readonly endInput: true; readonly source?: string };

/** Steps that are done at once: consecutive records and watermarks of one source and shard, or one step. */
export interface Batch {
  readonly steps: readonly OperatorStep[];
  /** The place of the last step. */
  readonly last: number;
}

function isPush(step: OperatorStep): step is Extract<OperatorStep, Pushed> {
  return "value" in step || "watermark" in step;
}

/** True for steps after which timers may fire. */
export function movesTime(step: OperatorStep): boolean {
  return !("value" in step);
}

/** Every step by itself. */
export function oneByOne(steps: readonly OperatorStep[]): readonly Batch[] {
  return steps.map((step, last) => ({ steps: [step], last }));
}

/** As few batches as keep the order within and between shards and sources. */
export function inBatches(steps: readonly OperatorStep[]): readonly Batch[] {
  const batches: { steps: OperatorStep[]; last: number }[] = [];
  steps.forEach((step, place) => {
    const open = batches.at(-1);
    const before = open?.steps[0];
    const sameShard = before && isPush(step) && isPush(before) && before.source === step.source && before.shard === step.shard;
    if (open && sameShard) {
      open.steps.push(step);
      open.last = place;
    } else batches.push({ steps: [step], last: place });
  });
  return batches;
}

/** Does the steps, and waits for all that follows from them. */
export async function carryOutSteps(running: RunningHarness, { steps }: Batch): Promise<void> {
  for (const step of steps) {
    if ("processingTime" in step) await running.advanceProcessingTime(millis(step.processingTime - running.processingTime));
    else if ("endInput" in step) await running.endInput(step.source);
    else running.enqueue(step.source, step);
  }
  await running.settle();
}

/** One line, for messages. */
export function describeStep(step: OperatorStep): string {
  if ("processingTime" in step) return `the clock turns to ${step.processingTime}`;
  if ("endInput" in step) return step.source === undefined ? "all input ends" : `${step.source} ends`;
  const shard = step.shard === undefined ? "" : ` (shard ${step.shard})`;
  if ("watermark" in step) return `watermark ${step.watermark} of ${step.source}${shard}`;
  const at = step.timestamp === undefined ? "" : ` at ${step.timestamp}`;
  return `${show(step.value)}${at} into ${step.source}${shard}`;
}

/** A value on one line. */
export function show(value: unknown): string {
  const text = inspect(value, { breakLength: Infinity, compact: 100, depth: 6, sorted: true });
  return text.length <= 240 ? text : `${text.slice(0, 240)}…`;
}
