/**
 * Tasks as they stand, to be looked at and not to be run: at the head of their journals, or in a checkpoint. Writes nothing.
 *
 * A checkpoint is read as a restore would read it: by tasks of a generation that does not exist, at whatever parallelism.
 */
import { MillraceError } from "../base/errors.ts";
import type { BlobName, Seq, ShardId, TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import { without } from "../task/safeguards.ts";
import type { Task } from "../task/task.ts";
import { defaultLimits } from "../task/task-plan.ts";
import { readSaid } from "./acknowledgements.ts";
import { readJobRing } from "./job-ring.ts";
import { recoverTask } from "./recover.ts";
import { createTopology, isPlannedBy, planTask, rootTasks } from "./topology.ts";

/** What is read: no log, no sink, no source. */
type Reads = Pick<Ports, "journal" | "pages" | "blobs">;

/** Sealed rings are read as well. */
const safeguards = without("L1");

/** The job's tasks at the heads of their journals, those of split and merged shards among them. Throws `invalid` for code of another plan. */
export async function* readTasks(job: JobGraph, record: JobRecord, reads: Reads): AsyncGenerator<Task> {
  if (!isPlannedBy(record, job))
    throw new MillraceError("invalid", `the job runs by another plan than this code's: look at a checkpoint: ${record.job}`);
  const begun = record.topology.flatMap((topology) => rootTasks(topology).map(({ task, range }) => ({ task, range })));
  const ranges = new Map<TaskId, HashRange>(begun.map(({ task, range }) => [task, range]));
  const parents = new Map<TaskId, readonly TaskId[]>();
  const { messages } = await readJobRing(reads as Ports, job.name);
  const said = await readSaid(messages, record.generation, reads.blobs);
  for (const task of ranges.keys()) {
    const read = await readTask(job, record, task, ranges.get(task)!, parents.get(task), portsOf(reads));
    if (read === undefined) continue;
    for (const successor of read.successors) {
      if (ranges.has(successor.task)) continue;
      const range = (said.acknowledged(successor.task) ?? said.ended(successor.task))?.range;
      ranges.set(successor.task, range ?? unknownRange(successor.task));
      parents.set(successor.task, successor.parents);
    }
    // What has gone over to others is theirs.
    if (!(read.ended && read.hasSuccessors)) yield read;
  }
}

function unknownRange(task: TaskId): never {
  throw new MillraceError(
    "invalid",
    `a shard was split since the last checkpoint, look at a checkpoint, or again later: ${task}`,
  );
}

/** The job's state in a checkpoint, by tasks of its plan. */
export async function* readTasksAt(
  job: JobGraph,
  record: JobRecord,
  name: BlobName,
  manifest: Manifest,
  reads: Reads,
): AsyncGenerator<Task> {
  const generation = Number.MAX_SAFE_INTEGER;
  const roots = new Map(job.stages.flatMap(({ sources }) => sources.map((uid) => [uid, rootsIn(manifest, uid)] as const)));
  const virtual: JobRecord = { ...record, generation, manifest: name, topology: createTopology(job, generation, roots) };
  for (const topology of virtual.topology)
    for (const { task, range } of rootTasks(topology)) {
      const read = await readTask(job, virtual, task, range, undefined, portsOf(reads));
      if (read !== undefined) yield read;
    }
}

function rootsIn({ tasks }: Manifest, source: string): { shard: ShardId; range: HashRange }[] {
  return tasks.flatMap(({ sources, range }) =>
    [...(sources.get(source)?.shards.keys() ?? [])].map((shard) => ({ shard, range })),
  );
}

/** Sources are not asked: no shard is known but those that are stored. */
function portsOf(reads: Reads): Ports {
  const nothing = { shards: async () => [] };
  return { ...reads, source: () => nothing } as unknown as Ports;
}

async function readTask(
  job: JobGraph,
  record: JobRecord,
  task: TaskId,
  range: HashRange,
  parents: readonly TaskId[] | undefined,
  ports: Ports,
): Promise<Task | undefined> {
  const deployment: Seq = Number.MAX_SAFE_INTEGER;
  const plan = planTask(job, record, task, { deployment, limits: defaultLimits, safeguards, range });
  const recovery = await recoverTask(plan, record, parents, ports, undefined);
  return recovery.outcome === "ready" ? recovery.recovered.task : undefined;
}
