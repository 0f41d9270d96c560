/** A stream of Kinesis, by AWS's SDK. */
import { KinesisClient, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { awsError } from "../runtime/adapters/aws/aws-error.ts";
import { listShards } from "../runtime/adapters/aws/kinesis-shards.ts";
import type { Shard } from "../runtime/ports/log.ts";
import type { PackedRecord } from "./pack.ts";
import type { PutResult, Stream } from "./stream.ts";

const throttled = "ProvisionedThroughputExceededException";
/** A connection that is not made, and a request that is not answered in this time, are tried anew. */
const connectMsMax = 2_000;
const answerMsMax = 15_000;

export class KinesisStream implements Stream {
  readonly name: string;
  readonly #client: KinesisClient;

  constructor(name: string, client: KinesisClient) {
    this.name = name;
    this.#client = client;
  }

  async put(records: readonly PackedRecord[]): Promise<readonly PutResult[]> {
    const Records = records.map(({ partitionKey, explicitHashKey, bytes }) => ({
      PartitionKey: partitionKey,
      ...(explicitHashKey !== undefined && { ExplicitHashKey: explicitHashKey }),
      Data: bytes,
    }));
    try {
      const { Records: answers = [] } = await this.#client.send(new PutRecordsCommand({ StreamName: this.name, Records }));
      return records.map((_, n) => resultOf(answers[n]));
    } catch (error) {
      throw awsError(error, `writing to stream ${this.name}`);
    }
  }

  shards(): Promise<readonly Shard[]> {
    return listShards(this.#client, this.name);
  }
}

interface Answer {
  readonly ShardId?: string | undefined;
  readonly SequenceNumber?: string | undefined;
  readonly ErrorCode?: string | undefined;
  readonly ErrorMessage?: string | undefined;
}

function resultOf({ ShardId, SequenceNumber, ErrorCode, ErrorMessage }: Answer = {}): PutResult {
  if (ShardId !== undefined && SequenceNumber !== undefined)
    return { outcome: "put", shardId: ShardId, sequenceNumber: SequenceNumber };
  const reason = `${ErrorCode ?? "no answer"}: ${ErrorMessage ?? ""}`;
  return { outcome: "refused", reason, isThrottled: ErrorCode === throttled };
}

/** By the SDK's own settings (AWS_REGION, AWS_ENDPOINT_URL, …). The producer itself tries again, so that the SDK need not. */
export function kinesisClient(): KinesisClient {
  return new KinesisClient({
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectMsMax,
      requestTimeout: answerMsMax,
      throwOnRequestTimeout: true,
    }),
  });
}
