import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  boundedOutOfOrderness,
  customWatermarks,
  defineJob,
  hours,
  isKind,
  millis,
  minutes,
  monotonous,
  seconds,
  tumbling,
  type,
  type DataStream,
  type WatermarkStrategy,
} from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { anySink, anySource, event, pipeline, steps, twoSources, type Event } from "./pipeline.ts";

/** Shows the timestamp of each record, and the watermark under which it is handled. */
const shown = {
  output: type<unknown>(),
  onRecord: ({ n }: Event, ctx: any) => ctx.emit([n, ctx.timestamp, ctx.watermark]),
};

/** Timestamps of the middle of the stream lie 10 s before those of its source. */
const earlier = ({ at, n }: Event): number => (n === 99 ? NaN : at - 10_000);

function assigned(
  watermarks: WatermarkStrategy<Event>,
  build: (events: DataStream<Event>) => DataStream<unknown> = (events) => events.process("show", shown),
) {
  return pipeline((events) => build(events.assignTimestamps("time", { timestamps: earlier, watermarks })), {
    watermarks: monotonous(),
  });
}

const counted = (events: DataStream<Event>): DataStream<unknown> =>
  events
    .keyBy(({ key }) => key as string)
    .window(tumbling(seconds(10)))
    .apply("list", (key, { start }, values) => [[key, start, values.map(({ n }) => n)]]);

describe("assignTimestamps", () => {
  test("gives records another timestamp and the stream a watermark of its own, per record and on the grid", async () => {
    await verifyOperator(assigned(monotonous()), {
      steps: steps(
        event("a", 11_500, 1),
        event("a", 12_300, 2),
        event("a", 12_900, 3),
        event("a", 14_000, 4),
        event("a", 9_000, 5),
      ),
      expected: {
        out: [
          [1, 1_500, -Infinity],
          [2, 2_300, 999],
          [3, 2_900, 1_999],
          [4, 4_000, 1_999],
          [5, -1_000, 3_999],
        ],
      },
    });
  });

  test("lets no watermark of its source through but the last", async () => {
    await verifyOperator(assigned(boundedOutOfOrderness(hours(1)), counted), {
      steps: steps(event("a", 11_000, 1), 1_000_000, event("a", 12_000, 2), event("b", 25_000, 3), { endInput: true }),
      expected: {
        out: [
          ["a", 0, [1, 2]],
          ["b", 10_000, [3]],
        ],
      },
      order: "any",
    });
  });

  test("is told the timestamp so far", async () => {
    const job = pipeline((events) =>
      events
        .assignTimestamps("time", { timestamps: (_event, before) => (before as number) + 1, watermarks: monotonous() })
        .process("show", shown),
    );
    await verifyOperator(job, { steps: steps(event("a", 7, 1)), expected: { out: [[1, 8, -Infinity]] } });
  });

  test("keeps the state of an author's generator", async () => {
    const everyThird = customWatermarks<Event, { seen: number }>({
      create: () => ({ seen: 0 }),
      onRecord: (state, _event, timestamp) => (++state.seen % 3 === 0 ? timestamp : undefined),
    });
    await verifyOperator(assigned(everyThird), {
      steps: steps(...[1, 2, 3, 4, 5, 6, 7].map((n) => event("a", 10_999 + n * 1_000, n))),
      expected: {
        out: [1, 2, 3, 4, 5, 6, 7].map((n) => [n, 999 + n * 1_000, n > 6 ? 6_999 : n > 3 ? 3_999 : -Infinity]),
      },
    });
  });

  test("after a keyed operator, in its task or behind an exchange", async () => {
    const job = assigned(monotonous(), (events) =>
      events
        .keyBy(({ key }) => key as string)
        .reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) }))
        .assignTimestamps("again", { timestamps: ({ at }) => at, watermarks: boundedOutOfOrderness(seconds(1)) })
        .process("show", { ...shown, onRecord: ({ n }: Event, ctx: any) => ctx.emit([n, ctx.timestamp]) }),
    );
    await verifyOperator(job, {
      steps: steps(event("a", 5_000, 1), event("b", 6_000, 10), event("a", 9_000, 2), { endInput: true }),
      expected: {
        out: [
          [1, 5_000],
          [10, 6_000],
          [3, 9_000],
        ],
      },
    });
  });

  test("over the union of two sources ends when both have", async () => {
    const job = twoSources((a, b) =>
      counted(a.union(b).assignTimestamps("time", { timestamps: ({ at }) => at, watermarks: boundedOutOfOrderness(hours(1)) })),
    );
    await verifyOperator(job, {
      steps: [
        { source: "a", value: event("k", 1, 1) },
        { endInput: true, source: "a" },
        { source: "b", value: event("k", 2, 2) },
        { endInput: true, source: "b" },
      ],
      expected: { out: [["k", 0, [1, 2]]] },
    });
  });

  test("needs no watermarks of the source for windows in event time", async () => {
    const job = defineJob("late-time", (job) => {
      const events = job.source("in", anySource<Event>("in"));
      counted(events.assignTimestamps("time", { timestamps: ({ at }) => at, watermarks: monotonous() })).sinkTo("out", anySink());
    });
    const run = await harness(job);
    await run.push("in", { value: event("a", 1_000, 1) }, { value: event("a", 9_999, 2) });
    assert.deepEqual(run.output("out"), []);
    await run.push("in", { value: event("a", 10_000, 3) });
    assert.deepEqual(run.output("out"), [["a", 0, [1, 2]]]);
  });

  test("a record that fails behind it has moved time; one without a timestamp has not", async () => {
    const picky = assigned(monotonous(), (events) =>
      events
        .map("picky", (one) => {
          if (one.n === 13) throw new Error("unlucky");
          return one;
        })
        .process("show", shown),
    );
    await verifyOperator(picky, {
      steps: steps(event("a", 20_000, 1), event("a", 30_000, 13), event("a", 40_000, 99), event("a", 30_000, 3)),
      expected: {
        out: [
          [1, 10_000, -Infinity],
          [3, 20_000, 19_999],
        ],
      },
      deadLetters: ["picky", "time"],
    });
  });

  test("a timer that fails under its watermark takes nothing else with it", async () => {
    const job = assigned(monotonous(), (events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("timers", {
          output: type<unknown>(),
          onRecord: ({ n, key }, ctx) => {
            ctx.timers.eventTime((ctx.timestamp as number) + 1_000);
            ctx.emit([key, n]);
          },
          onTimer: (at, ctx) => {
            if (ctx.key === "bad") throw new Error("bad timer");
            ctx.emit([ctx.key, "timer", at]);
          },
        }),
    );
    await verifyOperator(job, {
      steps: steps(event("bad", 10_000, 1), event("a", 10_000, 2), event("b", 20_000, 3), event("b", 20_001, 4)),
      expected: {
        out: [
          ["bad", 1],
          ["a", 2],
          ["b", 3],
          ["a", "timer", 1_000],
          ["b", 4],
        ],
      },
      deadLetters: ["timers"],
    });
  });
});

describe("idleness of assigned time", () => {
  const job = (watermarks: WatermarkStrategy<Event>) =>
    twoSources((a, b) =>
      counted(
        a
          .assignTimestamps("timeA", { timestamps: ({ at }) => at, watermarks })
          .union(b.assignTimestamps("timeB", { timestamps: ({ at }) => at, watermarks })),
      ),
    );
  const idle = monotonous().withIdleness(minutes(1));

  test("lets the other input of a union go on", async () => {
    await verifyOperator(job(idle), {
      steps: [
        { source: "b", value: event("k", 0, 1) },
        { processingTime: 30_000 },
        { source: "a", value: event("k", 20_000, 2) },
        { processingTime: 60_000 },
        { processingTime: 60_001 },
        { source: "b", value: event("k", 21_000, 3) },
        { source: "a", value: event("k", 40_000, 4) },
        { source: "b", value: event("k", 40_000, 5) },
      ],
      expected: {
        out: [
          ["k", 0, [1]],
          ["k", 20_000, [2, 3]],
        ],
      },
    });
  });

  test("follows the clock when asked to", async () => {
    const run = await harness(job(idle.advanceWhenIdle()));
    await run.push("a", { value: event("k", 1, 1) });
    await run.push("b", { value: event("k", 1, 2) });
    await run.advanceProcessingTime(minutes(1));
    assert.deepEqual(run.output("out"), []);
    await run.advanceProcessingTime(millis(1));
    assert.deepEqual(run.output("out"), [["k", 0, [1, 2]]]);
  });
});

test("a strategy that cannot be meant is refused when the plan is made", () => {
  assert.throws(
    () => assigned(boundedOutOfOrderness(millis(-1))),
    (error) => isKind(error, "invalid") && /bound/.test(error.message) && /time/.test(error.message),
  );
});

test("a generator that answers no time is the author's error", async () => {
  const nonsense = customWatermarks<Event, object>({ create: () => ({}), onRecord: () => "soon" as never });
  await verifyOperator(assigned(nonsense), { steps: steps(event("a", 1, 1)), expected: { out: [] }, deadLetters: ["time"] });
});
