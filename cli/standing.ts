/** Where a job stands, read from what is stored: what every start prints before it goes on. Runs nothing. */
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { Ports } from "../runtime/ports/ports.ts";
import type { TaskId } from "../runtime/base/ids.ts";
import type { JobRecord } from "../runtime/snapshots/job-record.ts";
import { decodeManifest, isTombstone } from "../runtime/snapshots/manifest.ts";
import { checkpointIn } from "../runtime/snapshots/names.ts";
import { addTotals, type ShardProgress, type SourceProgress, type Totals } from "../runtime/state/commit.ts";
import { loadCommit } from "../runtime/driver/journal-entry.ts";
import { rootTasks } from "../runtime/driver/topology.ts";

/** How far one shard of a source is complete. */
export interface ShardStanding {
  readonly source: string;
  readonly shard: string;
  /** "start": nothing of it was read; "end": all of it. */
  readonly position: string;
}

export interface Standing {
  readonly generation: number;
  /** The number of the last complete checkpoint; 0: none yet. */
  readonly checkpoint: number;
  readonly shards: readonly ShardStanding[];
  /** Counted since the job began. */
  readonly totals: Totals;
}

type Reads = Pick<Ports, "journal" | "blobs">;

/** The standing of the job's generation: of the tasks that read sources, what their journals' heads say. */
export async function readStanding(job: JobGraph, record: JobRecord, ports: Reads): Promise<Standing> {
  const shards = new Map<string, ShardStanding>();
  const put = (source: string, progress: SourceProgress) => {
    for (const [shard, found] of progress.shards) shards.set(`${source}/${shard}`, shardStanding(source, shard, found));
  };
  for (const { roots } of record.topology)
    for (const [source, found] of roots)
      for (const { shard } of found) shards.set(`${source}/${shard}`, { source, shard, position: "start" });
  for (const [source, progress] of await restoredSources(record, ports)) put(source, progress);
  let totals = record.totals;
  for (const [task, reads] of tasksOf(job, record)) {
    const head = await readHead(task, ports);
    if (head === undefined) continue;
    for (const [source, progress] of head.progress.sources) put(source, progress);
    totals = addTotals(totals, head.progress.totals, reads);
  }
  return { generation: record.generation, checkpoint: checkpointOf(record), shards: [...shards.values()], totals };
}

export function shardStanding(source: string, shard: string, { position, ended }: ShardProgress): ShardStanding {
  return { source, shard, position: ended ? "end" : position === "horizon" ? "start" : position };
}

/** The tasks a generation began with, and whether they read sources. */
export function tasksOf(job: JobGraph, record: JobRecord): readonly (readonly [TaskId, boolean])[] {
  return record.topology.flatMap((topology) => rootTasks(topology).map(({ task }) => [task, topology.kind !== "keyed"] as const));
}

/** The number of the last complete checkpoint; 0: there is none. */
function checkpointOf({ completed }: JobRecord): number {
  return completed === undefined ? 0 : checkpointIn(completed)!;
}

async function restoredSources(record: JobRecord, { blobs }: Reads): Promise<readonly (readonly [string, SourceProgress])[]> {
  const bytes = record.manifest === undefined ? undefined : await blobs.get(record.manifest);
  if (bytes === undefined) return [];
  const manifest = decodeManifest(bytes);
  return isTombstone(manifest) ? [] : manifest.tasks.flatMap((task) => [...task.sources]);
}

async function readHead(task: TaskId, { journal, blobs }: Reads) {
  const { entries } = await journal.tail(task, "head");
  const last = entries.at(-1);
  return last === undefined ? undefined : loadCommit(task, last, blobs);
}
