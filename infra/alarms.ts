/**
 * What rings, as data: by which metric, from when on, and under which heading of docs/operations/runbook.md it is told what to do.
 *
 * A1 Metrics are those of functions/metrics.ts, or Lambda's own; a name that is in neither is a compile error.
 */
import type { metrics } from "../functions/metrics.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { CheckedProps } from "./check-props.ts";

export interface AlarmSpec {
  /** The construct's id, and the heading in the runbook. */
  readonly id: string;
  readonly metric: (typeof metrics)[number]["name"];
  readonly statistic: "Sum" | "Maximum";
  /** Rings above it. */
  readonly threshold: number;
  readonly periodMinutes: number;
  /** Periods in a row. */
  readonly periods: number;
  readonly missing: "notBreaching" | "breaching";
  readonly says: string;
}

const atOnce = { statistic: "Sum", threshold: 0, periodMinutes: 1, periods: 1, missing: "notBreaching" } as const;

/** Intervals of checkpoints that may pass without one. */
const checkpointIntervals = 3;
/** A base is taken at 94: beyond this, bases cannot be taken. */
const ringUseMax = 96;
/** Time-outs of checkpoints, or of whatever is tried again by itself, end in fewer minutes. */
const patienceMinutes = 10;

export function alarmsOf({ options }: JobGraph, { watermarkLagMax, deadLettersMax }: CheckedProps): readonly AlarmSpec[] {
  return [
    {
      id: "CheckpointAge",
      metric: "CheckpointAge",
      statistic: "Maximum",
      threshold: checkpointIntervals * options.checkpointIntervalMs + 60_000,
      periodMinutes: 1,
      periods: 5,
      missing: "breaching",
      says: "no checkpoint is completed, or the coordinator does not run",
    },
    {
      id: "WatermarkLag",
      metric: "WatermarkLag",
      statistic: "Maximum",
      threshold: watermarkLagMax.toMilliseconds(),
      periodMinutes: 1,
      periods: 5,
      missing: "notBreaching",
      says: "event time lies far behind the clock: results are late",
    },
    {
      id: "RingNearFull",
      metric: "RingUse",
      statistic: "Maximum",
      threshold: ringUseMax,
      periodMinutes: 1,
      periods: 1,
      missing: "notBreaching",
      says: "a task's journal is near full: bases cannot be taken",
    },
    {
      ...atOnce,
      id: "SourceGap",
      metric: "SourceGap",
      says: "records expired before they were read: data is lost at the source",
    },
    {
      ...atOnce,
      id: "DeadLetters",
      metric: "DeadLetters",
      threshold: deadLettersMax,
      periodMinutes: 5,
      says: "records were put aside as dead letters",
    },
    {
      ...atOnce,
      id: "LateDropped",
      metric: "LateDropped",
      periodMinutes: 5,
      says: "late records were dropped that no side output takes",
    },
    {
      ...atOnce,
      id: "Fenced",
      metric: "Fenced",
      periodMinutes: 5,
      periods: 3,
      says: "code of an older deployment still runs, or a deployment was rolled back",
    },
    { ...atOnce, id: "Corrupt", metric: "Corrupt", says: "durable data contradicts itself: a task has stopped" },
    {
      ...atOnce,
      id: "Invalid",
      metric: "Invalid",
      periods: 3,
      says: "something must be changed: a permission, a name, an incompatible plan",
    },
    {
      ...atOnce,
      id: "Unavailable",
      metric: "Unavailable",
      periods: patienceMinutes,
      says: "AWS does not answer, or asks to slow down",
    },
    { ...atOnce, id: "UserErrors", metric: "UserErrors", says: "the job's own functions throw, and its policy is to fail" },
    { ...atOnce, id: "InternalErrors", metric: "InternalErrors", says: "a mistake of the engine's" },
  ];
}

/**
 * Beside them, of each function: how old the records are that a mapping brings, or how many wait; and what was not run for want of concurrency. Of each rule that
 * brings events: what it could not hand over.
 */
export const iteratorAge = {
  id: "IteratorAge",
  says: "the job falls behind: half of the stream's retention has passed unread",
} as const;
/** Of each function that reads Kafka: how many records of a topic wait; Lambda knows no age of them. */
export const offsetLag = { id: "OffsetLag", says: "the job falls behind: records of a Kafka topic wait unread" } as const;
export const throttles = { id: "Throttles", says: "functions are not run for want of concurrency" } as const;

export const eventsUndelivered = {
  id: "EventsUndelivered",
  says: "a rule of EventBridge could not hand events over to the job's queue for a day",
} as const;

/** Where it is told what to do. */
export function runbookSection(id: string): string {
  return `docs/operations/runbook.md#${id.toLowerCase()}`;
}
