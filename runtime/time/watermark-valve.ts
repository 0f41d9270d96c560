/**
 * The valve: the watermark and the status of a whole made of many inputs (channels of a task, shards of a source, sides of an
 * operator). Owns no frames and no alignment of barriers.
 *
 * V1 The output watermark is the minimum over the inputs that are live, active and aligned. It never goes back, nor below
 *    the floor the valve was made with.
 * V2 Watermarks of idle, ended and waiting inputs are ignored, as are those that are not above the input's last.
 * V3 An input that is active again with a watermark below the output is, by the valve's `resumed`, either out of the minimum
 *    until it has caught up, or in it at once as if it stood at the output. An aligned input never stands below the output,
 *    so alignment follows from the snapshot and is not stored.
 * V4 When the last active input goes idle the valve is idle. If that input held the minimum, the highest watermark of all
 *    live inputs goes out before, so that the outcome does not depend on the order in which they went idle.
 * V5 An input with parents waits until all of them have ended, and starts at the lowest of their watermarks (L8).
 * V6 An input that has ended, or sent `maxWatermark`, leaves the minimum. When none is left, live or waiting, the output is
 *    `maxWatermark`, unless the last one is continued elsewhere. So an end beside idle inputs does not end event time.
 *
 * After Flink's StatusWatermarkValve ("catchUp") and CombinedWatermarkStatus ("hold"); both have fixed inputs from the start
 * or none that end, so V5 and V6 are ours. (In Flink an ended channel stays at the final watermark, which is then the minimum as soon as
 * all others are idle: FLINK-38477.)
 */
import { assert } from "../base/assert.ts";
import { AlignedInputs, ValveInput } from "./valve-input.ts";
import { maxWatermark, minWatermark } from "./watermark.ts";

/** What became of an input's change. When both are given, "active" is sent before the watermark, "idle" after it. */
export interface ValveChange {
  readonly watermark: number | undefined;
  readonly status: "idle" | "active" | undefined;
}

/** An input as plain data. `parents` is there while the input waits for them. */
export interface InputStatus {
  readonly at: number;
  readonly active: boolean;
  readonly ended: boolean;
  readonly parents?: readonly string[];
}

export interface ValveOptions {
  /** The output is never below this: a restored watermark. Default `minWatermark`. */
  readonly floor?: number;
  /**
   * Whether an input that is active again counts only once it has caught up with the output ("catchUp": channels of a
   * task, the default), or holds the output back at once ("hold": shards of a source, inputs of an operator).
   */
  readonly resumed?: "catchUp" | "hold";
}

const unchanged: ValveChange = { watermark: undefined, status: undefined };

export class WatermarkValve {
  readonly #inputs = new Map<string, ValveInput>();
  readonly #aligned = new AlignedInputs();
  readonly #holdResumed: boolean;
  #output: number;
  /** Inputs that are open, and those of them that are active. */
  #open = 0;
  #active = 0;
  #waiting = 0;

  constructor(options: ValveOptions = {}) {
    this.#output = options.floor ?? minWatermark;
    this.#holdResumed = options.resumed === "hold";
  }

  /**
   * A valve as it was when `snapshot()` gave `inputs` and its watermark was `floor`. A valve that begins with a restored
   * watermark but new inputs is made with the constructor and `add`.
   */
  static restore(
    inputs: Iterable<readonly [string, InputStatus]>,
    options: ValveOptions & { readonly floor: number },
  ): WatermarkValve {
    const valve = new WatermarkValve(options);
    for (const [name, status] of inputs) valve.#restoreInput(name, status);
    return valve;
  }

  /** The output watermark. */
  get watermark(): number {
    return this.#output;
  }

  /** Idle when there are inputs that something may still come from, and all of them are idle. */
  get status(): "idle" | "active" {
    return this.#open > 0 && this.#active === 0 ? "idle" : "active";
  }

  /** The input of this name, for callers that look it up once. Throws `internal` when there is none. */
  input(name: string): ValveInput {
    const input = this.#inputs.get(name);
    assert(input !== undefined, `the valve has no input ${name}`);
    return input;
  }

  /** Whether an input of this name was ever added; ended ones count until they are forgotten. */
  has(name: string): boolean {
    return this.#inputs.has(name);
  }

  /** The names of the live inputs, in the order in which they were added. */
  liveInputs(): string[] {
    return [...this.#inputs.values()].filter((input) => input.live).map((input) => input.name);
  }

  /**
   * Adds a live, active input that stands at `at`, or at the output if that is higher: it holds the output where it is.
   * An input that is known already stays as it is.
   */
  add(name: string, at: number = minWatermark): ValveChange {
    if (this.#inputs.has(name)) return unchanged;
    const before = this.status;
    const input = new ValveInput(name, at, undefined);
    this.#inputs.set(name, input);
    this.#start(input, at);
    return this.#changed(undefined, before);
  }

  /**
   * Adds an input that is live once all `parents` have ended, and then starts at the lowest of their watermarks. Parents that
   * the valve does not know say nothing; when it knows none of them the input is live at once, at the output.
   */
  addChild(name: string, parents: readonly string[]): ValveChange {
    if (this.#inputs.has(name)) return unchanged;
    const before = this.status;
    const input = new ValveInput(name, minWatermark, parents);
    this.#inputs.set(name, input);
    this.#waiting++;
    this.#startIfParentsEnded(input);
    return this.#changed(undefined, before);
  }

  /** Takes an input's watermark, which is not the final one; returns the output if it moved. */
  advance(name: string, at: number): number | undefined {
    assert(at < maxWatermark, `an input's final watermark is told by finish(): ${name}`);
    return this.advanceInput(this.input(name), at);
  }

  /** As `advance`, for an input of this valve that is at hand: no look-up, no allocation. */
  advanceInput(input: ValveInput, at: number): number | undefined {
    if (!(at > input.at) || !input.active || !input.live) return undefined;
    input.at = at;
    if (input.aligned) this.#aligned.grown(input);
    else if (at >= this.#output) this.#aligned.add(input);
    return this.#raiseToLowest();
  }

  /** Takes an input's final watermark: it leaves the minimum, and nothing that still comes from it counts (V6). */
  finish(name: string): ValveChange {
    const input = this.input(name);
    if (!input.open || !input.active) return unchanged;
    const before = this.status;
    const heldLowest = input.at === this.#output;
    this.#leave(input);
    input.at = maxWatermark;
    return this.#changed(this.#watermarkAfterEnd(heldLowest && before === "active", false), before);
  }

  /** Takes an input's status. A repeated one, and that of an input that is not open, changes nothing. */
  setStatus(name: string, active: boolean): ValveChange {
    const input = this.input(name);
    if (!input.open || input.active === active) return unchanged;
    const before = this.status;
    return active ? this.#resume(input, before) : this.#idle(input, before);
  }

  /**
   * The input has ended: its last watermark stands for those that start after it. `continued`: it goes on in another task,
   * so the end of the last one is not the end of event time. A repeated end changes nothing.
   */
  end(name: string, continued = false): ValveChange {
    const input = this.input(name);
    if (input.ended) return unchanged;
    assert(input.live, `an input cannot end before its parents have: ${name}`);
    const before = this.status;
    const heldLowest = input.open && input.at === this.#output;
    if (input.open) this.#leave(input);
    input.ended = true;
    for (const child of this.#inputs.values()) this.#startIfParentsEnded(child);
    return this.#changed(this.#watermarkAfterEnd(heldLowest && before === "active", continued), before);
  }

  /** Drops an ended input that no waiting input has as a parent; others stay. */
  forget(name: string): void {
    const input = this.#inputs.get(name);
    if (input === undefined || !input.ended) return;
    for (const other of this.#inputs.values()) if (other.waitsFor?.includes(name)) return;
    this.#inputs.delete(name);
  }

  /** Moves the output of an idle valve on, never back; returns it if it moved. An active valve stays where it is. */
  advanceIdle(at: number): number | undefined {
    if (this.status === "active" || !(at > this.#output)) return undefined;
    return (this.#output = at);
  }

  /** All inputs as plain data; with `watermark`, all that `restore` needs. */
  snapshot(): Map<string, InputStatus> {
    const inputs = new Map<string, InputStatus>();
    for (const { name, at, active, ended, waitsFor } of this.#inputs.values()) {
      inputs.set(name, waitsFor === undefined ? { at, active, ended } : { at, active, ended, parents: waitsFor });
    }
    return inputs;
  }

  #restoreInput(name: string, status: InputStatus): void {
    const input = new ValveInput(name, status.at, status.parents);
    input.active = status.active;
    input.ended = status.ended;
    this.#inputs.set(name, input);
    if (input.waitsFor !== undefined) this.#waiting++;
    if (!input.open) return;
    this.#open++;
    if (!input.active) return;
    this.#active++;
    if (input.at >= this.#output) this.#aligned.add(input);
  }

  #start(input: ValveInput, at: number): void {
    input.at = Math.max(at, this.#output);
    if (!input.open) return;
    this.#open++;
    this.#active++;
    this.#aligned.add(input);
  }

  #startIfParentsEnded(input: ValveInput): void {
    if (input.waitsFor === undefined) return;
    let lowest = maxWatermark;
    for (const name of input.waitsFor) {
      const parent = this.#inputs.get(name);
      if (parent === undefined) continue;
      if (!parent.ended) return;
      lowest = Math.min(lowest, parent.at);
    }
    const known = input.waitsFor.some((name) => this.#inputs.has(name));
    input.waitsFor = undefined;
    this.#waiting--;
    this.#start(input, known ? lowest : minWatermark);
  }

  #resume(input: ValveInput, before: "idle" | "active"): ValveChange {
    input.active = true;
    this.#active++;
    if (this.#holdResumed && input.at < this.#output) input.at = this.#output;
    if (input.at >= this.#output) this.#aligned.add(input);
    return this.#changed(undefined, before);
  }

  #idle(input: ValveInput, before: "idle" | "active"): ValveChange {
    input.active = false;
    this.#active--;
    this.#aligned.remove(input);
    if (input.at !== this.#output) return this.#changed(undefined, before);
    return this.#changed(this.#active === 0 ? this.#flush() : this.#raiseToLowest(), before);
  }

  #leave(input: ValveInput): void {
    this.#aligned.remove(input);
    this.#open--;
    if (input.active) this.#active--;
  }

  #watermarkAfterEnd(heldLowest: boolean, continued: boolean): number | undefined {
    if (this.#active > 0) return this.#raiseToLowest();
    if (this.#open > 0) return heldLowest ? this.#flush() : undefined;
    return continued || this.#waiting > 0 ? undefined : this.#raise(maxWatermark);
  }

  #raiseToLowest(): number | undefined {
    return this.#aligned.size === 0 ? undefined : this.#raise(this.#aligned.lowest);
  }

  #flush(): number | undefined {
    let highest = minWatermark;
    for (const input of this.#inputs.values()) if (input.open && input.at > highest) highest = input.at;
    return this.#raise(highest);
  }

  #raise(at: number): number | undefined {
    if (at <= this.#output) return undefined;
    return (this.#output = at);
  }

  #changed(watermark: number | undefined, before: "idle" | "active"): ValveChange {
    const status = this.status === before ? undefined : this.status;
    return watermark === undefined && status === undefined ? unchanged : { watermark, status };
  }
}
