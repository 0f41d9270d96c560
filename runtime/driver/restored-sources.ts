/** Where the sources of a task stand when its generation begins: from nothing, or from a checkpoint at whatever parallelism. Pure. */
import type { ShardId } from "../base/ids.ts";
import type { Acknowledgement } from "../snapshots/manifest.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import type { Progress, SourceProgress } from "../state/commit.ts";
import { instanceOf } from "../streaming/channel.ts";
import { shardOf } from "../task/source-task.ts";
import type { TaskPlan } from "../task/task-plan.ts";
import { beginAgain, type StoredSourceWatermarks } from "../time/source-watermarks.ts";
import { loadWatermark, storeWatermark } from "../time/watermark.ts";

/** The progress of the task's own shards: all of its sources' for the single stage, one for a source stage's task. */
export function beginSources(plan: TaskPlan, record: JobRecord, acks: readonly Acknowledgement[]): Progress["sources"] {
  const only = plan.stage.kind === "source" ? shardOf(instanceOf(plan.task)).shard : undefined;
  const join = (uid: string) => (only === undefined ? joinShards(uid, acks) : takeShard(uid, only, acks));
  const beginAt = ({ shards, watermarks }: SourceProgress): SourceProgress => ({
    shards: new Map([...shards].map(([shard, { tip: _, ...known }]) => [shard, known])),
    watermarks: watermarks && beginAgain(watermarks as StoredSourceWatermarks),
  });
  return new Map(plan.stage.sources.map((uid) => [uid, withRoots(beginAt(join(uid)), uid, plan, record)]));
}

/** All shards that the generation begins with stand in it: none of them may be overtaken by the watermark. */
function withRoots(known: SourceProgress, uid: string, plan: TaskPlan, record: JobRecord): SourceProgress {
  const shards = new Map(known.shards);
  const roots = record.topology.find(({ stage }) => stage === plan.stage.id)?.roots.get(uid) ?? [];
  const isOwn = (shard: ShardId) => plan.stage.kind !== "source" || shardOf(instanceOf(plan.task)).shard === shard;
  for (const { shard } of roots)
    if (!shards.has(shard) && isOwn(shard))
      shards.set(shard, { position: "horizon", readUpTo: record.since, ended: false, parents: [] });
  return { ...known, shards };
}

function watermarksOf(part: SourceProgress | undefined): StoredSourceWatermarks | undefined {
  return part?.watermarks as StoredSourceWatermarks | undefined;
}

/** One shard, as its own task or the single task left it. Its watermark is its own, whatever others held back or passed by. */
function takeShard(uid: string, shard: ShardId, acks: readonly Acknowledgement[]): SourceProgress {
  const part = acks.map((ack) => ack.sources.get(uid)).find((source) => source?.shards.has(shard));
  const progress = part?.shards.get(shard);
  const time = watermarksOf(part)?.shards.find(({ id }) => id === shard);
  return {
    shards: new Map(progress === undefined ? [] : [[shard, progress]]),
    watermarks: time && ({ watermark: time.at, shards: [time] } satisfies StoredSourceWatermarks),
  };
}

/** All shards: the watermark stands where the slowest of those stood whose records go on. */
function joinShards(uid: string, acks: readonly Acknowledgement[]): SourceProgress {
  const parts = acks.flatMap((ack) => {
    const part = ack.sources.get(uid);
    return part === undefined ? [] : [{ ack, part }];
  });
  const shards = new Map(parts.flatMap(({ part }) => [...part.shards]));
  const times = parts.flatMap(({ part }) => watermarksOf(part) ?? []);
  if (times.length === 0) return { shards, watermarks: undefined };
  const tasks = new Set(acks.map(({ task }) => task));
  const goingOn = parts.filter(({ ack }) => !ack.ended || ack.successors.some(({ task }) => !tasks.has(task)));
  const holding = (goingOn.length > 0 ? goingOn : parts).flatMap(({ part }) => watermarksOf(part) ?? []);
  const watermark = storeWatermark(Math.min(...holding.map((time) => loadWatermark(time.watermark))));
  return { shards, watermarks: { watermark, shards: times.flatMap((time) => time.shards) } satisfies StoredSourceWatermarks };
}
