/**
 * The watermark of one source in one task, over the shards that the task reads: a generator and a grid per shard, the valve
 * over the shards, and the decisions about idleness.
 *
 * S1 Idleness apart, the watermark is a function of the records before it. It moves per record, on the grid, never back.
 * S2 Processing time comes in with calls and only ever decides idleness and what follows from it.
 * S3 An idle shard that brings records holds the watermark back at once, as splits do in Flink (WatermarkOutputMultiplexer).
 * S4 A source that advances when idle is never idle to those after it: it goes on sending watermarks, from the wall clock,
 *    and receivers ignore the watermarks of idle channels.
 * S5 Shards of a source are a tree by parents: a child waits for all its parents to end and starts at their lowest (L8).
 */
import type { WatermarkSpec } from "../api/watermarks.ts";
import { assert } from "../base/assert.ts";
import { assertIdleAfter, idleFrom, isIdle } from "./idleness.ts";
import type { ValveInput } from "./valve-input.ts";
import { assertGridStep, floorToGrid, nextOnGrid } from "./watermark-grid.ts";
import { createGenerator, type ShardGenerator } from "./watermark-generator.ts";
import { WatermarkValve, type ValveChange } from "./watermark-valve.ts";
import { loadWatermark, minWatermark, storeWatermark, type StoredWatermark } from "./watermark.ts";

/** One shard as plain data. */
export interface StoredShardWatermark {
  readonly id: string;
  readonly at: StoredWatermark;
  readonly active: boolean;
  readonly ended: boolean;
  /** There while the shard waits for them to end. */
  readonly parents?: readonly string[];
  readonly generator: unknown;
  /** Processing time of the last read that brought records, or of the shard's start. */
  readonly seenAt: number;
}

/** All that a source's watermarks need to go on, as plain data for any self-describing format. */
export interface StoredSourceWatermarks {
  readonly watermark: StoredWatermark;
  readonly shards: readonly StoredShardWatermark[];
}

/**
 * The same where a generation begins from a checkpoint: no shard is idle before it has been read, for what it had been read up to when it
 * was may lie before what it has now. One that has nothing to read is so again at once.
 */
export function beginAgain(stored: StoredSourceWatermarks): StoredSourceWatermarks {
  const shards = stored.shards.map((shard) => {
    const { active, at } = shard;
    // It holds back what has not passed it by yet, as one does that brings records again (S3).
    const shown = active || loadWatermark(at) > loadWatermark(stored.watermark) ? at : stored.watermark;
    return { ...shard, at: shown, active: true };
  });
  return { ...stored, shards };
}

const unchanged: ValveChange = { watermark: undefined, status: undefined };

/** One shard: looked up once per batch, then asked per record. */
export class ShardWatermarks {
  readonly id: string;
  readonly #valve: WatermarkValve;
  readonly #input: ValveInput;
  readonly #generator: ShardGenerator;
  readonly #stepMs: number;
  /** The lowest watermark of the generator that would move the shard's. */
  #next: number;
  /** Of the last read that brought records, or of the shard's start; processing time. */
  seenAt: number;
  /** The last read found nothing, and nothing is behind. */
  caughtUp = false;
  /** It is not read for now, by decision: idle or not, there may be something to read. */
  paused = false;

  constructor(id: string, valve: WatermarkValve, generator: ShardGenerator, stepMs: number, seenAt: number) {
    this.id = id;
    this.#valve = valve;
    this.#input = valve.input(id);
    this.#generator = generator;
    this.#stepMs = stepMs;
    this.#next = nextOnGrid(this.#input.at, stepMs);
    this.seenAt = seenAt;
  }

  get live(): boolean {
    return this.#input.live;
  }

  get active(): boolean {
    return this.#input.active;
  }

  get ended(): boolean {
    return this.#input.ended;
  }

  /** The shard's own watermark, epoch ms. */
  get watermark(): number {
    return this.#input.at;
  }

  /**
   * Takes a record's value and its timestamp (epoch ms); returns the source's watermark if the record moved it: it stands
   * after the record. The shard must be live, and active by `onRecordsSeen`.
   */
  onRecord(value: unknown, timestamp: number): number | undefined {
    const watermark = this.#generator.onRecord(value, timestamp);
    return watermark >= this.#next ? this.#advance(watermark) : undefined;
  }

  #advance(watermark: number): number | undefined {
    assert(this.#input.live && this.#input.active, `records of a shard that is not live and active: ${this.id}`);
    const at = floorToGrid(watermark, this.#stepMs);
    this.#next = nextOnGrid(at, this.#stepMs);
    return this.#valve.advanceInput(this.#input, at);
  }

  /** The generator's state as plain data. */
  snapshotGenerator(): unknown {
    return this.#generator.snapshot();
  }
}

export class SourceWatermarks {
  readonly #spec: WatermarkSpec;
  readonly #stepMs: number;
  readonly #valve: WatermarkValve;
  readonly #shards = new Map<string, ShardWatermarks>();

  /** Of a source that starts, or goes on from `stored`. `stepMs` is the job's event-time grid. Throws `invalid`. */
  constructor(spec: WatermarkSpec, stepMs: number, stored?: StoredSourceWatermarks) {
    assertGridStep(stepMs);
    if (spec.idleAfter !== undefined) assertIdleAfter(spec.idleAfter);
    this.#spec = spec;
    this.#stepMs = stepMs;
    this.#valve = stored === undefined ? new WatermarkValve({ resumed: "hold" }) : restoreValve(stored);
    for (const { id, seenAt, generator } of stored?.shards ?? []) this.#track(id, seenAt, generator);
  }

  /** The source's watermark, epoch ms. */
  get watermark(): number {
    return this.#valve.watermark;
  }

  /** What those after the source are told: a source that advances when idle is always active. */
  get status(): "idle" | "active" {
    return this.#spec.advanceWhenIdle ? "active" : this.#valve.status;
  }

  /** The shard of this id. Throws `internal` when it was never added. */
  shard(id: string): ShardWatermarks {
    const shard = this.#shards.get(id);
    assert(shard !== undefined, `the source has no shard ${id}`);
    return shard;
  }

  has(id: string): boolean {
    return this.#shards.has(id);
  }

  /** The ids of the live shards, in the order in which they were added. */
  liveShards(): string[] {
    return this.#valve.liveInputs();
  }

  /**
   * Adds a shard; one that is known stays as it is. With parents that have not all ended it waits for them; parents that this
   * source never had say nothing. Add children before their parents end: the end of the last shard is the end of event time.
   */
  add(id: string, now: number, parents: readonly string[] = []): ValveChange {
    if (this.#shards.has(id)) return unchanged;
    const change = parents.length === 0 ? this.#valve.add(id) : this.#valve.addChild(id, parents);
    this.#track(id, now, undefined);
    return this.#shown(change);
  }

  /**
   * The lowest watermark of the shards that others should wait for: there is more to read, and they have a watermark. Infinity: there
   * is none.
   */
  get slowest(): number {
    let slowest = Infinity;
    for (const shard of this.#shards.values()) if (isBehind(shard)) slowest = Math.min(slowest, shard.watermark);
    return slowest;
  }

  /** Processing time of the longest ago that a shard was read that others wait for; Infinity: there is none. */
  get slowestSeenAt(): number {
    let seenAt = Infinity;
    for (const shard of this.#shards.values()) if (isBehind(shard)) seenAt = Math.min(seenAt, shard.seenAt);
    return seenAt;
  }

  /** Notes that a read of the shard found nothing, and that nothing is behind (L13). */
  onCaughtUp(id: string): void {
    const shard = this.shard(id);
    shard.caughtUp = true;
    shard.paused = false;
  }

  /**
   * Notes that the shard is not read for now, by decision: idleness does not count the time, and there may be something to read. One that is
   * idle is waited for, too: what it waits for may have been told while it was read, and nobody else may be left who tells more.
   */
  onPaused(id: string, now: number): void {
    const shard = this.shard(id);
    shard.caughtUp = false;
    shard.paused = true;
    shard.seenAt = Math.max(shard.seenAt, now);
  }

  /** Notes that a read of the shard brought records, before they are given to `onRecord`. An idle shard is active again. */
  onRecordsSeen(id: string, now: number): ValveChange {
    const shard = this.shard(id);
    shard.seenAt = Math.max(shard.seenAt, now);
    shard.caughtUp = false;
    shard.paused = false;
    return shard.active ? unchanged : this.#shown(this.#valve.setStatus(id, true));
  }

  /**
   * Decides whether a shard is idle now. To be asked only when a read from the shard's position was empty and its stream says
   * that nothing is behind (L13). With a strategy that advances when idle, ask `advanceIdle` afterwards.
   */
  decideIdle(id: string, now: number): ValveChange {
    const shard = this.shard(id);
    const { idleAfter } = this.#spec;
    if (idleAfter === undefined || !shard.live || !shard.active || !isIdle(shard.seenAt, now, idleAfter)) return unchanged;
    return this.#shown(this.#valve.setStatus(id, false));
  }

  /** When all shards are idle and the strategy says so: moves the watermark to now − bound, on the grid. Returns it if it moved. */
  advanceIdle(now: number): number | undefined {
    if (!this.#spec.advanceWhenIdle) return undefined;
    return this.#valve.advanceIdle(floorToGrid(now - this.#boundMs, this.#stepMs));
  }

  /**
   * The processing time at which idleness may change something: the first at which `decideIdle` would find a shard idle, or
   * at which `advanceIdle` would move the watermark; undefined when time alone changes nothing. It may be past.
   */
  nextIdleCheck(): number | undefined {
    const { idleAfter, advanceWhenIdle } = this.#spec;
    if (idleAfter === undefined) return undefined;
    if (this.#valve.status === "idle") return advanceWhenIdle ? this.#nextAdvance() : undefined;
    let earliest: number | undefined;
    for (const shard of this.#shards.values()) {
      if (!shard.live || !shard.active) continue;
      const at = idleFrom(shard.seenAt, idleAfter);
      if (earliest === undefined || at < earliest) earliest = at;
    }
    return earliest;
  }

  /**
   * The shard has ended; the children that waited for it alone become live. `continued`: its records go on in shards that
   * other tasks read, so that the end of the last shard here is not the end of event time.
   */
  end(id: string, now: number, continued = false): ValveChange {
    const waiting = [...this.#shards.values()].filter((shard) => !shard.live && !shard.ended);
    const change = this.#valve.end(id, continued);
    for (const child of waiting) if (child.live) child.seenAt = now;
    return this.#shown(change);
  }

  /** Drops an ended shard that no waiting one has as a parent: it will not be named again. */
  forget(id: string): void {
    this.#valve.forget(id);
    if (!this.#valve.has(id)) this.#shards.delete(id);
  }

  snapshot(): StoredSourceWatermarks {
    const shards = [...this.#valve.snapshot()].map(([id, status]): StoredShardWatermark => {
      const shard = this.shard(id);
      return { id, ...status, at: storeWatermark(status.at), generator: shard.snapshotGenerator(), seenAt: shard.seenAt };
    });
    return { watermark: storeWatermark(this.#valve.watermark), shards };
  }

  get #boundMs(): number {
    return this.#spec.boundMs ?? 0;
  }

  /** When now − bound reaches the next grid point; in the past while there is no watermark at all. */
  #nextAdvance(): number {
    return nextOnGrid(this.#valve.watermark, this.#stepMs) + this.#boundMs;
  }

  #track(id: string, seenAt: number, generatorState: unknown): void {
    const generator = createGenerator(this.#spec, generatorState);
    const stepMs = this.#spec.kind === "custom" && this.#spec.offGrid === true ? 1 : this.#stepMs;
    this.#shards.set(id, new ShardWatermarks(id, this.#valve, generator, stepMs, seenAt));
  }

  #shown(change: ValveChange): ValveChange {
    if (!this.#spec.advanceWhenIdle || change.status === undefined) return change;
    return { watermark: change.watermark, status: undefined };
  }
}

function isBehind({ live, active, paused, caughtUp, watermark }: ShardWatermarks): boolean {
  return live && (active || paused) && !caughtUp && watermark > minWatermark;
}

function restoreValve(stored: StoredSourceWatermarks): WatermarkValve {
  const inputs = stored.shards.map((shard) => {
    const { id, active, ended, parents } = shard;
    const at = loadWatermark(shard.at);
    return [id, parents === undefined ? { at, active, ended } : { at, active, ended, parents }] as const;
  });
  return WatermarkValve.restore(inputs, { floor: loadWatermark(stored.watermark), resumed: "hold" });
}
