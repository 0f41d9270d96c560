/**
 * What a mapping reads from: a stream of shards, as Kinesis has them. Over Kinesis' API in kinesis-stream.ts, in memory in
 * memory-stream.ts, of an emulated table in ../cloud/table-changes.ts.
 */
import type { EventIdentity } from "./kinesis-event.ts";

export interface StreamRecord {
  /** Decimal digits; grow within a shard. */
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly data: Uint8Array;
  /** Epoch milliseconds. */
  readonly arrivedAt: number;
}

export interface StreamShard {
  readonly shardId: string;
  /** One after a split, two after a merge; they may be listed no more. */
  readonly parents: readonly string[];
  /** False: it takes no more records, since it was split or merged. */
  readonly isOpen: boolean;
}

/** Where reading of a shard begins. A record that is gone counts as the oldest that is left. */
export type ReadFrom =
  | { readonly kind: "trimHorizon" | "latest" }
  | { readonly kind: "atTimestamp"; readonly timestamp: number }
  | { readonly kind: "afterSequenceNumber"; readonly sequenceNumber: string };

export interface ReadBatch {
  readonly records: readonly StreamRecord[];
  /** Undefined: the shard has ended. */
  readonly nextIterator: string | undefined;
  /** How far the last record lies behind the tip; 0: nothing more is there. */
  readonly millisBehindLatest: number;
}

/**
 * Rejects with MillraceError: `unavailable` where asking again may help (throttled, no connection), `invalid` where it does not (no
 * such stream, no permission). An iterator that expired is "expired", an expected outcome.
 */
export interface SourceStream {
  describe(): Promise<{ readonly arn: string; readonly retentionMs: number }>;
  /** Those whose records are not all gone. */
  listShards(): Promise<readonly StreamShard[]>;
  getIterator(shardId: string, from: ReadFrom): Promise<string>;
  /** `limit`: records, at most 10,000. */
  getRecords(iterator: string, limit: number): Promise<ReadBatch | "expired">;
  /** A record as events have it, as JSON; default: as a record of Kinesis. */
  eventRecord?(identity: EventIdentity, shardId: string, record: StreamRecord): string;
}
