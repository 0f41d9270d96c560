/**
 * A source of the harness: shards in memory, filled by hand. A record holds the value that the decoder would have produced, so no
 * format is involved; a watermark stands among the records of its shard as a record of its own.
 *
 * H1 Every reading of a record gives a value of its own, as decoding would: a handler that changes its input spoils no second try.
 */
import { MillraceError } from "../base/errors.ts";
import { id, type Position, type ShardId } from "../base/ids.ts";
import type { SourceRecord } from "../api/connector.ts";
import type { LogReader, ReadLimit, ReadResult, Shard } from "../ports/log.ts";
import { splitEvenly } from "../streaming/hash-range.ts";

/** A record as a test gives it: the decoder's value, and where it comes from. */
export interface PushedRecord {
  readonly value: unknown;
  /** Epoch ms; takes the place of what the job's `timestamps` says. */
  readonly timestamp?: number;
  /** The number of the shard; default 0. */
  readonly shard?: number;
  /** What the stream would have hashed, for `assumeKeyed`; default: none. */
  readonly partitionKey?: string;
}
/** A watermark among the records, epoch ms; without `shard` in every shard of the source. */
export interface PushedWatermark {
  readonly watermark: number;
  readonly shard?: number;
}
export type Pushed = PushedRecord | PushedWatermark;

/** What the values of watermarks' records are: never seen by the job. */
export class SteeredWatermark {
  readonly at: number;
  constructor(at: number) {
    this.at = at;
  }
}

/** One record of a harness source, as the engine is given it. */
export class HarnessRecord implements SourceRecord {
  readonly position: string;
  readonly arrivalTime: number;
  readonly partitionKey: string;
  readonly timestamp: number | undefined;
  readonly #value: unknown;

  constructor(position: number, arrivalTime: number, pushed: { value: unknown; timestamp?: number; partitionKey?: string }) {
    this.position = String(position);
    this.arrivalTime = arrivalTime;
    this.partitionKey = pushed.partitionKey ?? "";
    this.timestamp = pushed.timestamp;
    this.#value = copyOf(pushed.value);
  }

  get steers(): boolean {
    return this.#value instanceof SteeredWatermark;
  }

  value(): unknown {
    return copyOf(this.#value);
  }

  /** What dead letters show of it: JSON. */
  get bytes(): Uint8Array {
    return Buffer.from(JSON.stringify(this.#value, showable) ?? String(this.#value));
  }
}

function showable(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

/** Plain data anew; instances of classes, which no decoder makes, as they are. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [copyOf(key), copyOf(item)]));
  if (value instanceof Set) return new Set([...value].map(copyOf));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyOf(item)]));
}

interface HarnessShard {
  readonly info: Shard;
  /** `records[i]` has position `first + i`. */
  readonly records: HarnessRecord[];
  readonly first: number;
  ended: boolean;
}

/** Where a source stands, for a harness that goes on from a snapshot. */
export interface SourceStand {
  readonly shards: readonly { readonly next: number; readonly ended: boolean }[];
}

export class HarnessSource implements LogReader {
  readonly uid: string;
  readonly #shards: readonly HarnessShard[];

  constructor(uid: string, shards: number, stand?: SourceStand) {
    this.uid = uid;
    const count = stand?.shards.length ?? shards;
    this.#shards = splitEvenly(count).map((range, n) => ({
      info: { id: id<ShardId>(`shard-${n}`), range, parents: [], closed: false },
      records: [],
      first: stand?.shards[n]?.next ?? 1,
      ended: stand?.shards[n]?.ended ?? false,
    }));
  }

  /** Puts a record or a watermark at the end of its shard. Throws `invalid` for a shard that is not there or has ended. */
  append(pushed: Pushed, now: number): void {
    if (!("watermark" in pushed)) return this.#add(this.#open(pushed.shard ?? 0), pushed, now);
    const { watermark: at, shard } = pushed;
    if (!Number.isInteger(at)) throw new MillraceError("invalid", `a watermark is whole epoch milliseconds: ${String(at)}`);
    const shards = shard === undefined ? this.#shards.filter(({ ended }) => !ended) : [this.#open(shard)];
    for (const open of shards) this.#add(open, { value: new SteeredWatermark(at) }, now);
  }

  #open(shard: number): HarnessShard {
    const open = this.#shards[shard];
    const context = { context: { operator: this.uid } };
    if (open === undefined) {
      const remedy = `give the harness { shards: ${shard + 1} }`;
      throw new MillraceError("invalid", `source ${this.uid} has no shard ${shard}: ${remedy}`, context);
    }
    if (open.ended) throw new MillraceError("invalid", `shard ${shard} of source ${this.uid} has ended`, context);
    return open;
  }

  #add({ records, first }: HarnessShard, pushed: PushedRecord, now: number): void {
    records.push(new HarnessRecord(first + records.length, now, pushed));
  }

  /** Ends one shard, or all. */
  end(shard?: number): void {
    for (const ending of shard === undefined ? this.#shards : [this.#open(shard)]) ending.ended = true;
  }

  get stand(): SourceStand {
    return { shards: this.#shards.map(({ first, records, ended }) => ({ next: first + records.length, ended })) };
  }

  /** The record at a position of a shard. */
  at(shard: string, position: string): HarnessRecord {
    const { records, first } = this.#named(shard);
    return records[Number(position) - first] as HarnessRecord;
  }

  #named(shard: string): HarnessShard {
    const found = this.#shards.find(({ info }) => info.id === shard);
    if (found === undefined) throw new MillraceError("internal", `harness source ${this.uid} has no shard ${shard}`);
    return found;
  }

  async shards(): Promise<readonly Shard[]> {
    return this.#shards.map(({ info, ended }) => ({ ...info, closed: ended }));
  }

  async read(_stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const { records, first, ended } = this.#named(shard);
    const begin = after === "horizon" ? 0 : Number(after) + 1 - first;
    const read = records.slice(begin, begin + limit.records);
    const atEnd = begin + read.length >= records.length;
    const last = read.at(-1);
    const next = last === undefined ? after : id<Position>(last.position);
    return { records: read, next: atEnd && ended ? undefined : next, behindMs: atEnd ? 0 : 1, gap: false };
  }
}
