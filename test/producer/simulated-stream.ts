/**
 * A stream on a virtual clock in which everything goes wrong that does in Kinesis, as a seed decides: requests that get no answer, before
 * their effect, after it, or long before it takes place; records refused one by one; records of one request stored in any order; shards
 * that split and merge; listings that are not of now.
 */
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { unpack } from "../../runtime/connectors/kinesis/unpack.ts";
import type { Shard } from "../../runtime/ports/log.ts";
import { inRange } from "../../runtime/streaming/hash-range.ts";
import type { VirtualClock } from "../../emulator/virtual-clock.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { PackedRecord } from "../../producer/pack.ts";
import type { PutResult, Stream } from "../../producer/stream.ts";
import { createHash } from "node:crypto";

/** Of one call or record, from 0 to 1. */
export interface Chances {
  readonly refused: number;
  readonly lostBefore: number;
  readonly lostAfter: number;
  readonly late: number;
  readonly staleListing: number;
  readonly noListing: number;
}

export const allGoesWell: Chances = { refused: 0, lostBefore: 0, lostAfter: 0, late: 0, staleListing: 0, noListing: 0 };

/** An event as a reader of the stream has it. */
export interface ReadEvent {
  readonly key: string;
  readonly text: string;
  readonly shard: string;
}

export function md5Of(key: string): bigint {
  return BigInt(`0x${createHash("md5").update(key).digest("hex")}`);
}

export class SimulatedStream implements Stream {
  readonly name = "events";
  readonly log: MemoryLog;
  readonly requests: (readonly PackedRecord[])[] = [];
  chances: Chances;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  #listedBefore: readonly Shard[] = [];

  constructor(clock: VirtualClock, random: SeededRandom, shards: number, chances: Chances = allGoesWell) {
    this.#clock = clock;
    this.#random = random;
    this.chances = chances;
    this.log = new MemoryLog({ streams: { events: shards }, maxRecordBytes: 11 << 20 });
  }

  async put(records: readonly PackedRecord[]): Promise<readonly PutResult[]> {
    this.requests.push(records);
    const { lostBefore, lostAfter, late } = this.chances;
    await this.#clock.sleep(1 + this.#random.int(20));
    if (this.#random.chance(lostBefore)) throw lost();
    if (this.#random.chance(late)) {
      void this.#clock.sleep(this.#random.int(30_000)).then(() => this.#store(records));
      throw lost();
    }
    const results = await this.#store(records);
    await this.#clock.sleep(1 + this.#random.int(20));
    if (this.#random.chance(lostAfter)) throw lost();
    return results;
  }

  async shards(): Promise<readonly Shard[]> {
    await this.#clock.sleep(1 + this.#random.int(20));
    if (this.#random.chance(this.chances.noListing)) throw new MillraceError("unavailable", "no listing");
    return this.#random.chance(this.chances.staleListing) ? this.#listedBefore : this.log.shards("events");
  }

  /** Splits a shard, or merges two. */
  async reshard(): Promise<void> {
    const shards = await this.log.shards("events");
    this.#listedBefore = shards;
    const open = shards.filter(({ closed }) => !closed).sort((a, b) => (a.range.from < b.range.from ? -1 : 1));
    const n = this.#random.int(open.length);
    const [shard, next] = [open[n]!, open[n + 1]];
    if (next !== undefined && this.#random.chance(0.5)) await this.log.mergeShards("events", shard.id, next.id);
    else await this.log.splitShard("events", shard.id);
  }

  /** What a reader gets that reads every shard after its parents, as the Kinesis source unpacks it: by key, in order. */
  async read(): Promise<ReadonlyMap<string, readonly ReadEvent[]>> {
    const byKey = new Map<string, ReadEvent[]>();
    const shards = [...(await this.log.shards("events"))].sort((a, b) => Number(a.id > b.id) - Number(a.id < b.id));
    for (const shard of shards)
      for (const { partitionKey: key, bytes } of await this.#readShard(shard)) {
        if (!inRange(shard.range, md5Of(key))) throw new Error(`${key} is not at home in ${shard.id}`);
        byKey.set(key, [...(byKey.get(key) ?? []), { key, text: Buffer.from(bytes).toString(), shard: shard.id }]);
      }
    return byKey;
  }

  async #readShard({ id: shard, range }: Shard) {
    const records = [];
    let after: Position | "horizon" | undefined = "horizon";
    while (after !== undefined) {
      const read = await this.log.read("events", shard, after, { records: 10_000, bytes: 1 << 30 });
      records.push(...read.records);
      after = read.records.length === 0 ? undefined : read.next;
    }
    return unpack(records, range).records;
  }

  async #store(records: readonly PackedRecord[]): Promise<readonly PutResult[]> {
    const order = records.map((_, n) => [this.#random.next(), n] as const).sort(([a], [b]) => a - b);
    const results: PutResult[] = [];
    for (const [, n] of order) results[n] = await this.#storeOne(records[n]!);
    return results;
  }

  async #storeOne({ partitionKey, explicitHashKey, bytes }: PackedRecord): Promise<PutResult> {
    if (this.#random.chance(this.chances.refused)) return { outcome: "refused", reason: "Rate exceeded", isThrottled: true };
    const hashKey = explicitHashKey === undefined ? md5Of(partitionKey) : BigInt(explicitHashKey);
    const [stored] = await this.log.append("events", [{ hashKey, partitionKey, bytes }]);
    return { outcome: "put", shardId: stored!.shard, sequenceNumber: stored!.position };
  }
}

export function shardId(text: string): ShardId {
  return id<ShardId>(text);
}

function lost(): MillraceError {
  return new MillraceError("unavailable", "no answer");
}
