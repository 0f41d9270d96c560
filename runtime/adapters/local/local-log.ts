/** Partitioned logs in the embedded store. Positions are dense within a shard; a child's begin above its parents'. */
import type { StatementSync } from "node:sqlite";
import { assert } from "../../base/assert.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import { checkRecordSizes } from "../limits.ts";
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
import type { Store } from "./store.ts";

/** `last`: the highest position given out, in the shard or to its parents; `trimmedTo`: the highest dropped, 0 when none was. */
interface StoredShard extends Shard {
  readonly key: number;
  readonly last: number;
  readonly trimmedTo: number;
}

interface ShardRow {
  readonly key: number;
  readonly name: ShardId;
  readonly from: string;
  readonly to: string;
  readonly parents: string;
  readonly closed: number;
  readonly last: number;
  readonly trimmedTo: number;
}

interface RecordRow {
  readonly position: number;
  readonly partitionKey: string;
  readonly arrivalTime: number;
  readonly bytes: Uint8Array;
}

export class LocalLog implements EmbeddedLog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #maxRecordBytes: number;
  readonly #shards: StatementSync;
  readonly #addShard: StatementSync;
  readonly #closeShard: StatementSync;
  readonly #advance: StatementSync;
  readonly #insert: StatementSync;
  readonly #records: StatementSync;
  readonly #arrival: StatementSync;
  readonly #drop: StatementSync;
  readonly #setTrimmed: StatementSync;
  readonly #dropRecords: StatementSync;
  readonly #dropShards: StatementSync;

  constructor(store: Store, clock: Clock, maxRecordBytes: number) {
    this.#store = store;
    this.#clock = clock;
    this.#maxRecordBytes = maxRecordBytes;
    this.#shards = store.prepare(
      `SELECT id AS key, name, range_from AS "from", range_to AS "to", parents, closed, last, trimmed_to AS trimmedTo
       FROM shards WHERE stream = ? ORDER BY id`,
    );
    this.#addShard = store.prepare(
      `INSERT INTO shards (stream, name, range_from, range_to, parents, closed, last, trimmed_to) VALUES (?, ?, ?, ?, ?, 0, ?, 0)`,
    );
    this.#closeShard = store.prepare("UPDATE shards SET closed = 1 WHERE stream = ? AND name = ?");
    this.#advance = store.prepare("UPDATE shards SET last = ? WHERE id = ?");
    this.#insert = store.prepare(
      "INSERT INTO records (shard, position, partition_key, arrived_at, bytes) VALUES (?, ?, ?, ?, ?)",
    );
    this.#records = store.prepare(
      `SELECT position, partition_key AS partitionKey, arrived_at AS arrivalTime, bytes
       FROM records WHERE shard = ? AND position > ? ORDER BY position LIMIT ?`,
    );
    this.#arrival = store.prepare("SELECT arrived_at AS arrivalTime FROM records WHERE shard = ? AND position = ?");
    this.#drop = store.prepare("DELETE FROM records WHERE shard = ? AND position <= ?");
    this.#setTrimmed = store.prepare("UPDATE shards SET trimmed_to = ? WHERE id = ?");
    this.#dropRecords = store.prepare("DELETE FROM records WHERE shard IN (SELECT id FROM shards WHERE stream = ?)");
    this.#dropShards = store.prepare("DELETE FROM shards WHERE stream = ?");
  }

  createStream(stream: string, shards: number): Promise<"created" | "exists"> {
    return this.#store.write(() => {
      if (this.#shards.get(stream) !== undefined) return "exists";
      this.#reshard(stream, [], { close: [], open: initialShards(stream, shards) });
      return "created";
    });
  }

  shards(stream: string): Promise<readonly Shard[]> {
    return this.#store.read(() =>
      this.#stream(stream).map(({ id: name, range, parents, closed }) => ({ id: name, range, parents, closed })),
    );
  }

  append(stream: string, records: readonly KeyedRecordToAppend[]): Promise<readonly EmbeddedAppendResult[]> {
    return this.#store.write(() => {
      const shards = this.#stream(stream);
      checkRecordSizes(stream, records, this.#maxRecordBytes);
      const targets = records.map((record) => shardFor(stream, shards, record.hashKey));
      const arrivalTime = this.#clock.now();
      const last = new Map<StoredShard, number>();
      const results = records.map(({ hashKey, partitionKey, bytes }, n): EmbeddedAppendResult => {
        const shard = targets[n]!;
        const position = (last.get(shard) ?? shard.last) + 1;
        last.set(shard, position);
        this.#insert.run(shard.key, position, partitionKey ?? String(hashKey), arrivalTime, bytes);
        return { outcome: "appended", shard: shard.id, position: id<Position>(String(position)) };
      });
      for (const [shard, position] of last) this.#advance.run(position, shard.key);
      return results;
    });
  }

  read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    assert(limit.records >= 1, `a read asks for one record or more: ${limit.records}`);
    const asked = after === "horizon" ? undefined : Number(after);
    return this.#store.read(() => {
      const stored = this.#shard(stream, shard);
      const rows = this.#take(stored.key, asked ?? 0, limit);
      const last = rows.at(-1);
      const atEnd = last === undefined || last.position >= stored.last;
      return {
        records: rows.map(({ position, partitionKey, arrivalTime, bytes }) => ({
          position: String(position),
          partitionKey,
          arrivalTime,
          bytes,
        })),
        next: atEnd && stored.closed ? undefined : nextOf(last, after, stored),
        behindMs: atEnd ? 0 : Math.max(1, this.#arrivalOf(stored) - last.arrivalTime),
        gap: asked !== undefined && asked < stored.trimmedTo,
      };
    });
  }

  splitShard(stream: string, shard: ShardId, at?: bigint): Promise<readonly [ShardId, ShardId]> {
    return this.#store.write(() => {
      const shards = this.#stream(stream);
      const change = decideSplit(stream, shards, shard, at);
      this.#reshard(stream, shards, change);
      return [change.open[0]!.id, change.open[1]!.id];
    });
  }

  mergeShards(stream: string, a: ShardId, b: ShardId): Promise<ShardId> {
    return this.#store.write(() => {
      const shards = this.#stream(stream);
      const change = decideMerge(stream, shards, a, b);
      this.#reshard(stream, shards, change);
      return change.open[0]!.id;
    });
  }

  trim(stream: string, shard: ShardId, upTo: Position): Promise<void> {
    return this.#store.write(() => {
      const stored = this.#shard(stream, shard);
      const { changes } = this.#drop.run(stored.key, Number(upTo));
      if (changes > 0) this.#setTrimmed.run(Math.min(Number(upTo), stored.last), stored.key);
    });
  }

  lastPosition(stream: string, shard: ShardId): Promise<Position> {
    return this.#store.read(() => id<Position>(String(this.#shard(stream, shard).last)));
  }

  deleteStream(stream: string): Promise<"deleted" | "absent"> {
    return this.#store.write(() => {
      this.#dropRecords.run(stream);
      return this.#dropShards.run(stream).changes > 0 ? "deleted" : "absent";
    });
  }

  /** Records after `after`, as many as the limit allows but always one if there is one. */
  #take(shard: number, after: number, limit: ReadLimit): readonly RecordRow[] {
    const taken: RecordRow[] = [];
    let bytes = 0;
    for (const row of this.#records.iterate(shard, after, limit.records) as Iterable<unknown>) {
      const record = row as RecordRow;
      bytes += record.bytes.length;
      if (bytes > limit.bytes && taken.length > 0) break;
      taken.push(record);
    }
    return taken;
  }

  #arrivalOf(shard: StoredShard): number {
    return (this.#arrival.get(shard.key, shard.last) as unknown as { arrivalTime: number }).arrivalTime;
  }

  #stream(stream: string): readonly StoredShard[] {
    const rows = this.#shards.all(stream) as unknown as ShardRow[];
    if (rows.length === 0) throw unknownStream(stream);
    return rows.map(readShard);
  }

  #shard(stream: string, shard: ShardId): StoredShard {
    const found = this.#stream(stream).find((candidate) => candidate.id === shard);
    if (found === undefined) throw unknownShard(stream, shard);
    return found;
  }

  #reshard(stream: string, shards: readonly StoredShard[], change: Resharding): void {
    for (const shard of change.close) this.#closeShard.run(stream, shard);
    for (const { id: name, range, parents } of change.open) {
      const last = Math.max(0, ...shards.filter((shard) => parents.includes(shard.id)).map((shard) => shard.last));
      this.#addShard.run(stream, name, String(range.from), String(range.to), JSON.stringify(parents), last);
    }
  }
}

function nextOf(last: RecordRow | undefined, after: Position | "horizon", shard: StoredShard): Position | "horizon" {
  if (last !== undefined) return id<Position>(String(last.position));
  // A reader that waits at the horizon of a trimmed shard gets a place, so that a later trim shows as a gap.
  return after === "horizon" && shard.trimmedTo > 0 ? id<Position>(String(shard.trimmedTo)) : after;
}

function readShard(row: ShardRow): StoredShard {
  return {
    id: row.name,
    range: { from: BigInt(row.from), to: BigInt(row.to) },
    parents: JSON.parse(row.parents) as ShardId[],
    closed: row.closed === 1,
    key: row.key,
    last: row.last,
    trimmedTo: row.trimmedTo,
  };
}
