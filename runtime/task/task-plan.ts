/** What a task is given to run: its part of the plan, its place in the topology, its limits. Plain data and the plan's closures. */
import type { Generation, TaskId } from "../base/ids.ts";
import type { JobGraph, StagePlan } from "../plan/job-graph.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import type { Safeguards } from "./safeguards.ts";

/** The downstream end of an exchange: its tasks in the order of their ranges. */
export interface Downstream {
  readonly exchange: number;
  readonly tasks: readonly { readonly task: TaskId; readonly range: HashRange }[];
}

export interface TaskLimits {
  /** Frames stay below the record size of the inbox stream. */
  readonly frameBytesMax: number;
  /** Held above this, the checkpoint being aligned is declined (L9). */
  readonly heldBytesMax: number;
  /** Outputs of one commit; above it, the commit ends (L15). */
  readonly outputBytesMax: number;
  /** What operators in batch mode gather before a commit leaves it as a sorted run. */
  readonly gatheredBytesMax: number;
  /**
   * A timer of processing time t fires so much later. Of a clock that goes on by itself 1 ms, as Flink's ProcessingTimeServiceUtil has it:
   * a window ends with millisecond t, and until that is over the clock may say t to records as well. 0 where a test turns it.
   */
  readonly timerDelayMs: number;
}

export const defaultLimits: TaskLimits = {
  frameBytesMax: 1_000_000,
  heldBytesMax: 64 << 20,
  outputBytesMax: 8 << 20,
  gatheredBytesMax: 64 << 20,
  timerDelayMs: 0,
};

/** Those of tasks that run by a real clock. */
export const realTimeLimits: TaskLimits = { ...defaultLimits, timerDelayMs: 1 };

export interface TaskPlan {
  readonly job: JobGraph;
  readonly stage: StagePlan;
  readonly generation: Generation;
  /** When the generation began, epoch ms. */
  readonly since: number;
  /** The ordinal of the code that runs (R9). */
  readonly deployment: number;
  readonly task: TaskId;
  readonly range: HashRange;
  readonly downstream: readonly Downstream[];
  readonly limits: TaskLimits;
  readonly safeguards: Safeguards;
}
