/**
 * What a stream has beside its records and its shards' ranges: retention, mode, tags, times, consumers.
 *
 * Kept in the log itself, in a stream of its own whose last record is the whole registry, so that a server started over the same log
 * goes on with the same sequence numbers.
 *
 * G1 `createdAt` differs between all streams that this registry ever had: sequence numbers and iterators tell them apart by it.
 * G2 Streams come and go one at a time, here and in the log together.
 * G3 A stream that stands in the log but not here, made by another program, is taken in as it is when it is first asked for.
 */
import type { EmbeddedLog } from "../../runtime/adapters/log-provisioning.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { Clock } from "../../runtime/ports/clock.ts";

export type StreamMode = "PROVISIONED" | "ON_DEMAND";
export type Distribution = "USER_PARTITION_KEY" | "AUTO";

/** When a shard was opened and closed, epoch ms. */
export interface ShardTimes {
  readonly openedAt: number;
  readonly closedAt?: number;
}

export interface Consumer {
  readonly name: string;
  readonly createdAt: number;
}

/** One stream. Changed by the operations, then saved. */
export interface StreamEntry {
  readonly name: string;
  readonly createdAt: number;
  mode: StreamMode;
  distribution: Distribution;
  retentionHours: number;
  maxRecordKiB: number;
  tags: Readonly<Record<string, string>>;
  /** What is under way until `readyAt`, epoch ms. */
  change: "CREATING" | "UPDATING" | "DELETING";
  readyAt: number;
  shards: Readonly<Record<string, ShardTimes>>;
  consumers: readonly Consumer[];
  /** When UpdateShardCount was called in the last day, epoch ms. */
  scalings: readonly number[];
}

interface Saved {
  readonly lastCreatedAt: number;
  readonly streams: readonly StreamEntry[];
}

/** No name of a Kinesis stream has a slash in it. */
const registryStream = "kinesis/registry";

export class StreamRegistry {
  readonly #log: EmbeddedLog;
  readonly #clock: Clock;
  readonly #shard: ShardId;
  readonly #streams = new Map<string, StreamEntry>();
  #lastCreatedAt = 0;
  #saving: Promise<unknown> = Promise.resolve();
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(log: EmbeddedLog, clock: Clock, shard: ShardId) {
    this.#log = log;
    this.#clock = clock;
    this.#shard = shard;
  }

  static async open(log: EmbeddedLog, clock: Clock): Promise<StreamRegistry> {
    await log.createStream(registryStream, 1);
    const [shard] = await log.shards(registryStream);
    const registry = new StreamRegistry(log, clock, shard!.id);
    await registry.#load();
    return registry;
  }

  /** Undefined for a stream that does not exist, or no longer. */
  async find(name: string): Promise<StreamEntry | undefined> {
    const entry = this.#streams.get(name) ?? (await this.#alone(() => this.#takeIn(name)));
    if (entry === undefined || !isGone(entry, this.#clock.now())) return entry;
    await this.drop(entry);
    return undefined;
  }

  /** All streams that are known, by name. */
  async all(): Promise<readonly StreamEntry[]> {
    const found = await Promise.all([...this.#streams.keys()].map((name) => this.find(name)));
    return found.filter((entry) => entry !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Makes a stream with its shards. */
  create(settings: Omit<StreamEntry, "createdAt">, shards: number): Promise<"created" | "exists"> {
    return this.#alone(async () => {
      if (this.#streams.has(settings.name)) return "exists";
      const outcome = await this.#log.createStream(settings.name, shards);
      if (outcome === "exists") return outcome;
      this.#add(settings);
      await this.save();
      return outcome;
    });
  }

  /** Drops the stream and its records. */
  drop(entry: StreamEntry): Promise<void> {
    return this.#alone(async () => {
      if (this.#streams.get(entry.name) !== entry) return;
      this.#streams.delete(entry.name);
      await this.#log.deleteStream(entry.name);
      await this.save();
    });
  }

  /** Makes all changes so far last. */
  save(): Promise<void> {
    const saving = this.#saving.catch(() => undefined).then(() => this.#write());
    this.#saving = saving;
    return saving;
  }

  /** After all that was begun before. */
  #alone<T>(run: () => Promise<T>): Promise<T> {
    const changing = this.#changing.catch(() => undefined).then(run);
    this.#changing = changing;
    return changing;
  }

  #add(settings: Omit<StreamEntry, "createdAt">): StreamEntry {
    this.#lastCreatedAt = Math.max(this.#clock.now(), this.#lastCreatedAt + 1);
    const added: StreamEntry = { ...settings, createdAt: this.#lastCreatedAt };
    this.#streams.set(added.name, added);
    return added;
  }

  async #write(): Promise<void> {
    const [saved] = await this.#log.append(registryStream, [{ hashKey: 0n, bytes: this.#encode() }]);
    await this.#log.trim(registryStream, this.#shard, id<Position>(String(BigInt(saved!.position) - 1n)));
  }

  #encode(): Uint8Array {
    const saved: Saved = { lastCreatedAt: this.#lastCreatedAt, streams: [...this.#streams.values()] };
    return new TextEncoder().encode(JSON.stringify(saved));
  }

  async #load(): Promise<void> {
    const last = await this.#log.lastPosition(registryStream, this.#shard);
    if (last === "0") return;
    const after = id<Position>(String(BigInt(last) - 1n));
    const { records } = await this.#log.read(registryStream, this.#shard, after, { records: 1, bytes: 1 });
    const saved = JSON.parse(new TextDecoder().decode(records[0]!.bytes)) as Saved;
    this.#lastCreatedAt = saved.lastCreatedAt;
    for (const entry of saved.streams) this.#streams.set(entry.name, entry);
  }

  async #takeIn(name: string): Promise<StreamEntry | undefined> {
    const known = this.#streams.get(name);
    if (known !== undefined || name.includes("/")) return known;
    try {
      await this.#log.shards(name);
    } catch (error) {
      if (isKind(error, "invalid")) return undefined;
      throw error;
    }
    const entry = this.#add(newStream(name, 0));
    await this.save();
    return entry;
  }
}

/** A stream as it is made unless told otherwise. */
export function newStream(name: string, readyAt: number): Omit<StreamEntry, "createdAt"> {
  return {
    name,
    mode: "PROVISIONED",
    distribution: "USER_PARTITION_KEY",
    retentionHours: 24,
    maxRecordKiB: 1024,
    tags: {},
    change: "CREATING",
    readyAt,
    shards: {},
    consumers: [],
    scalings: [],
  };
}

/** Kinesis' StreamStatus at a time. */
export function statusOf(entry: StreamEntry, now: number): "ACTIVE" | StreamEntry["change"] {
  return now >= entry.readyAt ? "ACTIVE" : entry.change;
}

function isGone(entry: StreamEntry, now: number): boolean {
  return entry.change === "DELETING" && now >= entry.readyAt;
}
