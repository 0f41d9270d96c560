/**
 * One source in one task: decodes records, takes their timestamps, makes watermarks, knows how far each shard is complete.
 *
 * Owns positions and the source's watermarks. Does not own reading: records come in as the driver read them.
 *
 * I1 Records at or before the position are passed over: a batch may be given again.
 * I2 A record's watermark follows the record, and is no part of its unit of work: it is the source's, whatever becomes of the
 *    record, and the timers that it fires are units of their own.
 */
import type { DecodeTarget, SourceRecord } from "../api/connector.ts";
import type { OperatorSpec, RecordMeta } from "../api/graph.ts";
import type { AlignmentSpec } from "../api/watermarks.ts";
import { assert } from "../base/assert.ts";
import { messageOf, MillraceError } from "../base/errors.ts";
import type { Position, ShardId } from "../base/ids.ts";
import type { ShardProgress, SourceProgress } from "../state/commit.ts";
import { comparePositions, isBefore } from "../streaming/position.ts";
import { type ShardWatermarks, SourceWatermarks, type StoredSourceWatermarks } from "../time/source-watermarks.ts";
import { isTimestamp, notATimestamp } from "../time/timestamp.ts";
import type { ValveChange } from "../time/watermark-valve.ts";
import { maxWatermark, minWatermark } from "../time/watermark.ts";
import { blame } from "./blame.ts";
import type { NodeOutput } from "./node-output.ts";
import type { UnitOrigin, Units } from "./units.ts";

/** A batch of one shard, and how far it is fed. */
export interface RecordsInput {
  readonly source: string;
  readonly shard: ShardId;
  readonly records: readonly SourceRecord[];
  at: number;
  /** Feeding stops once the shard's watermark is above it; what is left will be read again. Default: no limit. */
  readonly upTo?: number;
}

interface OpenShard {
  position: Position | "horizon";
  readUpTo: number;
  ended: boolean;
  readonly parents: readonly ShardId[];
  /** See `ShardProgress`. */
  tip: Position | undefined;
  readonly watermarks: ShardWatermarks | undefined;
}

export interface SourceInputOptions {
  readonly uid: string;
  readonly spec: OperatorSpec & { kind: "source" };
  readonly stepMs: number;
  /** Time only ends. */
  readonly batch: boolean;
  readonly progress: SourceProgress | undefined;
  /** Whether the task reads all shards of the source: the end of the last is the end of event time. */
  readonly whole: boolean;
  /** Processing time at which the task stands: when shards without a watermark of their own begin. */
  readonly now: number;
  readonly output: NodeOutput;
  readonly units: Units;
  readonly reject: (origin: UnitOrigin, operator: string, reason: string) => void;
}

export class SourceInput implements DecodeTarget<unknown>, RecordMeta {
  readonly uid: string;
  private readonly spec: OperatorSpec & { kind: "source" };
  private readonly output: NodeOutput;
  private readonly units: Units;
  private readonly rejected: SourceInputOptions["reject"];
  private readonly whole: boolean;
  private readonly watermarks: SourceWatermarks | undefined;
  private readonly shards = new Map<ShardId, OpenShard>();
  /** How many values were taken in since the task was made. */
  taken = 0;
  private record: SourceRecord | undefined;
  /** Values of the current record that are not yet taken in, last first: each is a unit of its own. */
  private values: unknown[] = [];
  private value: unknown;
  /** The watermark that follows the current value. */
  private dueWatermark: number | undefined;
  private currentShard: OpenShard | undefined;
  private currentId = "";
  private readonly origin: UnitOrigin;
  private readonly work: () => void;

  constructor(options: SourceInputOptions) {
    const { spec, progress } = options;
    this.uid = options.uid;
    this.whole = options.whole;
    this.spec = spec;
    this.output = options.output;
    this.units = options.units;
    this.rejected = options.reject;
    if (spec.watermarks !== undefined && !options.batch)
      this.watermarks = new SourceWatermarks(
        spec.watermarks,
        options.stepMs,
        progress?.watermarks as StoredSourceWatermarks | undefined,
      );
    for (const [shard, known] of progress?.shards ?? []) {
      // A shard that was not read yet holds the watermark back from the beginning.
      if (!known.ended) this.watermarks?.add(shard, options.now, known.parents);
      this.open(shard, known);
    }
    const operator = () => this.uid;
    const came = {
      bytes: () => this.current.bytes,
      header: () => this.current.header,
      delivery: () => this.current.delivery?.id,
    };
    this.origin = { kind: "record", operator, source: this.uid, shard: "", position: () => this.position, ...came };
    Object.defineProperty(this.origin, "shard", { get: () => this.currentId });
    this.work = () => this.take(this.value);
  }

  private open(shard: ShardId, { position, readUpTo, ended, parents, tip }: ShardProgress): void {
    const watermarks = this.watermarks?.has(shard) ? this.watermarks.shard(shard) : undefined;
    this.shards.set(shard, { position, readUpTo, ended, parents, tip, watermarks });
  }

  /** Adds a shard that is to be read from the beginning; one that is known stays as it is. */
  addShard(shard: ShardId, parents: readonly ShardId[], now: number): ValveChange | undefined {
    if (this.shards.has(shard)) return undefined;
    const change = this.watermarks?.has(shard) === false ? this.watermarks.add(shard, now, parents) : undefined;
    this.open(shard, { position: "horizon", readUpTo: now, ended: false, parents });
    return change;
  }

  has(shard: ShardId): boolean {
    return this.shards.has(shard);
  }

  /** A shard may be read when all its parents that this task knows have ended, and it has not (L8). */
  isLive(shard: ShardId): boolean {
    const open = this.shards.get(shard);
    return open !== undefined && !open.ended && open.parents.every((parent) => this.shards.get(parent)?.ended ?? true);
  }

  isEnded(shard: ShardId): boolean {
    return this.shards.get(shard)?.ended ?? false;
  }

  /** Shards that have not been read to their end. */
  get unended(): readonly ShardId[] {
    return [...this.shards].filter(([, { ended }]) => !ended).map(([shard]) => shard);
  }

  positionOf(shard: ShardId): Position | "horizon" {
    return this.shards.get(shard)?.position ?? "horizon";
  }

  /** Epoch ms: what had arrived by then is read. */
  readUpTo(shard: ShardId): number {
    return this.shards.get(shard)?.readUpTo ?? -Infinity;
  }

  /** A read in this generation, which is not the first, found that nothing more is there behind `tip`. Only the first is kept. */
  noteTip(shard: ShardId, tip: Position): void {
    const open = this.shards.get(shard);
    if (open !== undefined) open.tip ??= tip;
  }

  /** All is taken in that was there when the generation began. */
  hasReachedTip(shard: ShardId): boolean {
    const open = this.shards.get(shard);
    return open?.tip !== undefined && !isBefore(open.position, open.tip);
  }

  get allEnded(): boolean {
    for (const shard of this.shards.values()) if (!shard.ended) return false;
    return this.shards.size > 0;
  }

  get watermark(): number | undefined {
    return this.watermarks?.watermark;
  }

  /** Where the source's event time stands: at its end when no shard will bring anything more. */
  get time(): number {
    return this.allEnded && this.whole ? maxWatermark : (this.watermark ?? minWatermark);
  }

  get idle(): boolean {
    return this.watermarks?.status === "idle";
  }

  // ---- alignment ----

  /** Undefined: the source waits for no others. */
  get alignment(): AlignmentSpec | undefined {
    return this.watermarks === undefined ? undefined : this.spec.watermarks?.alignment;
  }

  /** The lowest watermark of its shards that others wait for; Infinity: there is none. */
  get slowest(): number {
    return this.watermarks?.slowest ?? Infinity;
  }

  /** When its shards that others wait for should be read, if nothing rings before; Infinity: there is none. */
  nextAlignmentCheck(): number {
    const { alignment, watermarks } = this;
    if (alignment === undefined || watermarks === undefined) return Infinity;
    return watermarks.slowestSeenAt + Math.max(1, alignment.updateIntervalMs);
  }

  /** A read of the shard found nothing, and nothing is behind: nobody waits for it. */
  noteCaughtUp(shard: ShardId, now: number): void {
    if (!this.isLive(shard)) return;
    const open = this.shards.get(shard) as OpenShard;
    open.readUpTo = Math.max(open.readUpTo, now);
    this.watermarks?.onCaughtUp(shard);
  }

  /** The task was last heard of with nothing to read. */
  assumeCaughtUp(): void {
    for (const shard of this.shards.keys()) if (this.watermarks?.has(shard)) this.watermarks.onCaughtUp(shard);
  }

  watermarkOf(shard: ShardId): number {
    return this.shards.get(shard)?.watermarks?.watermark ?? minWatermark;
  }

  /** The shard waits for others: it is not read for now. */
  pause(shard: ShardId, now: number): void {
    if (this.isLive(shard)) this.watermarks?.onPaused(shard, now);
  }

  // ---- feeding ----

  /** Drops from the input what is complete already. */
  skipKnown(input: RecordsInput): void {
    const position = this.positionOf(input.shard);
    if (position === "horizon") return;
    while (input.at < input.records.length && comparePositions((input.records[input.at] as SourceRecord).position, position) <= 0)
      input.at++;
  }

  /** To be called before the first record of a batch. */
  begin(input: RecordsInput, now: number): ValveChange | undefined {
    const open = this.shards.get(input.shard);
    assert(open !== undefined, `shard ${input.shard} of source ${this.uid} is unknown to the task`);
    this.currentShard = open;
    this.currentId = input.shard;
    return this.watermarks?.onRecordsSeen(input.shard, now);
  }

  /** Guarded: whether the next unit may begin now. */
  mayBegin(input: RecordsInput): boolean {
    if (this.values.length === 0) this.record = input.records[input.at] as SourceRecord;
    return this.units.mayBegin(this.origin);
  }

  /** Takes the next value of the input; a record is passed when its last value is taken. */
  feedOne(input: RecordsInput): void {
    this.passWatermark();
    if (this.values.length === 0) {
      this.record = input.records[input.at] as SourceRecord;
      if (this.units.guarded && this.units.bury(this.origin)) return void input.at++;
      this.decode(this.record);
    }
    if (this.values.length > 0) {
      this.value = this.values.pop();
      this.units.record(this.origin, this.work);
    }
    if (this.values.length === 0) input.at++;
    if (!this.units.interrupted) this.passWatermark();
  }

  /** Some values of the current record are not yet taken. */
  get isWithinRecord(): boolean {
    return this.values.length > 0;
  }

  /** The watermark that a record brought follows its unit of work and is not part of it: timers that fail are to blame themselves. */
  passWatermark(): void {
    const watermark = this.dueWatermark;
    if (watermark === undefined) return;
    this.dueWatermark = undefined;
    this.output.watermark(watermark);
  }

  private decode(record: SourceRecord): void {
    try {
      this.spec.source.decode(record, this);
    } catch (error) {
      this.values = [];
      return this.reject(messageOf(error));
    }
    if (this.values.length > 1) this.values.reverse();
  }

  /** The batch was fed up to `at`. */
  end(input: RecordsInput): void {
    const last = input.records[input.at - 1];
    if (last === undefined) return;
    const open = this.currentShard as OpenShard;
    open.position = last.position as Position;
    open.readUpTo = Math.max(open.readUpTo, last.arrivalTime);
  }

  accept(value: unknown): void {
    this.taken++;
    this.values.push(value);
  }

  private take(value: unknown): void {
    const { spec } = this;
    const timestamp = spec.timestamps === undefined ? this.current.arrivalTime : this.timestampOf(value);
    const watermarks = this.currentShard?.watermarks;
    if (watermarks !== undefined) {
      try {
        this.dueWatermark = watermarks.onRecord(value, timestamp);
      } catch (error) {
        throw blame(error, this.uid);
      }
    }
    this.output.emit(value, timestamp);
  }

  reject(reason: string, bytes?: Uint8Array): void {
    this.taken++;
    const origin = bytes === undefined ? this.origin : { ...this.origin, shard: this.currentId, bytes: () => bytes };
    this.rejected(origin as UnitOrigin, this.uid, reason);
  }

  private timestampOf(value: unknown): number {
    let timestamp: unknown;
    try {
      timestamp = this.spec.timestamps?.(value, this);
    } catch (error) {
      throw new MillraceError("invalid", `no timestamp: ${messageOf(error)}`, { cause: error, context: { operator: this.uid } });
    }
    if (isTimestamp(timestamp)) return timestamp;
    throw notATimestamp(timestamp, this.uid);
  }

  private get current(): SourceRecord {
    return this.record as SourceRecord;
  }

  // RecordMeta of the current record
  get shard(): string {
    return this.currentId;
  }
  get position(): string {
    return this.current.position;
  }
  get arrivalTime(): number {
    return this.current.arrivalTime;
  }
  get partitionKey(): string {
    return this.current.partitionKey;
  }

  // ---- ends and idleness ----

  /** The shard has ended. `continued`: other tasks read its children. Children read by this task must have been added. */
  endShard(shard: ShardId, now: number, continued: boolean): ValveChange | undefined {
    const open = this.shards.get(shard) as OpenShard;
    open.ended = true;
    return (
      this.watermarks?.end(shard, now, continued) ??
      (this.allEnded && !continued ? { watermark: maxWatermark, status: undefined } : undefined)
    );
  }

  /** A read from the shard's position was empty and nothing is behind (L13). */
  decideIdle(shard: ShardId, now: number): ValveChange | undefined {
    const { watermarks } = this;
    if (watermarks === undefined || !this.isLive(shard)) return undefined;
    const change = watermarks.decideIdle(shard, now);
    const advanced = watermarks.advanceIdle(now);
    return advanced === undefined ? change : { ...change, watermark: advanced };
  }

  /** When idleness must be looked at; undefined: time changes nothing. */
  nextIdleCheck(): number | undefined {
    return this.watermarks?.nextIdleCheck();
  }

  /**
   * The same, as late as it may be: a shard that has been idle for its time may be found so when it has been for twice that. Where event
   * time goes on by the clock then, it is looked at in time.
   */
  nextIdleCheckBy(): number | undefined {
    const at = this.nextIdleCheck();
    const { idleAfter = 0, advanceWhenIdle } = this.spec.watermarks ?? {};
    return at === undefined || advanceWhenIdle === true ? at : at + idleAfter;
  }

  progress(): SourceProgress {
    const shards = new Map<ShardId, ShardProgress>();
    for (const [shard, { position, readUpTo, ended, parents, tip }] of this.shards)
      shards.set(shard, { position, readUpTo, ended, parents, ...(tip !== undefined && { tip }) });
    return { shards, watermarks: this.watermarks?.snapshot() };
  }
}
