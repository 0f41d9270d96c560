/** The operations of the Kinesis API that the server knows. */
import type { Operation } from "../service.ts";
import { deregisterConsumer, describeConsumer, listConsumers, registerConsumer } from "./consumers.ts";
import { getRecords, getShardIterator } from "./get-records.ts";
import { describeStream, describeStreamSummary, listShards } from "./list-shards.ts";
import { putRecord, putRecords } from "./put-records.ts";
import { mergeShards, splitShard, updateShardCount } from "./reshard.ts";
import { create, describeLimits, list, remove, setDistribution, setMaxRecordSize, setMode, setRetention } from "./streams.ts";
import { subscribeToShard } from "./subscribe-to-shard.ts";
import { addTags, listTags, removeTags } from "./tags.ts";

export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["AddTagsToStream", addTags],
  ["CreateStream", create],
  ["DecreaseStreamRetentionPeriod", setRetention],
  ["DeleteStream", remove],
  ["DeregisterStreamConsumer", deregisterConsumer],
  ["DescribeLimits", describeLimits],
  ["DescribeStream", describeStream],
  ["DescribeStreamConsumer", describeConsumer],
  ["DescribeStreamSummary", describeStreamSummary],
  ["GetRecords", getRecords],
  ["GetShardIterator", getShardIterator],
  ["IncreaseStreamRetentionPeriod", setRetention],
  ["ListShards", listShards],
  ["ListStreamConsumers", listConsumers],
  ["ListStreams", list],
  ["ListTagsForResource", listTags],
  ["ListTagsForStream", listTags],
  ["MergeShards", mergeShards],
  ["PutRecord", putRecord],
  ["PutRecords", putRecords],
  ["RegisterStreamConsumer", registerConsumer],
  ["RemoveTagsFromStream", removeTags],
  ["SplitShard", splitShard],
  ["SubscribeToShard", subscribeToShard],
  ["TagResource", addTags],
  ["UntagResource", removeTags],
  ["UpdateMaxRecordSize", setMaxRecordSize],
  ["UpdateShardCount", updateShardCount],
  ["UpdateStreamMode", setMode],
  ["UpdateStreamRecordDistributionStrategy", setDistribution],
]);
