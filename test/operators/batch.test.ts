/** Batch mode: what streaming gives in the end, key by key, whatever crashes on the way. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  boundedOutOfOrderness,
  calendarDays,
  count,
  cumulating,
  defineJob,
  hours,
  isKind,
  list,
  millis,
  planJob,
  seconds,
  session,
  sliding,
  tumbling,
  type,
  value,
  type Job,
  type JobOptions,
  type TimeWindow,
  type WindowAssigner,
} from "../../runtime/index.ts";
import { harness, type HarnessOptions, type JobHarness } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { anySink, anySource, event, pipeline, type Event } from "./pipeline.ts";

const batch: JobOptions = { mode: "batch" };

const keyOf = ({ key }: Event) => key as string;

/** Runs a bounded input and gives what the sink "out" was given. */
async function outputOf(job: Parameters<typeof harness>[0], events: readonly Event[], options: HarnessOptions = {}) {
  const run = await harness(job, options);
  await run.push("in", ...events.map((value) => ({ value })));
  await run.endInput();
  return run.output<unknown>("out");
}

const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

describe("batch mode", () => {
  /** Shows every record with the watermark it is handled under, and what it finds in state. */
  const trace = {
    state: { seen: value<number>() },
    output: type<unknown>(),
    onRecord({ key, at, n }: Event, ctx: any): void {
      const seen = (ctx.state.seen.get() ?? 0) + 1;
      ctx.state.seen.set(seen);
      ctx.emit([key, at, n, ctx.watermark, seen]);
      ctx.timers.eventTime(at + 1_000);
      ctx.timers.processingTime(at + 5);
    },
    onTimer(at: number, ctx: any): void {
      ctx.emit([ctx.key, ctx.domain, at, ctx.watermark, ctx.state.seen.get()]);
      ctx.timers.eventTime(at + 1);
      ctx.timers.processingTime(at + 1);
    },
  };

  test("gives an operator its input by key, then timestamp, and fires timers at the end of each key", async () => {
    const job = pipeline((events) => events.keyBy(keyOf).process("trace", trace), batch);
    const out = await outputOf(job, [
      event("b", 30, 1),
      event("a", 20, 2),
      event("b", 10, 3),
      event("a", 20, 4),
      event("b", 30, 5),
    ]);
    assert.deepEqual(out, [
      ["a", 20, 2, -Infinity, 1],
      ["a", 20, 4, -Infinity, 2],
      ["a", "eventTime", 1_020, Infinity, 2],
      ["a", "processingTime", 25, Infinity, 2],
      ["b", 10, 3, -Infinity, 1],
      ["b", 30, 1, -Infinity, 2],
      ["b", 30, 5, -Infinity, 3],
      ["b", "eventTime", 1_010, Infinity, 3],
      ["b", "eventTime", 1_030, Infinity, 3],
      ["b", "processingTime", 15, Infinity, 3],
      ["b", "processingTime", 35, Infinity, 3],
    ]);
  });

  test("gives nothing before its input has ended", async () => {
    const run = await harness(pipeline((events) => events.keyBy(keyOf).process("trace", trace), batch));
    await run.push("in", { value: event("a", 20, 2) });
    await run.advanceProcessingTime(seconds(100));
    assert.deepEqual(run.output("out"), []);
  });

  test("rolling results are the last ones", async () => {
    const job = pipeline((events) => events.keyBy(keyOf).reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) })), batch);
    const out = await outputOf(job, [event("b", 1, 1), event("a", 2, 2), event("b", 3, 4)]);
    assert.deepEqual(out, [event("a", 2, 2), event("b", 3, 5)]);
    const counts = pipeline(
      (events) =>
        events
          .keyBy(keyOf)
          .aggregate("count", count(), (key, n) => [key, n])
          .toChanges("changes"),
      batch,
    );
    assert.deepEqual(await outputOf(counts, [event("b", 1), event("a", 2), event("b", 3)]), [
      { kind: "+I", value: ["a", 1] },
      { kind: "+I", value: ["b", 2] },
    ]);
  });

  test("a record that fails goes to the dead letters alone, as does a timer", async () => {
    const job = pipeline(
      (events) =>
        events.keyBy(keyOf).process("picky", {
          state: { items: list<number>() },
          output: type<unknown>(),
          onRecord({ n, at }, ctx) {
            ctx.state.items.add(n ?? 0);
            ctx.timers.eventTime(at);
            if (n === 13) throw new Error("unlucky");
          },
          onTimer(at, ctx) {
            if (at === 66) throw new Error("bad timer");
            ctx.emit([ctx.key, at, [...ctx.state.items.get()]]);
          },
        }),
      batch,
    );
    const run = await harness(job);
    await run.push(
      "in",
      ...[event("a", 1, 1), event("a", 2, 13), event("a", 66, 3), event("b", 4, 4)].map((value) => ({ value })),
    );
    await run.endInput();
    assert.deepEqual(run.output("out"), [
      ["a", 1, [1, 3]],
      ["b", 4, [4]],
    ]);
    assert.deepEqual(
      run.deadLetters().map(({ operator, reason }) => [operator, /unlucky|bad timer/.exec(reason)?.[0]]),
      [
        ["picky", "unlucky"],
        ["picky", "bad timer"],
      ],
    );
  });

  test("reads bounded sources only, and needs no watermarks", () => {
    const job = defineJob(
      "unbounded",
      (build) =>
        build
          .source("in", anySource<Event>("in"))
          .keyBy(keyOf)
          .window(tumbling(seconds(1)))
          .aggregate("n", count(), (key, _w, n) => [key, n])
          .sinkTo("out", anySink()),
      batch,
    );
    assert.throws(
      () => planJob(job),
      (error) => isKind(error, "invalid") && /bounded/.test(error.message) && /in/.test(error.message),
    );
  });

  test("takes sources that are keyed already at parallelism 1 only", async () => {
    const job = (options: JobOptions) =>
      pipeline((events) => events.assumeKeyed(keyOf).reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) })), options);
    assert.deepEqual(await outputOf(job(batch), [event("b", 1, 1), event("a", 2, 2), event("b", 3, 4)], { shards: 2 }), [
      event("a", 2, 2),
      event("b", 3, 5),
    ]);
    assert.throws(
      () => planJob(job({ ...batch, parallelism: 2 })),
      (error) => isKind(error, "invalid") && /keyBy/.test(error.message) && /sum/.test(error.message),
    );
  });

  test("is part of the plan: state of one mode is no state of the other", () => {
    const build = (options: JobOptions) => planJob(pipeline((events) => events.keyBy(keyOf).process("trace", trace), options));
    assert.notEqual(build(batch).fingerprint, build({}).fingerprint);
    assert.throws(() => build({ mode: "both" as never }), { kind: "invalid" });
  });
});

// ---- against streaming, and against plain recomputation ----

const events = fc.array(
  fc.record({
    key: fc.constantFrom("a", "b", "c", "d"),
    at: fc.integer({ min: -3_000, max: 9_000 }),
    n: fc.integer({ min: 0, max: 99 }),
  }),
  { maxLength: 40 },
);

/** Two keyed operators, one after the other: windows per key, then sessions over their results. */
const twice = (options: JobOptions) =>
  pipeline(
    (stream) =>
      stream
        .keyBy(keyOf)
        .window(tumbling(seconds(1)))
        .aggregate("perKey", count(), (key, { start }, n): Event => ({ key: `${key}!`, at: start, n }))
        .keyBy(keyOf)
        .window(session(millis(1_500)))
        .apply("sessions", (key, { start, end }, values) => [[key, start, end, values.map(({ at, n }) => [at, n])]]),
    options,
  );

/** Ten obvious lines: windows of 1 s, then runs of windows that lie less than 1.5 s apart at their ends. */
function recompute(all: readonly Event[]): unknown[] {
  const windows = new Map<string, { key: string; at: number; n: number }>();
  for (const { key, at } of all) {
    const start = Math.floor(at / 1_000) * 1_000;
    const window = windows.get(`${key}${start}`) ?? { key: `${key}!`, at: start, n: 0 };
    windows.set(`${key}${start}`, { ...window, n: window.n + 1 });
  }
  const rows: any[][] = [];
  for (const { key, at, n } of [...windows.values()].sort((a, b) => a.at - b.at)) {
    const open = rows.find((row) => row[0] === key && row[2] >= at + 999);
    if (open === undefined) rows.push([key, at + 999, at + 2_499, [[at, n]]]);
    else {
      open[2] = at + 2_499;
      open[3].push([at, n]);
    }
  }
  return rows;
}

const minDate = Date.UTC(2026, 2, 28);

/** Windows in event time of every kind, whose results do not depend on the order in which records come. */
const kinds: Readonly<Record<string, (options: JobOptions) => Job>> = {
  tumbling: windowed(tumbling(seconds(1), { offset: millis(300) })),
  sliding: windowed(sliding(seconds(3), seconds(1))),
  "sliding, by slices": (options) =>
    pipeline(
      (events) =>
        events
          .keyBy(keyOf)
          .window(sliding(seconds(3), seconds(1)))
          .aggregate("n", count(), (key, { start }, n) => [key, start, n]),
      options,
    ),
  cumulating: windowed(cumulating(seconds(1), seconds(4))),
  session: windowed(session((event: Event) => millis(500 + (event.n ?? 0)))),
  days: windowed(calendarDays({ timeZone: "Europe/Berlin" }), (at) => minDate + at * 3_600),
};

function windowed(
  assigner: WindowAssigner<Event, any>,
  shift: (at: number) => number = (at) => at,
): (options: JobOptions) => Job {
  return (options) =>
    pipeline(
      (events) =>
        events
          .map("shift", (one) => ({ ...one, at: shift(one.at) }))
          .assignTimestamps("time", { timestamps: ({ at }) => at, watermarks: boundedOutOfOrderness(hours(48)) })
          .keyBy(keyOf)
          .window(assigner)
          .allowedLateness(seconds(1))
          .apply("list", (key, { start, end }: TimeWindow, values) => [[key, start, end, values.map(({ n }) => n).sort()]]),
      options,
    );
}

describe("batch and streaming", () => {
  for (const [kind, job] of Object.entries(kinds))
    test(`give the same ${kind} windows`, async () => {
      await fc.assert(
        fc.asyncProperty(events, fc.constantFrom(1, 2), async (all, parallelism) => {
          const streaming = sorted(await outputOf(job({}), all, { parallelism }));
          assert.deepEqual(sorted(await outputOf(job(batch), all, { parallelism, recordsPerTurn: 5 })), streaming);
          assert.equal(all.length === 0, streaming.length === 0);
        }),
        { numRuns: 20 },
      );
    });

  test("give the same results of windows, however input is cut, at every parallelism", async () => {
    await fc.assert(
      fc.asyncProperty(
        events,
        fc.constantFrom(1, 3, 10_000),
        fc.constantFrom(1, 2, 3),
        async (all, recordsPerTurn, parallelism) => {
          const expected = sorted(recompute(all));
          const options = { recordsPerTurn, parallelism };
          assert.deepEqual(sorted(await outputOf(twice(batch), all, options)), expected, "batch");
          assert.deepEqual(sorted(await outputOf(twice({}), all, options)), expected, "streaming");
        },
      ),
      { numRuns: 25 },
    );
  });

  test("survives a crash at every step", async () => {
    await fc.assert(
      fc.asyncProperty(events, fc.constantFrom(1, 2), async (all, parallelism) => {
        const run = (await harness(twice(batch), { parallelism, recordsPerTurn: 1 })) as RunningHarness;
        for (const one of all) {
          run.enqueue("in", { value: one });
          await run.runner.step();
          await run.crash();
        }
        for (const source of ["in"]) run.source(source).end();
        for (let steps = 0; steps < 100; steps++) {
          await run.crash();
          if (!(await run.runner.step()).worked) break;
        }
        assert.deepEqual(sorted((run as JobHarness).output("out")), sorted(recompute(all)));
      }),
      { numRuns: 15 },
    );
  });
});
