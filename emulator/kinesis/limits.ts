/**
 * What Kinesis allows in a second, and who has used how much of it.
 *
 * By the pages "Quotas and limits" (streams/latest/dev/service-sizes-and-limits) and those of the single calls.
 */
import type { ShardId } from "../../runtime/base/ids.ts";
import { KinesisError } from "./kinesis-error.ts";
import { SecondsQuota } from "./seconds-quota.ts";

export const kib = 1024;
export const mib = 1024 * kib;

/** Limits of a request, held always. */
export const requestLimits = {
  recordsPerPut: 500,
  bytesPerPut: 10 * mib,
  recordsPerGet: 10_000,
  bytesPerGet: 10 * mib,
  recordKiBMin: 1024,
  recordKiBMax: 10_240,
  partitionKeyLength: 256,
  iteratorLifeMs: 300_000,
  tokenLifeMs: 300_000,
  retentionHoursMin: 24,
  retentionHoursMax: 8760,
  shardsPerStream: 10_000,
  tagsPerStream: 50,
  consumersPerStream: 20,
  scalingsPerDay: 10,
} as const;

/** What may happen in a second. Infinity switches one off. */
export interface KinesisLimits {
  /** Of each shard. */
  readonly writeRecordsPerSecond: number;
  readonly writeBytesPerSecond: number;
  readonly readCallsPerSecond: number;
  readonly readBytesPerSecond: number;
  /** Calls beside reading and writing, such as CreateStream. */
  readonly controlCalls: "limited" | "free";
}

/** Kinesis' own. */
export const kinesisLimits: KinesisLimits = {
  writeRecordsPerSecond: 1000,
  writeBytesPerSecond: mib,
  readCallsPerSecond: 5,
  readBytesPerSecond: 2 * mib,
  controlCalls: "limited",
};

export const noLimits: KinesisLimits = {
  writeRecordsPerSecond: Infinity,
  writeBytesPerSecond: Infinity,
  readCallsPerSecond: Infinity,
  readBytesPerSecond: Infinity,
  controlCalls: "free",
};

/** A record's size as all limits count it: its data and its key. */
export function sizeOf(record: { readonly bytes: Uint8Array; readonly partitionKey?: string }): number {
  return record.bytes.length + Buffer.byteLength(record.partitionKey ?? "");
}

interface ControlLimit {
  readonly perSecond: number;
  readonly scope: "account" | "stream" | "shard";
}

const perAccount = (perSecond: number): ControlLimit => ({ perSecond, scope: "account" });
const perStream = (perSecond: number): ControlLimit => ({ perSecond, scope: "stream" });

/** Calls a second, by operation. */
const controlLimits: Readonly<Record<string, ControlLimit>> = {
  AddTagsToStream: perAccount(5),
  CreateStream: perAccount(5),
  DecreaseStreamRetentionPeriod: perStream(5),
  DeleteStream: perAccount(5),
  DeregisterStreamConsumer: perStream(5),
  DescribeLimits: perAccount(1),
  DescribeStream: perAccount(10),
  DescribeStreamConsumer: perStream(20),
  DescribeStreamSummary: perAccount(20),
  GetShardIterator: { perSecond: 5, scope: "shard" },
  IncreaseStreamRetentionPeriod: perStream(5),
  ListShards: perStream(1000),
  ListStreamConsumers: perStream(5),
  ListStreams: perAccount(5),
  ListTagsForResource: perAccount(5),
  ListTagsForStream: perAccount(5),
  MergeShards: perStream(5),
  RegisterStreamConsumer: perStream(5),
  RemoveTagsFromStream: perAccount(5),
  SplitShard: perStream(5),
  TagResource: perAccount(5),
  UntagResource: perAccount(5),
};

interface ShardUse {
  readonly writtenRecords: SecondsQuota;
  readonly writtenBytes: SecondsQuota;
  readonly readCalls: SecondsQuota;
  readonly readBytes: SecondsQuota;
}

/** Counts the use of shards and calls and says what is over the limit. */
export class Throttle {
  readonly limits: KinesisLimits;
  readonly #shards = new Map<string, ShardUse>();
  readonly #calls = new Map<string, SecondsQuota>();

  constructor(limits: KinesisLimits) {
    this.limits = limits;
  }

  /**
   * Takes a record's share of its shard's second: false when there is none left. A record larger than what is left passes once in a
   * second that is untouched, since records may be larger than a second's bytes; the bytes are then owed.
   */
  admitsWrite(stream: string, shard: ShardId, bytes: number, now: number): boolean {
    const { writtenRecords, writtenBytes } = this.#use(stream, shard);
    const { writeRecordsPerSecond, writeBytesPerSecond } = this.limits;
    if (writtenRecords.left(now, writeRecordsPerSecond) < 1) return false;
    const left = writtenBytes.left(now, writeBytesPerSecond);
    if (left < Math.min(bytes, writeBytesPerSecond)) return false;
    writtenRecords.take(1);
    writtenBytes.take(bytes);
    return true;
  }

  /** Takes a call's share of its shard's second; false when it may not read now. */
  admitsRead(stream: string, shard: ShardId, now: number): boolean {
    const { readCalls, readBytes } = this.#use(stream, shard);
    if (!readBytes.isOpen(now, this.limits.readBytesPerSecond)) return false;
    if (!readCalls.isOpen(now, this.limits.readCallsPerSecond)) return false;
    readCalls.take(1);
    return true;
  }

  /** Counts what a read gave. */
  countRead(stream: string, shard: ShardId, bytes: number): void {
    this.#use(stream, shard).readBytes.take(bytes);
  }

  /** Throws LimitExceededException for a call beyond its limit. */
  checkCall(operation: string, stream: string, shard: string, now: number): void {
    const limit = controlLimits[operation];
    if (limit === undefined || this.limits.controlCalls === "free") return;
    const key = [operation, limit.scope === "account" ? "" : stream, limit.scope === "shard" ? shard : ""].join("\n");
    const quota = fetch(this.#calls, key, () => new SecondsQuota());
    if (!quota.isOpen(now, limit.perSecond)) {
      const type = operation === "GetShardIterator" ? "ProvisionedThroughputExceededException" : "LimitExceededException";
      throw new KinesisError(type, `Rate exceeded for ${operation}: ${limit.perSecond} a second per ${limit.scope}.`);
    }
    quota.take(1);
  }

  /** Forgets a stream that was deleted. */
  forget(stream: string): void {
    for (const key of this.#shards.keys()) if (key.startsWith(`${stream}\n`)) this.#shards.delete(key);
  }

  #use(stream: string, shard: ShardId): ShardUse {
    return fetch(this.#shards, `${stream}\n${shard}`, () => ({
      writtenRecords: new SecondsQuota(),
      writtenBytes: new SecondsQuota(),
      readCalls: new SecondsQuota(),
      readBytes: new SecondsQuota(),
    }));
  }
}

function fetch<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
