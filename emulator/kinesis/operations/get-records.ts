/**
 * GetShardIterator and GetRecords.
 *
 * R1 An iterator reads on from where it was given out, whatever was appended since; it lives for five minutes.
 * R2 A shard that is closed and read to its end gives no iterator any more, and its children.
 */
import { id, type Position, type ShardId } from "../../../runtime/base/ids.ts";
import type { ReadLimit, ReadResult } from "../../../runtime/ports/log.ts";
import { KinesisError } from "../kinesis-error.ts";
import { requestLimits, sizeOf } from "../limits.ts";
import { expire, positionBefore } from "../retention.ts";
import { foreignSequenceNumber, numbering, readingAfter, readSequenceNumber, sequenceNumberPattern } from "../sequence-number.ts";
import {
  type Call,
  hashKeyRange,
  horizonOf,
  nameOfStream,
  type Output,
  readyStreamOf,
  type Service,
  shardIdOf,
  shardNamed,
  streamNamed,
} from "../service.ts";
import type { StreamEntry } from "../stream-registry.ts";
import { readToken, type ShardIterator, writeToken } from "../tokens.ts";
import type { Input } from "../input.ts";
import { checkDryRun } from "./dry-run.ts";

const iteratorTypes = ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] as const;

/** Where a reader asks to begin. */
export interface Start {
  readonly type: (typeof iteratorTypes)[number];
  readonly sequenceNumber: string | undefined;
  /** Epoch ms. */
  readonly timestamp: number | undefined;
}

/** Reads a start whose type and number stand under these names. */
export function readStart(input: Input, type: string, number: string): Start {
  return {
    type: input.requiredText(type, { oneOf: iteratorTypes }) as Start["type"],
    sequenceNumber: input.text(number, { pattern: sequenceNumberPattern }),
    timestamp: input.time("Timestamp"),
  };
}

export async function getShardIterator(service: Service, { input }: Call): Promise<Output> {
  const shard = shardIdOf(input);
  const start = readStart(input, "ShardIteratorType", "StartingSequenceNumber");
  const entry = await readyStreamOf(service, input);
  await shardNamed(service, entry, shard);
  checkDryRun(input);
  const after = await placeOf(service, entry, shard, start);
  return { ShardIterator: iteratorAt(service, entry, shard, after) };
}

export async function getRecords(service: Service, { input }: Call): Promise<Output> {
  const text = input.requiredText("ShardIterator", { min: 1, max: 512 });
  const limit = input.integer("Limit", { min: 1 }) ?? requestLimits.recordsPerGet;
  if (limit > requestLimits.recordsPerGet) {
    throw new KinesisError("InvalidArgumentException", `Limit is at most ${requestLimits.recordsPerGet}: ${limit}`);
  }
  const iterator = readToken<ShardIterator>("ShardIterator", text);
  const entry = await streamOfIterator(service, input, iterator);
  checkDryRun(input);
  const now = service.clock.now();
  if (!service.throttle.admitsRead(entry.name, iterator.shard, now)) {
    const where = `shard ${iterator.shard} in stream ${entry.name} under account ${service.account}`;
    throw new KinesisError("ProvisionedThroughputExceededException", `Rate exceeded for ${where}.`);
  }
  const result = await readUnexpired(service, entry, iterator.shard, iterator.after, {
    records: limit,
    bytes: requestLimits.bytesPerGet,
  });
  const { records, next } = result;
  service.throttle.countRead(
    entry.name,
    iterator.shard,
    records.reduce((sum, record) => sum + sizeOf(record), 0),
  );
  return {
    Records: describeRecords(entry, iterator.shard, result),
    NextShardIterator: next === undefined ? undefined : iteratorAt(service, entry, iterator.shard, next),
    MillisBehindLatest: behindMs(result, now),
    ChildShards: next === undefined ? await childrenOf(service, entry, iterator.shard) : undefined,
  };
}

/** Reads what lies after a position and has not expired; what has, is dropped. */
export async function readUnexpired(
  service: Service,
  entry: StreamEntry,
  shard: ShardId,
  after: Position | "horizon",
  limit: ReadLimit,
): Promise<ReadResult> {
  const result = await service.log.read(entry.name, shard, after, limit);
  const first = result.records[0];
  if (first === undefined || first.arrivalTime >= horizonOf(service, entry)) return result;
  await expire(service, entry, shard);
  return service.log.read(entry.name, shard, after, limit);
}

/** The position after which a reader begins. Throws InvalidArgumentException for a number or time that is not of this shard. */
export async function placeOf(
  service: Service,
  entry: StreamEntry,
  shard: ShardId,
  { type, sequenceNumber, timestamp }: Start,
): Promise<Position | "horizon"> {
  switch (type) {
    case "TRIM_HORIZON":
      return "horizon";
    case "LATEST":
      return service.log.lastPosition(entry.name, shard);
    case "AT_TIMESTAMP":
      return positionBefore(service, entry.name, shard, checkTime(timestamp, service.clock.now()));
    default:
      return placeOfNumber(service, entry, shard, sequenceNumber, type === "AT_SEQUENCE_NUMBER");
  }
}

async function placeOfNumber(
  service: Service,
  entry: StreamEntry,
  shard: ShardId,
  number: string | undefined,
  inclusive: boolean,
): Promise<Position> {
  if (number === undefined) {
    throw new KinesisError("InvalidArgumentException", "Must specify StartingSequenceNumber with this ShardIteratorType.");
  }
  const place = readSequenceNumber(number);
  const isOurs = place !== undefined && place.createdAt === entry.createdAt && place.shard === shard;
  if (!isOurs || place.position > BigInt(await service.log.lastPosition(entry.name, shard))) {
    throw foreignSequenceNumber("StartingSequenceNumber", number, `shard ${shard} in stream ${entry.name}`);
  }
  return readingAfter(place, inclusive);
}

function checkTime(timestamp: number | undefined, now: number): number {
  if (timestamp === undefined) {
    throw new KinesisError("InvalidArgumentException", "Must specify Timestamp with ShardIteratorType AT_TIMESTAMP.");
  }
  if (timestamp <= now) return timestamp;
  const rule = "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis.";
  throw new KinesisError("InvalidArgumentException", `${rule} timestampInMillis: ${timestamp}, currentTimestampInMillis: ${now}`);
}

function iteratorAt(service: Service, entry: StreamEntry, shard: ShardId, after: Position | "horizon"): string {
  const iterator: ShardIterator = {
    stream: entry.name,
    createdAt: entry.createdAt,
    shard,
    after,
    issuedAt: service.clock.now(),
  };
  return writeToken("ShardIterator", iterator);
}

async function streamOfIterator(service: Service, input: Input, iterator: ShardIterator): Promise<StreamEntry> {
  const named = nameOfStream(service, input) ?? iterator.stream;
  const entry = await streamNamed(service, iterator.stream);
  if (named !== entry.name || entry.createdAt !== iterator.createdAt) {
    throw new KinesisError("InvalidArgumentException", `The ShardIterator is not of stream ${named} as it is now.`);
  }
  const now = service.clock.now();
  if (now - iterator.issuedAt > requestLimits.iteratorLifeMs) {
    const [from, to] = [new Date(iterator.issuedAt).toISOString(), new Date(now).toISOString()];
    const rule = `which is further in the future than the tolerated delay of ${requestLimits.iteratorLifeMs} milliseconds.`;
    throw new KinesisError("ExpiredIteratorException", `Iterator expired. It was created at ${from}, now it is ${to}, ${rule}`);
  }
  return entry;
}

/** The records of a shard as Kinesis gives them. */
export function describeRecords(entry: StreamEntry, shard: ShardId, { records }: ReadResult): readonly Output[] {
  const number = numbering(entry.createdAt, shard);
  return records.map(({ position, partitionKey, arrivalTime, bytes }) => ({
    SequenceNumber: number(id<Position>(position)),
    ApproximateArrivalTimestamp: new Date(arrivalTime),
    Data: bytes,
    PartitionKey: partitionKey === "" ? undefined : partitionKey,
  }));
}

/** How far behind now the reader is: 0 at the shard's end. */
export function behindMs(result: ReadResult, now: number): number {
  const last = result.records.at(-1);
  return result.behindMs === 0 || last === undefined ? result.behindMs : Math.max(1, now - last.arrivalTime);
}

/** The shards that go on where a closed one ended. */
export async function childrenOf(service: Service, entry: StreamEntry, parent: ShardId): Promise<readonly Output[]> {
  const shards = await service.log.shards(entry.name);
  return shards
    .filter(({ parents }) => parents.includes(parent))
    .map((shard) => ({ ShardId: shard.id, ParentShards: shard.parents, HashKeyRange: hashKeyRange(shard) }));
}
