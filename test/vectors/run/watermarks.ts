/**
 * Flink's expectations of generators, idleness, the valve over channels, the multiplexer over splits and the operators that
 * assign watermarks.
 */
import { AssignTimestampsOperator } from "../../../runtime/operators/assign-timestamps.ts";
import { boundedOutOfOrderness, customWatermarks, monotonous } from "../../../runtime/api/watermarks.ts";
import { millis } from "../../../runtime/api/duration.ts";
import { assertIdleAfter, isIdle } from "../../../runtime/time/idleness.ts";
import { SourceWatermarks } from "../../../runtime/time/source-watermarks.ts";
import { createGenerator } from "../../../runtime/time/watermark-generator.ts";
import { type TwoInputChange, TwoInputValve } from "../../../runtime/time/two-input-valve.ts";
import { WatermarkValve, type ValveChange } from "../../../runtime/time/watermark-valve.ts";
import { minWatermark } from "../../../runtime/time/watermark.ts";
import { compare } from "../compare.ts";
import { noDriver } from "../run-vector.ts";
import { timeOf, type Failure, type Vector } from "../vector.ts";

type Emitted = { wm: number } | { status: "IDLE" | "ACTIVE" } | { value: unknown; ts: number };

export function run(vector: Vector): Failure | undefined {
  switch (vector.config.driver) {
    case "generator":
      return runGenerator(vector);
    case "idlenessTimer":
      return runIdlenessTimer(vector);
    case "valve":
      return runValve(vector);
    case "task":
      return runTask(vector);
    case "twoInputOperator":
      return runTwoInputOperator(vector);
    case "multiplexer":
      return runMultiplexer(vector);
    case "watermarkOutput":
      return runWatermarkOutput(vector);
    case "splitSource":
      return runSplitSource(vector);
    case "timestampsAndWatermarks":
      return runAssigner(vector, assignerOf(vector));
    case "sqlWatermarkAssigner":
      return runAssigner(vector, sqlAssigner);
    default:
      return noDriver(vector);
  }
}

/** What a change sends on, in the order it is sent. */
function emitted({ flushed, watermark, status }: TwoInputChange): Emitted[] {
  const out: Emitted[] = [flushed, watermark].filter((wm) => wm !== undefined).map((wm) => ({ wm }));
  if (status === "active") out.unshift({ status: "ACTIVE" });
  if (status === "idle") out.push({ status: "IDLE" });
  return out;
}

/** Runs each step and compares what came out with the vector's phases. */
function checkPhases(vector: Vector, step: (input: any) => Emitted[]): Failure | undefined {
  let done = 0;
  for (const { afterStep, emit } of vector.expected.phases) {
    const out: Emitted[] = [];
    for (; done < afterStep; done++) out.push(...step(vector.input[done]));
    const failure = compare(out, emit.map(emittedOf), `after step ${afterStep}`);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function emittedOf(item: any): Emitted {
  return "wm" in item ? { wm: timeOf(item.wm) } : item;
}

function feed(valve: WatermarkValve | TwoInputValve, name: string, step: any): Emitted[] {
  if (step.status !== undefined) return emitted(valve.setStatus(name, step.status === "ACTIVE"));
  return emitted({ watermark: valve.advance(name, timeOf(step.wm)), status: undefined });
}

function runGenerator(vector: Vector): Failure | undefined {
  const { type, maxOutOfOrdernessMs } = vector.config.generator;
  const strategy = type === "ascendingTimestamps" ? monotonous() : boundedOutOfOrderness(millis(maxOutOfOrdernessMs));
  let generator = createGenerator(strategy.spec);
  let watermark = minWatermark;
  for (const [index, step] of vector.input.entries()) {
    if (step.event !== undefined) watermark = Math.max(watermark, generator.onRecord(step.event, step.event));
    generator = createGenerator(strategy.spec, JSON.parse(JSON.stringify(generator.snapshot())));
    for (const { afterStep, last } of vector.expected.phases) {
      if (afterStep !== index + 1) continue;
      const failure = compare(watermark, timeOf(last), `after step ${afterStep}`);
      if (failure !== undefined) return failure;
    }
  }
  return undefined;
}

function runIdlenessTimer(vector: Vector): Failure | undefined {
  const { timeoutMs } = vector.config;
  try {
    assertIdleAfter(timeoutMs);
  } catch (error) {
    return vector.expected.error ? undefined : { expected: vector.expected, actual: error };
  }
  if (vector.expected.error) return { expected: vector.expected, actual: "no error" };
  let now = 0;
  let seenAt = 0;
  const checks: boolean[] = [];
  for (const step of vector.input) {
    if (step.advance !== undefined) now += step.advance;
    if (step.activity) seenAt = now;
    if (step.check) checks.push(isIdle(seenAt, now, timeoutMs));
  }
  // null: not looked at upstream.
  const expected = vector.expected.checks as (boolean | null)[];
  return compare(
    checks.map((check, index) => (expected[index] === null ? null : check)),
    expected,
  );
}

function runValve(vector: Vector): Failure | undefined {
  const valve = new WatermarkValve();
  for (let channel = 0; channel < vector.config.channels; channel++) valve.add(String(channel));
  return checkPhases(vector, (step) => feed(valve, String(step.channel), step));
}

/** A task with an operator of one or two inputs, each of as many channels. */
function taskOf(inputs: number, channels: number): (input: number, channel: number, step: any) => Emitted[] {
  if (inputs !== 1 && inputs !== 2) throw new Error(`no operator of ${inputs} inputs`);
  const valve = inputs === 1 ? new WatermarkValve() : new TwoInputValve();
  for (const input of inputs === 1 ? ([0] as const) : ([0, 1] as const))
    for (let channel = 0; channel < channels; channel++)
      if (valve instanceof TwoInputValve) valve.add(`${input}:${channel}`, input);
      else valve.add(`${input}:${channel}`);
  return (input, channel, step) => {
    // The operator is an identity map, which makes text of numbers.
    if (step.el !== undefined) return [{ value: String(step.el), ts: step.ts }];
    return feed(valve, `${input}:${channel}`, step);
  };
}

function runTask(vector: Vector): Failure | undefined {
  const task = taskOf(vector.config.inputs, vector.config.channelsPerInput);
  return checkPhases(vector, (step) => task(step.input, step.channel, step));
}

function runTwoInputOperator(vector: Vector): Failure | undefined {
  const task = taskOf(2, 1);
  return checkPhases(vector, (step) => task(step.input - 1, 0, step));
}

/**
 * Flink's multiplexer over a valve that holds resumed inputs. Two things are Flink's timing alone and stand here: a deferred
 * output's update is sent at the next occasion, and so is what an unregistered output had held back.
 */
class Multiplexer {
  readonly #valve = new WatermarkValve({ resumed: "hold" });
  readonly #owner = new Map<string, { of: string; deferred: boolean }>();
  #withheld: Emitted[] = [];
  readonly #sent: Emitted[] = [];

  register({ name, kind, of = name }: { name: string; kind: string; of?: string }): void {
    this.#owner.set(name, { of, deferred: kind === "deferred" });
    this.#valve.add(of);
  }

  step(step: any): void {
    if (step.unregister !== undefined) this.#withheld.push(...emitted(this.#valve.end(step.unregister, true)));
    if (step.output !== undefined) this.#update(this.#owner.get(step.output)!, step);
    if (step.periodicEmit) this.#sent.push(...this.#withheld.splice(0));
  }

  #update({ of, deferred }: { of: string; deferred: boolean }, step: any): void {
    const out = emitted(this.#valve.setStatus(of, !step.idle));
    if (step.wm !== undefined) out.push(...feed(this.#valve, of, step));
    if (deferred) this.#withheld.push(...out);
    else if (out.length > 0) this.#sent.push(...this.#withheld.splice(0), ...out);
  }

  get lastWatermark(): number | null {
    return this.#sent.reduce<number | null>((last, item) => ("wm" in item ? item.wm : last), null);
  }

  get idle(): boolean {
    return this.#sent.reduce((last, item) => ("status" in item ? item.status === "IDLE" : last), false);
  }
}

function runMultiplexer(vector: Vector): Failure | undefined {
  const multiplexer = new Multiplexer();
  for (const output of vector.config.outputs) multiplexer.register(output);
  let done = 0;
  for (const { afterStep, ...expected } of vector.expected.phases) {
    for (; done < afterStep; done++) multiplexer.step(vector.input[done]);
    const { lastWatermark, idle } = multiplexer;
    const actual = {
      ...(expected.lastWatermark !== undefined && { lastWatermark }),
      ...(expected.idle !== undefined && { idle }),
    };
    const failure = compare(actual, expected, `after step ${afterStep}`);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function runWatermarkOutput(vector: Vector): Failure | undefined {
  const valve = new WatermarkValve({ resumed: "hold" });
  valve.add("output");
  return checkPhases(vector, (step) => [
    ...emitted(valve.setStatus("output", !step.idle)),
    ...(step.wm === undefined ? [] : feed(valve, "output", step)),
  ]);
}

function runSplitSource(vector: Vector): Failure | undefined {
  const punctuated = customWatermarks({ create: () => ({}), onRecord: (_state, _value, timestamp) => timestamp });
  const source = new SourceWatermarks(punctuated.spec, 1);
  const splits = Object.entries<number[]>(vector.config.splits);
  for (const [id] of splits) source.add(id, 0);
  // Both records of the first split, then the first of the second: as upstream reads them.
  const [first, second] = splits as [[string, number[]], [string, number[]]];
  const order = [...first[1].map((at) => [first[0], at] as const), [second[0], second[1][0]!] as const];
  const watermarks: number[] = [];
  for (const [emittedBefore, [id, at]] of order.slice(0, vector.expected.afterEmitted).entries()) {
    const watermark = source.shard(id).onRecord(at, at);
    if (watermark !== undefined) watermarks.push(watermark);
    if (emittedBefore + 1 !== vector.expected.noWatermarkAfterEmitted) continue;
    const failure = compare(watermarks, [], `after ${emittedBefore + 1}`);
    if (failure !== undefined) return failure;
  }
  const { watermarksContainOnce } = vector.expected;
  return compare(
    watermarks.filter((watermark) => watermark === watermarksContainOnce),
    [watermarksContainOnce],
  );
}

/** What a stream's assigner is made of, and when Flink would send a watermark of it that it has. */
interface Assigner {
  readonly timestamps: (value: any) => number;
  readonly onRecord: (value: any, timestamp: number) => number | undefined;
  /** "ahead": also when it is further ahead than the interval. */
  readonly sent: "atOnce" | "periodically" | "ahead";
}

const sqlAssigner: Assigner = {
  timestamps: ([rowtime]) => rowtime,
  onRecord: ([, watermark]) => watermark ?? undefined,
  sent: "ahead",
};

function assignerOf({ config, features }: Vector): Assigner {
  const timeOfEvent = (value: any) => value.time ?? value;
  // In batch mode the task gives the operator no generator.
  if (config.mode === "batch") return { timestamps: timeOfEvent, onRecord: () => undefined, sent: "atOnce" };
  return features.includes("punctuated")
    ? { timestamps: timeOfEvent, onRecord: ({ flag }, timestamp) => (flag ? timestamp : undefined), sent: "atOnce" }
    : { timestamps: timeOfEvent, onRecord: (_value, timestamp) => timestamp - 1, sent: "periodically" };
}

/**
 * The operator on a grid of 1 ms. It says after each record where time stands; that Flink looks at it once in an interval is Flink's
 * timing alone and stands here.
 */
function runAssigner(vector: Vector, { timestamps, onRecord, sent }: Assigner): Failure | undefined {
  const { autoWatermarkIntervalMs: interval } = vector.config;
  let out: Emitted[] = [];
  let now = 0;
  let withheld: number | undefined;
  let last = minWatermark;
  const host = {
    uid: "assigner",
    output: { emit: (value: unknown, ts: number) => void out.push({ value, ts }), emitTo: () => undefined },
    watermark: () => last,
    processingTime: () => now,
    count: () => undefined,
    operatorState: undefined,
  };
  const { spec: watermarks } = customWatermarks({ create: () => ({}), onRecord: (_state, value, at) => onRecord(value, at) });
  const operator = new AssignTimestampsOperator(host, { kind: "assignTimestamps", timestamps, watermarks }, 1, now);
  const send = (change: ValveChange): void => {
    out.push(...emitted(change));
    last = change.watermark ?? last;
  };
  const take = (change: ValveChange): void => {
    const { watermark } = change;
    // Before the first there is nothing that it could be ahead of.
    const isAhead = sent === "ahead" && last > minWatermark && (watermark ?? last) - last > interval;
    withheld = sent === "atOnce" || isAhead ? undefined : (watermark ?? withheld);
    if (withheld === undefined) send(change);
  };
  return checkPhases(vector, (step) => {
    out = [];
    if (step.el !== undefined) {
      operator.onRecord(step.el, step.ts ?? NaN);
      take(operator.takeDue() ?? { watermark: undefined, status: undefined });
    }
    if (step.pt !== undefined) now = step.pt;
    if (step.pt !== undefined && withheld !== undefined) send({ watermark: withheld, status: undefined });
    if (step.pt !== undefined) withheld = undefined;
    if (step.close || step.wm === "MAX") send(operator.end());
    return vector.expected.only === undefined ? out : out.filter((item) => "wm" in item);
  });
}
