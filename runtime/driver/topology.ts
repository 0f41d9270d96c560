/** Which tasks a generation has, what feeds them and what they feed: from the plan and the job record. Pure. */
import type { ChannelId, Generation, ShardId, TaskId } from "../base/ids.ts";
import type { JobGraph, StagePlan } from "../plan/job-graph.ts";
import type { JobRecord, StageTopology } from "../snapshots/job-record.ts";
import { channelId, stageOf, taskId } from "../streaming/channel.ts";
import { fullRange, type HashRange, splitEvenly } from "../streaming/hash-range.ts";
import type { Safeguards } from "../task/safeguards.ts";
import { stageOfTask } from "../task/source-task.ts";
import type { TaskLimits, TaskPlan } from "../task/task-plan.ts";

/** By source uid: the shards with which a generation begins. */
export type Roots = StageTopology["roots"];

/** The topology of a new generation. */
export function createTopology(job: JobGraph, generation: Generation, roots: Roots): StageTopology[] {
  return job.stages.map((stage) => ({
    stage: stage.id,
    generation,
    kind: stage.kind,
    tasks: tasksOf(stage, generation),
    roots: new Map(stage.sources.map((uid) => [uid, roots.get(uid) ?? []])),
  }));
}

function tasksOf(stage: StagePlan, generation: Generation): StageTopology["tasks"] {
  if (stage.kind === "single") return [{ task: taskId(generation, stage.id, "all"), range: fullRange }];
  if (stage.kind === "source" || stage.parallelism === "shards") return [];
  return splitEvenly(stage.parallelism).map((range, n) => ({ task: taskId(generation, stage.id, String(n)), range }));
}

/** Whether the generation runs by this plan. One plan without exchanges has the same fingerprint at parallelism 1, and other tasks. */
export function isPlannedBy(record: JobRecord, job: JobGraph): boolean {
  const kinds = new Map(record.topology.map(({ stage, kind }) => [stage, kind]));
  return record.fingerprint === job.fingerprint && job.stages.every(({ id, kind }) => kinds.get(id) === kind);
}

/** Whether the generation has as many tasks as the plan. */
export function hasTasksOf(record: JobRecord, job: JobGraph): boolean {
  const tasks = new Map(record.topology.map((stage) => [stage.stage, stage.tasks.length]));
  return job.stages.every((stage) => tasks.get(stage.id) === tasksOf(stage, record.generation).length);
}

/** The tasks with which a stage begins; of a source stage, those of its roots. */
export function rootTasks(topology: StageTopology): StageTopology["tasks"] {
  if (topology.kind !== "source") return topology.tasks;
  const { generation } = topology;
  return [...topology.roots].flatMap(([uid, shards]) =>
    shards.map(({ shard, range }) => ({ task: shardTask(generation, topology.stage, uid, shard), range })),
  );
}

/** The task of a source shard: sources of one stage may have shards of the same name, so the source is part of it. */
export function shardTask(generation: Generation, stage: string, source: string, shard: ShardId): TaskId {
  return taskId(generation, stage, `${source}:${shard}`);
}

/** The task that a source shard belongs to. */
export function taskOfShard(job: JobGraph, generation: Generation, source: string, shard: ShardId): TaskId {
  const stage = stageWith(job, source);
  return stage.kind === "single" ? taskId(generation, stage.id, "all") : shardTask(generation, stage.id, source, shard);
}

export function stageWith(job: JobGraph, operator: string): StagePlan {
  return job.stages.find((stage) => stage.operators.includes(operator)) as StagePlan;
}

/** The channels that a task of a keyed stage begins with. */
export function rootChannels(job: JobGraph, record: JobRecord, task: TaskId): ChannelId[] {
  const into = job.exchanges.filter((exchange) => exchange.toStage === stageOf(task));
  const sends = (from: TaskId) => {
    const { id, operators } = stageOfTask(job, from);
    return into.some((exchange) => exchange.fromStage === id && operators.includes(exchange.from));
  };
  return record.topology
    .flatMap((topology) => rootTasks(topology))
    .filter((from) => sends(from.task))
    .map((from) => channelId(from.task, task));
}

export function planTask(
  job: JobGraph,
  record: JobRecord,
  task: TaskId,
  options: {
    readonly deployment: number;
    readonly limits: TaskLimits;
    readonly safeguards: Safeguards;
    readonly range: HashRange;
  },
): TaskPlan {
  const stage = stageOfTask(job, task);
  const downstream = job.exchanges
    .filter((exchange) => exchange.fromStage === stage.id && stage.operators.includes(exchange.from))
    .map(({ number, toStage }) => ({
      exchange: number,
      tasks: record.topology.find((topology) => topology.stage === toStage)?.tasks ?? [],
    }));
  return { job, stage, generation: record.generation, since: record.since, task, downstream, ...options };
}
