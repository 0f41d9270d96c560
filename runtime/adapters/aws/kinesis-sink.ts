/**
 * Puts the records of a Kinesis sink.
 *
 * K1 A record is sent when the one before it of the same partition key is there: PutRecords keeps no order where it refuses some.
 * K2 What this process has put already, it does not put again: an effect that is repeated goes on where it stopped. Another process puts
 *    all of it: at least once.
 */
import { createHash } from "node:crypto";
import { MillraceError } from "../../base/errors.ts";
import { decodeRecords, type StoredRecord } from "../../connectors/kinesis/kinesis-sink.ts";
import { effectVersion } from "../../connectors/row-version.ts";
import type { SinkTarget } from "../../connectors/sink-target.ts";
import type { SinkEffect } from "../../ports/sink-driver.ts";
import type { KinesisLog } from "./kinesis-log.ts";

/** Tasks whose place is kept. */
const placesMax = 256;

/** The last effect of a task that was begun here, and which of its records are there. */
interface Place {
  readonly version: bigint;
  /** Of each partition key, how many; undefined: all. */
  readonly done: ReadonlyMap<string, number> | undefined;
}

export class KinesisSink implements SinkTarget {
  readonly #log: KinesisLog;
  readonly #stream: string;
  readonly #places = new Map<string, Place>();

  /** `stream`: its name in Kinesis. */
  constructor(log: KinesisLog, stream: string) {
    this.#log = log;
    this.#stream = stream;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const version = effectVersion(effect);
    const place = this.#places.get(effect.task);
    if (place !== undefined && place.version >= version && !(place.version === version && place.done !== undefined)) return;
    const done = new Map(place?.version === version ? place.done : undefined);
    try {
      await this.#putAll(byKey(decodeRecords(effect.payload)), done);
    } catch (error) {
      this.#keep(effect.task, { version, done });
      throw error;
    }
    this.#keep(effect.task, { version, done: undefined });
  }

  /** What has been put cannot be taken back. */
  async quarantine(): Promise<void> {}

  async check(): Promise<void> {
    await this.#log.checkKeys(this.#stream);
  }

  /** In rounds: of each key one record at a time. `done` counts those that are there. */
  async #putAll(waiting: ReadonlyMap<string, readonly Uint8Array[]>, done: Map<string, number>): Promise<void> {
    for (;;) {
      const round = [...waiting].flatMap(([partitionKey, records]) => {
        const bytes = records[done.get(partitionKey) ?? 0];
        return bytes === undefined ? [] : [{ partitionKey, hashKey: hashOf(partitionKey), bytes }];
      });
      if (round.length === 0) return;
      const results = await this.#log.append(this.#stream, round);
      let throttled = 0;
      for (const [n, { partitionKey }] of round.entries())
        if (results[n]?.outcome === "appended") done.set(partitionKey, (done.get(partitionKey) ?? 0) + 1);
        else throttled++;
      if (throttled > 0) throw stillThrottled(this.#stream, throttled);
    }
  }

  #keep(task: string, place: Place): void {
    this.#places.delete(task);
    this.#places.set(task, place);
    if (this.#places.size > placesMax) this.#places.delete(this.#places.keys().next().value!);
  }
}

function byKey(records: readonly StoredRecord[]): ReadonlyMap<string, readonly Uint8Array[]> {
  const queues = new Map<string, Uint8Array[]>();
  for (const [key, bytes] of records) {
    const queue = queues.get(key);
    if (queue === undefined) queues.set(key, [bytes]);
    else queue.push(bytes);
  }
  return queues;
}

/** As Kinesis hashes a partition key itself: named, it shows whether the stream keeps to keys. */
function hashOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash("md5").update(partitionKey).digest("hex")}`);
}

function stillThrottled(stream: string, records: number): MillraceError {
  const message = "the stream throttles, it is tried again: give it more shards if this goes on";
  return new MillraceError("unavailable", `${message}: ${stream}, ${records} records`);
}
