/**
 * Every kind of window, trigger and evictor over random input, out of order and late, however it is cut into batches, crashed,
 * restored and rescaled: results are those of a few obvious lines that recompute everything.
 */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  boundedOutOfOrderness,
  calendarDays,
  countWindow,
  cumulating,
  evictors,
  globalWindow,
  millis,
  outputTag,
  session,
  sliding,
  triggers,
  tumbling,
  type DataStream,
  type Evictor,
  type Job,
  type TimeWindow,
  type Trigger,
  type Window,
  type WindowAssigner,
  type WindowedStream,
} from "../../runtime/index.ts";
import { type Event, pipeline } from "./pipeline.ts";
import { runOn, schedules, sorted } from "./schedule.ts";

const boundMs = 3_000;
const watermarks = boundedOutOfOrderness(millis(boundMs));
const options = { numRuns: 60 };

/** Values are parts of a sum that tells which records it is of. */
const events = fc
  .array(fc.record({ key: fc.constantFrom("a", "b", "c"), at: fc.integer({ min: -15_000, max: 40_000 }) }), { maxLength: 50 })
  .map((list): Event[] => list.map((e, n) => ({ ...e, n })));
const latenesses = fc.constantFrom(0, 1, 2_500, 20_000);

/** The source's watermark after a record, on the grid of one second. */
function watermarkAfter(before: number, { at }: Event): number {
  return Math.max(before, Math.floor((at - boundMs) / 1_000) * 1_000 - 1);
}

type Pair = readonly [start: number, end: number];
type Result = readonly [key: string, start: number, end: number, ...ns: number[]];
type Windowed = WindowedStream<Event, string, TimeWindow>;

/** What windows that are fixed give of the input, and which records are late for all of them. */
function expectedOf(input: readonly Event[], windowsOf: (at: number) => readonly Pair[], latenessMs: number) {
  const out: Result[] = [];
  const late: number[] = [];
  const contents = new Map<string, Result>();
  let watermark = -Infinity;
  const advance = (to: number) => {
    for (const result of contents.values()) if (result[2] - 1 > watermark && result[2] - 1 <= to) out.push(result);
    watermark = to;
  };
  for (const e of input) {
    const open = windowsOf(e.at).filter(([, end]) => end - 1 + latenessMs > watermark);
    if (open.length === 0 && e.at + latenessMs <= watermark) late.push(e.n ?? -1);
    for (const [start, end] of open) {
      const before = contents.get(`${e.key} ${start} ${end}`) ?? ([e.key, start, end] as const);
      const after: Result = [...before, e.n ?? -1];
      contents.set(`${e.key} ${start} ${end}`, after);
      if (end - 1 <= watermark) out.push(after);
    }
    advance(watermarkAfter(watermark, e));
  }
  advance(Infinity);
  return { out, late };
}

const late = outputTag<Event>("late");

/** Results as [key, start, end, n, n, …], and late records as "late n". */
function jobOf(assigner: WindowAssigner<unknown, TimeWindow>, latenessMs: number, how: "apply" | "aggregate" | "merging"): Job {
  return pipeline(
    (stream) => {
      const windows = stream
        .keyBy(({ key }) => key as string)
        .window(assigner)
        .allowedLateness(millis(latenessMs))
        .sideOutputLate(late);
      const results = resultsOf(windows, how);
      return results.union(results.sideOutput(late).map("late", ({ n }) => `late ${n}`));
    },
    { watermarks },
  );
}

function resultsOf(windows: Windowed, how: "apply" | "aggregate" | "merging"): DataStream<unknown> {
  const shape = (key: string, { start, end }: TimeWindow, ns: readonly number[]) => [key, start, end, ...ns];
  if (how === "apply")
    return windows.apply("windows", (key, window, values) => [
      shape(
        key,
        window,
        values.map(({ n }) => n ?? -1),
      ),
    ]);
  const collect = {
    create: (): number[] => [],
    // Changed in place, and so are both that are merged: nothing else may show it.
    add: (ns: number[], { n }: Event) => (ns.push(n ?? -1), ns),
    result: (ns: number[]) => ns.toSorted((a, b) => a - b),
  };
  const merge = (a: number[], b: number[]) => (b.push(...a), a.splice(0), b);
  return how === "merging"
    ? windows.aggregate("windows", { ...collect, merge }, shape)
    : windows.aggregate("windows", collect, shape);
}

interface Fixed {
  readonly assigner: WindowAssigner<unknown, TimeWindow>;
  readonly windowsOf: (at: number) => readonly Pair[];
}

/** All windows of these starts and sizes that hold the time, by trying every start. */
function holding(at: number, starts: (from: number) => boolean, size: number): Pair[] {
  const found: Pair[] = [];
  for (let start = at; start > at - size; start--) if (starts(start)) found.push([start, start + size]);
  return found;
}

const isMultiple = (n: number, of: number) => ((n % of) + of) % of === 0;

const kinds: Readonly<Record<string, fc.Arbitrary<Fixed>>> = {
  tumbling: fc.tuple(fc.constantFrom(3_000, 7_500), fc.integer({ min: -2_999, max: 2_999 })).map(([size, offset]) => ({
    assigner: tumbling(millis(size), { offset: millis(offset) }),
    windowsOf: (at) => holding(at, (start) => isMultiple(start - offset, size), size),
  })),
  sliding: fc
    .tuple(fc.constantFrom(4_000, 6_000, 7_000), fc.constantFrom(1_000, 2_000, 3_500, 9_000), fc.integer({ min: -999, max: 999 }))
    .map(([size, slide, offset]) => ({
      assigner: sliding(millis(size), millis(slide), { offset: millis(offset) }),
      windowsOf: (at) => holding(at, (start) => isMultiple(start - offset, slide), size),
    })),
  cumulating: fc
    .tuple(fc.constantFrom(1_000, 2_500), fc.constantFrom(2, 4), fc.integer({ min: 0, max: 999 }))
    .map(([step, n, offset]) => ({
      assigner: cumulating(millis(step), millis(step * n), { offset: millis(offset) }),
      windowsOf: (at) => {
        const [[start]] = holding(at, (from) => isMultiple(from - offset, step * n), step * n) as [Pair];
        const ends = Array.from({ length: n }, (_, i) => start + (i + 1) * step);
        return ends.filter((end) => end > at).map((end) => [start, end] as const);
      },
    })),
  "calendar days": fc.constant({
    assigner: calendarDays({ timeZone: "UTC" }), // midnight is among the times of the events
    windowsOf: (at) => [at < 0 ? [-86_400_000, 0] : [0, 86_400_000]],
  }),
};

for (const [name, kind] of Object.entries(kinds))
  for (const how of ["apply", "aggregate", "merging"] as const)
    test(`${name} windows, ${how}: the oracle's`, async () => {
      await fc.assert(
        fc.asyncProperty(events, kind, latenesses, schedules, async (input, { assigner, windowsOf }, latenessMs, schedule) => {
          const expected = expectedOf(input, windowsOf, latenessMs);
          const { out, deadLetters } = await runOn(
            jobOf(assigner, latenessMs, how),
            input.map((e) => ({ value: e })),
            schedule,
          );
          const inOrder = ([key, start, end, ...ns]: Result) => [
            key,
            start,
            end,
            ...(how === "apply" ? ns : ns.toSorted((a, b) => a - b)),
          ];
          assert.deepEqual(sorted(out), sorted([...expected.out.map(inOrder), ...expected.late.map((n) => `late ${n}`)]));
          assert.deepEqual(deadLetters, []);
        }),
        options,
      );
    });

/** What a window of all time gives whose trigger looks at each record alone. */
function expectedOfAll(
  input: readonly Event[],
  fire: (all: readonly Event[], key: string) => boolean,
  keep: (all: readonly Event[]) => readonly Event[],
  after: boolean,
  purge = false,
): Result[] {
  const out: Result[] = [];
  const contents = new Map<string, readonly Event[]>();
  for (const e of input) {
    let all: readonly Event[] = [...(contents.get(e.key) ?? []), e];
    if (fire(all, e.key)) {
      if (!after) all = keep(all);
      out.push([e.key, 0, 0, ...all.map(({ n }) => n ?? -1)]);
      all = purge ? [] : after ? keep(all) : all;
    }
    contents.set(e.key, all);
  }
  return out;
}

async function checkAll(
  input: readonly Event[],
  schedule: Parameters<typeof runOn>[2],
  assigner: WindowAssigner<Event, Window>,
  expected: readonly Result[],
  parts: { trigger?: Trigger<Event, Window>; evictor?: Evictor<Event> } = {},
): Promise<void> {
  const job = pipeline(
    (stream) => {
      let windows: WindowedStream<Event, string, Window> = stream.keyBy(({ key }) => key as string).window(assigner);
      if (parts.trigger) windows = windows.trigger(parts.trigger);
      if (parts.evictor) windows = windows.evictor(parts.evictor);
      return windows.apply("windows", (key, _window, values) => [[key, 0, 0, ...values.map(({ n }) => n ?? -1)]]);
    },
    { watermarks },
  );
  const { out, deadLetters } = await runOn(
    job,
    input.map((e) => ({ value: e })),
    schedule,
  );
  const ofKey = (results: readonly unknown[], key: string) => (results as Result[]).filter((result) => result[0] === key);
  for (const key of ["a", "b", "c"]) assert.deepEqual(ofKey(out, key), ofKey(expected, key));
  assert.equal(out.length, expected.length);
  assert.deepEqual(deadLetters, []);
}

/** How many records of its key have come, the one at hand among them. */
function counter() {
  const counts = new Map<string, number>();
  return (key: string): number => {
    const n = (counts.get(key) ?? 0) + 1;
    counts.set(key, n);
    return n;
  };
}

test("count windows: the oracle's", async () => {
  const slides = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(events, schedules, fc.integer({ min: 1, max: 5 }), slides, async (input, schedule, size, slide) => {
      const seen = counter();
      const expected = expectedOfAll(
        input,
        (_all, key) => seen(key) % (slide ?? size) === 0,
        (all) => all.slice(-size),
        false,
        slide === undefined,
      );
      await checkAll(input, schedule, countWindow(size, slide), expected);
    }),
    options,
  );
});

const distance = (a: Event, b: Event) => b.at - a.at;

test("evictors: the oracle's, before and after", async () => {
  const threshold = 4_000;
  const kinds = fc.constantFrom("count", "time", "delta");
  const keepers: Record<string, (all: readonly Event[]) => readonly Event[]> = {
    count: (all) => all.slice(-3),
    time: (all) => all.filter(({ at }) => at > Math.max(...all.map((e) => e.at)) - threshold),
    delta: (all) => all.filter((e) => !(distance(e, all.at(-1)!) >= threshold)),
  };
  await fc.assert(
    fc.asyncProperty(events, schedules, kinds, fc.boolean(), async (input, schedule, kind, after) => {
      const evictor = {
        count: evictors.count(3, { after }),
        time: evictors.time(millis(threshold), { after }),
        delta: evictors.delta<Event>(threshold, distance, { after }),
      }[kind] as Evictor<Event>;
      const seen = counter();
      const keep = keepers[kind]!;
      // What is evicted before the function is gone for good, as what is evicted after it.
      const contents = new Map<string, readonly Event[]>();
      const expected: Result[] = [];
      for (const e of input) {
        let all: readonly Event[] = [...(contents.get(e.key) ?? []), e];
        if (seen(e.key) % 2 === 0) {
          if (!after) all = keep(all);
          expected.push([e.key, 0, 0, ...all.map(({ n }) => n ?? -1)]);
          if (after) all = keep(all);
        }
        contents.set(e.key, all);
      }
      await checkAll(input, schedule, globalWindow(), expected, { trigger: triggers.count(2), evictor });
    }),
    options,
  );
});

test("the delta trigger: the oracle's", async () => {
  await fc.assert(
    fc.asyncProperty(events, schedules, fc.boolean(), async (input, schedule, purge) => {
      const last = new Map<string, Event>();
      const fire = (all: readonly Event[], key: string) => {
        const current = all.at(-1)!;
        const before = last.get(key);
        const far = before !== undefined && distance(before, current) > 5_000;
        if (far || before === undefined) last.set(key, current);
        return far;
      };
      const expected = expectedOfAll(input, fire, (all) => all, true, purge);
      const delta = triggers.delta<Event>(5_000, distance);
      await checkAll(input, schedule, globalWindow(), expected, { trigger: purge ? triggers.purging(delta) : delta });
    }),
    options,
  );
});

test("sessions with lateness and a purging trigger: the oracle's", async () => {
  const gap = 4_000;
  await fc.assert(
    fc.asyncProperty(events, schedules, latenesses, fc.boolean(), async (input, schedule, latenessMs, purge) => {
      let open: { key: string; start: number; end: number; ns: number[] }[] = [];
      const out: Result[] = [];
      let watermark = -Infinity;
      const give = (window: (typeof open)[number]) => {
        if (window.ns.length > 0) out.push([window.key, window.start, window.end, ...window.ns.toSorted((a, b) => a - b)]);
        if (purge) window.ns = [];
      };
      const advance = (to: number) => {
        for (const window of open) if (window.end - 1 > watermark && window.end - 1 <= to) give(window);
        open = open.filter(({ end }) => end - 1 + latenessMs > to);
        watermark = to;
      };
      for (const e of input) {
        const joins = open.filter((s) => s.key === e.key && s.start <= e.at + gap && e.at <= s.end);
        const start = Math.min(e.at, ...joins.map((s) => s.start));
        const end = Math.max(e.at + gap, ...joins.map((s) => s.end));
        if (end - 1 + latenessMs > watermark) {
          const merged = { key: e.key as string, start, end, ns: [...joins.flatMap(({ ns }) => ns), e.n ?? -1] };
          open = [...open.filter((s) => !joins.includes(s)), merged];
          if (end - 1 <= watermark) give(merged);
        }
        advance(watermarkAfter(watermark, e));
      }
      advance(Infinity);
      const job = pipeline(
        (stream) =>
          stream
            .keyBy(({ key }) => key as string)
            .window(session(millis(gap)))
            .trigger(purge ? triggers.purging(triggers.eventTime()) : triggers.eventTime())
            .allowedLateness(millis(latenessMs))
            .apply("windows", (key, window, values) => [
              [key, window.start, window.end, ...values.map(({ n }) => n ?? -1).sort((a, b) => a - b)],
            ]),
        { watermarks },
      );
      const run = await runOn(
        job,
        input.map((e) => ({ value: e })),
        schedule,
      );
      assert.deepEqual(sorted(run.out), sorted(out));
    }),
    { numRuns: 120 },
  );
});
