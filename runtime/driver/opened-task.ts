/** What a turn holds of its task. */
import type { Position } from "../base/ids.ts";
import { decodeRequest } from "../snapshots/checkpoint-request.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import { checkpointMessage } from "../snapshots/names.ts";
import type { Base, Commit } from "../state/commit.ts";
import type { FeedStatus } from "../task/frame-feed.ts";
import type { TaskPlan } from "../task/task-plan.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { DeliveryLog } from "./delivery-log.ts";
import type { Recovered } from "./recover.ts";
import type { TakenDeliveries } from "./taken-deliveries.ts";
import type { TimeBudget } from "./time-budget.ts";

/** A task in an environment's cache, opened for a turn: what the turn knows of it and of its ring. */
export interface OpenedTask extends Recovered {
  /** Of the generation that the turn belongs to. */
  readonly record: JobRecord;
  head: Commit | undefined;
  readonly plan: TaskPlan;
  /** This environment saw the head's effects finish. */
  effectsDone: boolean;
  base: Base | undefined;
  /** Bytes of entries above the base. */
  journalBytes: number;
  /** Commits of this turn. */
  commits: number;
  /** The mapping's batch that is being taken in, and where its shard stood at the last commit. */
  batch: { readonly position: () => Position | "horizon"; at: Position | "horizon" } | undefined;
  /** Undefined without L14, and once the turn's work is done. */
  attempts: AttemptLog | undefined;
  /** The batch that rang holds nothing new, and all that came of it is done: there is nothing to do for it. */
  readonly isRepetition: boolean;
  /** The deliveries that are being taken in, and what is known of those before. */
  deliveries: { readonly taken: TakenDeliveries; readonly log: DeliveryLog | undefined } | undefined;
  /** There is more in a shard, or in the inbox, than the turn's reads have brought. */
  behind: boolean;
  readonly budget: TimeBudget;
  /** Effects that are still being carried out; always empty but without R3. */
  readonly unfinished: Promise<void>[];
}

/** How a feeding ended: as the task says, or because the turn's time is over, or that of the shard has not come. */
export type Fed = FeedStatus | "late";

/** Too much was put aside: a task that reads sources takes nothing more in until the job has paused and goes on. */
export function mustRest({ isFlooded, plan }: OpenedTask["task"]): boolean {
  return isFlooded && plan.stage.kind !== "keyed";
}

/**
 * The job is being stopped, and the task has made its part of the savepoint: what came in now would not be in it. A task that reads sources
 * rests until a later checkpoint is asked for; others hear of that by what comes behind the barrier. The request says it too, of which older
 * code wrote nothing into its commit.
 */
export function isSuspended({ task, plan, messages }: OpenedTask): boolean {
  if (plan.stage.kind === "keyed") return false;
  const request = messages.find((message) => message.name === checkpointMessage);
  if (request === undefined) return task.rests;
  return task.barriers.hasSeen(request.version) && (task.rests || decodeRequest(request.bytes).stop);
}
