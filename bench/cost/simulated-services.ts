/**
 * DynamoDB, S3 and Kinesis as far as a job's functions use them, in memory and in virtual time, in the place of the SDK's clients: the
 * adapters above are those of a deployment, and count what AWS would bill. Each request takes the time that stands in `requestMs`.
 *
 * What requests cost on the way (their encoding, signing, TLS) is not here: `requestCpuMs` stands for it.
 */
import { capacity, consumed, holds, type Item } from "../../emulator/simulation/dynamo-answers.ts";
import type { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import type { AwsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { itemBytes, readUnits, writeUnits } from "../../runtime/adapters/aws/item-size.ts";

/** Medians as they are commonly measured from a function in the same region; assumptions, not measurements. */
export const requestMs = { dynamodb: 5, s3Write: 30, s3Read: 20, kinesis: 15 } as const;
/** CPU of one request in the SDK, at a full processor; an assumption. */
export const requestCpuMs = 0.7;

type Input = Record<string, any>;

export interface SimulatedRecord {
  readonly Data: Uint8Array;
  readonly PartitionKey: string;
  readonly SequenceNumber: string;
  readonly ApproximateArrivalTimestamp: Date;
}

export class SimulatedServices {
  readonly clients: AwsClients;
  requests = 0;
  /** The source's only shard: what is older than the last hour is dropped. */
  readonly records: SimulatedRecord[] = [];
  /** Number of the first of `records`. */
  firstRecord = 0;
  readonly #clock: ManualClock;
  readonly #partitions = new Map<string, Map<string, Item>>();
  readonly #objects = new Map<string, { readonly bytes: Uint8Array; readonly writtenAt: Date; readonly metadata: Input }>();

  constructor(clock: ManualClock) {
    this.#clock = clock;
    const client = (handlers: Record<string, (input: Input) => object>, ms: (name: string) => number) => ({
      send: async (command: object & { readonly input: Input }) => {
        const { name } = command.constructor;
        const handler = handlers[name];
        if (handler === undefined) throw new Error(`not simulated: ${name}`);
        this.requests++;
        await this.#clock.sleep(ms(name));
        return handler(command.input);
      },
    });
    this.clients = {
      dynamodb: client(this.#dynamodb(), () => requestMs.dynamodb),
      s3: client(this.#s3(), (name) => (/^(?:Get|Head|List)/.test(name) ? requestMs.s3Read : requestMs.s3Write)),
      kinesis: client(this.#kinesis(), () => requestMs.kinesis),
    } as unknown as AwsClients;
  }

  /** Bytes that lie in the bucket, those of the job and those of its sinks. */
  get objectBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#objects.values()) sum += bytes.length;
    return sum;
  }

  get tableBytes(): number {
    let sum = 0;
    for (const partition of this.#partitions.values()) for (const item of partition.values()) sum += itemBytes(item);
    return sum;
  }

  /** The finished objects of a sink's bucket, as text. */
  *objectsIn(bucket: string): Generator<string> {
    for (const [name, { bytes }] of this.#objects)
      if (name.startsWith(`${bucket}/`) && !name.startsWith(`${bucket}/.`)) yield Buffer.from(bytes).toString("utf8");
  }

  /** Forgets what a bucket of a sink holds, but for the pieces of what is not finished. */
  empty(bucket: string): void {
    for (const name of this.#objects.keys())
      if (name.startsWith(`${bucket}/`) && !name.startsWith(`${bucket}/.`)) this.#objects.delete(name);
  }

  // ---- DynamoDB ----

  #dynamodb(): Record<string, (input: Input) => object> {
    return {
      PutItemCommand: ({ Item: item, ConditionExpression: condition, ExpressionAttributeValues: values }) => {
        const partition = this.#partition(item.p.S);
        const stored = partition.get(item.s.S);
        if (!holds(condition, values ?? {}, stored))
          throw Object.assign(new Error("the condition does not hold"), {
            name: "ConditionalCheckFailedException",
            Item: stored,
          });
        partition.set(item.s.S, item);
        return consumed(writeUnits(Math.max(itemBytes(item), stored === undefined ? 0 : itemBytes(stored))));
      },
      GetItemCommand: ({ Key }) => {
        const item = this.#partition(Key.p.S).get(Key.s.S);
        return { Item: item, ...consumed(readUnits(item === undefined ? 0 : itemBytes(item))) };
      },
      QueryCommand: ({ ExpressionAttributeValues: values, Limit = Infinity }) => {
        const partition = this.#partition(values[":p"].S);
        const [from, to] = [values[":from"].S, values[":to"].S];
        const keys = [...partition.keys()].filter((key) => from <= key && key <= to).sort();
        const Items: Item[] = [];
        let bytes = 0;
        while (Items.length < keys.length && Items.length < Limit && bytes < 1 << 20) {
          const item = partition.get(keys[Items.length]!)!;
          Items.push(item);
          bytes += itemBytes(item);
        }
        const more = Items.length < keys.length || Items.length === Limit;
        return { Items, ...(more && { LastEvaluatedKey: {} }), ...consumed(readUnits(bytes)) };
      },
      BatchGetItemCommand: ({ RequestItems }) => {
        const [[table, { Keys }]] = Object.entries<any>(RequestItems) as [[string, { Keys: Item[] }]];
        const found = Keys.map(({ p, s }) => this.#partition(p!.S!).get(s!.S!));
        const units = found.reduce((sum, item) => sum + readUnits(item === undefined ? 0 : itemBytes(item)), 0);
        return { Responses: { [table]: found.filter((item) => item !== undefined) }, ConsumedCapacity: [capacity(units)] };
      },
      BatchWriteItemCommand: ({ RequestItems }) => {
        let units = 0;
        for (const { DeleteRequest } of Object.values<any>(RequestItems).flat()) {
          const partition = this.#partition(DeleteRequest.Key.p.S);
          const stored = partition.get(DeleteRequest.Key.s.S);
          units += writeUnits(stored === undefined ? 0 : itemBytes(stored));
          partition.delete(DeleteRequest.Key.s.S);
        }
        return { ConsumedCapacity: [capacity(units)] };
      },
    };
  }

  #partition(name: string): Map<string, Item> {
    let partition = this.#partitions.get(name);
    if (partition === undefined) this.#partitions.set(name, (partition = new Map()));
    return partition;
  }

  // ---- S3 ----

  #s3(): Record<string, (input: Input) => object> {
    return {
      // Begun and given up, as a proof that it may be.
      CreateMultipartUploadCommand: () => ({ UploadId: "upload" }),
      AbortMultipartUploadCommand: () => ({}),
      PutObjectCommand: ({ Bucket, Key, Body, IfNoneMatch, Metadata = {} }) => {
        const name = `${Bucket}/${Key}`;
        if (IfNoneMatch !== undefined && this.#objects.has(name)) throw named("PreconditionFailed");
        this.#objects.set(name, { bytes: Body, writtenAt: new Date(this.#clock.now()), metadata: Metadata });
        return {};
      },
      GetObjectCommand: ({ Bucket, Key, Range }) => {
        const bytes = rangeOf(this.#object(`${Bucket}/${Key}`).bytes, Range);
        return { Body: { transformToByteArray: async () => bytes.slice() } };
      },
      HeadObjectCommand: ({ Bucket, Key }) => {
        const { bytes, metadata } = this.#object(`${Bucket}/${Key}`);
        return { ContentLength: bytes.length, Metadata: metadata };
      },
      HeadBucketCommand: () => ({}),
      ListObjectsV2Command: ({ Bucket, Prefix, StartAfter = "", MaxKeys = 1_000 }) => {
        const start = `${Bucket}/`;
        const keys = [...this.#objects.keys()]
          .filter((name) => name.startsWith(start + Prefix) && name.slice(start.length) > StartAfter)
          .sort();
        const Contents = keys.slice(0, MaxKeys).map((name) => {
          const { bytes, writtenAt } = this.#objects.get(name)!;
          return { Key: name.slice(start.length), Size: bytes.length, LastModified: writtenAt };
        });
        return { Contents, IsTruncated: keys.length > MaxKeys };
      },
      DeleteObjectsCommand: ({ Bucket, Delete }) => {
        for (const { Key } of Delete.Objects) this.#objects.delete(`${Bucket}/${Key}`);
        return {};
      },
    };
  }

  #object(name: string) {
    const object = this.#objects.get(name);
    if (object === undefined) throw named("NoSuchKey");
    return object;
  }

  // ---- Kinesis: one stream of one shard, that of the source ----

  #kinesis(): Record<string, (input: Input) => object> {
    const EndingHashKey = String(2n ** 128n - 1n);
    const range = { HashKeyRange: { StartingHashKey: "0", EndingHashKey }, SequenceNumberRange: { StartingSequenceNumber: "0" } };
    return {
      ListShardsCommand: () => ({ Shards: [{ ShardId: shardId, ...range }] }),
      GetShardIteratorCommand: ({ StartingSequenceNumber }) => ({
        ShardIterator: StartingSequenceNumber === undefined ? "0" : String(BigInt(StartingSequenceNumber) - firstSequenceNumber),
      }),
      GetRecordsCommand: ({ ShardIterator, Limit }) => {
        const from = Math.max(Number(ShardIterator), this.firstRecord) - this.firstRecord;
        const Records = this.records.slice(from, from + Limit);
        const end = from + Records.length;
        const MillisBehindLatest = end < this.records.length ? 1_000 : 0;
        return { Records, NextShardIterator: String(this.firstRecord + end), MillisBehindLatest };
      },
    };
  }

  /** Puts a record into the source's stream. */
  put(partitionKey: string, bytes: Uint8Array): void {
    const n = this.firstRecord + this.records.length;
    const SequenceNumber = String(firstSequenceNumber + BigInt(n));
    const ApproximateArrivalTimestamp = new Date(this.#clock.now());
    this.records.push({ Data: bytes, PartitionKey: partitionKey, SequenceNumber, ApproximateArrivalTimestamp });
  }

  /** Drops records of the stream but the last `count`. */
  trim(count: number): void {
    this.firstRecord += this.records.splice(0, Math.max(0, this.records.length - count)).length;
  }
}

export const shardId = "shardId-000000000000";
/** Of as many digits as Kinesis gives. */
const firstSequenceNumber = 10n ** 55n;

function rangeOf(bytes: Uint8Array, header: string | undefined): Uint8Array {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "bytes=0-")!;
  if (from === "") return bytes.subarray(Math.max(0, bytes.length - Number(to)));
  return bytes.subarray(Number(from), to === "" ? bytes.length : Number(to) + 1);
}

function named(name: string): Error {
  return Object.assign(new Error(name), { name });
}
