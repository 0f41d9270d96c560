/** The configuration of a window vector as a job, and as what the engine knows of its parts. */
import {
  customWatermarks,
  defineJob,
  evictors,
  globalWindow,
  keyedProcess,
  list,
  millis,
  outputTag,
  session,
  sliding,
  triggers,
  tumbling,
  type,
  type DataStream,
  type Duration,
  type Evictor,
  type Job,
  type Trigger,
  type Window,
  type WindowAssigner,
  type WindowedStream,
} from "../../../runtime/index.ts";
import type { TriggerSpec } from "../../../runtime/api/triggers.ts";
import type { WindowAssignerSpec } from "../../../runtime/api/windows.ts";
import { anySink, anySource } from "../../operators/pipeline.ts";

/** A record of these vectors. */
export interface Item {
  readonly key: string;
  readonly value: number;
}

export const late = outputTag<Item>("late");

/** Watermarks come from the vector's steps alone. */
const steppedWatermarks = customWatermarks<Item, null>({ create: () => null, onRecord: () => undefined });

/** Takes the records' timestamps away: what a processing-time timer emits has none. */
const untimed = keyedProcess({
  key: type<string>(),
  state: { items: list<Item>() },
  output: type<Item>(),
  onRecord(item: Item, ctx) {
    ctx.state.items.add(item);
    ctx.timers.processingTime(ctx.processingTime);
  },
  onTimer(_at, ctx) {
    for (const item of ctx.state.items.get()) ctx.emit(item);
    ctx.state.items.clear();
  },
});

/** Source "in", window operator "window", sinks "out" and "late". */
export function windowJob(config: any, withoutTimestamps = false): Job {
  return defineJob("window", (job) => {
    const source = job.source("in", anySource<Item>("in"), { timestamps: () => 0, watermarks: steppedWatermarks });
    const items = withoutTimestamps ? source.keyBy((item) => item.key).process("untimed", untimed) : source;
    const assigner = assignerOf(config.assigner);
    let windows: WindowedStream<Item, any, Window> =
      config.keyBy === null ? items.windowAll(assigner) : items.keyBy((item) => item.key).window(assigner);
    if (config.trigger !== undefined) windows = windows.trigger(triggerOf(config.trigger));
    if (config.evictor !== undefined) windows = windows.evictor(evictorOf(config.evictor));
    windows = windows.allowedLateness(millis(config.allowedLatenessMs ?? 0));
    if (config.lateSideOutput) windows = windows.sideOutputLate(late);
    const results = resultsOf(windows, config.function);
    results.sinkTo("out", anySink());
    if (config.lateSideOutput) results.sideOutput(late).sinkTo("late", anySink());
  });
}

function resultsOf(windows: WindowedStream<Item, any, Window>, fn: any): DataStream<unknown> {
  const kind: string = fn.type;
  const emits: string = fn.emit ?? "";
  const total = (values: readonly Item[]) => values.reduce((sum, { value }) => sum + value, 0);
  const shaped = (key: unknown, window: any, sum: number) => {
    const fields: Record<string, unknown> = { key, sum, window: [window.start, window.end] };
    return Object.fromEntries(emits.split(",").map((name) => [name.trim(), fields[name.trim()]]));
  };
  if (isText(kind, emits)) return windows.apply("window", (_key, _window, values) => [{ value: textOf(values, emits) }]);
  if (kind === "none") return windows.apply("window", () => []);
  if (kind === "passThrough")
    return windows.apply("window", (_key, _window, values) => values.map(({ key, value }) => ({ key, sum: value })));
  if (kind.startsWith("reduce"))
    return windows.reduce(
      "window",
      (a, b) => ({ key: a.key, value: a.value + b.value }),
      (key, window, { value }) => shaped(key, window, value),
    );
  if (kind.startsWith("aggregate"))
    return windows.aggregate(
      "window",
      {
        create: () => 0,
        add: (sum: number, { value }: Item) => sum + value,
        result: (sum: number) => sum,
        merge: (a: number, b: number) => a + b,
      },
      shaped,
    );
  return windows.apply("window", (key, window, values) => [shaped(key, window, total(values))]);
}

/** All values as one text, behind the words that the vector puts before them. */
function isText(kind: string, emits: string): boolean {
  return /text|concat|join/i.test(kind) || /text|joined|GOT/.test(emits);
}

function textOf(values: readonly Item[], emits: string): string {
  const [before = ""] = /GOT: ?/.exec(emits) ?? [];
  return before + values.map(({ key, value }) => `(${key},${value})`).join(",");
}

function assignerOf(assigner: any): WindowAssigner<Item, any> {
  const time = assigner.time ?? "event";
  const offset = millis(assigner.offsetMs ?? 0);
  switch (assigner.type) {
    case "tumbling":
      return tumbling(millis(assigner.sizeMs), { offset, time });
    case "sliding":
      return sliding(millis(assigner.sizeMs), millis(assigner.slideMs), { offset, time });
    case "session":
    case "pointSession":
      return session<any>(gapOf(assigner), { time });
    case "global":
      return globalWindow();
    default:
      throw new Error(`no assigner ${assigner.type}`);
  }
}

/** The shortest window; it stands for one without any length too, which the design has not, and only custom assigners of Flink's make. */
const shortest = 1;

/** The value whose records get such a window. */
function pointValueOf(assigner: any): number | undefined {
  const words = JSON.stringify(assigner);
  if (!/point|zero|empty|start = end|\[ts, ?ts\)/i.test(words)) return undefined;
  const [, value] = /value\D{0,24}?(\d+)/i.exec(words) ?? [];
  return value === undefined ? undefined : Number(value);
}

/** A fixed gap, the record's own (`gapMs`), or by a rule. */
function gapOf(assigner: any) {
  const { gap, gapMs, gapRule } = assigner;
  const point = pointValueOf(assigner);
  if (gapRule !== undefined) return ruledGap(gapRule, gapMs);
  if (point !== undefined) return ({ value }: Item) => millis(value === point ? shortest : gapMs);
  if (gap !== "dynamic") return millis(gapMs);
  return (item: any) => millis(item.gapMs);
}

/** "a: 3000; b: 1000 when value == 10, else 2000": by key and by value; a part without a key is for all others. */
function ruledGap(rule: string, otherwise: number | undefined): (item: Item) => Duration {
  const byKey = new Map<string | undefined, (value: number) => number | undefined>();
  for (const part of rule.split(";")) {
    const [before = "", key] = /^\s*([A-Za-z_]\w*)\s*:(?!=)/.exec(part) ?? [];
    const [condition = "", when] = /value\s*(?:==?|is)\s*(\d+)/.exec(part) ?? [];
    const [then, other] = part.slice(before.length).replace(condition, "").match(/\d+/g) ?? [];
    byKey.set(key, (value) => gapFor(when === undefined || value === Number(when) ? then : (other ?? otherwise)));
  }
  return ({ key, value }) => millis((byKey.get(key) ?? byKey.get(undefined))?.(value) ?? otherwise ?? 0);
}

function gapFor(ms: string | number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(shortest, Number(ms));
}

function triggerOf(trigger: any): Trigger<Item, any> {
  switch (trigger.type) {
    case "eventTime":
      return triggers.eventTime();
    case "processingTime":
      return triggers.processingTime();
    case "endOfStream":
      return triggers.endOfStream();
    case "never":
      return triggers.never();
    case "count":
      return triggers.count(trigger.count);
    case "continuousEventTime":
      return triggers.continuousEventTime(millis(trigger.intervalMs));
    case "continuousProcessingTime":
      return triggers.continuousProcessingTime(millis(trigger.intervalMs));
    case "delta":
      return triggers.delta<Item>(trigger.threshold, (last, current) => current.value - last.value);
    case "purging":
      return triggers.purging(triggerOf(trigger.inner));
    case "processingTimeTimeout":
      return triggers.timeOut(triggerOf(trigger.inner), millis(trigger.timeoutMs), {
        resetTimerOnNewRecord: trigger.resetTimerOnNewRecord,
        shouldClearOnTimeout: trigger.clearOnTimeout,
      });
    case "custom":
      return customTriggerOf(trigger);
  }
  throw new Error(`no trigger ${trigger.type} ${trigger.rule ?? ""}`);
}

/** By the words of its rule. */
function customTriggerOf({ rule = "" }: any): Trigger<Item, any> {
  if (/every element/.test(rule) && /every timer/.test(rule))
    return triggers.custom<Item, Window>({
      onElement: () => "fire",
      onEventTime: () => "fire",
      onProcessingTime: () => "fire",
      onMerge: () => undefined,
    });
  if (/window|end|max|clean/i.test(rule)) return atTheEnd(/purg/i.test(rule) && !/\b(not|never|without|no) purg/i.test(rule));
  throw new Error(`no custom trigger: ${rule}`);
}

/** As the trigger of event time. One that purges says so at the window's end, and at the time of its clean-up too. */
function atTheEnd(purges: boolean): Trigger<Item, any> {
  return triggers.custom<Item, Window>({
    onElement(_item, _timestamp, window, ctx) {
      if (window.maxTimestamp <= ctx.watermark) return "fire";
      ctx.timers.eventTime(window.maxTimestamp);
      return "continue";
    },
    onEventTime(at, window) {
      if (purges) return at >= window.maxTimestamp ? "fireAndPurge" : "continue";
      return at === window.maxTimestamp ? "fire" : "continue";
    },
    onMerge: (window, ctx) => ctx.timers.eventTime(window.maxTimestamp),
    onClear: (window, ctx) => ctx.timers.cancelEventTime(window.maxTimestamp),
  });
}

function evictorOf(evictor: any): Evictor<Item> {
  const options = { after: evictor.when === "after" };
  switch (evictor.type) {
    case "count":
      return evictors.count(evictor.max, options);
    case "time":
      return evictors.time(millis(evictor.keepMs), options);
    case "delta":
      return evictors.delta<Item>(evictor.threshold, (value, last) => last.value - value.value, options);
    default:
      throw new Error(`no evictor ${evictor.type}`);
  }
}

export function assignerSpecOf(assigner: any): WindowAssignerSpec {
  return assignerOf(assigner).spec;
}

export function triggerSpecOf(trigger: any): TriggerSpec {
  return triggerOf(trigger).spec;
}
