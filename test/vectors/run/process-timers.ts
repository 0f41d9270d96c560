/**
 * Flink's expectations of process functions, timers and the simple operators, through jobs on the harness: a job of the vector's operator,
 * and behind it a probe that writes down records and the watermarks between them. The timer service is run straight (timer-service.ts).
 *
 * P1 The probe sees a watermark because it has a timer at every one that the vector's input could lead to.
 * P2 A record without a timestamp is made by a processing-time timer that is due at once, as the engine has no other.
 */
import { isDeepStrictEqual } from "node:util";
import {
  boundedOutOfOrderness,
  defineJob,
  hours,
  map,
  millis,
  outputTag,
  type,
  value,
  list,
  type DataStream,
  type Job,
  type Key,
  type OutputTag,
} from "../../../runtime/index.ts";
import { harness, type JobHarness } from "../../../runtime/testing/index.ts";
import { anySink, anySource } from "../../operators/pipeline.ts";
import { compare } from "../compare.ts";
import { noDriver } from "../run-vector.ts";
import { isInternal, timeOf, type Failure, type RunVector, type Vector } from "../vector.ts";
import { runBatchTimerService, runSortingInput } from "./batch.ts";
import { checkProgram, handlerOf, sideOutputsOf, type Seen } from "./process-program.ts";
import { runTimerService } from "./timer-service.ts";

interface Element {
  readonly el: any;
}
/** What the probe writes down. */
type Emitted = { readonly value: unknown; readonly ts: number | null } | { readonly wm: number | string };
type Streams = readonly [DataStream<Element>, DataStream<Element>];

const seenTag = outputTag<Seen>("seen");

export async function run(vector: Vector): Promise<Failure | undefined> {
  const elsewhere = modules[vector.config.driver];
  if (elsewhere !== undefined) return elsewhere(vector);

  const build = operators[vector.config.driver];
  return build === undefined ? noDriver(vector) : runJob(vector, build);
}

/** Drivers of their own. */
const modules: Readonly<Record<string, RunVector | undefined>> = {
  timerService: runTimerService,
  batchTimerService: runBatchTimerService,
  sortingInput: runSortingInput,
};

/** The operator under test, by driver. */
const operators: Readonly<Record<string, ((streams: Streams, vector: Vector) => DataStream<unknown>) | undefined>> = {
  filter: ([left], { config }) => left.filter("op", ({ el }) => keeps(config.program.filter)(el)).map("bare", ({ el }) => el),
  flatMap: ([left], { config }) => left.flatMap("op", ({ el }) => expand(config.program.flatMap)(el)),
  coMap: ([left, right], { config: { program } }) =>
    left.connect(right).map(
      "op",
      ({ el }) => convert(program.map1)(el),
      ({ el }) => convert(program.map2)(el),
    ),
  coFlatMap: ([left, right], { config: { program } }) =>
    left.connect(right).flatMap(
      "op",
      ({ el }) => expand(program.flatMap1)(el),
      ({ el }) => expand(program.flatMap2)(el),
    ),
  keyedReduce: ([left], { config }) => {
    if (!/sum/.test(config.program.reduce)) throw new Error(`no reduce: ${config.program.reduce}`);
    const summed = left.keyBy(keyOf(config.keyBy)).reduce("op", (a, b) => ({ el: addUp(a.el, b.el) }));
    return summed.map("bare", ({ el }) => el);
  },
  process: ([left], { config: { program } }) =>
    left.process("op", { ...declared(program), onRecord: ({ el }, ctx) => handlerOf(program.onElement)(el, ctx as never) }),
  coProcess: ([left, right], { config: { program } }) =>
    left.connect(right).process("op", {
      ...declared(program),
      onLeft: ({ el }, ctx) => handlerOf(program.onElement1)(el, ctx as never),
      onRight: ({ el }, ctx) => handlerOf(program.onElement2)(el, ctx as never),
    }),
  keyedProcess: ([left], { config: { program, keyBy } }) =>
    left.keyBy(keyOf(keyBy)).process("op", {
      ...declared(program),
      state: { state: value<unknown>() },
      onRecord: ({ el }, ctx) => handlerOf(program.onElement)(el, ctx as never),
      onTimer: (at, ctx) => handlerOf(program.onTimer)(at, { ...timed(ctx), timerTime: at } as never),
    }),
  keyedCoProcess: ([left, right], { config: { program, keyBy } }) =>
    left
      .keyBy(keyOf(keyBy))
      .connect(right.keyBy(keyOf(keyBy)))
      .process("op", {
        ...declared(program),
        state: { state: value<unknown>() },
        onLeft: ({ el }, ctx) => handlerOf(program.onElement1)(el, ctx as never),
        onRight: ({ el }, ctx) => handlerOf(program.onElement2)(el, ctx as never),
        onTimer: (at, ctx) => handlerOf(program.onTimer)(at, { ...timed(ctx), timerTime: at } as never),
      }),
  keyedBroadcastProcess: ([left, right], { config: { program, keyBy } }) =>
    left
      .keyBy(keyOf(keyBy))
      .connect(right.broadcast("broadcast", { entries: map<string, unknown>() }))
      .process("op", {
        ...declared(program),
        state: { state: value<unknown>() },
        onRecord: ({ el }, ctx) => handlerOf(program.onElement1, "onElement1")(el, ctx as never),
        onBroadcast: ({ el }, ctx) => handlerOf(program.onElement2, "onElement2")(el, ctx as never),
        onTimer: (at, ctx) => handlerOf(program.onTimer, "onTimer")(at, { ...timed(ctx), timerTime: at } as never),
      }),
};

/** A context is one object with accessors: its parts by name. */
function timed(ctx: any): object {
  return {
    emit: (result: unknown) => ctx.emit(result),
    output: (tag: OutputTag<unknown>, result: unknown) => ctx.output(tag, result),
    ...{ key: ctx.key, timestamp: ctx.timestamp, watermark: ctx.watermark, processingTime: ctx.processingTime },
    ...{ state: ctx.state, timers: ctx.timers, domain: ctx.domain, broadcast: ctx.broadcast },
  };
}

function declared(program: object) {
  const sideOutputs: readonly OutputTag<any>[] = [seenTag, ...sideOutputsOf(program)];
  return { output: type<unknown>(), sideOutputs };
}

function keyOf(words: string | null | undefined): (element: Element) => Key {
  if (words === undefined || words === null) throw new Error("a keyed driver names its key");
  if (/first field/.test(words)) return ({ el }) => el[0];
  if (/second field/.test(words)) return ({ el }) => el[1];
  if (/as text/.test(words)) return ({ el }) => String(el);
  if (/itself/.test(words)) return ({ el }) => (Array.isArray(el) ? el.map(String) : el);
  throw new Error(`no key: ${words}`);
}

function addUp(a: any, b: any): any {
  return Array.isArray(a) ? [a[0], ...a.slice(1).map((part, i) => part + b[i + 1])] : a + b;
}

function keeps(words: string): (el: any) => boolean {
  if (/even/.test(words)) return (el) => el % 2 === 0;
  if (/odd/.test(words)) return (el) => el % 2 !== 0;
  throw new Error(`no filter: ${words}`);
}

function convert(words: string): (el: any) => unknown {
  if (/text|string/i.test(words)) return (el) => String(el);
  throw new Error(`no map: ${words}`);
}

function expand(words: string): (el: any) => readonly unknown[] {
  if (/even/.test(words) && /squared/.test(words)) return (el) => (el % 2 === 0 ? [el, el * el] : []);
  if (/char|letter/.test(words)) return (el) => [...String(el)];
  return (el) => [convert(words)(el)];
}

// ---- the job around it ----

function jobOf(vector: Vector, build: (streams: Streams, vector: Vector) => DataStream<unknown>): Job {
  const watermarks = boundedOutOfOrderness(hours(1_000_000));
  return defineJob("vector", (job) => {
    const source = (uid: string): DataStream<Element> => job.source(uid, anySource<Element>(uid), { watermarks });
    const streams = ["in0", "in1"].map((uid) => (hasTimestamps(vector, uid) ? source(uid) : withoutTimestamps(source(uid), uid)));
    const op = build(streams as unknown as Streams, vector);
    for (const tag of vector.config.driver.endsWith("rocess") ? declared(vector.config.program).sideOutputs : [])
      op.sideOutput(tag).sinkTo(`side-${tag.id}`, anySink());
    probed(op, source("prime")).sinkTo("out", anySink());
  });
}

function hasTimestamps({ input }: Vector, uid: string): boolean {
  const elements = input.filter((step) => "el" in step && sourceOf(step) === uid);
  const without = elements.filter(({ ts }) => ts === null);
  if (without.length > 0 && without.length < elements.length) throw new Error("some elements have timestamps, some have none");
  return without.length === 0;
}

/** P2 */
function withoutTimestamps(stream: DataStream<Element>, uid: string): DataStream<Element> {
  return stream
    .keyBy(() => "all")
    .process(`${uid}-bare`, {
      state: { held: list<Element>() },
      output: type<Element>(),
      onRecord(element, ctx) {
        ctx.state.held.add(element);
        ctx.timers.processingTime(ctx.processingTime);
      },
      onTimer(_at, ctx) {
        for (const element of ctx.state.held.get()) ctx.emit(element);
        ctx.state.held.clear();
      },
    });
}

/** P1. What comes from `prime` is the list of watermarks to look out for. */
function probed(stream: DataStream<unknown>, prime: DataStream<Element>): DataStream<Emitted> {
  const records = stream.map("shown", (shown) => ({ shown }));
  return records
    .union<{ shown?: unknown; el?: any }>(prime)
    .keyBy(() => "all")
    .process("probe", {
      state: { last: value<number>() },
      output: type<Emitted>(),
      onRecord(item: { shown?: unknown; el?: any }, ctx) {
        if ("shown" in item) ctx.emit({ value: item.shown, ts: ctx.timestamp ?? null });
        else for (const at of item.el as number[]) ctx.timers.eventTime(at);
      },
      onTimer(_at, ctx) {
        if (ctx.state.last.get() === ctx.watermark) return;
        ctx.state.last.set(ctx.watermark);
        ctx.emit({ wm: ctx.watermark === Infinity ? "MAX" : ctx.watermark });
      },
    });
}

function sourceOf({ input }: any): "in0" | "in1" {
  return input === 2 || input === "right" ? "in1" : "in0";
}

const lastTime = 8.64e15;

async function runJob(
  vector: Vector,
  build: (streams: Streams, vector: Vector) => DataStream<unknown>,
): Promise<Failure | undefined> {
  checkProgram(vector.config.program);
  if (vector.expected.error !== undefined) return runToError(vector, build);
  const given = new Given(jobOf(vector, build));
  await given.begin(vector.input.flatMap(({ wm }) => (typeof wm === "number" ? [wm] : wm === undefined ? [] : [lastTime])));
  const { phases = [], order } = vector.expected;
  let done = 0;
  for (const { afterStep, emit } of phases as { afterStep: number; emit: any[] }[]) {
    for (; done < afterStep; done++) await given.step(vector.input[done]);
    const failure = compareEmitted(given.takeOut(), emit, order, afterStep);
    if (failure !== undefined) return failure;
  }
  for (; done < vector.input.length; done++) await given.step(vector.input[done]);
  return checkRest(vector, given);
}

/** Upstream's function, or the call that it makes, is refused. */
async function runToError(
  vector: Vector,
  build: (streams: Streams, vector: Vector) => DataStream<unknown>,
): Promise<Failure | undefined> {
  const given = new Given(jobOf(vector, build));
  await given.begin([]);
  try {
    for (const step of vector.input) await given.step(step);
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
  return { expected: vector.expected, actual: "no error" };
}

/** A step whose record went to the dead letters. */
class Refused extends Error {}

function compareEmitted(
  actual: readonly Emitted[],
  listed: readonly any[],
  order: string,
  afterStep: number,
): Failure | undefined {
  const looksAtTime = listed.some((item) => "wm" in item);
  const looksAtTimestamps = listed.some((item) => "ts" in item);
  const timed = looksAtTime ? actual : actual.filter((item) => !("wm" in item));
  const shown = looksAtTimestamps ? timed : timed.map((item) => ("wm" in item ? item : { value: item.value, ts: null }));
  const expected = listed.map((item) => ("wm" in item ? { wm: item.wm } : { value: item.value, ts: item.ts ?? null }));
  const unordered = order === "any" || order === "anyBetweenWatermarks";
  return compare(
    unordered ? sortRuns(shown, order) : shown,
    unordered ? sortRuns(expected, order) : expected,
    `after step ${afterStep}`,
  );
}

/** Sorts all, or the runs between two watermarks. */
function sortRuns(items: readonly Emitted[], order: string): readonly Emitted[] {
  const runs: Emitted[][] = [[]];
  for (const item of items)
    if (order !== "any" && "wm" in item) runs.push([item], []);
    else runs.at(-1)!.push(item);
  const text = (item: Emitted) => JSON.stringify(item);
  return runs.flatMap((run) => run.sort((a, b) => (text(a) < text(b) ? -1 : 1)));
}

/** What vectors expect beside phases. */
function checkRest({ expected }: Vector, given: Given): Failure | undefined {
  for (const [tag, rows] of Object.entries<any[]>(expected.sideOutputs ?? {})) {
    const failure = compare(given.side(tag), rows, `side output ${tag}`);
    if (failure !== undefined) return failure;
  }
  const seen = given.side("seen").map((row) => row.value as Seen);
  const seenIn = (where: Seen["where"]) => Object.fromEntries(seen.findLast((one) => one.where === where)?.entries ?? []);
  const timer = seen.findLast(({ where }) => where === "onTimer");
  const known: Readonly<Record<string, () => unknown>> = {
    broadcastStateSeenOnElement1: () => seenIn("onElement1"),
    broadcastStateSeenOnTimer: () => seenIn("onTimer"),
    timerTime: () => timer?.timerTime,
    timerKey: () => timer?.key,
    watermarks: () => given.all.flatMap((item) => ("wm" in item ? [item.wm] : [])),
    recordsOut: () => given.all.filter((item) => "value" in item).length,
  };
  for (const [name, of] of Object.entries(known)) {
    if (expected[name] === undefined || isDeepStrictEqual(of(), expected[name])) continue;
    return { expected: { [name]: expected[name] }, actual: { [name]: of() } };
  }
  const looked = new Set(["phases", "order", "sideOutputs", ...Object.keys(known)]);
  const unknown = Object.keys(expected).filter((name) => !looked.has(name) && !isInternal(name));

  return unknown.length === 0 ? undefined : { expected, actual: `nothing looks at ${unknown.join(", ")}` };
}

/** A run of the job, through snapshots, and what it has given. */
class Given {
  readonly all: Emitted[] = [];
  readonly #job: Job;
  #run: JobHarness | undefined;
  #taken = 0;
  readonly #sides = new Map<string, { value: unknown; ts: number | null }[]>();

  constructor(job: Job) {
    this.#job = job;
  }

  async begin(watermarks: readonly number[]): Promise<void> {
    this.#run = await harness(this.#job);
    await this.#run.push("prime", { value: { el: watermarks } });
    await this.#run.endInput("prime");
  }

  async step(step: any): Promise<void> {
    const run = this.#run!;
    if (step.snapshotRestore) {
      this.#note();
      this.#taken = 0;
      this.#run = await harness(this.#job, { from: await run.snapshot() });
      return;
    }
    if (step.pt !== undefined) await run.advanceProcessingTime(millis(step.pt - run.processingTime));
    else if ("el" in step) await this.#push(step);
    else if (step.wm === "MAX") await run.endInput(sourceOf(step));
    else if (step.wm !== undefined) await run.advanceWatermark(sourceOf(step), timeOf(step.wm));
    else if (step.endOfInput || step.close) await run.endInput();
    else throw new Error(`no step: ${JSON.stringify(step)}`);
    this.#note();
  }

  async #push(step: any): Promise<void> {
    await this.#run!.push(sourceOf(step), { value: { el: step.el }, ...(typeof step.ts === "number" && { timestamp: step.ts }) });
    const letters = this.#run!.deadLetters();
    if (letters.length > 0) throw new Refused(letters[0]!.reason);
  }

  #note(): void {
    const out = this.#run!.output<Emitted>("out");
    this.all.push(...out.slice(this.#taken));
    this.#taken = out.length;
    for (const { uid, spec } of this.#job.graph.nodes)
      if (spec.kind === "sink" && uid.startsWith("side-")) {
        const rows = this.#run!.rows(uid).map((row) => ({ value: row.value, ts: row.timestamp ?? null }));
        this.#sides.set(uid.slice("side-".length), rows);
      }
  }

  #given = 0;

  /** What came out since it was asked last. */
  takeOut(): readonly Emitted[] {
    const out = this.all.slice(this.#given);
    this.#given = this.all.length;
    return out;
  }

  side(tag: string): readonly { readonly value: unknown; readonly ts: number | null }[] {
    return this.#sides.get(tag) ?? [];
  }
}
