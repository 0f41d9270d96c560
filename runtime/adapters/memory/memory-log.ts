/**
 * A partitioned log in memory. Positions are dense within a shard; a child's begin above its parents'.
 *
 * Bytes handed over are kept as they are, since the caller never changes them afterwards; bytes handed out are copies, since they
 * belong to the caller.
 */
import { assert } from "../../base/assert.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import { checkRecordSizes, defaultMaxRecordBytes } from "../limits.ts";
import type { EmbeddedAppendResult, EmbeddedLog, KeyedRecordToAppend } from "../log-provisioning.ts";
import {
  decideMerge,
  decideSplit,
  initialShards,
  type Resharding,
  shardFor,
  unknownShard,
  unknownStream,
} from "../shard-topology.ts";
import { ManualClock } from "./manual-clock.ts";

interface Stored {
  readonly partitionKey: string;
  readonly arrivalTime: number;
  readonly bytes: Uint8Array;
}

/** The records of one shard: `records[i]` has position `first + i`; what was below `first` has been trimmed or never was. */
interface ShardRecords {
  records: Stored[];
  first: number;
  /** The highest position that was dropped; 0 when none was. */
  trimmedTo: number;
}

interface Stream {
  shards: Shard[];
  readonly records: Map<ShardId, ShardRecords>;
}

export class MemoryLog implements EmbeddedLog {
  readonly #clock: Clock;
  readonly #maxRecordBytes: number;
  readonly #streams = new Map<string, Stream>();

  /** `streams`: shards by the name of streams to create at once. */
  constructor(
    options: {
      readonly clock?: Clock;
      readonly maxRecordBytes?: number;
      readonly streams?: Readonly<Record<string, number>>;
    } = {},
  ) {
    this.#clock = options.clock ?? new ManualClock();
    this.#maxRecordBytes = options.maxRecordBytes ?? defaultMaxRecordBytes;
    for (const [stream, shards] of Object.entries(options.streams ?? {})) this.#create(stream, shards);
  }

  async createStream(stream: string, shards: number): Promise<"created" | "exists"> {
    if (this.#streams.has(stream)) return "exists";
    this.#create(stream, shards);
    return "created";
  }

  async shards(stream: string): Promise<readonly Shard[]> {
    return [...this.#stream(stream).shards];
  }

  async append(stream: string, records: readonly KeyedRecordToAppend[]): Promise<readonly EmbeddedAppendResult[]> {
    const target = this.#stream(stream);
    checkRecordSizes(stream, records, this.#maxRecordBytes);
    const shards = records.map((record) => shardFor(stream, target.shards, record.hashKey).id);
    const arrivalTime = this.#clock.now();
    return records.map(({ hashKey, partitionKey, bytes }, n) => {
      const shard = shards[n]!;
      const { records: kept, first } = target.records.get(shard)!;
      kept.push({ partitionKey: partitionKey ?? String(hashKey), arrivalTime, bytes });
      return { outcome: "appended", shard, position: id<Position>(String(first + kept.length - 1)) };
    });
  }

  async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    assert(limit.records >= 1, `a read asks for one record or more: ${limit.records}`);
    const { info, stored } = this.#shard(stream, shard);
    const asked = after === "horizon" ? undefined : Number(after);
    const begin = Math.max(0, (asked ?? 0) + 1 - stored.first);
    const taken = takeWithin(stored.records, begin, limit);
    const end = begin + taken.length;
    const atEnd = end >= stored.records.length;
    const read = taken.map((record, n) => ({
      position: String(stored.first + begin + n),
      partitionKey: record.partitionKey,
      arrivalTime: record.arrivalTime,
      bytes: record.bytes.slice(),
    }));
    return {
      records: read,
      next: atEnd && info.closed ? undefined : this.#next(read.at(-1)?.position, after, stored),
      behindMs: atEnd ? 0 : Math.max(1, stored.records.at(-1)!.arrivalTime - taken.at(-1)!.arrivalTime),
      gap: asked !== undefined && asked < stored.trimmedTo,
    };
  }

  async splitShard(stream: string, shard: ShardId, at?: bigint): Promise<readonly [ShardId, ShardId]> {
    const target = this.#stream(stream);
    const change = decideSplit(stream, target.shards, shard, at);
    reshard(target, change);
    return [change.open[0]!.id, change.open[1]!.id];
  }

  async mergeShards(stream: string, a: ShardId, b: ShardId): Promise<ShardId> {
    const target = this.#stream(stream);
    const change = decideMerge(stream, target.shards, a, b);
    reshard(target, change);
    return change.open[0]!.id;
  }

  async trim(stream: string, shard: ShardId, upTo: Position): Promise<void> {
    const { stored } = this.#shard(stream, shard);
    const dropped = Math.min(Number(upTo) + 1 - stored.first, stored.records.length);
    if (dropped <= 0) return;
    stored.records = stored.records.slice(dropped);
    stored.first += dropped;
    stored.trimmedTo = stored.first - 1;
  }

  async lastPosition(stream: string, shard: ShardId): Promise<Position> {
    const { stored } = this.#shard(stream, shard);
    return id<Position>(String(stored.first + stored.records.length - 1));
  }

  async deleteStream(stream: string): Promise<"deleted" | "absent"> {
    return this.#streams.delete(stream) ? "deleted" : "absent";
  }

  #next(last: string | undefined, after: Position | "horizon", stored: ShardRecords): Position | "horizon" {
    if (last !== undefined) return id<Position>(last);
    // A reader that waits at the horizon of a trimmed shard gets a place, so that a later trim shows as a gap.
    return after === "horizon" && stored.trimmedTo > 0 ? id<Position>(String(stored.trimmedTo)) : after;
  }

  #create(stream: string, shards: number): void {
    const created: Stream = { shards: [], records: new Map() };
    reshard(created, { close: [], open: initialShards(stream, shards) });
    this.#streams.set(stream, created);
  }

  #stream(stream: string): Stream {
    const found = this.#streams.get(stream);
    if (found === undefined) throw unknownStream(stream);
    return found;
  }

  #shard(stream: string, shard: ShardId): { readonly info: Shard; readonly stored: ShardRecords } {
    const { shards, records } = this.#stream(stream);
    const info = shards.find((candidate) => candidate.id === shard);
    if (info === undefined) throw unknownShard(stream, shard);
    return { info, stored: records.get(shard)! };
  }
}

/** Records from `begin` on, as many as the limit allows but always one if there is one. */
function takeWithin(records: readonly Stored[], begin: number, limit: ReadLimit): readonly Stored[] {
  let end = begin;
  let bytes = 0;
  while (end < records.length && end - begin < limit.records) {
    bytes += records[end]!.bytes.length;
    if (bytes > limit.bytes && end > begin) break;
    end += 1;
  }
  return records.slice(begin, end);
}

function reshard(stream: Stream, change: Resharding): void {
  stream.shards = stream.shards.map((shard) => (change.close.includes(shard.id) ? { ...shard, closed: true } : shard));
  for (const shard of change.open) {
    const parents = shard.parents.map((parent) => stream.records.get(parent)!);
    const first = Math.max(1, ...parents.map((parent) => parent.first + parent.records.length));
    stream.shards.push(shard);
    stream.records.set(shard.id, { records: [], first, trimmedTo: 0 });
  }
}
