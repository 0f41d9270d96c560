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
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
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
    await verifyOperator(counts(tumbling(seconds(10))), {
      steps: steps(
        ...[event("a", 0), event("a", 9_999), event("a", 10_000), event("b", 4_000)],
        ...[9_998, 9_999, 19_998, { endInput: true } as const],
      ),
      expected: {
        out: [
          ["b", 0, 10_000, 1],
          ["a", 0, 10_000, 2],
          ["a", 10_000, 20_000, 1],
        ],
      },
    });
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
    await verifyOperator(counts(tumbling(seconds(10))), {
      steps: steps(event("a", -1), event("a", -10_000), event("a", -10_001), event("a", 0), { endInput: true }),
      expected: {
        out: [
          ["a", -20_000, -10_000, 1],
          ["a", -10_000, 0, 2],
          ["a", 0, 10_000, 1],
        ],
      },
    });
  });

  test("are shifted by their offset", async () => {
    const assigner = tumbling(seconds(10), { offset: seconds(3) });
    await verifyOperator(counts(assigner), {
      steps: steps(event("a", 2_999), event("a", 3_000), event("a", 12_999), { endInput: true }),
      expected: {
        out: [
          ["a", -7_000, 3_000, 1],
          ["a", 3_000, 13_000, 2],
        ],
      },
    });
  });

  test("drop what comes after the watermark", async () => {
    await verifyOperator(counts(tumbling(seconds(10))), {
      steps: steps(event("a", 1), 9_999, event("a", 2), event("b", 3), 10_000, event("a", 10_001), { endInput: true }),
      expected: {
        out: [
          ["a", 0, 10_000, 1],
          ["a", 10_000, 20_000, 1],
        ],
      },
    });
  });

  test("fire again for each late record that is allowed, and give the later ones to the side output", async () => {
    const late = outputTag<Event>("late");
    await verifyOperator(
      counts(tumbling(seconds(10)), (windows) => windows.allowedLateness(seconds(5)).sideOutputLate(late)),
      {
        steps: steps(
          ...[event("a", 1), 9_999, event("a", 2), event("b", 3), 14_998, event("a", 4)],
          ...[14_999, event("a", 5), event("b", 6), event("a", 15_000), { endInput: true } as const],
        ),
        expected: {
          out: [
            ["a", 0, 10_000, 1],
            ["a", 0, 10_000, 2],
            ["b", 0, 10_000, 1],
            ["a", 0, 10_000, 3],
            ["a", 10_000, 20_000, 1],
          ],
          late: [event("a", 5), event("b", 6)],
        },
        sideOutputs: [late],
      },
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
    await verifyOperator(job, {
      steps: steps(event("a", 9, 1), event("a", 3, 2), event("a", 11_000, 9), event("a", 5, 3), 9_999),
      expected: {
        out: [
          ["a", 0, 1],
          ["a", 0, 2],
          ["a", 0, 3],
        ],
      },
    });
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
    await verifyOperator(job, {
      steps: steps(event("a", 1), 9_999, event("a", 2), event("a", 10_001), 19_999, event("b", 15_000), 30_000, 40_000),
      expected: {
        out: [
          ["a", 0, 1, 1, 1, 9_999],
          ["a", 0, 2, 2, 1, 9_999],
          ["a", 10_000, 1, 1, 2, 19_999],
          ["b", 10_000, 1, 1, 1, 19_999],
        ],
        cleared: [
          ["a", 0, 2, 1],
          ["b", 10_000, 1, 1],
          ["a", 10_000, 1, 2],
        ],
      },
      sideOutputs: [cleared],
      order: "anyBetweenWatermarks",
    });
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
    await verifyOperator(counts(tumbling(minutes(1), { time: "processing" })), {
      steps: steps(
        ...[event("a", 5_000_000), event("a", -5), { processingTime: 59_998 }, event("b", 0), { processingTime: 59_999 }],
        ...[{ processingTime: 60_000 }, event("a", 0), { processingTime: 200_000 }],
      ),
      expected: {
        out: [
          ["b", 0, 60_000, 1],
          ["a", 0, 60_000, 2],
          ["a", 60_000, 120_000, 1],
        ],
      },
    });
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
    await verifyOperator(counts(session(seconds(5))), {
      steps: steps(
        ...[event("a", 0), event("a", 8_000), event("b", 3_000), 4_998, event("a", 4_000)],
        ...[7_999, 12_998, 12_999, event("a", 20_000), { endInput: true } as const],
      ),
      expected: {
        out: [
          ["b", 3_000, 8_000, 1],
          ["a", 0, 13_000, 3],
          ["a", 20_000, 25_000, 1],
        ],
      },
    });
  });

  test("that only touch are one", async () => {
    await verifyOperator(counts(session(seconds(5))), {
      steps: steps(event("a", 0), event("a", 5_000), event("b", 0), event("b", 5_001), { endInput: true }),
      expected: {
        out: [
          ["b", 0, 5_000, 1],
          ["a", 0, 10_000, 2],
          ["b", 5_001, 10_001, 1],
        ],
      },
      order: "anyBetweenWatermarks",
    });
  });

  test("three merge into one by a record that bridges them", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(session(seconds(5)))
        .apply("all", (_key, { start, end }, values) => [[start, end, values.map(({ n }) => n).sort()]]),
    );
    await verifyOperator(job, {
      steps: steps(
        ...[event("a", 20_000, 1), event("a", 10_000, 2), event("a", 15_000, 3), event("a", 0, 4), event("a", 40_000, 5)],
        ...[24_998, { endInput: true } as const],
      ),
      expected: {
        out: [
          [0, 5_000, [4]],
          [10_000, 25_000, [1, 2, 3]],
          [40_000, 45_000, [5]],
        ],
      },
    });
  });

  test("take each record's own gap", async () => {
    const gaps = session<Event>((e) => millis(e.n ?? 0));
    await verifyOperator(counts(gaps), {
      steps: steps(event("a", 0, 100), event("a", 99, 1), event("a", 100, 500), event("a", 601, 10), { endInput: true }),
      expected: {
        out: [
          ["a", 0, 600, 3],
          ["a", 601, 611, 1],
        ],
      },
    });
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
    await verifyOperator(
      counts(session(seconds(5)), (windows) => windows.allowedLateness(seconds(10))),
      {
        steps: steps(event("a", 0), 4_999, event("a", 7_000), event("a", 3_000), 11_999, event("a", 1_000), 50_000),
        expected: {
          out: [
            ["a", 0, 5_000, 1],
            ["a", 0, 12_000, 3],
            ["a", 0, 12_000, 4],
          ],
        },
      },
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
    await verifyOperator(job, {
      steps: steps(event("a", -30, 1), event("a", -12, 2), event("a", -21, 4), event("a", 0, 8), { endInput: true }),
      expected: {
        out: [
          ["a", -30, -2, 7],
          ["a", 0, 10, 8],
        ],
      },
    });
  });

  test("of processing time go by the clock", async () => {
    await verifyOperator(counts(session(seconds(5), { time: "processing" })), {
      steps: steps(
        ...[event("a", 9), { processingTime: 4_998 }, event("a", 8), { processingTime: 9_996 }, event("b", 0)],
        ...[{ processingTime: 9_997 }, { processingTime: 20_000 }, event("a", 0), { processingTime: 30_000 }],
      ),
      expected: {
        out: [
          ["a", 0, 9_998, 2],
          ["b", 9_996, 14_996, 1],
          ["a", 20_000, 25_000, 1],
        ],
      },
    });
  });
});
