/** Flink's own expectations of generators, idleness, the valve and the multiplexer, run straight at runtime/time. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { boundedOutOfOrderness, customWatermarks, monotonous } from "../../runtime/api/watermarks.ts";
import { millis } from "../../runtime/api/duration.ts";
import { assertIdleAfter, isIdle } from "../../runtime/time/idleness.ts";
import { SourceWatermarks } from "../../runtime/time/source-watermarks.ts";
import { createGenerator } from "../../runtime/time/watermark-generator.ts";
import { WatermarkValve, type ValveChange } from "../../runtime/time/watermark-valve.ts";
import { minWatermark } from "../../runtime/time/watermark.ts";
import { timeOf, vectorsOf, type Vector } from "./vectors.ts";

type Emitted = { wm: number } | { status: "IDLE" | "ACTIVE" };

/** What a change sends on, in the order it is sent. */
function emitted({ watermark, status }: ValveChange): Emitted[] {
  const out: Emitted[] = watermark === undefined ? [] : [{ wm: watermark }];
  if (status === "active") out.unshift({ status: "ACTIVE" });
  if (status === "idle") out.push({ status: "IDLE" });
  return out;
}

/** Runs each step and compares what came out with the vector's phases. */
function checkPhases(vector: Vector, step: (input: any) => Emitted[]): void {
  let done = 0;
  for (const phase of vector.expected.phases) {
    const out: Emitted[] = [];
    for (; done < phase.afterStep; done++) out.push(...step(vector.input[done]));
    assert.deepEqual(
      out,
      phase.emit.filter((item: object) => "wm" in item || "status" in item),
      `after step ${phase.afterStep}`,
    );
  }
}

function feed(valve: WatermarkValve, name: string, step: any): ValveChange {
  if (step.status !== undefined) return valve.setStatus(name, step.status === "ACTIVE");
  if (step.wm !== undefined) return { watermark: valve.advance(name, timeOf(step.wm)), status: undefined };
  return { watermark: undefined, status: undefined };
}

describe("generator vectors", () => {
  for (const vector of vectorsOf("watermarks", "generator")) {
    it(vector.id, () => {
      const { type, maxOutOfOrdernessMs } = vector.config.generator;
      const strategy = type === "ascendingTimestamps" ? monotonous() : boundedOutOfOrderness(millis(maxOutOfOrdernessMs));
      let generator = createGenerator(strategy.spec);
      let watermark = minWatermark;
      vector.input.forEach((step, done) => {
        if (step.event !== undefined) watermark = Math.max(watermark, generator.onRecord(step.event, step.event));
        generator = createGenerator(strategy.spec, JSON.parse(JSON.stringify(generator.snapshot())));
        for (const phase of vector.expected.phases) if (phase.afterStep === done + 1) assert.equal(watermark, timeOf(phase.last));
      });
    });
  }
});

describe("idlenessTimer vectors", () => {
  for (const vector of vectorsOf("watermarks", "idlenessTimer")) {
    it(vector.id, () => {
      const { timeoutMs } = vector.config;
      if (vector.expected.error) {
        assert.throws(() => assertIdleAfter(timeoutMs), { kind: "invalid" });
        return;
      }
      let now = 0;
      let seenAt = 0;
      const checks: boolean[] = [];
      for (const step of vector.input) {
        if (step.advance !== undefined) now += step.advance;
        if (step.activity) seenAt = now;
        if (step.check) checks.push(isIdle(seenAt, now, timeoutMs));
      }
      vector.expected.checks.forEach((expected: boolean | null, index: number) => {
        if (expected !== null) assert.equal(checks[index], expected, `check ${index}`);
      });
      assert.equal(checks.length, vector.expected.checks.length);
    });
  }
});

describe("valve vectors", () => {
  for (const vector of vectorsOf("watermarks", "valve")) {
    it(vector.id, () => {
      const valve = new WatermarkValve();
      for (let channel = 0; channel < vector.config.channels; channel++) valve.add(String(channel));
      checkPhases(vector, (step) => emitted(feed(valve, String(step.channel), step)));
    });
  }
});

/** A task with a valve per input and an operator that takes the minimum over its inputs. */
function taskOf(inputs: number, channels: number) {
  const operator = new WatermarkValve({ resumed: "hold" });
  const valves = Array.from({ length: inputs }, (_, input) => {
    operator.add(String(input));
    const valve = new WatermarkValve();
    for (let channel = 0; channel < channels; channel++) valve.add(String(channel));
    return valve;
  });
  return (input: number, channel: number, step: any): Emitted[] => {
    const out: Emitted[] = [];
    for (const item of emitted(feed(valves[input]!, String(channel), step)))
      out.push(...emitted(feed(operator, String(input), item)));
    return out;
  };
}

describe("task vectors", () => {
  for (const vector of vectorsOf("watermarks", "task")) {
    it(vector.id, () => {
      const task = taskOf(vector.config.inputs, vector.config.channelsPerInput);
      checkPhases(vector, (step) => task(step.input, step.channel, step));
    });
  }
  for (const vector of vectorsOf("watermarks", "twoInputOperator")) {
    it(vector.id, () => {
      const task = taskOf(2, 1);
      checkPhases(vector, (step) => task(step.input - 1, 0, step));
    });
  }
});

/**
 * Flink's multiplexer over a valve that holds resumed inputs. Two things are Flink's timing alone and stand here: a deferred
 * output's update is sent at the next occasion, and so is what an unregistered output had held back.
 */
class Multiplexer {
  readonly #valve = new WatermarkValve({ resumed: "hold" });
  readonly #owner = new Map<string, { of: string; deferred: boolean }>();
  #withheld: Emitted[] = [];
  readonly sent: Emitted[] = [];

  register({ name, kind, of = name }: { name: string; kind: string; of?: string }): void {
    this.#owner.set(name, { of, deferred: kind === "deferred" });
    this.#valve.add(of);
  }

  step(step: any): void {
    if (step.unregister !== undefined) this.#withheld.push(...emitted(this.#valve.end(step.unregister, true)));
    if (step.output !== undefined) this.#update(this.#owner.get(step.output)!, step);
    if (step.periodicEmit) this.sent.push(...this.#withheld.splice(0));
  }

  #update({ of, deferred }: { of: string; deferred: boolean }, step: any): void {
    const out = emitted(this.#valve.setStatus(of, !step.idle));
    if (step.wm !== undefined) out.push(...emitted({ watermark: this.#valve.advance(of, timeOf(step.wm)), status: undefined }));
    if (deferred) this.#withheld.push(...out);
    else if (out.length > 0) this.sent.push(...this.#withheld.splice(0), ...out);
  }

  get lastWatermark(): number | null {
    return this.sent.reduce<number | null>((last, item) => ("wm" in item ? item.wm : last), null);
  }

  get idle(): boolean {
    return this.sent.reduce((last, item) => ("status" in item ? item.status === "IDLE" : last), false);
  }
}

describe("multiplexer vectors", () => {
  for (const vector of vectorsOf("watermarks", "multiplexer")) {
    it(vector.id, () => {
      const multiplexer = new Multiplexer();
      for (const output of vector.config.outputs) multiplexer.register(output);
      let done = 0;
      for (const phase of vector.expected.phases) {
        for (; done < phase.afterStep; done++) multiplexer.step(vector.input[done]);
        if (phase.lastWatermark !== undefined) assert.equal(multiplexer.lastWatermark, phase.lastWatermark, `after step ${done}`);
        if (phase.idle !== undefined) assert.equal(multiplexer.idle, phase.idle, `after step ${done}`);
      }
    });
  }
});

describe("watermarkOutput vectors", () => {
  for (const vector of vectorsOf("watermarks", "watermarkOutput")) {
    it(vector.id, () => {
      const valve = new WatermarkValve({ resumed: "hold" });
      valve.add("output");
      checkPhases(vector, (step) => [
        ...emitted(valve.setStatus("output", !step.idle)),
        ...emitted(feed(valve, "output", { wm: step.wm })),
      ]);
    });
  }
});

describe("splitSource vectors", () => {
  for (const vector of vectorsOf("watermarks", "splitSource")) {
    it(vector.id, () => {
      const punctuated = customWatermarks({ create: () => ({}), onRecord: (_state, _value, timestamp) => timestamp });
      const source = new SourceWatermarks(punctuated.spec, 1);
      const splits = Object.entries<number[]>(vector.config.splits);
      for (const [id] of splits) source.add(id, 0);
      // Both records of the first split, then the first of the second: as upstream reads them.
      const [first, second] = splits as [[string, number[]], [string, number[]]];
      const order = [...first[1].map((at) => [first[0], at] as const), [second[0], second[1][0]!] as const];
      const watermarks: number[] = [];
      order.slice(0, vector.expected.afterEmitted).forEach(([id, at], emittedBefore) => {
        const watermark = source.shard(id).onRecord(at, at);
        if (watermark !== undefined) watermarks.push(watermark);
        if (emittedBefore + 1 === vector.expected.noWatermarkAfterEmitted) assert.deepEqual(watermarks, []);
      });
      assert.deepEqual(
        watermarks.filter((watermark) => watermark === vector.expected.watermarksContainOnce),
        [vector.expected.watermarksContainOnce],
      );
    });
  }
});
