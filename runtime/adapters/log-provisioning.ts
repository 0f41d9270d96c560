/**
 * What the embedded logs offer beside the port: the calls that on AWS belong to the deployment (creating a stream), to a rescale
 * (splitting and merging shards) and to retention (trimming).
 *
 * P1 A shard that was split or merged is closed; its children name it as parent, and their positions lie above its own.
 * P2 The ranges of the open shards of a stream cover the hash space exactly once.
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
