/**
 * The streams of tables that a job reads, in memory: shards, and iterators that expire; a read may come back empty before the end. Each lies in a
 * stream of the world's log.
 *
 * Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html
 */
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { Clock } from "../clock.ts";
import type { EndingLog } from "./ending-log.ts";
import { type Input, ServiceError, type SimulatedService } from "./sdk-clients.ts";
import type { ServiceCalls } from "./service-calls.ts";
import { imageOf, keysOf, streamArnOf, tableOf } from "./table-sources.ts";

interface Iterator {
  readonly shard: ShardId;
  readonly after: Position | "horizon";
  readonly issuedAt: number;
}

const iteratorMsMax = 15 * 60_000;
/** One so young does not expire, however unreliable the service. */
const youngMs = 2_000;
const shardsPerPage = 2;
const recordsPerRead = 1_000;
const bytesPerRead = 1 << 20;

export class TableStreamsService implements SimulatedService {
  readonly ms = 15;
  readonly throttling = "LimitExceededException";
  readonly #log: EndingLog;
  readonly #clock: Clock;
  readonly #calls: ServiceCalls;

  constructor(log: EndingLog, clock: Clock, calls: ServiceCalls) {
    this.#log = log;
    this.#clock = clock;
    this.#calls = calls;
  }

  describe(command: string, { StreamArn, ShardId: shard = "", ShardIterator, SequenceNumber = "" }: Input): string {
    if (ShardIterator !== undefined) return command;
    return `${command} ${tableOf(StreamArn)} ${shard} ${SequenceNumber}`.trimEnd();
  }

  async carryOut(command: string, input: Input): Promise<object> {
    switch (command) {
      case "DescribeStream":
        return this.#describe(tableOf(input.StreamArn), input.ExclusiveStartShardId);
      case "GetShardIterator": {
        const { StreamArn, ShardId: shard, SequenceNumber } = input;
        const after = id<Position>(input.ShardIteratorType === "TRIM_HORIZON" ? "horizon" : SequenceNumber);
        return { ShardIterator: this.#iterator(StreamArn, shard, after) };
      }
      case "GetRecords":
        return this.#read(input);
      default:
        throw new Error(`streams of tables are not simulated so far: ${command}`);
    }
  }

  async #describe(table: string, after: string | undefined): Promise<object> {
    const shards = await this.#log.shards(table);
    const from = after === undefined ? 0 : shards.findIndex((shard) => shard.id === after) + 1;
    const page = shards.slice(from, from + shardsPerPage);
    return {
      StreamDescription: {
        StreamArn: streamArnOf(table),
        Shards: page.map(({ id: ShardId, parents, closed }) => ({
          ShardId,
          ParentShardId: parents[0],
          SequenceNumberRange: { StartingSequenceNumber: "0", ...(closed && { EndingSequenceNumber: "1" }) },
        })),
        ...(from + page.length < shards.length && { LastEvaluatedShardId: page.at(-1)!.id }),
      },
    };
  }

  async #read({ ShardIterator, Limit = recordsPerRead }: Input): Promise<object> {
    const [arn, token] = ShardIterator.split("|") as [string, string];
    const { shard, after, issuedAt } = JSON.parse(token) as Iterator;
    const ageMs = this.#clock.now() - issuedAt;
    if (ageMs > iteratorMsMax || (ageMs > youngMs && this.#calls.happens("expiredIterator")))
      throw new ServiceError("ExpiredIteratorException");
    const limit = { records: this.#calls.happens("emptyRead") ? 0 : Limit, bytes: bytesPerRead };
    if (limit.records === 0) return { Records: [], NextShardIterator: this.#iterator(arn, shard, after) };
    const { records, next } = await this.#log.read(tableOf(arn), shard, after, limit);
    return {
      Records: records.map(({ position, bytes, arrivalTime }) => ({
        eventName: "INSERT",
        dynamodb: {
          Keys: keysOf(bytes),
          NewImage: imageOf(bytes),
          // With zeros before it, as they come.
          SequenceNumber: `000${position}`,
          ApproximateCreationDateTime: new Date(arrivalTime),
        },
      })),
      NextShardIterator: next && this.#iterator(arn, shard, next),
    };
  }

  #iterator(arn: string, shard: ShardId, after: Position | "horizon"): string {
    return `${arn}|${JSON.stringify({ shard, after, issuedAt: this.#clock.now() } satisfies Iterator)}`;
  }
}
