/**
 * The valve of an operator that keeps two inputs apart: one valve over the channels of each side, and the lower of both sides' watermarks.
 * Owns which input belongs to which side.
 *
 * S1 The output is the minimum over the sides that are neither idle nor at their end, and the final watermark when all are at their end.
 *    It never goes back, nor below the floor.
 * S2 A side that is active again holds the output where it is until it has caught up.
 * S3 With both sides idle the output stays: a side's own valve flushes when its last input goes idle (V4), this one does not.
 * S4 A side without any input does not count: a task may run an operator for one of its sides alone.
 *
 * After Flink's IndexedCombinedWatermarkStatus over a StatusWatermarkValve per input.
 */
import { assert } from "../base/assert.ts";
import { maxWatermark, minWatermark } from "./watermark.ts";
import { type InputStatus, type ValveChange, WatermarkValve } from "./watermark-valve.ts";

/** The left (0) or the right (1) side. */
export type ValveSide = 0 | 1;

/** As `ValveChange`; `flushed` is a watermark that goes out before all else: the last that an idle side had to say. */
export interface TwoInputChange extends ValveChange {
  readonly flushed?: number | undefined;
}

/** A side as plain data. */
export interface SideStatus {
  readonly watermark: number;
  readonly inputs: ReadonlyMap<string, InputStatus>;
}

export class TwoInputValve {
  readonly #sides: readonly [WatermarkValve, WatermarkValve];
  readonly #sideOf = new Map<string, ValveSide>();
  /** What has been told of each side; behind its valve while a change is being taken in. */
  readonly #idle: [boolean, boolean] = [false, false];
  readonly #present: [boolean, boolean] = [false, false];
  #output: number;

  /** `floor`: a restored watermark, below which neither side begins. */
  constructor(floor: number = minWatermark) {
    this.#sides = [new WatermarkValve({ floor }), new WatermarkValve({ floor })];
    this.#output = floor;
  }

  /** A valve as it was when `snapshot()` gave `sides` and its watermark was `floor`. */
  static restore(sides: readonly [SideStatus, SideStatus], floor: number): TwoInputValve {
    const valve = new TwoInputValve(floor);
    for (const side of [0, 1] as const) valve.#restoreSide(side, sides[side]);
    return valve;
  }

  #restoreSide(side: ValveSide, { watermark, inputs }: SideStatus): void {
    const valve = WatermarkValve.restore(inputs, { floor: watermark });
    (this.#sides as [WatermarkValve, WatermarkValve])[side] = valve;
    for (const name of inputs.keys()) this.#note(name, side);
    this.#idle[side] = valve.status === "idle";
  }

  #note(name: string, side: ValveSide): void {
    this.#sideOf.set(name, side);
    this.#present[side] = true;
  }

  /** The output watermark. */
  get watermark(): number {
    return this.#output;
  }

  get status(): "idle" | "active" {
    return this.#isIdle ? "idle" : "active";
  }

  get #isIdle(): boolean {
    const [left, right] = [this.#isOpen(0), this.#isOpen(1)];
    return (left || right) && (!left || this.#idle[0]) && (!right || this.#idle[1]);
  }

  /** It has inputs, and its event time has not ended. */
  #isOpen(side: ValveSide): boolean {
    return this.#present[side] && this.#sides[side].watermark < maxWatermark;
  }

  has(name: string): boolean {
    return this.#sideOf.has(name);
  }

  /** Adds a live, active input to a side, as `WatermarkValve.add`. */
  add(name: string, side: ValveSide): ValveChange {
    if (this.has(name)) return { watermark: undefined, status: undefined };
    const before = this.#isIdle;
    this.#note(name, side);
    return this.#changed(side, this.#sides[side].add(name), before);
  }

  /** Adds an input to the side of its parents, one of which must be known; as `WatermarkValve.addChild`. */
  addChild(name: string, parents: readonly string[]): TwoInputChange {
    const before = this.#isIdle;
    const known = parents.find((parent) => this.has(parent));
    assert(known !== undefined, `an input's side is that of its parents: ${name}`);
    const side = this.#side(known);
    this.#note(name, side);
    return this.#changed(side, this.#sides[side].addChild(name, parents), before);
  }

  #side(name: string): ValveSide {
    const side = this.#sideOf.get(name);
    assert(side !== undefined, `the valve has no input ${name}`);
    return side;
  }

  /** Takes an input's watermark; returns the output if it moved. */
  advance(name: string, at: number): number | undefined {
    return this.#sides[this.#side(name)].advance(name, at) === undefined ? undefined : this.#raiseToLower();
  }

  /** Takes an input's final watermark, as `WatermarkValve.finish`. */
  finish(name: string): TwoInputChange {
    const side = this.#side(name);
    const before = this.#isIdle;
    return this.#changed(side, this.#sides[side].finish(name), before);
  }

  setStatus(name: string, active: boolean): TwoInputChange {
    const side = this.#side(name);
    const before = this.#isIdle;
    return this.#changed(side, this.#sides[side].setStatus(name, active), before);
  }

  end(name: string, continued = false): TwoInputChange {
    const side = this.#side(name);
    const before = this.#isIdle;
    return this.#changed(side, this.#sides[side].end(name, continued), before);
  }

  /** Both sides as plain data; with `watermark`, all that `restore` needs. */
  snapshot(): readonly [SideStatus, SideStatus] {
    const [left, right] = this.#sides.map((valve) => ({ watermark: valve.watermark, inputs: valve.snapshot() }));
    return [left!, right!];
  }

  /** In the order in which a side tells it: that it is active, its watermark, that it is idle. */
  #changed(side: ValveSide, change: ValveChange, before: boolean): TwoInputChange {
    if (change.status === "active") this.#idle[side] = false;
    const first = change.watermark === undefined ? undefined : this.#raiseToLower();
    if (change.status === "idle") this.#idle[side] = true;
    const second = change.status === undefined ? undefined : this.#raiseToLower();
    const status = this.#isIdle === before ? undefined : this.status;
    return second === undefined ? { watermark: first, status } : { flushed: first, watermark: second, status };
  }

  /** Every side with inputs is at its end. */
  get #hasEnded(): boolean {
    return (this.#present[0] || this.#present[1]) && !this.#isOpen(0) && !this.#isOpen(1);
  }

  /** S1 */
  #raiseToLower(): number | undefined {
    let lowest = maxWatermark;
    for (const side of [0, 1] as const) {
      if (!this.#isOpen(side)) continue;
      if (!this.#idle[side]) lowest = Math.min(lowest, this.#sides[side].watermark);
    }
    if (lowest <= this.#output || (lowest === maxWatermark && !this.#hasEnded)) return undefined;
    return (this.#output = lowest);
  }
}
