/** What windows, triggers and evictors refuse when the job is defined, and what types say of them. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  calendarDays,
  calendarWeeks,
  count,
  countWindow,
  cumulating,
  days,
  defineJob,
  evictors,
  globalWindow,
  isKind,
  list,
  millis,
  minutes,
  monotonous,
  planJob,
  seconds,
  session,
  sliding,
  triggers,
  tumbling,
  type,
  value,
  type DataStream,
  type Duration,
  type Evictor,
  type SourceStream,
  type TimeWindow,
  type Trigger,
  type Window,
  type WindowAssigner,
  type WindowedStream,
} from "../../runtime/index.ts";
import { testSink, testSource } from "./connectors.ts";
import { type Equal, holds } from "./types.ts";

function define(build: (source: SourceStream<string>) => DataStream<unknown>, watermarks = true) {
  return defineJob("job", (job) => {
    const source = job.source("in", testSource<string>(), watermarks ? { watermarks: monotonous() } : {});
    build(source).sinkTo("out", testSink());
  });
}

type Parts = {
  readonly trigger?: Trigger<string, any>;
  readonly evictor?: Evictor<string>;
};

/** A count over these windows; the operator is "w". */
function windows<W extends Window>(assigner: WindowAssigner<string, W>, parts: Parts = {}, watermarks = true) {
  return define((source) => {
    let windowed: WindowedStream<string, string, W> = source.keyBy((v) => v).window(assigner);
    if (parts.trigger) windowed = windowed.trigger(parts.trigger);
    if (parts.evictor) windowed = windowed.evictor(parts.evictor);
    return windowed.aggregate("w", count());
  }, watermarks);
}

function assertRefused(make: () => unknown, message: RegExp, context: Readonly<Record<string, unknown>> = {}): void {
  assert.throws(make, (error: unknown) => {
    assert.ok(isKind(error, "invalid"), String(error));
    assert.match(error.message, message);
    for (const [name, part] of Object.entries({ operator: "w", ...context })) assert.deepEqual(error.context[name], part, name);
    return true;
  });
}

const ms = (n: number) => n as Duration;
const notLengths = [0, -1, 0.5, NaN, Infinity, "1" as unknown as number, undefined as unknown as number];

describe("sliding windows", () => {
  for (const bad of notLengths) {
    test(`a size of ${bad} is refused`, () => assertRefused(() => windows(sliding(ms(bad), ms(10))), /size/));
    test(`a slide of ${bad} is refused`, () => assertRefused(() => windows(sliding(ms(10), ms(bad))), /slide/, { slide: bad }));
  }
  for (const offset of [5, -5, 6, 0.5, NaN])
    test(`an offset of ${offset} is refused for a slide of 5`, () =>
      assertRefused(() => windows(sliding(ms(10), ms(5), { offset: ms(offset) })), /offset.*slide/, { offset, slide: 5 }));
  test("a slide longer than the size is taken, and any offset within it", () => {
    windows(sliding(ms(10), ms(25), { offset: ms(-24) }));
    windows(sliding(ms(10), ms(4), { offset: ms(3) }));
  });
  test("more windows for a record than anyone can mean are refused", () =>
    assertRefused(() => windows(sliding(days(1), millis(1))), /more than 1000000 windows/));
});

describe("cumulating windows", () => {
  for (const bad of notLengths) {
    test(`a step of ${bad} is refused`, () => assertRefused(() => windows(cumulating(ms(bad), ms(10))), /step/));
    test(`a size of ${bad} is refused`, () => assertRefused(() => windows(cumulating(ms(10), ms(bad))), /size/));
  }
  for (const [step, size] of [
    [3, 10],
    [20, 10],
  ] as const)
    test(`a size of ${size} is refused for a step of ${step}`, () =>
      assertRefused(() => windows(cumulating(ms(step), ms(size))), /multiple of its step/, { step, size }));
  test("an offset as long as the size is refused", () =>
    assertRefused(() => windows(cumulating(ms(5), ms(10), { offset: ms(10) })), /offset/, { offset: 10 }));
});

describe("calendar windows", () => {
  for (const timeZone of ["Middle/Earth", "", undefined as unknown as string, 5 as unknown as string])
    test(`the time zone ${JSON.stringify(timeZone)} is refused`, () => {
      assertRefused(() => windows(calendarDays({ timeZone })), /time zone/, { timeZone });
      assertRefused(() => windows(calendarWeeks({ timeZone })), /time zone/, { timeZone });
    });
  test("a week starts on a day that weeks start on", () => {
    windows(calendarWeeks({ timeZone: "Asia/Dubai", startsOn: "saturday" }));
    assertRefused(() => windows(calendarWeeks({ timeZone: "Asia/Dubai", startsOn: "friday" as never })), /week starts/);
  });
});

describe("count windows", () => {
  for (const bad of notLengths) {
    test(`a size of ${bad} is refused`, () => assertRefused(() => windows(countWindow(bad)), /size/));
    if (bad !== undefined) test(`a slide of ${bad} is refused`, () => assertRefused(() => windows(countWindow(5, bad)), /slide/));
  }
});

test("a time that is none is refused", () => {
  for (const assigner of [tumbling(ms(1), { time: "ingestion" as never }), session(ms(1), { time: "x" as never })])
    assertRefused(() => windows(assigner), /"event" or "processing"/);
});

describe("triggers", () => {
  const refused: readonly (readonly [string, Trigger<string, Window>, RegExp])[] = [
    ...[0, -1, 1.5, NaN].map((n) => [`count ${n}`, triggers.count(n), /count/] as const),
    ...[0, -1, 1.5, NaN].map((n) => [`continuous event time ${n}`, triggers.continuousEventTime(ms(n)), /interval/] as const),
    ...[0, -1].map((n) => [`continuous processing time ${n}`, triggers.continuousProcessingTime(ms(n)), /interval/] as const),
    ...[0, -1, NaN].map((n) => [`time-out ${n}`, triggers.timeOut(triggers.count(1), ms(n)), /time-out/] as const),
    ["delta NaN", triggers.delta<string>(NaN, () => 0), /threshold/],
    ["one inside another", triggers.purging(triggers.timeOut(triggers.count(0), ms(1))), /count/],
  ];
  for (const [name, trigger, message] of refused)
    test(`${name} is refused`, () => assertRefused(() => windows(globalWindow(), { trigger }), message));

  test("a global window without one is refused, since it never fires", () => {
    assertRefused(() => windows(globalWindow()), /never fires by itself/);
    windows(globalWindow(), { trigger: triggers.never() });
  });

  const cannotMerge: readonly (readonly [string, Trigger<string, any>])[] = [
    ["delta", triggers.delta<string>(1, () => 0)],
    ["timeOut(count)", triggers.timeOut(triggers.count(1), seconds(1))],
    ["purging(delta)", triggers.purging(triggers.delta<string>(1, () => 0))],
    ["custom", triggers.custom<string, Window>({ onElement: () => "fire" })],
  ];
  for (const [name, trigger] of cannotMerge)
    test(`sessions refuse ${name}, which cannot merge`, () => {
      assertRefused(() => windows(session(seconds(1)), { trigger }), /merge/, { trigger: name });
      windows(tumbling(seconds(1)), { trigger });
    });
  test("sessions take those that can", () => {
    const custom = triggers.custom<string, Window>({ onElement: () => "fire", onMerge: () => undefined });
    const able = [triggers.eventTime(), triggers.count(1), triggers.continuousEventTime(ms(5)), custom];
    for (const trigger of able) windows(session(seconds(1)), { trigger: triggers.purging<string, TimeWindow>(trigger) });
  });

  test("windows that end refuse one that waits for the end of the input", () => {
    const waiting = [triggers.endOfStream(), triggers.purging(triggers.endOfStream())];
    for (const trigger of waiting) {
      assertRefused(() => windows(tumbling(ms(5)), { trigger }), /end before the input does.*endOfStream\(\)/, {
        windows: "tumbling",
      });
      windows(globalWindow(), { trigger });
    }
    windows(tumbling(ms(5)), { trigger: triggers.timeOut(triggers.endOfStream(), ms(1)) });
  });

  test("event time below a source without watermarks is refused", () => {
    for (const trigger of [triggers.continuousEventTime(ms(5)), triggers.purging(triggers.continuousEventTime(ms(5)))])
      assertRefused(() => windows(globalWindow(), { trigger }, false), /event-time trigger.*without watermarks/, {
        source: "in",
      });
    assertRefused(() => windows(sliding(ms(2), ms(1)), {}, false), /event-time window/, { source: "in" });
    assertRefused(() => windows(calendarDays({ timeZone: "UTC" }), {}, false), /event-time window/);
    windows(countWindow(3), {}, false);
    windows(globalWindow(), { trigger: triggers.endOfStream() }, false);
    windows(sliding(ms(2), ms(1), { time: "processing" }), {}, false);
  });
});

describe("evictors", () => {
  for (const [name, evictor] of [
    ...[0, -1, 1.5, NaN].map((n) => [`count ${n}`, evictors.count(n)] as const),
    ...[-1, 0.5, NaN].map((n) => [`time ${n}`, evictors.time(ms(n))] as const),
    ["delta NaN", evictors.delta<string>(NaN, () => 0)] as const,
  ])
    test(`${name} is refused`, () => assertRefused(() => windows(tumbling(minutes(1)), { evictor }), /evictor/));

  test("sessions whose contents are not folded on arrival need no merge", () => {
    const { merge: _, ...plain } = count();
    define((source) =>
      source
        .keyBy((v) => v)
        .window(session(seconds(1)))
        .evictor(evictors.count(1))
        .aggregate("w", plain));
  });
});

test("what windows, triggers and evictors keep is in the plan", () => {
  const job = define((source) =>
    source
      .keyBy((v) => v)
      .window(globalWindow())
      .trigger(triggers.timeOut(triggers.purging(triggers.count(3)), seconds(1)))
      .evictor(evictors.count(5))
      .process("w", { output: type<string>(), windowState: { fired: value<number>() }, onWindow: () => undefined }),
  );
  assert.deepEqual(
    planJob(job)
      .operators.get("w")
      ?.states.map(({ name, kind }) => `${name} ${kind}`),
    ["elements list", "trigger.timeOut value", "trigger.inner.count reducing", "window.fired value"],
  );
});

/** Held by the compiler. */
export const typesOfWindows = () =>
  define((source) => {
    const keyed = source.map("length", (v) => ({ length: v.length, text: v })).keyBy((v) => v.text);
    type Value = { length: number; text: string };
    holds<Equal<ReturnType<typeof keyed.window<Window>>, WindowedStream<Value, string, Window>>>();

    const global = keyed.window(globalWindow());
    // @ts-expect-error only windows of time have an end that time passes
    global.trigger(triggers.eventTime());
    // @ts-expect-error the distance is of other values
    global.trigger(triggers.delta(1, (a: number, b: number) => a - b));
    global.trigger(triggers.delta(1, (a: Value, b: Value) => a.length - b.length));
    // @ts-expect-error the distance is of other values
    global.evictor(evictors.delta(1, (a: number, b: number) => a - b));
    // @ts-expect-error a bare number is no length of time
    void (() => sliding(10, 5));
    // @ts-expect-error a calendar needs a time zone
    void (() => calendarDays({}));

    const custom = triggers.custom<Value, TimeWindow, { seen: ReturnType<typeof list<number>> }>({
      state: { seen: list<number>() },
      onElement(v, timestamp, window, ctx) {
        holds<Equal<typeof v, Value>>();
        holds<Equal<typeof timestamp, number>>();
        ctx.state.seen.add(v.length);
        // @ts-expect-error the state holds numbers
        ctx.state.seen.add("one");
        // @ts-expect-error not a declared state
        void ctx.state.other;
        ctx.timers.eventTime(window.end);
        return "continue";
      },
      onEventTime(at, window, ctx) {
        holds<Equal<typeof window, TimeWindow>>();
        return at === window.maxTimestamp && ctx.state.seen.get().length > 1 ? "fireAndPurge" : "continue";
      },
      // @ts-expect-error not what a trigger says
      onProcessingTime: () => "FIRE",
    });
    // @ts-expect-error the trigger is of windows of time
    global.trigger(custom);
    keyed.window(tumbling(minutes(1))).trigger(custom);

    return source.windowAll(cumulating(minutes(1), days(1))).apply("w", (key, window, values) => {
      holds<Equal<typeof key, null>>();
      holds<Equal<typeof window, TimeWindow>>();
      holds<Equal<typeof values, readonly string[]>>();
      return values;
    });
  });
