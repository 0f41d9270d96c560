/**
 * Port: partitioned, ordered logs (Kinesis).
 *
 * Owns the order of records within a shard. Consistency needed: totally ordered per shard; a record acknowledged is there for
 * the whole retention; no order among the records of one append.
 */
import type { Restored } from "./sink-driver.ts";
import type { Position, ShardId } from "../base/ids.ts";
import type { SourceRecord } from "../api/connector.ts";
import type { HashRange } from "../streaming/hash-range.ts";

export type { HashRange } from "../streaming/hash-range.ts";

export interface Shard {
  readonly id: ShardId;
  readonly range: HashRange;
  readonly parents: readonly ShardId[];
  /** No more records will be appended. */
  readonly closed: boolean;
}

export interface ReadLimit {
  readonly records: number;
  readonly bytes: number;
  /** Epoch ms: what had arrived by then has been read. A gap is reported only where something that came later may have expired. */
  readonly readUpTo?: number;
  /** Epoch ms: from "horizon" on, nothing is wanted that arrived before. A log that cannot pass over it gives it all the same. */
  readonly arrivedFrom?: number;
}

export interface ReadResult {
  readonly records: readonly SourceRecord[];
  /** Where to read on; undefined: the shard has ended and nothing is left. */
  readonly next: Position | "horizon" | undefined;
  /**
   * How far the last record read, or the place up to which none was found, lies behind the shard's end; 0: nothing more is there now. Of what
   * was read ahead earlier that is not known: then it is above 0.
   */
  readonly behindMs: number;
  /**
   * Records after `after` had expired before they were read. Where a log cannot tell (Kinesis), the record at `after` itself has: then
   * more may have.
   */
  readonly gap: boolean;
  /** Of a gap, where the log has names of its own for places: between which of them it lies. */
  readonly lost?: { readonly after: string; readonly before: string };
}

/** The reading half: what a source offers, be it a stream, files or a generator. */
export interface LogReader {
  /** Ms that a record is kept at least; undefined: for ever. */
  readonly retentionMsMin?: number | undefined;
  /** Whether nobody brings the shard's records: then its task must be rung again and again. Undefined: of none. */
  polled?(shard: ShardId): Promise<boolean>;
  /**
   * Of a log that is brought and cannot be read back: what should have come between the position and the record that is brought next.
   * Undefined: nothing. Throws `corrupt` where loss must stop the shard.
   */
  lostBetween?(shard: ShardId, after: Position, first: Position): ReadResult["lost"];
  /** What is remembered of its shards may be old: the next listing is made anew. */
  forgetShards?(): void;
  /**
   * Before a new generation reads: what this job itself has put into the source, and takes back with the commits that are given up, is not
   * read any more. May be repeated.
   */
  leaveOut?(restored: Restored): Promise<void>;
  /** All shards, closed ones too, parents before their children; throws `invalid` for a stream that does not exist. */
  shards(stream: string): Promise<readonly Shard[]>;
  /**
   * Records after `after`, at most `limit` but always one if there is one, or none and `behindMs` above 0: then a later read may bring what
   * is there. Throws `invalid` for a stream or shard that does not exist.
   */
  read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult>;
}

/** `shard`: where the record went, to be held against the topology (L16). */
export type AppendResult = { readonly outcome: "appended"; readonly shard: ShardId } | { readonly outcome: "throttled" };

export interface LogRecordToAppend {
  /** Any hash key inside the receiving shard's range. */
  readonly hashKey: bigint;
  readonly bytes: Uint8Array;
}

export interface Log extends LogReader {
  /**
   * One result per record, in their order. Throws `invalid`, with nothing appended, for a stream that does not exist, a hash key
   * outside the hash space or a record above the size limit. Throws `unavailable`: some records may have been appended.
   */
  append(stream: string, records: readonly LogRecordToAppend[]): Promise<readonly AppendResult[]>;
}

/** By so much clocks may differ, and a batch be on its way, ms. */
export const clockMarginMs = 3_600_000;

/** Whether something that arrived after `readUpTo` may have expired by now. */
export function mayHaveExpired(readUpTo: number, now: number, retentionMsMin: number | undefined): boolean {
  return now - readUpTo > (retentionMsMin ?? Infinity) - clockMarginMs;
}
