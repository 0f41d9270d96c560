/**
 * Reads a generator: hands out indexes. Position p of a shard means that all its indexes below p have been handed out.
 *
 * A rate is kept from the first read of a shard on, by the clock: what is due by then is there, what is not is not yet.
 */
import { type Position, type ShardId, id } from "../../base/ids.ts";
import { MillraceError } from "../../base/errors.ts";
import type { SourceRecord } from "../../api/connector.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import type { SourceReader } from "../source-reader.ts";

export interface GeneratorReaderOptions {
  readonly name: string;
  readonly shards: number;
  readonly count: number | undefined;
  readonly ratePerSecond: number | undefined;
  readonly clock: Pick<Clock, "now">;
}

/** Where the rate of a shard is counted from. */
interface Pace {
  readonly index: number;
  /** Epoch ms. */
  readonly at: number;
}

const wholeRange = { from: 0n, to: (1n << 128n) - 1n };

export class GeneratorReader implements SourceReader {
  readonly #options: GeneratorReaderOptions;
  readonly #count: number;
  readonly #paces = new Map<number, Pace>();

  constructor(options: GeneratorReaderOptions) {
    this.#options = options;
    this.#count = options.count ?? Number.MAX_SAFE_INTEGER;
  }

  async shards(stream: string): Promise<readonly Shard[]> {
    this.#checkStream(stream);
    const closed = this.#options.count !== undefined;
    return Array.from({ length: this.#options.shards }, (_, n) => ({ id: shardId(n), range: wholeRange, parents: [], closed }));
  }

  async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    this.#checkStream(stream);
    const { shards, clock } = this.#options;
    const number = this.#numberOf(shard);
    const now = clock.now();
    const first = after === "horizon" ? number : Number(after) - 1 + shards;
    if (first - shards >= this.#count) {
      const advice = "the generator makes fewer records than were read from it before: make as many again, or start the job anew";
      throw new MillraceError("invalid", `${advice}: ${this.#count}, read to ${first - shards + 1}`);
    }
    const due = this.#dueBefore(number, first, now);
    const records: SourceRecord[] = [];
    let index = first;
    for (let bytes = 0; index < due && records.length < limit.records; index += shards) {
      const record = new IndexRecord(index, now);
      bytes += record.text.length;
      if (bytes > limit.bytes && records.length > 0) break;
      records.push(record);
    }
    const last = records.at(-1);
    const next = index >= this.#count ? undefined : last === undefined ? after : id<Position>(last.position);
    return { records, next, behindMs: index < due ? 1 : 0, gap: false };
  }

  async close(): Promise<void> {}

  /** The index before which records are there: the end, or what the rate allows by now. */
  #dueBefore(shard: number, index: number, now: number): number {
    const { ratePerSecond, shards } = this.#options;
    if (ratePerSecond === undefined) return this.#count;
    const pace = this.#paces.get(shard) ?? { index, at: now };
    this.#paces.set(shard, pace);
    const indexes = Math.floor((Math.max(0, now - pace.at) * ratePerSecond) / 1000 / shards + 1) * shards;
    return Math.min(this.#count, pace.index + indexes);
  }

  #numberOf(shard: ShardId): number {
    for (let n = 0; n < this.#options.shards; n++) if (shardId(n) === shard) return n;
    throw new MillraceError("invalid", `no such shard of a generator: ${shard}`);
  }

  #checkStream(stream: string): void {
    const { name } = this.#options;
    if (stream !== name) throw new MillraceError("invalid", `no such stream: this reader reads ${name}, not ${stream}`);
  }
}

/** An index as a record: its digits. */
class IndexRecord implements SourceRecord {
  readonly arrivalTime: number;
  readonly #index: number;

  constructor(index: number, arrivalTime: number) {
    this.#index = index;
    this.arrivalTime = arrivalTime;
  }
  get position(): string {
    return String(this.#index + 1);
  }
  get partitionKey(): string {
    return "";
  }
  get text(): string {
    return String(this.#index);
  }
  get bytes(): Uint8Array {
    return Buffer.from(this.text, "latin1");
  }
}

function shardId(n: number): ShardId {
  return id<ShardId>(`generator-${n}`);
}
