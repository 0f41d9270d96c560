/** How a job stands: read from what is stored, at one moment. Runs nothing, and needs no code of the job's. */
import type { BlobName, TaskId } from "../runtime/base/ids.ts";
import { loadCommit } from "../runtime/driver/journal-entry.ts";
import { readJobRecord, readJobRing } from "../runtime/driver/job-ring.ts";
import { together } from "../runtime/driver/together.ts";
import { rootTasks } from "../runtime/driver/topology.ts";
import type { Ports } from "../runtime/ports/ports.ts";
import type { JobRecord, Phase } from "../runtime/snapshots/job-record.ts";
import { decodeManifest, isTombstone, type Manifest } from "../runtime/snapshots/manifest.ts";
import { addTotals, type Commit, type Totals } from "../runtime/state/commit.ts";
import { checkpointIn, endMessage } from "../runtime/snapshots/names.ts";
import { stageOf } from "../runtime/streaming/channel.ts";
import type { StoredSourceWatermarks } from "../runtime/time/source-watermarks.ts";
import { loadWatermark } from "../runtime/time/watermark.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { JobPorts, Target } from "./target/target.ts";

export interface TaskStatus {
  readonly task: string;
  readonly stage: string;
  /** The last commit; 0: none yet. */
  readonly seq: number;
  readonly state: "waiting" | "running" | "resting" | "ended" | "sealed";
  /** Taken in since its generation began. */
  readonly records: number;
  readonly deadLetters: number;
  readonly lateDropped: number;
}

export interface SourceStatus {
  readonly source: string;
  readonly shard: string;
  /** "start": nothing of it was read; "end": all of it. */
  readonly position: string;
  /** Event time, epoch ms; undefined: there is none yet. */
  readonly watermark: number | undefined;
}

export interface JobStatus {
  readonly job: string;
  readonly place: string;
  readonly phase: Phase;
  /** All input was read to its end, and all that came of it is put out: nothing is left to do. */
  readonly finished: boolean;
  readonly reason: string | undefined;
  readonly runner: string | undefined;
  readonly generation: number;
  readonly deployment: number;
  /** Epoch ms. */
  readonly since: number;
  /** What the generation began from. */
  readonly from: string | undefined;
  readonly checkpoint: { readonly number: number; readonly name: string; readonly at: number | undefined } | undefined;
  readonly pending: { readonly number: number; readonly savepoint: boolean; readonly since: number } | undefined;
  readonly failures: number;
  /** Of a job that has stopped. */
  readonly savepoint: string | undefined;
  /** Counted since the job began. */
  readonly totals: Totals;
  readonly sources: readonly SourceStatus[];
  readonly tasks: readonly TaskStatus[];
}

/** The job's record. Throws `invalid` where there is none. */
export async function recordOf({ ports, job, place }: Target): Promise<JobRecord> {
  const record = await readJobRecord(ports as unknown as Ports, job);
  if (record === undefined) throw new MillraceError("invalid", `job ${job} was never started here: ${place}`);
  return record;
}

export async function readStatus(target: Target): Promise<JobStatus> {
  const record = await recordOf(target);
  const heads = await readHeads(record, target.ports);
  const { completed, pending } = record;
  const tasks = [...heads].map(([task, head]) => statusOf(task, head, record.phase));
  // A task says it as the last effect of its last commit.
  const said = new Set((await readJobRing(target.ports as unknown as Ports, target.job)).messages.map(({ name }) => name));
  return {
    job: record.job,
    place: target.place,
    phase: record.phase,
    finished: record.phase === "running" && [...heads.keys()].every((task) => said.has(endMessage(task))),
    reason: record.reason,
    runner: await target.runner(),
    generation: record.generation,
    deployment: record.deployment,
    since: record.since,
    from: record.manifest,
    checkpoint: completed && { number: numberOf(completed), name: completed, at: record.completedAt },
    pending: pending && { number: pending.checkpoint, savepoint: pending.savepoint, since: pending.since },
    failures: record.failures,
    savepoint: record.savepoint,
    totals: totalsOf(record, heads),
    sources: await readSources(record, heads, target.ports),
    tasks,
  };
}

/** The number in a manifest's name. */
export function numberOf(manifest: string): number {
  return checkpointIn(manifest) ?? NaN;
}

/** Throws `invalid` when it is not there, or was given up. */
export async function readManifest(name: BlobName, { blobs }: Pick<JobPorts, "blobs">): Promise<Manifest> {
  const bytes = await blobs.get(name);
  const manifest = bytes && decodeManifest(bytes);
  if (manifest === undefined || isTombstone(manifest))
    throw new MillraceError("invalid", `there is no complete checkpoint of this name: ${name}`);
  return manifest;
}

/** Tasks of the generation and their heads, with those that follow tasks of split and merged shards. */
async function readHeads(record: JobRecord, { journal, blobs }: JobPorts): Promise<ReadonlyMap<TaskId, Commit | undefined>> {
  const heads = new Map<TaskId, Commit | undefined>();
  const roots: readonly TaskId[] = record.topology.flatMap((stage) => rootTasks(stage).map(({ task }) => task));
  const headOf = async (task: TaskId) => {
    const last = (await journal.tail(task, "head")).entries.at(-1);
    return [task, last && (await loadCommit(task, last, blobs))] as const;
  };
  for (let found = roots; found.length > 0;) {
    const read = await together(found.map(headOf));
    for (const [task, head] of read) heads.set(task, head);
    const successors = read.flatMap(([, head]) => head?.progress.successors.map(({ task }) => task) ?? []);
    found = [...new Set(successors)].filter((task) => !heads.has(task));
  }
  return heads;
}

function totalsOf(record: JobRecord, heads: ReadonlyMap<TaskId, Commit | undefined>): Totals {
  const reads = new Set(record.topology.filter(({ kind }) => kind !== "keyed").map(({ stage }) => stage));
  let totals = record.totals;
  for (const [task, head] of heads)
    if (head !== undefined) totals = addTotals(totals, head.progress.totals, reads.has(stageOf(task)));
  return totals;
}

async function readSources(
  record: JobRecord,
  heads: ReadonlyMap<TaskId, Commit | undefined>,
  ports: JobPorts,
): Promise<readonly SourceStatus[]> {
  const found = new Map<string, SourceStatus>();
  const put = (status: SourceStatus) => found.set(`${status.source}/${status.shard}`, status);
  for (const { roots } of record.topology)
    for (const [source, shards] of roots)
      for (const { shard } of shards) put({ source, shard, position: "start", watermark: undefined });
  const restored = record.manifest === undefined ? undefined : await readManifest(record.manifest, ports).catch(() => undefined);
  const progresses = [...(restored?.tasks ?? []), ...[...heads.values()].flatMap((head) => head?.progress ?? [])];
  for (const { sources } of progresses)
    for (const [source, { shards, watermarks }] of sources) {
      const times = new Map((watermarks as StoredSourceWatermarks | undefined)?.shards.map(({ id, at }) => [id, at]));
      for (const [shard, { position, ended }] of shards) {
        const at = times.get(shard);
        const loaded = at === undefined ? -Infinity : loadWatermark(at);
        const watermark = loaded === -Infinity ? undefined : loaded;
        put({ source, shard, position: ended ? "end" : position === "horizon" ? "start" : position, watermark });
      }
    }
  return [...found.values()];
}

function statusOf(task: TaskId, head: Commit | undefined, phase: Phase): TaskStatus {
  const { records = 0, deadLetters = 0, lateDropped = 0 } = head?.progress.totals ?? {};
  const alive = head === undefined ? "waiting" : phase === "paused" ? "resting" : "running";
  const state = head?.progress.ended === true ? "ended" : head?.by === "seal" ? "sealed" : alive;
  return { task, stage: stageOf(task), seq: head?.seq ?? 0, state, records, deadLetters, lateDropped };
}
