/**
 * A stream in memory for tests: records, splits, merges and retention by the clock that is given.
 *
 * S1 A record's shard is the one whose hash range has the MD5 of its key, as in Kinesis.
 * S2 Sequence numbers grow over all shards, so a child's lie above its parents'.
 * S3 A record is gone when the retention has passed since its arrival, a closed shard when all its records are.
 */
import { createHash } from "node:crypto";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";
import type { ReadBatch, ReadFrom, SourceStream, StreamRecord, StreamShard } from "./source-stream.ts";

export interface MemoryStreamOptions {
  readonly clock: Clock;
  readonly shards: number;
  /** Default "stream". */
  readonly name?: string;
  /** Default 24 hours. */
  readonly retentionMs?: number;
}

interface MemoryShard {
  readonly shardId: string;
  readonly parents: readonly string[];
  /** First and last hash key. */
  readonly from: bigint;
  readonly to: bigint;
  readonly records: StreamRecord[];
  closedAt: number | undefined;
}

const iteratorMs = 300_000;
const hashKeys = 1n << 128n;
/** As long as Kinesis' own. */
const firstSequenceNumber = 49590338271490256608559692538361571095921575989136588898n;

export class MemoryStream implements SourceStream {
  readonly #clock: Clock;
  readonly #arn: string;
  readonly #retentionMs: number;
  readonly #shards: MemoryShard[] = [];
  #sequence = firstSequenceNumber;

  constructor(options: MemoryStreamOptions) {
    this.#clock = options.clock;
    this.#arn = `arn:aws:kinesis:us-east-1:000000000000:stream/${options.name ?? "stream"}`;
    this.#retentionMs = options.retentionMs ?? 86_400_000;
    const count = BigInt(options.shards);
    for (let n = 0n; n < count; n++) this.#addShard((hashKeys * n) / count, (hashKeys * (n + 1n)) / count - 1n, []);
  }

  /** Puts a record and says where it is. */
  put(partitionKey: string, data: Uint8Array | string): { readonly shardId: string; readonly sequenceNumber: string } {
    const hash = BigInt(`0x${createHash("md5").update(partitionKey).digest("hex")}`);
    const shard = this.#shards.find(({ from, to, closedAt }) => closedAt === undefined && from <= hash && hash <= to)!;
    this.#sequence += 16n;
    const sequenceNumber = String(this.#sequence);
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    shard.records.push({ sequenceNumber, partitionKey, data: bytes, arrivedAt: this.#clock.now() });
    return { shardId: shard.shardId, sequenceNumber };
  }

  /** Closes the shard and opens two of half its hash range each, which are returned. */
  split(shardId: string): readonly string[] {
    const { from, to } = this.#close(shardId);
    const middle = (from + to) / 2n;
    return [this.#addShard(from, middle, [shardId]), this.#addShard(middle + 1n, to, [shardId])];
  }

  /** Closes two neighbours and opens one in their place. */
  merge(left: string, right: string): string {
    if (this.#open(left).to + 1n !== this.#open(right).from) {
      throw new MillraceError("invalid", `shards that are merged lie side by side: ${left}, ${right}`);
    }
    return this.#addShard(this.#close(left).from, this.#close(right).to, [left, right]);
  }

  describe(): Promise<{ readonly arn: string; readonly retentionMs: number }> {
    return Promise.resolve({ arn: this.#arn, retentionMs: this.#retentionMs });
  }

  listShards(): Promise<readonly StreamShard[]> {
    const present = this.#shards.filter((shard) => this.#isPresent(shard));
    return Promise.resolve(
      present.map(({ shardId, parents, closedAt }) => ({ shardId, parents, isOpen: closedAt === undefined })),
    );
  }

  async getIterator(shardId: string, from: ReadFrom): Promise<string> {
    const shard = this.#find(shardId);
    if (!this.#isPresent(shard)) throw new MillraceError("invalid", `the shard is gone: ${shardId}`);
    return this.#iterator(shardId, startIn(shard.records, from));
  }

  async getRecords(iterator: string, limit: number): Promise<ReadBatch | "expired"> {
    const [shardId, at, issuedAt] = iterator.split("/") as [string, string, string];
    const now = this.#clock.now();
    if (now - Number(issuedAt) > iteratorMs) return "expired";
    const { records, closedAt } = this.#find(shardId);
    const live = records.findIndex(({ arrivedAt }) => arrivedAt > now - this.#retentionMs);
    const start = Math.max(Number(at), live < 0 ? records.length : live);
    const end = Math.min(records.length, start + limit);
    const isAtEnd = end === records.length;
    return {
      records: records.slice(start, end),
      nextIterator: closedAt !== undefined && isAtEnd ? undefined : this.#iterator(shardId, end),
      millisBehindLatest: isAtEnd ? 0 : now - records[end]!.arrivedAt + 1,
    };
  }

  /** S3. */
  #isPresent({ closedAt }: MemoryShard): boolean {
    return closedAt === undefined || closedAt > this.#clock.now() - this.#retentionMs;
  }

  #iterator(shardId: string, at: number): string {
    return `${shardId}/${at}/${this.#clock.now()}`;
  }

  #addShard(from: bigint, to: bigint, parents: readonly string[]): string {
    const shardId = `shardId-${String(this.#shards.length).padStart(12, "0")}`;
    this.#shards.push({ shardId, parents, from, to, records: [], closedAt: undefined });
    return shardId;
  }

  #find(shardId: string): MemoryShard {
    const shard = this.#shards.find((other) => other.shardId === shardId);
    if (shard === undefined) throw new MillraceError("invalid", `no such shard: ${shardId}`);
    return shard;
  }

  #open(shardId: string): MemoryShard {
    const shard = this.#find(shardId);
    if (shard.closedAt !== undefined) throw new MillraceError("invalid", `the shard is closed already: ${shardId}`);
    return shard;
  }

  #close(shardId: string): MemoryShard {
    const shard = this.#open(shardId);
    shard.closedAt = this.#clock.now();
    return shard;
  }
}

function startIn(records: readonly StreamRecord[], from: ReadFrom): number {
  const at = records.findIndex((record) => isReached(record, from));
  return at < 0 ? records.length : at;
}

function isReached({ arrivedAt, sequenceNumber }: StreamRecord, from: ReadFrom): boolean {
  switch (from.kind) {
    case "trimHorizon":
      return true;
    case "latest":
      return false;
    case "atTimestamp":
      return arrivedAt >= from.timestamp;
    case "afterSequenceNumber":
      return BigInt(sequenceNumber) > BigInt(from.sequenceNumber);
  }
}
