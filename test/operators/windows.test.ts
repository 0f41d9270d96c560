import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  average,
  boundedOutOfOrderness,
  count,
  millis,
  minutes,
  outputTag,
  seconds,
  session,
  sum,
  tumbling,
  type,
  value,
  type TimeWindow,
  type WindowAssigner,
  type WindowedStream,
} from "../../runtime/index.ts";
import { harness, verifyMarbles, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";

type Windowed = WindowedStream<Event, string, TimeWindow>;

/** Counts per key and window, after `prepare`; emits [key, start, end, count]. */
function counts(assigner: WindowAssigner<any, TimeWindow>, prepare: (windows: Windowed) => Windowed = (windows) => windows) {
  return pipeline((events) =>
    prepare(events.keyBy(({ key }) => key as string).window(assigner)).aggregate("count", count(), (key, { start, end }, n) => [
      key,
      start,
      end,
      n,
    ]),
  );
}

describe("tumbling windows", () => {
  test("fire when the watermark reaches their last millisecond, in the order of their ends", async () => {
    await verifyMarbles(
      counts(tumbling(seconds(10))),
      `in   a@0  a@9999  a@10s  b@4s  |9998  |9999                   |19998  |
       out                                   b[0,10s)=1  a[0,10s)=2          a[10s,20s)=1`,
    );
  });

  test("results carry the window's last millisecond", async () => {
    const run = await harness(counts(tumbling(seconds(10))));
    await run.push("in", { value: event("a", 3) }, { watermark: 20_000 });
    assert.deepEqual(run.rows("out"), [{ value: ["a", 0, 10_000, 1], timestamp: 9_999, change: "+I" }]);
  });

  test("fire by the watermarks of the declared strategy, on the job's grid", async () => {
    const job = pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
      { watermarks: boundedOutOfOrderness(seconds(1)) },
    );
    const run = await harness(job);
    await run.push("in", { value: event("a", 3) }, { value: event("a", 10_500) });
    assert.deepEqual(run.output("out"), [], "one second of disorder is allowed for");
    await run.push("in", { value: event("a", 11_000) });
    assert.deepEqual(run.output("out"), [["a", 0, 10_000, 1]]);
  });

  test("of negative timestamps lie where they belong", async () => {
    await verifyMarbles(
      counts(tumbling(seconds(10))),
      `in   a@-1  a@-10s  a@-10001  a@0  |
       out                               a[-20s,-10s)=1  a[-10s,0)=2  a[0,10s)=1`,
    );
  });

  test("are shifted by their offset", async () => {
    const assigner = tumbling(seconds(10), { offset: seconds(3) });
    await verifyMarbles(
      counts(assigner),
      `in   a@2999  a@3s  a@12999  |
       out                         a[-7s,3s)=1  a[3s,13s)=2`,
    );
  });

  test("drop what comes after the watermark", async () => {
    await verifyMarbles(
      counts(tumbling(seconds(10))),
      `in   a@1  |9999       a@2  b@3  |10s  a@10001  |
       out       a[0,10s)=1                           a[10s,20s)=1`,
    );
  });

  test("fire again for each late record that is allowed, and give the later ones to the side output", async () => {
    const late = outputTag<Event>("late");
    await verifyMarbles(
      counts(tumbling(seconds(10)), (windows) => windows.allowedLateness(seconds(5)).sideOutputLate(late)),
      `in    a@1  |9999       a@2         b@3         |14998  a@4         |14999  a@5  b@6  a@15s  |
       out        a[0,10s)=1  a[0,10s)=2  b[0,10s)=1          a[0,10s)=3                           a[10s,20s)=1
       late                                                                       a@5  b@6`,
      { sideOutputs: [late] },
    );
  });

  test("reduce, with and without a result function", async () => {
    const last = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .reduce("last", (a, b) => (b.at >= a.at ? b : a)),
    );
    const input = steps(event("a", 1, 1), event("a", 7, 2), event("a", 4, 3), 9_999);
    await verifyOperator(last, { steps: input, expected: { out: [event("a", 7, 2)] } });
    const described = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .reduce(
          "last",
          (a, b) => (b.at >= a.at ? b : a),
          (key, { end }, { n }) => `${key} ${end} ${n}`,
        ),
    );
    await verifyOperator(described, { steps: input, expected: { out: ["a 10000 2"] } });
  });

  test("apply sees all values of the window in their order", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .apply("all", (key, { start }, values) => values.map(({ n }) => [key, start, n])),
    );
    await verifyMarbles(
      job,
      `in   a:1@9  a:2@3  a:9@11s  a:3@5  |9999
       out                                [a,0,1]  [a,0,2]  [a,0,3]`,
    );
  });

  test("process has state per key and per window; what is the window's goes with it", async () => {
    const cleared = outputTag<unknown>("cleared");
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .allowedLateness(seconds(10))
        .process("fn", {
          output: type<unknown>(),
          sideOutputs: [cleared],
          state: { windows: value<number>() },
          windowState: { firings: value<number>() },
          onWindow(window, values, ctx) {
            const firings = (ctx.windowState.firings.get() ?? 0) + 1;
            ctx.windowState.firings.set(firings);
            if (firings === 1) ctx.state.windows.set((ctx.state.windows.get() ?? 0) + 1);
            ctx.emit([ctx.key, window.start, [...values].length, firings, ctx.state.windows.get(), ctx.timestamp]);
          },
          onClear(window, ctx) {
            ctx.output(cleared, [ctx.key, window.start, ctx.windowState.firings.get(), ctx.state.windows.get()]);
          },
        }),
    );
    await verifyMarbles(
      job,
      `in       a@1  |9999             a@2               a@10001  |19999                 b@15s
       out           [a,0,1,1,1,9999]  [a,0,2,2,1,9999]           [a,10000,1,1,2,19999]  [b,10000,1,1,1,19999]
       cleared                                                    [a,0,2,1]

       in       |30s                          |40s
       cleared  [b,10000,1,1]  [a,10000,1,2]`,
      { sideOutputs: [cleared], order: "anyBetweenWatermarks" },
    );
  });

  test("aggregate gives its result to a window function as the only value", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .aggregate(
          "mean",
          average((e: Event) => e.n ?? 0),
          {
            output: type<unknown>(),
            onWindow: (window, values, ctx) => ctx.emit([ctx.key, window.end, ...values]),
          },
        ),
    );
    await verifyOperator(job, {
      steps: steps(event("a", 1, 1), event("a", 2, 2), event("a", 3, 6), 9_999),
      expected: { out: [["a", 10_000, 3]] },
    });
  });

  test("of processing time go by the clock, whatever the records' timestamps", async () => {
    await verifyMarbles(
      counts(tumbling(minutes(1), { time: "processing" })),
      `in     a@5000s  a@-5         b@0                            a@0
       clock                 59998       59999                 1m       200s
       out                               b[0,1m)=1  a[0,1m)=2           a[1m,2m)=1`,
    );
  });

  test("a record without timestamp is the author's error, not a wrong window", async () => {
    const run = await harness(counts(tumbling(seconds(10))));
    await run.push("in", { value: { key: "a" } }, { value: event("a", 1) }, { watermark: 9_999 });
    assert.deepEqual(run.output("out"), [["a", 0, 10_000, 1]]);
    assert.match(run.deadLetters()[0]?.reason ?? "", /no valid timestamp .*undefined/);
  });

  test("leave nothing behind: state goes with its window", async () => {
    const run = await harness(counts(tumbling(seconds(10))));
    const empty = (await run.snapshot()).sizeBytes;
    await run.push("in", ...Array.from({ length: 500 }, (_, n) => ({ value: event(`key ${n}`, n) })));
    assert.ok((await run.snapshot()).sizeBytes > empty + 5_000);
    await run.push("in", { watermark: 20_000 });
    assert.equal(run.output("out").length, 500);
    assert.ok((await run.snapshot()).sizeBytes < empty + 1_000);
  });
});

describe("session windows", () => {
  test("close after the gap, and merge over it", async () => {
    await verifyMarbles(
      counts(session(seconds(5))),
      `in   a@0  a@8s  b@3s  |4998  a@4s  |7999       |12998  |12999      a@20s  |
       out                                b[3s,8s)=1          a[0,13s)=3         a[20s,25s)=1`,
    );
  });

  test("that only touch are one", async () => {
    await verifyMarbles(
      counts(session(seconds(5))),
      `in   a@0  a@5s  b@0  b@5001  |
       out                          b[0,5s)=1  a[0,10s)=2  b[5001,10001)=1`,
      { order: "anyBetweenWatermarks" },
    );
  });

  test("three merge into one by a record that bridges them", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(session(seconds(5)))
        .apply("all", (_key, { start, end }, values) => [[start, end, values.map(({ n }) => n).sort()]]),
    );
    await verifyMarbles(
      job,
      `in   a:1@20s  a:2@10s  a:3@15s  a:4@0  a:5@40s  |24998        |
       out                                             [0,5000,[4]]  [10000,25000,[1,2,3]]  [40000,45000,[5]]`,
    );
  });

  test("take each record's own gap", async () => {
    const gaps = session<Event>((e) => millis(e.n ?? 0));
    await verifyMarbles(
      counts(gaps),
      `in   a:100@0  a:1@99  a:500@100  a:10@601  |
       out                                        a[0,600)=3  a[601,611)=1`,
    );
  });

  test("with a gap that is none send the record to the dead letters", async () => {
    const gaps = session<Event>((e) => millis(e.n ?? 0));
    await verifyOperator(counts(gaps), {
      steps: steps(event("a", 0, 0), event("a", 1, -5), event("a", 2, 1.5), event("a", 3, NaN), event("a", 4, 5), {
        endInput: true,
      }),
      expected: { out: [["a", 4, 9, 1]] },
      deadLetters: ["count", "count", "count", "count"],
    });
  });

  test("whose gap is none are told of with their operator and key", async () => {
    const run = await harness(counts(session<Event>((e) => millis(e.n ?? 0))));
    await run.push("in", { value: event("a", 0, -5) }, { value: event("b", 0, 2 ** 53) }, { value: event("c", 9, 2 ** 53 - 1) });
    assert.deepEqual(
      run.deadLetters().map(({ reason }) => reason),
      [
        'a session gap must be whole milliseconds above 0: -5, key "a" (operator count)',
        'a session gap must be whole milliseconds above 0: 9007199254740992, key "b" (operator count)',
        'a session gap reaches beyond the largest time: 9007199254740991, key "c" (operator count)',
      ],
    );
  });

  test("late: judged after merging, so a record that joins an open session is not late", async () => {
    const late = outputTag<Event>("late");
    await verifyOperator(
      counts(session(seconds(5)), (windows) => windows.sideOutputLate(late)),
      {
        steps: steps(event("a", 10_000), 12_000, event("a", 6_000), event("a", 0), event("b", 5_000), 14_999, event("a", 9_000)),
        expected: { out: [["a", 6_000, 15_000, 2]], late: [event("a", 0), event("b", 5_000), event("a", 9_000)] },
        sideOutputs: [late],
      },
    );
  });

  test("with allowed lateness fire again, and may merge with one that has fired", async () => {
    await verifyMarbles(
      counts(session(seconds(5)), (windows) => windows.allowedLateness(seconds(10))),
      `in   a@0  |4999      a@7s  a@3s  |11999      a@1s        |50s
       out       a[0,5s)=1              a[0,12s)=3  a[0,12s)=4`,
    );
  });

  test("of negative timestamps and aggregates with merge", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(session(millis(10)))
        .aggregate(
          "sum",
          sum((e: Event) => e.n ?? 0),
          (key, { start, end }, n) => [key, start, end, n],
        ),
    );
    await verifyMarbles(
      job,
      `in   a:1@-30  a:2@-12  a:4@-21  a:8@0  |
       out                                    a[-30,-2)=7  a[0,10)=8`,
    );
  });

  test("of processing time go by the clock", async () => {
    await verifyMarbles(
      counts(session(seconds(5), { time: "processing" })),
      `in     a@9        a@8        b@0                                a@0
       clock       4998       9996       9997         20s                   30s
       out                               a[0,9998)=2  b[9996,14996)=1       a[20s,25s)=1`,
    );
  });
});
