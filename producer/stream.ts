/** Port: what the producer needs of a stream. The implementation for Kinesis is kinesis-stream.ts. */
import type { Shard } from "../runtime/ports/log.ts";
import type { PackedRecord } from "./pack.ts";

/** What became of one record of a request. */
export type PutResult =
  | { readonly outcome: "put"; readonly shardId: string; readonly sequenceNumber: string }
  /** The record is not there; it may be put again. */
  | { readonly outcome: "refused"; readonly reason: string; readonly isThrottled: boolean };

export interface Stream {
  readonly name: string;
  /**
   * Puts up to 500 records, in no order. One result for each. Throws `invalid` for what would fail again; anything else that it throws
   * leaves open which records are there.
   */
  put(records: readonly PackedRecord[]): Promise<readonly PutResult[]>;
  /** All shards within the retention, closed ones too. Throws `invalid` for a stream that is not there or may not be listed. */
  shards(): Promise<readonly Shard[]>;
}
