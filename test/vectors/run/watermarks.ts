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
import { maxWatermark, minWatermark } from "../../../runtime/time/watermark.ts";
import { timestampMax } from "../../../runtime/time/timestamp.ts";
import { compare } from "../compare.ts";
import { noDriver } from "../run-vector.ts";
import { pointOf, timeOf, type Failure, type Vector } from "../vector.ts";
import { TimerService } from "./timer-service.ts";

type Emitted = { wm: number } | { status: "IDLE" | "ACTIVE" } | { value: unknown; ts: number | null };

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
    case "sourceOutput":
      return runSourceOutput(vector);
    case "splitSource":
      return runSplitSource(vector);
    case "timestampsAndWatermarks":
      return runAssigner(vector, assignerOf(vector));
    case "sqlWatermarkAssigner":
      return runAssigner(vector, sqlAssignerOf(vector));
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
    const failure = compare(onlyLookedAt(out, emit), emit.map(emittedOf), `after step ${afterStep}`);
    if (failure !== undefined) return failure;
  }
  for (; done < vector.input.length; done++) step(vector.input[done]);
  return undefined;
}

/** Where no record names a timestamp, nobody looked at them. */
function onlyLookedAt(out: readonly Emitted[], emit: readonly any[]): readonly unknown[] {
  const records = emit.filter((item) => "value" in item);
  if (records.length === 0 || records.some((item) => "ts" in item)) return out;
  return out.map((item) => ("value" in item ? { value: item.value } : item));
}

function emittedOf(item: any): unknown {
  if ("wm" in item) return { wm: timeOf(item.wm) };
  return typeof item.ts === "string" ? { ...item, ts: timestampOf(item.ts) } : item;
}

/** The first and the last timestamp stand for "MIN" and "MAX". */
const timestampOf = (time: number | string): number => pointOf(time, timestampMax);

function feed(valve: WatermarkValve | TwoInputValve, name: string, step: any): Emitted[] {
  if (step.status !== undefined) return emitted(valve.setStatus(name, step.status === "ACTIVE"));
  const at = timeOf(step.wm);
  return emitted(at === maxWatermark ? valve.finish(name) : { watermark: valve.advance(name, at), status: undefined });
}

function runGenerator(vector: Vector): Failure | undefined {
  const { type, maxOutOfOrdernessMs } = vector.config.generator;
  if (type !== "ascendingTimestamps" && type !== "boundedOutOfOrderness") throw new Error(`no generator ${type}`);
  const strategy = type === "ascendingTimestamps" ? monotonous() : boundedOutOfOrderness(millis(maxOutOfOrdernessMs));
  let generator = createGenerator(strategy.spec);
  let watermark = minWatermark;
  for (const [index, step] of vector.input.entries()) {
    const at = step.event === undefined ? undefined : timestampOf(step.event);
    if (at !== undefined) watermark = Math.max(watermark, generator.onRecord(at, at));
    generator = createGenerator(strategy.spec, JSON.parse(JSON.stringify(generator.snapshot())));
    for (const { afterStep, last } of vector.expected.phases) {
      if (afterStep !== index + 1) continue;
      const failure = compare(watermark, last === null ? minWatermark : timeOf(last), `after step ${afterStep}`);
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

/** The channels of a vector's inputs by name; where steps name more inputs than there are, several gates make one input. */
function channelsOf({ config, input: steps }: Vector): readonly string[] {
  const { inputs = 1, channelsPerInput = config.channels ?? 1 } = config;
  const named = new Set(steps.map((step) => `${step.input ?? 0}:${step.channel ?? 0}`));
  if (steps.some((step) => step.input >= inputs)) return [...named];
  for (let input = 0; input < inputs; input++)
    for (let channel = 0; channel < channelsPerInput; channel++) named.add(`${input}:${channel}`);
  return [...named];
}

/** Two inputs are kept apart; the channels of more are those of one stream, which is how more than two come together here. */
function valveOver(channels: readonly string[], inputs: number): WatermarkValve | TwoInputValve {
  const valve = inputs === 2 ? new TwoInputValve() : new WatermarkValve();
  for (const name of channels)
    if (valve instanceof TwoInputValve) valve.add(name, name.startsWith("0:") ? 0 : 1);
    else valve.add(name);
  return valve;
}

/** The operator is an identity map, which makes text of numbers. */
function runTask(vector: Vector): Failure | undefined {
  const valve = valveOver(channelsOf(vector), vector.config.inputs ?? 1);
  return checkPhases(vector, (step) => {
    if (step.el !== undefined) return [{ value: String(step.el), ts: step.ts ?? null }];
    return feed(valve, `${step.input ?? 0}:${step.channel ?? 0}`, step);
  });
}

/** The operator sets a timer of event time for each element at its value, and emits the times of those that fire, without a timestamp. */
function runTwoInputOperator(vector: Vector): Failure | undefined {
  const valve = valveOver(["0:0", "1:0"], 2);
  const timers = new TimerService(undefined);
  const fire = (item: Emitted): Emitted[] => {
    if (!("wm" in item)) return [item];
    const before = timers.fired("eventTime").length;
    timers.step(item);
    return [
      ...timers
        .fired("eventTime")
        .slice(before)
        .map(({ time }) => ({ value: time, ts: null })),
      item,
    ];
  };
  return checkPhases(vector, (step) => {
    if (step.el === undefined) return feed(valve, `${step.input - 1}:0`, step).flatMap(fire);
    timers.step({ key: "0", register: "event", time: step.el });
    return [];
  });
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

  register({ name, kind, of = name }: { name: string; kind?: string; of?: string }): void {
    this.#owner.set(name, { of, deferred: kind === "deferred" });
    this.#valve.add(of);
  }

  step(step: any): void {
    if (step.unregister !== undefined) this.#unregister(step.unregister);
    if (step.output !== undefined) this.#update(this.#owner.get(step.output)!, step);
    if (step.periodicEmit) this.#sent.push(...this.#withheld.splice(0));
  }

  #unregister(name: string): void {
    const { of } = this.#owner.get(name) ?? { of: name };
    if (!this.#valve.has(of)) return;
    this.#withheld.push(...emitted(this.#valve.end(of, true)));
    this.#valve.forget(of);
  }

  /** A watermark makes active; what is idle as well becomes so after it. */
  #update({ of, deferred }: { of: string; deferred: boolean }, step: any): void {
    const out = emitted(this.#valve.setStatus(of, step.wm !== undefined || !step.idle));
    if (step.wm !== undefined) out.push(...feed(this.#valve, of, { wm: step.wm }));
    if (step.wm !== undefined && step.idle) out.push(...emitted(this.#valve.setStatus(of, false)));
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

/** The output that a step registers: by its name, or with its kind. */
function registeredBy({ register, kind, of }: any): { name: string; kind?: string; of?: string } | undefined {
  return typeof register === "string" ? { name: register, kind, of } : register;
}

function runMultiplexer(vector: Vector): Failure | undefined {
  const multiplexer = new Multiplexer();
  const outputs: readonly any[] = vector.config.outputs;
  const later = new Set(vector.input.map((step) => registeredBy(step)?.name));
  for (const output of outputs) if (!later.has(output.name)) multiplexer.register(output);
  let done = 0;
  for (const { afterStep, ...expected } of vector.expected.phases) {
    for (; done < afterStep; done++) {
      const step = vector.input[done];
      const registered = registeredBy(step);
      if (registered !== undefined)
        multiplexer.register({ ...outputs.find(({ name }) => name === registered.name), ...registered });
      multiplexer.step(step);
    }
    const { lastWatermark, idle } = multiplexer;
    const actual = {
      ...(expected.lastWatermark !== undefined && { lastWatermark }),
      ...(expected.idle !== undefined && { idle }),
    };
    const { lastWatermark: last } = expected;
    const wanted = last === undefined || last === null ? expected : { ...expected, lastWatermark: timeOf(last) };
    const failure = compare(actual, wanted, `after step ${afterStep}`);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Flink does not look at the status with a watermark that is not above the last: a detail that a valve need not have, and stands here. */
function runWatermarkOutput(vector: Vector): Failure | undefined {
  const valve = new WatermarkValve({ resumed: "hold" });
  valve.add("output");
  return checkPhases(vector, (step) => {
    if (step.wm === undefined) return emitted(valve.setStatus("output", !(step.idle ?? step.status === "IDLE")));
    if (timeOf(step.wm) <= valve.watermark) return [];
    return [...emitted(valve.setStatus("output", true)), ...feed(valve, "output", { wm: step.wm })];
  });
}

/** The generator of a source by the words of its rule: after each event, when it is asked, or never. */
function emitsOf(generator: any): "event" | "periodic" | "never" {
  const words = JSON.stringify(generator ?? "none");
  if (/after each event|punctuated|on ?event|every event/i.test(words)) return "event";
  return /periodic/i.test(words) ? "periodic" : "never";
}

/**
 * The output of a source: records with their watermarks, those of one split or of the source as a whole, which is a split of no name. That
 * a generator is asked once in a while is Flink's timing alone, and stands here.
 */
function runSourceOutput(vector: Vector): Failure | undefined {
  const emits = emitsOf(vector.config.generator);
  const { spec } = customWatermarks<unknown, object>({
    create: () => ({}),
    onRecord: (_state, _value, at) => (emits === "never" ? undefined : at),
  });
  const source = new SourceWatermarks(spec, 1);
  const splitOf = (step: any): string => String(step.split ?? step.output ?? "");
  const named = vector.input.some((step) => splitOf(step) !== "");
  if (!named) source.add("", 0);
  const withheld: Emitted[] = [];
  return checkPhases(vector, (step) => {
    const create = step.create ?? step.createSplit ?? step.register;
    const release = step.release ?? step.releaseSplit ?? step.unregister;
    if (create !== undefined) for (const id of [create].flat()) source.add(String(id === true ? splitOf(step) : id), 0);
    const out: Emitted[] = [];
    const send = (items: Emitted[]) => (emits === "periodic" ? withheld : out).push(...items);
    if (release !== undefined) send(emitted(source.end(String(release === true ? splitOf(step) : release), 0, true)));
    if (step.el !== undefined) {
      const id = splitOf(step);
      source.add(id, 0);
      const ts = step.ts === undefined || step.ts === null ? null : timestampOf(step.ts);
      out.push({ value: step.el, ts });
      const watermark = ts === null ? undefined : source.shard(id).onRecord(step.el, ts);
      if (watermark !== undefined) send([{ wm: watermark }]);
    }
    if (step.periodicEmit || step.pt !== undefined) out.push(...withheld.splice(0).slice(-1));
    if (step.endOfInput || step.close)
      for (const id of source.liveShards()) out.push(...withheld.splice(0).slice(-1), ...emitted(source.end(id, 0)));
    return vector.expected.only === undefined ? out : out.filter((item) => !("value" in item));
  });
}

function runSplitSource(vector: Vector): Failure | undefined {
  const punctuated = customWatermarks({ create: () => ({}), onRecord: (_state, _value, timestamp) => timestamp });
  const source = new SourceWatermarks(punctuated.spec, 1);
  const splits = Object.entries<number[]>(vector.config.splits);
  for (const [id] of splits) source.add(id, 0);
  // All records of the first split, then those of the next: as upstream reads them.
  const order = splits.flatMap(([id, times]) => times.map((at) => [id, at] as const));
  const { noWatermarkAfterEmitted, afterEmitted = order.length, watermarksContainOnce } = vector.expected;
  const watermarks: number[] = [];
  for (const [emittedBefore, [id, at]] of order.slice(0, afterEmitted).entries()) {
    const watermark = source.shard(id).onRecord(at, at);
    if (watermark !== undefined) watermarks.push(watermark);
    if (emittedBefore + 1 !== noWatermarkAfterEmitted) continue;
    const failure = compare(watermarks, [], `after ${emittedBefore + 1}`);
    if (failure !== undefined) return failure;
  }
  if (watermarksContainOnce === undefined) return undefined;
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

/** The watermark is a column, or so much behind the rowtime. */
function sqlAssignerOf({ config }: Vector): Assigner {
  const { watermark: words = "", delayMs, generator } = config;
  const [, behind] = /-\s*(\d+)|(?:minus|behind)\D*(\d+)/.exec(`${words} ${JSON.stringify(generator ?? "")}`) ?? [];
  const delay = delayMs ?? (behind === undefined ? undefined : Number(behind));
  return {
    timestamps: (row) => (Array.isArray(row) ? row[0] : row),
    onRecord: (row, rowtime) => (/second column/.test(words) ? (row[1] ?? undefined) : rowtime - (delay ?? 0)),
    sent: "ahead",
  };
}

function assignerOf({ config, features }: Vector): Assigner {
  const timeOfEvent = (value: any) => timestampOf(value.time ?? value);
  const { type = "", rule = "" } = config.generator ?? {};
  if (/never|^none$/i.test(`${type}${rule}`)) return { timestamps: timeOfEvent, onRecord: () => undefined, sent: "atOnce" };
  // In batch mode the task gives the operator no generator.
  if (config.mode === "batch") return { timestamps: timeOfEvent, onRecord: () => undefined, sent: "atOnce" };
  return features.includes("punctuated")
    ? { timestamps: timeOfEvent, onRecord: ({ flag }, timestamp) => (flag ? timestamp : undefined), sent: "atOnce" }
    : { timestamps: timeOfEvent, onRecord: (_value, timestamp) => timestamp - 1, sent: "periodically" };
}

/**
 * The operator on a grid of 1 ms. It says after each record where time stands; that Flink looks at it, and at idleness, once in an interval
 * is Flink's timing alone and stands here.
 */
function runAssigner(vector: Vector, { timestamps, onRecord, sent }: Assigner): Failure | undefined {
  const { autoWatermarkIntervalMs: interval, idleTimeoutMs = -1 } = vector.config;
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
  const strategy = customWatermarks({ create: () => ({}), onRecord: (_state, value, at) => onRecord(value, at) });
  const { spec: watermarks } = idleTimeoutMs > 0 ? strategy.withIdleness(millis(idleTimeoutMs)) : strategy;
  const operator = new AssignTimestampsOperator(host, { kind: "assignTimestamps", timestamps, watermarks }, 1, now);
  const send = (change: ValveChange): void => {
    out.push(...emitted(change));
    last = change.watermark ?? last;
  };
  const take = ({ watermark, status }: ValveChange): void => {
    if (status !== undefined) send({ status, watermark: undefined });
    // Before the first there is nothing that it could be ahead of.
    const isAhead = sent === "ahead" && last > minWatermark && (watermark ?? last) - last > interval;
    if (sent === "atOnce" || isAhead) send({ status: undefined, watermark });
    withheld = sent === "atOnce" || isAhead ? undefined : (watermark ?? withheld);
  };
  const lookAgain = (): void => {
    if (withheld !== undefined) send({ watermark: withheld, status: undefined });
    withheld = undefined;
    send(operator.decideIdle(now));
  };
  return checkPhases(vector, (step) => {
    out = [];
    if (step.el !== undefined) {
      operator.onRecord(step.el, typeof step.ts === "number" ? step.ts : NaN);
      take(operator.takeDue() ?? { watermark: undefined, status: undefined });
    }
    if (step.pt !== undefined) now = step.pt;
    if (step.pt !== undefined || step.periodicEmit) lookAgain();
    if (step.close || step.endOfInput || step.wm === "MAX") send(operator.end());
    return vector.expected.only === undefined ? out : out.filter((item) => !("value" in item));
  });
}
