/**
 * The job record: what generation lives, from which checkpoint, on which tasks. Moves only by conditional write (L1): it is the head
 * of a ring of its own, so each change is one journal entry.
 *
 * Phases: restoring (old rings are being sealed, outputs taken back) → running → stopping (a savepoint is taken, behind which the tasks
 * rest; then the rings are sealed) → stopped. Or running → pausing (a checkpoint is taken in the same way)
 * → paused (nothing is sealed) → running, in the same generation. `restoring` of a new generation is written over any other phase of the
 * old one; `running` over `stopping` as long as there is no savepoint yet.
 */
import { crc32 } from "node:zlib";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { BlobName, Checkpoint, Generation, ShardId, TaskId } from "../base/ids.ts";
import { readValue, writeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";
import type { Totals } from "../state/commit.ts";
import { totalsShape } from "../state/commit-shape.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import { type Manifest, operatorsShape, rangeShape } from "./manifest.ts";

/** A stage's tasks in one generation. */
export interface StageTopology {
  readonly stage: string;
  readonly generation: Generation;
  readonly kind: "single" | "source" | "keyed";
  /** Of keyed stages and "single": one task each. */
  readonly tasks: readonly { readonly task: TaskId; readonly range: HashRange }[];
  /** By source uid: the shards that were there when the generation began, each with its range. Later ones follow from their parents. */
  readonly roots: ReadonlyMap<string, readonly { readonly shard: ShardId; readonly range: HashRange }[]>;
}

/** A generation that is over, and of which rings, mailboxes and pages are still there. */
export interface FormerGeneration {
  readonly stages: readonly StageTopology[];
  /** Epoch ms: when the next one began to run. */
  readonly endedAt: number;
}

export interface PendingCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly savepoint: boolean;
  /** A stop, or a pause, waits for it: tasks rest behind it. */
  readonly stop: boolean;
  /** When it was asked for, epoch ms. */
  readonly since: number;
}

export type Phase = "restoring" | "running" | "pausing" | "paused" | "stopping" | "stopped";

export interface JobRecord {
  readonly version: 1;
  readonly job: string;
  readonly fingerprint: string;
  /** What stored state the job's operators have, to be compared with what new code declares. */
  readonly operators: Manifest["operators"];
  readonly generation: Generation;
  readonly deployment: number;
  readonly phase: Phase;
  /** Why the job pauses, where nobody ordered it; not there otherwise. */
  readonly reason?: string;
  /** Of a job that is stopping or stopped: the savepoint that it stopped with, once it is complete. */
  readonly savepoint: BlobName | undefined;
  /** The name of the order that was followed last: one that comes twice is followed once. */
  readonly order: string | undefined;
  /** Those before it, newest last, as many as may still come late; not there where there were none. */
  readonly orders?: readonly string[];
  /** A checkpoint above number `after` that is to be taken without waiting for its time. `order`: who asked for a savepoint. */
  readonly wanted: { readonly savepoint: boolean; readonly after: Checkpoint; readonly order?: string } | undefined;
  /** What the generation began from; undefined: from nothing. */
  readonly manifest: BlobName | undefined;
  readonly keyGroups: number;
  /** What a rescale asked for, in place of the job's own where the job is run by the record; not there otherwise. */
  readonly parallelism?: number;
  readonly topology: readonly StageTopology[];
  /** The checkpoint that is being taken. */
  readonly pending: PendingCheckpoint | undefined;
  /** The highest checkpoint number given out. */
  readonly lastCheckpoint: Checkpoint;
  /** When that was given out, epoch ms; undefined: none has been. */
  readonly triggeredAt: number | undefined;
  /** The latest complete one, or an older one that the generation began from: what a restore begins from. */
  readonly completed: BlobName | undefined;
  /** When that was taken, epoch ms; undefined: there is none. */
  readonly completedAt: number | undefined;
  /** Complete ones that are kept, oldest first: each a part of the history of those after it. `order`: who asked for the savepoint. */
  readonly retained: readonly { readonly manifest: BlobName; readonly savepoint: boolean; readonly order?: string }[];
  /** Savepoints that the job has gone back behind. They are kept, and this job cannot begin from them: its outputs have been taken back. */
  readonly superseded: readonly BlobName[];
  /** When the generation began to run, epoch ms; while it is being restored, when that began. */
  readonly since: number;
  /** Failures in a row. */
  readonly failures: number;
  /** While restoring: the topology of the generation before, whose rings are sealed first. */
  readonly replaces: readonly StageTopology[];
  /** Counted before this generation began: up to the checkpoint it began from. */
  readonly totals: Totals;
  /** Oldest first. */
  readonly former: readonly FormerGeneration[];
  /** What the generation has taken in of dead letters that were given back (given-letters.ts), up to this number; not there: none. */
  readonly given?: number;
  /** The fork whose savepoint the job is to begin from, as long as what its positions refer to is not there: until then it cannot begin. */
  readonly adopting?: string;
}

/**
 * Of a job that has no tasks yet, and that a restore goes on from this checkpoint, the only one that it keeps. Counts go on from the
 * checkpoint's.
 */
export function recordOfCheckpoint(name: BlobName, manifest: Manifest, now: number): JobRecord {
  const { job, fingerprint, operators, generation, deployment, keyGroups, checkpoint, takenAt, totals } = manifest;
  return {
    ...{ version: 1, job, fingerprint, operators, generation, deployment, keyGroups },
    phase: "running",
    savepoint: undefined,
    order: undefined,
    wanted: undefined,
    manifest: undefined,
    topology: [],
    pending: undefined,
    lastCheckpoint: checkpoint,
    triggeredAt: undefined,
    completed: name,
    completedAt: takenAt,
    retained: [{ manifest: name, savepoint: true }],
    superseded: [],
    since: now,
    failures: 0,
    replaces: [],
    former: [],
    totals,
  };
}

const stagesShape = is.listOf(
  is.object({
    stage: is.text,
    generation: is.count,
    kind: is.oneOf("single", "source", "keyed"),
    tasks: is.listOf(is.object({ task: is.text, range: rangeShape })),
    roots: is.mapOf(is.listOf(is.object({ shard: is.text, range: rangeShape }))),
  }),
);

const recordShape = is.object({
  job: is.text,
  fingerprint: is.text,
  operators: operatorsShape,
  generation: is.count,
  deployment: is.count,
  phase: is.oneOf("restoring", "running", "pausing", "paused", "stopping", "stopped"),
  reason: is.optional(is.text),
  savepoint: is.optional(is.text),
  order: is.optional(is.text),
  orders: is.optional(is.listOf(is.text)),
  wanted: is.optional(is.object({ savepoint: is.flag, after: is.count, order: is.optional(is.text) })),
  manifest: is.optional(is.text),
  keyGroups: is.count,
  parallelism: is.optional(is.count),
  topology: stagesShape,
  pending: is.optional(is.object({ checkpoint: is.count, savepoint: is.flag, stop: is.flag, since: is.time })),
  lastCheckpoint: is.count,
  triggeredAt: is.optional(is.time),
  completed: is.optional(is.text),
  completedAt: is.optional(is.time),
  retained: is.listOf(is.object({ manifest: is.text, savepoint: is.flag, order: is.optional(is.text) })),
  superseded: is.listOf(is.text),
  since: is.time,
  failures: is.count,
  replaces: stagesShape,
  totals: totalsShape,
  former: is.listOf(is.object({ stages: stagesShape, endedAt: is.time })),
  given: is.optional(is.count),
  adopting: is.optional(is.text),
});

/** So many orders are remembered: one comes late by minutes, not by days. */
const ordersKept = 20;

/** What an order leaves in the record. */
export function followed(
  { order: last, orders = [] }: Pick<JobRecord, "order" | "orders">,
  order: string,
): Pick<JobRecord, "order" | "orders"> {
  return { order, ...(last !== undefined && { orders: [...orders, last].slice(-ordersKept) }) };
}

/** Whether tasks of the generation may run: until they rest, or their rings are sealed, or are about to be. */
export function tasksRun({ phase, savepoint }: JobRecord): boolean {
  return phase === "running" || phase === "pausing" || (phase === "stopping" && savepoint === undefined);
}

/** Whether tasks are to rest behind the pending checkpoint. */
export function isComingToRest({ phase }: JobRecord): boolean {
  return phase === "pausing" || phase === "stopping";
}

/** Whether nothing runs until an order says so. */
export function isAtRest({ phase }: JobRecord): boolean {
  return phase === "paused" || phase === "stopped";
}

/** Where the record begins, behind its checksum. */
const headBytes = 4;

export function encodeJobRecord(record: JobRecord): Uint8Array {
  return withChecksum((writer) => writeValue(writer, record));
}

function withChecksum(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u32(0);
  write(writer);
  writer.buffer.writeUInt32LE(crc32(writer.buffer.subarray(headBytes, writer.length)));
  return writer.take();
}

/** The entry of a record that is too long for one: the name of the object that holds it. */
export function encodeRecordPointer(name: BlobName): Uint8Array {
  return withChecksum((writer) => writeValue(writer, name));
}

/** What an entry of the job's ring holds: the record, or the name of the object that does. Throws `corrupt`. */
export function decodeRecordEntry(bytes: Uint8Array): JobRecord | BlobName {
  const value = readChecked(bytes);
  return typeof value === "string" ? (value as BlobName) : checkVersion(value);
}

export function decodeJobRecord(bytes: Uint8Array): JobRecord {
  return checkVersion(readChecked(bytes));
}

function readChecked(bytes: Uint8Array): unknown {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== crc32(bytes.subarray(headBytes))) throw corrupt("job record does not match its checksum");
  return readValue(reader);
}

function checkVersion(value: unknown): JobRecord {
  const record = value as JobRecord;
  const version = (record as JobRecord | null | undefined)?.version;
  if (version !== 1) throw corrupt(`job record of format version ${String(version)}, this code knows 1`);
  is.checkShape("a job record", record, recordShape);
  return record;
}
