/** The stream of a table in memory, behind DynamoDB Streams' client: shards that follow others, iterators, expiry, its own errors. */
import * as sdk from "@aws-sdk/client-dynamodb-streams";
import type { LoadedDynamodbStreams } from "../../runtime/adapters/aws/lazy-clients.ts";

interface FakeShard {
  readonly id: string;
  readonly parent: string | undefined;
  readonly records: sdk._Record[];
  /** How many of its records have expired. */
  trimmed: number;
  closed: boolean;
}

export class FakeTableStream {
  readonly arn: string;
  readonly calls: string[] = [];
  /** Shards on one page of a listing. */
  pageSize = 100;
  /** So many reads of a new iterator are empty before they find anything. */
  emptyReads = 0;
  iteratorsToExpire = 0;
  #shards: FakeShard[] = [];
  #sequence = 100_000_000_000_000_000_000n;

  constructor(table: string, label = "2026-01-01T00:00:00.000") {
    this.arn = `arn:aws:dynamodb:us-east-1:000000000000:table/${table}/stream/${label}`;
  }

  open(parent?: string): string {
    const shard = {
      id: `shardId-${String(this.#shards.length).padStart(20, "0")}-abcdef`,
      parent,
      records: [],
      trimmed: 0,
      closed: false,
    };
    this.#shards.push(shard);
    return shard.id;
  }

  /** As a partition of the table does every few hours, or when it splits. */
  close(shard: string, children = 1): readonly string[] {
    this.#named(shard).closed = true;
    return Array.from({ length: children }, () => this.open(shard));
  }

  put(shard: string, key: string, n: number, at = 1_700_000_000_000): string {
    const SequenceNumber = String(++this.#sequence);
    this.#named(shard).records.push({
      eventID: SequenceNumber,
      eventName: "MODIFY",
      eventSource: "aws:dynamodb",
      dynamodb: {
        ApproximateCreationDateTime: new Date(at),
        Keys: { id: { S: key } },
        NewImage: { id: { S: key }, n: { N: String(n) }, raw: { B: new Uint8Array([1, 2, 255]) } },
        SequenceNumber,
        SizeBytes: 10,
        StreamViewType: "NEW_AND_OLD_IMAGES",
      },
    });
    return SequenceNumber;
  }

  /** What came before has expired; with `all` the shard is listed no more. */
  expire(shard: string, count: number | "all"): void {
    if (count === "all") this.#shards = this.#shards.filter(({ id }) => id !== shard);
    else this.#named(shard).trimmed = count;
  }

  get loaded(): LoadedDynamodbStreams {
    return { sdk, client: { send: (command: unknown) => this.#send(command as never) } as unknown as sdk.DynamoDBStreamsClient };
  }

  async #send(command: { readonly input: any; readonly constructor: { readonly name: string } }): Promise<object> {
    const { name } = command.constructor;
    this.calls.push(name);
    switch (name) {
      case "DescribeStreamCommand":
        return this.#describe(command.input);
      case "GetShardIteratorCommand":
        return this.#iterator(command.input);
      case "GetRecordsCommand":
        return this.#records(command.input);
      default:
        throw new Error(`a call that is not known here: ${name}`);
    }
  }

  #describe({ ExclusiveStartShardId, StreamArn }: sdk.DescribeStreamInput): object {
    if (StreamArn !== this.arn) throw error("ResourceNotFoundException", "no such stream");
    const from = ExclusiveStartShardId === undefined ? 0 : this.#shards.findIndex(({ id }) => id === ExclusiveStartShardId) + 1;
    const page = this.#shards.slice(from, from + this.pageSize);
    const more = from + page.length < this.#shards.length;
    const Shards = page.map(({ id, parent, closed }) => ({
      ShardId: id,
      ...(parent !== undefined && { ParentShardId: parent }),
      SequenceNumberRange: { StartingSequenceNumber: "1", ...(closed && { EndingSequenceNumber: "2" }) },
    }));
    return { StreamDescription: { Shards, ...(more && { LastEvaluatedShardId: page.at(-1)!.id }) } };
  }

  #iterator({ ShardId, ShardIteratorType, SequenceNumber }: sdk.GetShardIteratorInput): object {
    const { records, trimmed } = this.#named(ShardId!);
    if (ShardIteratorType === "TRIM_HORIZON") return { ShardIterator: `${ShardId}|${trimmed}|${this.emptyReads}` };
    const after = records.findIndex(({ dynamodb }) => dynamodb!.SequenceNumber === SequenceNumber);
    if (after + 1 < trimmed) throw error("TrimmedDataAccessException", "beyond the trim horizon");
    return { ShardIterator: `${ShardId}|${after + 1}|${this.emptyReads}` };
  }

  #records({ ShardIterator, Limit = 1_000 }: sdk.GetRecordsInput): object {
    if (this.iteratorsToExpire > 0) {
      this.iteratorsToExpire--;
      throw error("ExpiredIteratorException", "too old");
    }
    const [id, from, empty] = ShardIterator!.split("|") as [string, string, string];
    const { records, trimmed, closed } = this.#named(id);
    if (Number(empty) > 0) return { Records: [], NextShardIterator: `${id}|${from}|${Number(empty) - 1}` };
    if (Number(from) < trimmed) throw error("TrimmedDataAccessException", "beyond the trim horizon");
    const Records = records.slice(Number(from), Number(from) + Limit);
    const next = Number(from) + Records.length;
    return { Records, ...(!(closed && next === records.length) && { NextShardIterator: `${id}|${next}|0` }) };
  }

  #named(shard: string): FakeShard {
    const found = this.#shards.find(({ id }) => id === shard);
    if (found === undefined) throw error("ResourceNotFoundException", "no such shard");
    return found;
  }
}

function error(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}
