/** The shards of a Kinesis stream as the port has them. */
import { type KinesisClient, ListShardsCommand, type Shard as KinesisShard } from "@aws-sdk/client-kinesis";
import { id, type ShardId } from "../../base/ids.ts";
import type { Shard } from "../../ports/log.ts";
import { awsError } from "./aws-error.ts";

/**
 * All shards within the retention, parents before their children, as they were made. A parent that is no longer listed is named no
 * more: nothing of it is left that could be waited for. Throws `invalid` for a stream that does not exist.
 */
export async function listShards(client: KinesisClient, stream: string): Promise<readonly Shard[]> {
  const listed: KinesisShard[] = [];
  try {
    for (let NextToken: string | undefined; ;) {
      // A token stands for the stream, which must not be named beside it.
      const page = await client.send(new ListShardsCommand(NextToken === undefined ? { StreamName: stream } : { NextToken }));
      listed.push(...(page.Shards ?? []));
      NextToken = page.NextToken;
      if (NextToken === undefined) break;
    }
  } catch (error) {
    throw awsError(error, `listing the shards of stream ${stream}`);
  }
  listed.sort((a, b) => (a.ShardId! < b.ShardId! ? -1 : 1));
  const known = new Set(listed.map(({ ShardId }) => ShardId));
  return listed.map((shard) => shardOf(shard, known));
}

function shardOf(shard: KinesisShard, known: ReadonlySet<string | undefined>): Shard {
  const { StartingHashKey, EndingHashKey } = shard.HashKeyRange!;
  const parents = [shard.ParentShardId, shard.AdjacentParentShardId].filter(
    (parent) => parent !== undefined && known.has(parent),
  );
  return {
    id: id<ShardId>(shard.ShardId!),
    range: { from: BigInt(StartingHashKey!), to: BigInt(EndingHashKey!) },
    parents: parents as ShardId[],
    closed: shard.SequenceNumberRange?.EndingSequenceNumber !== undefined,
  };
}
