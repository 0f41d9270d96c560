/**
 * Reads one shard and hands its records to its lanes; keeps the shard's checkpoint.
 *
 * C1 The checkpoint is the last record before which, itself included, all records of the shard are done.
 * C2 A shard has ended when it was read to its end, or is gone from the stream with all that it held, and all its records are done.
 * C3 Reading does not run ahead without bound: a lane that is stuck stops its shard in the end, and so every lane of it.
 */
import { isKind, messageOf } from "../../runtime/base/errors.ts";
import type { Delivery } from "./batch.ts";
import { Doorbell } from "./doorbell.ts";
import { eventRecord, type EventIdentity, payloadBytesMax } from "./kinesis-event.ts";
import { Lane, type LaneContext } from "./lane.ts";
import type { ReadFrom, SourceStream, StreamRecord } from "./source-stream.ts";

export interface ShardTimings {
  /** Between reads of a shard that has nothing more. */
  readonly pollIntervalMs: number;
  /** Between reads of a shard that has more: it allows five a second. */
  readonly catchUpIntervalMs: number;
}

export interface ShardContext extends Omit<LaneContext, "onDone"> {
  readonly stream: SourceStream;
  readonly identity: EventIdentity;
  readonly shardTimings: ShardTimings;
  readonly onCheckpoint: (sequenceNumber: string) => void;
}

const recordsPerRead = 10_000;

export class ShardConsumer {
  readonly #context: ShardContext;
  readonly #lanes: readonly Lane[];
  /** Read and not passed by the checkpoint, in the order of the shard. */
  #pending: Delivery[] = [];
  #pendingBytes = 0;
  readonly #room = new Doorbell();
  #lastRead: string | undefined;

  constructor(context: ShardContext) {
    this.#context = context;
    const lane = () => new Lane({ ...context, onDone: () => this.#moveCheckpoint() });
    this.#lanes = Array.from({ length: context.settings.parallelizationFactor }, lane);
  }

  /** Until the shard has ended, or, aborted, until what is under way has ended. */
  async run(from: ReadFrom, signal: AbortSignal): Promise<"ended" | "stopped"> {
    const lanes = this.#lanes.map((lane) => lane.run(signal));
    const isRead = await this.#read(from, signal);
    if (isRead) for (const lane of this.#lanes) lane.end();
    await Promise.all(lanes);
    return isRead && !signal.aborted ? "ended" : "stopped";
  }

  /** True: to the end of the shard. */
  async #read(from: ReadFrom, signal: AbortSignal): Promise<boolean> {
    const { clock, stream, shardId, shardTimings } = this.#context;
    let iterator: string | undefined;
    while (!signal.aborted) {
      if (!this.#hasRoom()) {
        await this.#room.wait(signal);
        continue;
      }
      try {
        iterator ??= await stream.getIterator(shardId, this.#goingOn(from));
        const read = await stream.getRecords(iterator, recordsPerRead);
        if (read === "expired") {
          iterator = undefined;
          continue;
        }
        this.#take(read.records);
        if (read.nextIterator === undefined) return true;
        iterator = read.nextIterator;
        const { catchUpIntervalMs, pollIntervalMs } = shardTimings;
        await clock.sleep(read.millisBehindLatest > 0 ? catchUpIntervalMs : pollIntervalMs, signal);
      } catch (error) {
        if (isKind(error, "invalid") && (await this.#isGone())) return true;
        this.#context.onEvent({ kind: "problem", message: messageOf(error) });
        await clock.sleep(shardTimings.pollIntervalMs, signal);
      }
    }
    return false;
  }

  /** A closed shard goes when the last of its records expires. */
  async #isGone(): Promise<boolean> {
    const { stream, shardId } = this.#context;
    try {
      return !(await stream.listShards()).some((shard) => shard.shardId === shardId);
    } catch {
      return false;
    }
  }

  #goingOn(from: ReadFrom): ReadFrom {
    return this.#lastRead === undefined ? from : { kind: "afterSequenceNumber", sequenceNumber: this.#lastRead };
  }

  /** Enough for a batch of each lane, and another. */
  #hasRoom(): boolean {
    const { batchSize, parallelizationFactor } = this.#context.settings;
    const recordsMax = Math.max(recordsPerRead, 2 * batchSize * parallelizationFactor);
    return this.#pending.length < recordsMax && this.#pendingBytes < payloadBytesMax * (parallelizationFactor + 1);
  }

  #take(records: readonly StreamRecord[]): void {
    if (records.length === 0) return;
    const deliveries = records.map((record) => this.#delivery(record));
    this.#lastRead = records.at(-1)!.sequenceNumber;
    this.#pending.push(...deliveries);
    for (const { bytes } of deliveries) this.#pendingBytes += bytes;
    const kept = deliveries.filter(({ isDone }) => !isDone);
    const { shardId, onEvent } = this.#context;
    onEvent({ kind: "polled", shardId, records: records.length, filteredOut: records.length - kept.length });
    for (const [at, lane] of this.#lanes.entries()) lane.add(kept.filter((delivery) => this.#laneOf(delivery) === at));
    this.#moveCheckpoint();
  }

  /** What the filters leave out is done at once. */
  #delivery(record: StreamRecord): Delivery {
    const { settings, identity, shardId, stream } = this.#context;
    const { sequenceNumber, partitionKey, arrivedAt } = record;
    const isKept = settings.filter?.(record.data) ?? true;
    const text = isKept ? (stream.eventRecord?.(identity, shardId, record) ?? eventRecord(identity, shardId, record)) : "";
    return { sequenceNumber, partitionKey, arrivedAt, text, bytes: Buffer.byteLength(text), isDone: !isKept };
  }

  #laneOf({ partitionKey }: Delivery): number {
    if (this.#lanes.length === 1) return 0;
    let hash = 0;
    for (const character of partitionKey) hash = (Math.imul(hash, 31) + character.codePointAt(0)!) >>> 0;
    return hash % this.#lanes.length;
  }

  /** C1. */
  #moveCheckpoint(): void {
    const open = this.#pending.findIndex(({ isDone }) => !isDone);
    const passed = this.#pending.splice(0, open < 0 ? this.#pending.length : open);
    if (passed.length === 0) return;
    for (const { bytes } of passed) this.#pendingBytes -= bytes;
    this.#context.onCheckpoint(passed.at(-1)!.sequenceNumber);
    this.#room.ring();
  }
}
