import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { WatermarkValve, type ValveChange } from "../../runtime/time/watermark-valve.ts";
import { maxWatermark, minWatermark } from "../../runtime/time/watermark.ts";

type Step =
  /** By so much above the output, so that inputs stay close to each other. */
  | { readonly do: "advance"; readonly input: number; readonly ahead: number }
  | { readonly do: "status"; readonly input: number; readonly active: boolean }
  | { readonly do: "end" | "finish"; readonly input: number }
  | { readonly do: "add"; readonly parents: readonly number[] };

const input = fc.nat(4);
const advance = fc.record({ do: fc.constant("advance" as const), input, ahead: fc.integer({ min: -2, max: 3 }) });
const status = fc.record({ do: fc.constant("status" as const), input, active: fc.boolean() });
const end = fc.record({ do: fc.constantFrom("end" as const, "finish" as const), input });
const add = fc.record({ do: fc.constant("add" as const), parents: fc.uniqueArray(input, { maxLength: 2 }) });
const fixedSteps = fc.array(fc.oneof({ weight: 3, arbitrary: advance }, status), { maxLength: 60, size: "max" });
const livingSteps = fc.array(fc.oneof({ weight: 6, arbitrary: advance }, { weight: 3, arbitrary: status }, end, add), {
  maxLength: 60,
  size: "max",
});

interface ModelInput {
  at: number;
  active: boolean;
  ended: boolean;
  aligned: boolean;
  parents: number[] | undefined;
}

/** The valve by scanning everything, every time; it keeps `aligned` where the valve derives it. */
class Model {
  readonly inputs: ModelInput[] = [];
  output = minWatermark;
  readonly hold: boolean;

  constructor(hold: boolean) {
    this.hold = hold;
  }

  /** Something may still come from them. */
  open = (): ModelInput[] => this.inputs.filter((i) => !i.ended && i.parents === undefined && i.at < maxWatermark);
  get idle(): boolean {
    return this.open().length > 0 && this.open().every((i) => !i.active);
  }

  #raise(candidates: ModelInput[], pick: (...n: number[]) => number): void {
    if (candidates.length > 0) this.output = Math.max(this.output, pick(...candidates.map((i) => i.at)));
  }
  #minimum(): void {
    this.#raise(
      this.open().filter((i) => i.aligned),
      Math.min,
    );
  }

  add(parents: number[]): void {
    this.inputs.push({ at: minWatermark, active: true, ended: false, aligned: false, parents });
    this.#startChildren();
  }

  #startChildren(): void {
    for (const child of this.inputs) {
      if (child.parents?.every((p) => this.inputs[p]!.ended)) {
        const known = child.parents.length > 0 ? Math.min(...child.parents.map((p) => this.inputs[p]!.at)) : minWatermark;
        Object.assign(child, { at: Math.max(known, this.output), aligned: true, parents: undefined });
      }
    }
  }

  advance(n: number, at: number): void {
    const i = this.inputs[n]!;
    if (i.ended || i.parents !== undefined || !i.active || at <= i.at) return;
    i.at = at;
    if (at >= this.output) i.aligned = true;
    this.#minimum();
  }

  setStatus(n: number, active: boolean): void {
    const i = this.inputs[n]!;
    if (!this.open().includes(i) || i.active === active) return;
    i.active = active;
    if (active && this.hold) i.at = Math.max(i.at, this.output);
    i.aligned = active && i.at >= this.output;
    if (!active && i.at === this.output) {
      if (this.idle) this.#raise(this.open(), Math.max);
      else this.#minimum();
    }
  }

  end(n: number): void {
    this.#leave(n, { ended: true, aligned: false });
  }

  finish(n: number): void {
    const i = this.inputs[n]!;
    if (this.open().includes(i) && i.active) this.#leave(n, { at: maxWatermark, aligned: false });
  }

  #leave(n: number, left: Partial<ModelInput>): void {
    const i = this.inputs[n]!;
    const wasIdle = this.idle;
    const held = i.at === this.output;
    Object.assign(i, left);
    this.#startChildren();
    if (this.open().length === 0) {
      if (this.inputs.every(({ parents }) => parents === undefined)) this.output = maxWatermark;
    } else if (!this.idle) this.#minimum();
    else if (held && !wasIdle) this.#raise(this.open(), Math.max);
  }
}

const name = (n: number): string => `input-${n}`;

/** Applies a step to both; returns the change, or undefined when the step does not apply. */
function apply(step: Step, valve: WatermarkValve, model: Model): ValveChange | undefined {
  if (step.do === "add") {
    const parents = step.parents.filter((p) => p < model.inputs.length);
    const at = model.inputs.length;
    model.add(parents);
    return parents.length === 0 ? valve.add(name(at)) : valve.addChild(name(at), parents.map(name));
  }
  const target = model.inputs[step.input];
  if (target === undefined) return undefined;
  if (step.do === "advance") {
    const at = Math.max(model.output, 0) + step.ahead;
    if (at === maxWatermark) return undefined;
    model.advance(step.input, at);
    return { watermark: valve.advance(name(step.input), at), status: undefined };
  }
  if (step.do === "status") {
    model.setStatus(step.input, step.active);
    return valve.setStatus(name(step.input), step.active);
  }
  if (target.ended || target.parents !== undefined) return undefined;
  if (step.do === "finish") {
    model.finish(step.input);
    return valve.finish(name(step.input));
  }
  model.end(step.input);
  return valve.end(name(step.input));
}

function checkAgainstModel(steps: readonly Step[], resumed: "catchUp" | "hold", restoreAlways: boolean): void {
  const model = new Model(resumed === "hold");
  let valve = new WatermarkValve({ resumed });
  for (let n = 0; n < 3; n++) {
    model.add([]);
    valve.add(name(n));
  }
  for (const step of steps) {
    const before = { watermark: valve.watermark, status: valve.status };
    const change = apply(step, valve, model);
    assert.equal(valve.watermark, model.output);
    assert.equal(valve.status, model.idle ? "idle" : "active");
    if (change !== undefined) {
      assert.equal(change.watermark, valve.watermark > before.watermark ? valve.watermark : undefined);
      assert.equal(change.status, valve.status !== before.status ? valve.status : undefined);
    }
    assert.ok(valve.watermark >= before.watermark);
    if (restoreAlways) valve = WatermarkValve.restore(valve.snapshot(), { resumed, floor: valve.watermark });
  }
}

describe("watermark valve", () => {
  for (const resumed of ["catchUp", "hold"] as const) {
    for (const restoreAlways of [false, true]) {
      const how = `${resumed}${restoreAlways ? ", restored after every step" : ""}`;
      it(`V1–V4: is what a scan of all inputs gives, with fixed inputs (${how})`, () => {
        fc.assert(
          fc.property(fixedSteps, (steps) => checkAgainstModel(steps, resumed, restoreAlways)),
          { numRuns: 800 },
        );
      });
      it(`V1–V6: is what a scan of all inputs gives, with inputs that come and end (${how})`, () => {
        fc.assert(
          fc.property(livingSteps, (steps) => checkAgainstModel(steps, resumed, restoreAlways)),
          { numRuns: 800 },
        );
      });
    }
  }

  it("V3: a resumed channel lets the others go on; a resumed shard holds them back", () => {
    for (const [resumed, expected] of [
      ["catchUp", 12],
      ["hold", undefined],
    ] as const) {
      const valve = new WatermarkValve({ resumed });
      for (const input of ["a", "b"]) valve.add(input);
      valve.advance("a", 10);
      valve.advance("b", 3);
      valve.setStatus("b", false);
      valve.setStatus("b", true);
      assert.equal(valve.advance("b", 4), undefined);
      assert.equal(valve.advance("a", 12), expected);
    }
  });

  it("V4: the highest watermark is flushed when the last to go idle held the minimum", () => {
    const valve = new WatermarkValve();
    for (const input of ["a", "b"]) valve.add(input);
    valve.advance("a", 3);
    valve.advance("b", 5);
    assert.deepEqual(valve.setStatus("b", false), { watermark: undefined, status: undefined });
    assert.deepEqual(valve.setStatus("a", false), { watermark: 5, status: "idle" });
  });

  it("V4: nothing is flushed when the last to go idle was behind the output", () => {
    const valve = new WatermarkValve();
    for (const input of ["a", "b", "c"]) valve.add(input);
    valve.advance("a", 10);
    valve.advance("b", 3);
    valve.advance("c", 5);
    valve.setStatus("b", false);
    valve.setStatus("a", false);
    assert.equal(valve.watermark, 5);
    valve.setStatus("b", true);
    assert.deepEqual(valve.setStatus("c", false), { watermark: undefined, status: undefined });
    assert.deepEqual(valve.setStatus("b", false), { watermark: undefined, status: "idle" });
    assert.equal(valve.watermark, 5);
  });

  it("V4: the end of the last active input is judged as if it went idle; an end while all are idle flushes nothing", () => {
    // "a" went idle unseen at 10 above the output 5, and "b" is active again but behind.
    const behind = (): WatermarkValve => {
      const valve = new WatermarkValve();
      for (const input of ["a", "b", "c"]) valve.add(input);
      for (const [input, at] of [
        ["a", 10],
        ["b", 3],
        ["c", 5],
      ] as const)
        valve.advance(input, at);
      for (const input of ["b", "a"]) valve.setStatus(input, false);
      valve.setStatus("b", true);
      valve.setStatus("c", false);
      return valve;
    };
    assert.deepEqual(behind().end("b"), { watermark: undefined, status: "idle" });
    const idle = behind();
    idle.setStatus("b", false);
    assert.deepEqual(idle.end("c"), { watermark: undefined, status: undefined });

    const held = new WatermarkValve();
    for (const [input, at] of [
      ["a", 5],
      ["b", 10],
    ] as const)
      held.add(input, at);
    held.advance("a", 6);
    held.setStatus("b", false);
    assert.deepEqual(held.end("a"), { watermark: 10, status: "idle" });
  });

  it("V5: a child starts at the lowest of its parents' last watermarks, once all have ended", () => {
    const valve = new WatermarkValve();
    for (const input of ["a", "b"]) valve.add(input);
    valve.addChild("c", ["a", "b"]);
    valve.advance("a", 20);
    valve.advance("b", 10);
    assert.deepEqual(valve.end("a"), { watermark: undefined, status: undefined });
    assert.deepEqual(valve.liveInputs(), ["b"]);
    assert.deepEqual(valve.end("b"), { watermark: undefined, status: undefined });
    assert.deepEqual(valve.liveInputs(), ["c"]);
    assert.equal(valve.watermark, 10);
    assert.equal(valve.advance("c", 11), 11);
  });

  it("V5: a child of an idle parent makes an idle valve active again", () => {
    const valve = new WatermarkValve();
    valve.add("a");
    valve.advance("a", 7);
    valve.setStatus("a", false);
    valve.addChild("b", ["a"]);
    assert.deepEqual(valve.end("a"), { watermark: undefined, status: "active" });
  });

  it("V6: the end of the last input is the end of event time, said as active; not when it goes on elsewhere", () => {
    for (const [continued, watermark] of [
      [false, maxWatermark],
      [true, undefined],
    ] as const) {
      const valve = new WatermarkValve();
      valve.add("a");
      valve.setStatus("a", false);
      assert.deepEqual(valve.end("a", continued), { watermark, status: "active" });
      assert.deepEqual(valve.end("a", continued), { watermark: undefined, status: undefined });
    }
  });

  it("V6: in whatever order one input ends and the other goes idle, event time stays open for the other", () => {
    const steps = {
      ends: (valve: WatermarkValve) => [valve.finish("a"), valve.end("a")],
      idles: (valve: WatermarkValve) => [valve.setStatus("b", false)],
    };
    for (const order of [
      [steps.ends, steps.idles],
      [steps.idles, steps.ends],
    ]) {
      const valve = new WatermarkValve();
      for (const input of ["a", "b"]) valve.add(input);
      valve.advance("a", 10);
      valve.advance("b", 5);
      const changes = order.flatMap((step) => step(valve));
      assert.deepEqual(changes.map(({ status }) => status).filter(Boolean), ["idle"]);
      assert.ok(valve.watermark <= 10);
      assert.deepEqual(valve.setStatus("b", true), { watermark: undefined, status: "active" });
      assert.equal(valve.advance("b", 20), 20);
      assert.deepEqual(valve.finish("b"), { watermark: maxWatermark, status: undefined });
    }
  });

  it("an input that waits cannot end", () => {
    const valve = new WatermarkValve();
    valve.add("a");
    valve.addChild("b", ["a"]);
    assert.throws(() => valve.end("b"), { kind: "internal" });
  });

  it("never goes below its floor, and holds it until every input has passed it", () => {
    const valve = new WatermarkValve({ floor: 100 });
    for (const input of ["a", "b"]) valve.add(input);
    assert.equal(valve.advance("a", 50), undefined);
    assert.equal(valve.advance("a", 120), undefined);
    assert.equal(valve.watermark, 100);
    assert.equal(valve.advance("b", 110), 110);
  });

  it("goes on by itself only while it is idle, and never back", () => {
    const valve = new WatermarkValve({ resumed: "hold" });
    valve.add("a");
    assert.equal(valve.advanceIdle(5), undefined);
    valve.setStatus("a", false);
    assert.equal(valve.advanceIdle(5), 5);
    assert.equal(valve.advanceIdle(4), undefined);
    valve.setStatus("a", true);
    assert.equal(valve.advance("a", 3), undefined);
    assert.equal(valve.advance("a", 6), 6);
  });

  it("forgets ended inputs, but not parents that are waited for", () => {
    const valve = new WatermarkValve();
    for (const input of ["a", "b"]) valve.add(input);
    valve.addChild("c", ["a", "b"]);
    valve.end("a");
    valve.forget("a");
    valve.forget("b");
    assert.deepEqual(
      ["a", "b"].map((input) => valve.has(input)),
      [true, true],
    );
    valve.end("b");
    valve.forget("a");
    assert.equal(valve.has("a"), false);
    assert.throws(() => valve.advance("a", 1), { kind: "internal" });
  });
});
