/** How many executions of a job's functions may run at once: a batch of each shard at a time, and the coordinator. Pure. */
import type { JobGraph, StagePlan } from "../runtime/plan/job-graph.ts";

/** Of a mapping of a queue: the least that Lambda has, since all its batches go through one journal. */
export const queueExecutions = 2;

export interface ExecutionsOf {
  /** Open shards of the sources that a stage reads, of a queue `queueExecutions`. */
  readonly sourceShards: (stage: string) => number;
  /** Functions of a stage. */
  readonly cells: (stage: StagePlan) => number;
  /** Of each task function; undefined: none is reserved. */
  readonly reserved: number | undefined;
}

export function executionsOf({ stages }: JobGraph, { sourceShards, cells, reserved = Infinity }: ExecutionsOf): number {
  const mostOf = (stage: StagePlan): number => {
    const { id, parallelism } = stage;
    const shards = parallelism === "shards" || stages.length === 1 ? sourceShards(id) : parallelism;
    return Math.min(shards, reserved * cells(stage));
  };
  return stages.reduce((sum, stage) => sum + mostOf(stage), 1);
}

/** Why a job that may need so many is refused; undefined: it is not. */
export function refusalOfExecutions(most: number, allowed: number): string | undefined {
  if (most <= allowed) return undefined;
  const advice = "raise the account's quota, or lower the parallelism, the streams' shards or reservedConcurrency";
  return `the job may need ${most} executions of functions at once, one for each shard, and the account allows ${allowed}: ${advice}`;
}
