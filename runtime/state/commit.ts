/**
 * A commit: one journal entry. Positions, state delta and effects of one step of a task, true as soon as it is written.
 *
 * F1 An entry opens with its format version; a reader answers `corrupt` to a newer one.
 * M1 A commit never spans a barrier, so `seq` says exactly up to where state is complete.
 * M2 A commit holds the whole progress of its task, so the head alone tells where it stands.
 */
import type { GivenBack, WrittenAs } from "../api/given-back.ts";
import { ByteReader, corrupt } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { AttemptId, ChannelId, Checkpoint, Generation, Position, Seq, ShardId, TaskId } from "../base/ids.ts";
import { readValue, writeValue } from "../base/message-pack.ts";
import { checkShape } from "../base/shape.ts";
import type { Successor } from "../streaming/element.ts";
import { commitShape } from "./commit-shape.ts";
import type { BlobRange } from "./state-index.ts";

/** Where a task stands in one source shard, or in its inbox. */
export interface ShardProgress {
  /** Complete up to here; "horizon": nothing was read yet. */
  readonly position: Position | "horizon";
  /** Epoch ms: what had arrived by then is read. Of a shard that was not read yet: since when it is owed. */
  readonly readUpTo: number;
  readonly ended: boolean;
  readonly parents: readonly ShardId[];
  /**
   * Where the shard ended when a read in this generation found that nothing more was there: what lies behind that nobody was given before the
   * generation ran. Not there: of the first generation, or no read has come so far.
   */
  readonly tip?: Position;
}

/** One source in one task. `watermarks` is as the time layer stores them; undefined for a source without event time. */
export interface SourceProgress {
  readonly shards: ReadonlyMap<ShardId, ShardProgress>;
  readonly watermarks: unknown;
}

/** The receiving end of a channel. */
export interface ChannelProgress {
  /** The number of the next frame. */
  readonly expected: Seq;
  /** "unknown": frames came before an end-of-partition named it; "waiting": not all parents have ended here (L8). */
  readonly status: "live" | "ended" | "unknown" | "waiting";
  readonly parents: readonly TaskId[];
}

/**
 * Whether a frame has come to a task: one of its generation, since no other is received. What lies behind it in the inbox nobody was given
 * before the generation ran.
 */
export function hasReceived(channels: ReadonlyMap<ChannelId, Pick<ChannelProgress, "expected">>): boolean {
  for (const { expected } of channels.values()) if (expected > 0) return true;
  return false;
}

export interface AlignmentProgress {
  /** The highest checkpoint completed, skipped or given up here. */
  readonly last: Checkpoint;
  /** Behind the barrier of `last`, of a stop, nothing has come in so far; not there otherwise. */
  readonly rests?: boolean;
  readonly current:
    | {
        readonly checkpoint: Checkpoint;
        readonly savepoint: boolean;
        /** All barriers so far were of a stop; not there otherwise. */
        readonly stop?: boolean;
        readonly arrived: readonly ChannelId[];
      }
    | undefined;
}

/** Frames with nothing but watermarks go out at most once per interval; those of the channels named here wait. */
export interface WaitingWatermarks {
  /** When such frames went out last, processing time. */
  readonly sentAt: number;
  /** The elements of the open frame. */
  readonly waiting: ReadonlyMap<ChannelId, Uint8Array>;
}

/** Everything of a task but keyed state and held frames. */
export interface Progress {
  /** By source uid. */
  readonly sources: ReadonlyMap<string, SourceProgress>;
  readonly inbox: Position | "horizon";
  readonly channels: ReadonlyMap<ChannelId, ChannelProgress>;
  /** The number of the next frame on each outgoing channel. */
  readonly sent: ReadonlyMap<ChannelId, Seq>;
  /** Watermarks that wait to be sent (`watermarkInterval`); not there when none has waited yet. */
  readonly watermarks?: WaitingWatermarks;
  /** What a source's task last told its alignment group; not there when it has none. */
  readonly told?: AlignmentTold;
  /** Valves of operators with several inputs, by uid, as the time layer stores them. */
  readonly valves: ReadonlyMap<string, unknown>;
  readonly alignment: AlignmentProgress;
  /** Where operators in batch mode stand in their sorted input, by uid; not there in streaming mode. */
  readonly sorts?: ReadonlyMap<string, unknown>;
  /** Open objects of sinks, by uid. */
  readonly sinks: ReadonlyMap<string, unknown>;
  /** Highest processing time seen; never goes back (L12). */
  readonly now: number;
  /** Nothing more will come: all inputs have ended, the ring is sealed. */
  readonly ended: boolean;
  /** Of an ended task: who goes on with its range. */
  readonly successors: readonly Successor[];
  /** The parents' highest seq: added to the task's own in versions of outside rows, so that a child's are above its parents' (R8, L5). */
  readonly versionOffset: Seq;
  /** Records put aside in the minute that began at `since`, processing time; not there when there are none. */
  readonly letters?: LetterCount;
  readonly totals: Totals;
}

/** What the ceiling of dead letters is held against. */
export interface LetterCount {
  /** Processing time, epoch ms. */
  readonly since: number;
  readonly count: number;
}

/** Counted since the task began. */
export interface Totals {
  readonly records: number;
  readonly deadLetters: number;
  readonly lateDropped: number;
}

export const noTotals: Totals = { records: 0, deadLetters: 0, lateDropped: 0 };

/** Records are counted where they are read, and not again behind an exchange. */
export function addTotals(to: Totals, more: Totals, reads: boolean): Totals {
  return {
    records: to.records + (reads ? more.records : 0),
    deadLetters: to.deadLetters + more.deadLetters,
    lateDropped: to.lateDropped + more.lateDropped,
  };
}

export type Effect =
  | { readonly effect: "send"; readonly channel: ChannelId; readonly frames: readonly Uint8Array[] }
  | {
      readonly effect: "sink";
      readonly operator: string;
      readonly n: number;
      readonly payload: Uint8Array;
      /** Of a row that was given back: as what it is written, in the place of this commit and `n`. */
      readonly as?: WrittenAs;
    }
  | {
      readonly effect: "deadLetter";
      readonly operator: string;
      readonly reason: string;
      readonly shard: string;
      readonly position: string;
      readonly bytes: Uint8Array;
      /** Of a record as it was read: the source. */
      readonly source?: string;
      /** Of a record of a file: the line that names its fields. */
      readonly header?: string;
      /** How it can be given back to its operator; not there: its bytes are a source's, or it cannot be. */
      readonly back?: GivenBack;
    }
  | {
      readonly effect: "acknowledge";
      readonly checkpoint: Checkpoint;
      readonly index: BlobRange | undefined;
      readonly declined: boolean;
    }
  /** The task has ended with this state. */
  | { readonly effect: "ended"; readonly index: BlobRange | undefined }
  /** The task has something to do at `at`, and is to be rung by `by`, both processing time. */
  | { readonly effect: "wakeAt"; readonly at: number; readonly by: number }
  | ({ readonly effect: "align" } & AlignmentReport);

/** See `AlignmentReport`; `toldAt` is processing time. */
export interface AlignmentTold {
  readonly at: number | undefined;
  readonly toldAt: number;
}

/** Where a source's task stands in its alignment group. */
export interface AlignmentReport {
  readonly group: string;
  /** Its watermark, epoch ms; undefined: nobody needs to wait for it (it is idle, has ended, or has nothing to read). */
  readonly at: number | undefined;
}

/**
 * What the latest index covers. `local` holds what a checkpoint must not: held frames. Both undefined: the task has stored and
 * holds nothing.
 */
export interface Base {
  readonly seq: Seq;
  readonly index: BlobRange | undefined;
  readonly local: BlobRange | undefined;
}

/** The changed rows of one operator, under the schema they were written by. */
export interface RowChanges {
  readonly operator: string;
  readonly schema: string;
  readonly bytes: Uint8Array;
}

export interface Commit {
  readonly generation: Generation;
  /** The ordinal of the code that wrote it: a lower one stops at it (R9). It rises with the event source mapping too (L4). */
  readonly deployment: number;
  readonly task: TaskId;
  readonly seq: Seq;
  readonly attempt: AttemptId;
  readonly by: "mapping" | "poke" | "seal";
  /** Effects of entries up to here are known to be carried out. */
  readonly done: Seq;
  readonly progress: Progress;
  readonly held: { readonly added: readonly Uint8Array[]; readonly released: readonly number[] };
  readonly rows: readonly RowChanges[];
  readonly effects: readonly Effect[];
  readonly base: Base | undefined;
}

const version = 1;

/** Bytes before a commit's own that whoever stores it has the use of. */
export const commitHeadBytes = 5;

/** The commit's bytes, after `commitHeadBytes` for the caller. */
export function encodeCommit(commit: Commit): Uint8Array {
  const rowBytes = commit.rows.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const writer = new ByteWriter(4096 + rowBytes + effectBytes(commit.effects));
  writer.u8(0);
  writer.u32(0);
  writer.u8(version);
  writeValue(writer, { ...commit, rows: undefined });
  writer.uint(commit.rows.length);
  for (const { operator, schema, bytes } of commit.rows) {
    writer.string(operator);
    writer.string(schema);
    writer.bytes(bytes);
  }
  return writer.buffer.subarray(0, writer.length);
}

/** About how much the effects take, so that the buffer need not grow. */
function effectBytes(effects: readonly Effect[]): number {
  let bytes = 0;
  for (const effect of effects) {
    if (effect.effect === "send") for (const frame of effect.frames) bytes += frame.length + 16;
    else if (effect.effect === "sink") bytes += effect.payload.length + 64;
    else bytes += 256;
  }
  return bytes;
}

/** Reads what `encodeCommit` wrote, the caller's bytes passed over. */
export function decodeCommit(bytes: Uint8Array): Commit {
  const reader = new ByteReader(bytes, commitHeadBytes);
  const found = reader.u8();
  if (found !== version) throw corrupt(`journal entry of format version ${found}, this code knows ${version}`);
  const commit = readValue(reader) as Commit;
  checkShape("a commit", commit, commitShape);
  const rows: RowChanges[] = [];
  const operators = reader.count();
  for (let i = 0; i < operators; i++) rows.push({ operator: reader.string(), schema: reader.string(), bytes: reader.bytes() });
  return { ...commit, rows };
}
