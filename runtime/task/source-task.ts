/**
 * Tasks of source stages. A stage may read several sources, each task one shard of one of them: what only the other sources feed does
 * not run in it, sends nothing and holds no watermark back.
 */
import type { ShardId, TaskId } from "../base/ids.ts";
import type { JobGraph, StagePlan } from "../plan/job-graph.ts";
import { instanceOf, stageOf } from "../streaming/channel.ts";

/** The source and shard of a source stage's task. */
export function shardOf(instance: string): { readonly source: string; readonly shard: ShardId } {
  const colon = instance.indexOf(":");
  return { source: instance.slice(0, colon), shard: instance.slice(colon + 1) as ShardId };
}

/** The stage as one of its tasks runs it. */
export function stageOfTask(job: JobGraph, task: TaskId): StagePlan {
  const stage = job.stages.find(({ id }) => id === stageOf(task)) as StagePlan;
  if (stage.kind !== "source" || stage.sources.length === 1) return stage;
  const { source } = shardOf(instanceOf(task));
  const fed = new Set([source]);
  // In topological order (P2), so one pass finds all.
  for (const uid of stage.operators)
    if (fed.has(uid))
      for (const { to, exchange } of job.operators.get(uid)?.outputs ?? []) if (exchange === undefined) fed.add(to);
  return { ...stage, operators: stage.operators.filter((uid) => fed.has(uid)), sources: [source] };
}
