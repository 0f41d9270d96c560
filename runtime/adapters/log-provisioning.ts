/**
 * What the embedded logs offer beside the port: the calls that on AWS belong to the deployment (creating a stream), to a rescale
 * (splitting and merging shards) and to retention (trimming).
 *
 * P1 A shard that was split or merged is closed; its children name it as parent, and their positions lie above its own.
 * P2 The ranges of the open shards of a stream cover the hash space exactly once.
 * P3 The positions of an `EmbeddedLog` are whole numbers without gaps in a shard; its first is above the last of its parents.
 */
import type { Position, ShardId } from "../base/ids.ts";
import type { AppendResult, Log, LogRecordToAppend } from "../ports/log.ts";

/** A record with the partition key that its reader will see; its hash key in decimal when there is none. */
export type KeyedRecordToAppend = LogRecordToAppend & { readonly partitionKey?: string };

export interface ProvisionedLog extends Log {
  append(stream: string, records: readonly KeyedRecordToAppend[]): Promise<readonly AppendResult[]>;
  /** Shards share the hash space evenly. `exists`: nothing was changed, whatever its number of shards. */
  createStream(stream: string, shards: number): Promise<"created" | "exists">;
  /** Closes the shard and opens two: below `at` and from `at` on, which is the middle if not given. Throws `invalid`. */
  splitShard(stream: string, shard: ShardId, at?: bigint): Promise<readonly [ShardId, ShardId]>;
  /** Closes two neighbouring shards and opens one over both. Throws `invalid`. */
  mergeShards(stream: string, a: ShardId, b: ShardId): Promise<ShardId>;
  /** Drops the records up to and including `upTo`: a reader that is not as far sees a gap. */
  trim(stream: string, shard: ShardId, upTo: Position): Promise<void>;
}

/** `position`: where in `shard` the record lies now. */
export type EmbeddedAppendResult = {
  readonly outcome: "appended";
  readonly shard: ShardId;
  readonly position: Position;
};

/** What a log kept by us can say beside: what a server in front of it needs to answer as Kinesis does. */
export interface EmbeddedLog extends ProvisionedLog {
  append(stream: string, records: readonly KeyedRecordToAppend[]): Promise<readonly EmbeddedAppendResult[]>;
  /** The highest position given out in the shard; that of its parents when it never had a record, "0" when they had none. */
  lastPosition(stream: string, shard: ShardId): Promise<Position>;
  /** Drops the stream, its shards and its records. */
  deleteStream(stream: string): Promise<"deleted" | "absent">;
}
