/** A stream over Kinesis' API: AWS's, or a server that speaks it. Endpoint, region and credentials are the client's. */
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
} from "@aws-sdk/client-kinesis";
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import type { ReadBatch, ReadFrom, SourceStream, StreamShard } from "./source-stream.ts";

/** What asking again does not help against. */
const permanent = new Set([
  "AccessDeniedException",
  "InvalidArgumentException",
  "ResourceNotFoundException",
  "UnrecognizedClientException",
  "ValidationException",
]);

export class KinesisStream implements SourceStream {
  readonly #client: KinesisClient;
  readonly #name: string;

  constructor(client: KinesisClient, streamName: string) {
    this.#client = client;
    this.#name = streamName;
  }

  describe(): Promise<{ readonly arn: string; readonly retentionMs: number }> {
    return this.#ask("description", async () => {
      const output = await this.#client.send(new DescribeStreamSummaryCommand({ StreamName: this.#name }));
      const { StreamARN, RetentionPeriodHours } = output.StreamDescriptionSummary!;
      return { arn: StreamARN!, retentionMs: RetentionPeriodHours! * 3_600_000 };
    });
  }

  listShards(): Promise<readonly StreamShard[]> {
    return this.#ask("list of shards", async () => {
      const shards: StreamShard[] = [];
      let next: string | undefined;
      do {
        const page = next === undefined ? { StreamName: this.#name } : { NextToken: next };
        const output = await this.#client.send(new ListShardsCommand(page));
        shards.push(...output.Shards!.map(streamShard));
        next = output.NextToken;
      } while (next !== undefined);
      return shards;
    });
  }

  getIterator(shardId: string, from: ReadFrom): Promise<string> {
    return this.#ask(`iterator in ${shardId}`, async () => {
      const place = { StreamName: this.#name, ShardId: shardId, ...startingAt(from) };
      return (await this.#client.send(new GetShardIteratorCommand(place))).ShardIterator!;
    });
  }

  getRecords(iterator: string, limit: number): Promise<ReadBatch | "expired"> {
    return this.#ask("records", async () => {
      try {
        const output = await this.#client.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: limit }));
        return {
          records: output.Records!.map((record) => ({
            sequenceNumber: record.SequenceNumber!,
            // Streams that distribute records by themselves may give none.
            partitionKey: record.PartitionKey ?? "",
            data: record.Data!,
            arrivedAt: record.ApproximateArrivalTimestamp!.getTime(),
          })),
          nextIterator: output.NextShardIterator,
          millisBehindLatest: output.MillisBehindLatest ?? 0,
        };
      } catch (error) {
        if (error instanceof Error && error.name === "ExpiredIteratorException") return "expired";
        throw error;
      }
    });
  }

  async #ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const kind = error instanceof Error && permanent.has(error.name) ? "invalid" : "unavailable";
      throw new MillraceError(kind, `no ${what} of stream ${this.#name}: ${messageOf(error)}`, { cause: error });
    }
  }
}

function streamShard(shard: Shard): StreamShard {
  return {
    shardId: shard.ShardId!,
    parents: [shard.ParentShardId, shard.AdjacentParentShardId].filter((parent) => parent !== undefined),
    isOpen: shard.SequenceNumberRange?.EndingSequenceNumber === undefined,
  };
}

function startingAt(from: ReadFrom): Pick<
  GetShardIteratorCommandInput,
  "ShardIteratorType" | "StartingSequenceNumber" | "Timestamp"
> & {
  ShardIteratorType: NonNullable<GetShardIteratorCommandInput["ShardIteratorType"]>;
} {
  switch (from.kind) {
    case "trimHorizon":
      return { ShardIteratorType: "TRIM_HORIZON" };
    case "latest":
      return { ShardIteratorType: "LATEST" };
    case "atTimestamp":
      return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(from.timestamp) };
    case "afterSequenceNumber":
      return { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: from.sequenceNumber };
  }
}
