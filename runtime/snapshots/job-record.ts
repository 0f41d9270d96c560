/**
 * The job record: what generation lives, from which checkpoint, on which tasks. Moves only by conditional write (L1): it is the head
 * of a ring of its own, so each change is one journal entry.
 *
 * Phases: restoring (old rings are being sealed, outputs taken back) → running → stopped. `restoring` of a new generation is
 * written over `running` or `stopped` of the old one.
 */
import { crc32 } from "node:zlib";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { BlobName, Checkpoint, Generation, ShardId, TaskId } from "../base/ids.ts";
import { readValue, writeValue } from "../base/message-pack.ts";
import type { Totals } from "../state/commit.ts";
import type { HashRange } from "../streaming/hash-range.ts";
import type { Manifest } from "./manifest.ts";

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

export interface JobRecord {
  readonly version: 1;
  readonly job: string;
  readonly fingerprint: string;
  /** What stored state the job's operators have, to be compared with what new code declares. */
  readonly operators: Manifest["operators"];
  readonly generation: Generation;
  readonly deployment: number;
  readonly phase: "restoring" | "running" | "stopped";
  /** What the generation began from; undefined: from nothing. */
  readonly manifest: BlobName | undefined;
  readonly keyGroups: number;
  readonly topology: readonly StageTopology[];
  /** The checkpoint that is being taken, with when it was asked for (epoch ms). */
  readonly pending: { readonly checkpoint: Checkpoint; readonly savepoint: boolean; readonly since: number } | undefined;
  /** The highest checkpoint number given out. */
  readonly lastCheckpoint: Checkpoint;
  /** The latest complete one: what a restore begins from. */
  readonly completed: BlobName | undefined;
  /** Complete ones that are kept, oldest first. */
  readonly retained: readonly { readonly manifest: BlobName; readonly savepoint: boolean }[];
  /** When the generation began, epoch ms. */
  readonly since: number;
  /** Failures in a row. */
  readonly failures: number;
  /** While restoring: the topology of the generation before, whose rings are sealed first. */
  readonly replaces: readonly StageTopology[];
  /** Counted before this generation began: up to the checkpoint it began from. */
  readonly totals: Totals;
  /** Oldest first. */
  readonly former: readonly FormerGeneration[];
}

/** Where the record begins, behind its checksum. */
const headBytes = 4;

export function encodeJobRecord(record: JobRecord): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u32(0);
  writeValue(writer, record);
  writer.buffer.writeUInt32LE(crc32(writer.buffer.subarray(headBytes, writer.length)));
  return writer.take();
}

export function decodeJobRecord(bytes: Uint8Array): JobRecord {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== crc32(bytes.subarray(headBytes))) throw corrupt("job record does not match its checksum");
  const record = readValue(reader) as JobRecord;
  const version = (record as JobRecord | null | undefined)?.version;
  if (version !== 1) throw corrupt(`job record of format version ${String(version)}, this code knows 1`);
  return record;
}
