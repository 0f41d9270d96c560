import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  boundedOutOfOrderness,
  count,
  customWatermarks,
  millis,
  minutes,
  monotonous,
  seconds,
  tumbling,
  type,
} from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps, twoSources } from "./pipeline.ts";

/** Shows the watermark under which each record is handled. */
const watermarks = { output: type<unknown>(), onRecord: ({ n }: Event, ctx: any) => ctx.emit([n, ctx.watermark]) };

describe("watermarks of a source", () => {
  test("move on the job's grid, after the record that moves them", async () => {
    const job = pipeline((events) => events.process("show", watermarks), { watermarks: monotonous() });
    await verifyOperator(job, {
      steps: steps(event("a", 500, 1), event("a", 999, 2), event("a", 1_000, 3), event("a", 2_700, 4), event("a", 100, 5)),
      expected: {
        out: [
          [1, -Infinity],
          [2, -1],
          [3, -1],
          [4, 999],
          [5, 1_999],
        ],
      },
    });
  });

  test("of an author's own generator", async () => {
    const generator = {
      create: () => ({ flagged: 0 }),
      onRecord: (state: { flagged: number }, { n }: Event, timestamp: number) =>
        n === 7 && ++state.flagged > 1 ? timestamp : undefined,
    };
    const job = pipeline((events) => events.process("show", watermarks), { watermarks: customWatermarks(generator) });
    await verifyOperator(job, {
      steps: steps(event("a", 5_999, 7), event("a", 6_999, 1), event("a", 7_999, 7), event("a", 0, 2)),
      expected: {
        out: [
          [7, -Infinity],
          [1, -Infinity],
          [7, -Infinity],
          [2, 7_999],
        ],
      },
    });
  });

  test("are the lowest of its shards", async () => {
    const run = await harness(
      pipeline((events) => events.process("show", watermarks), { watermarks: monotonous() }),
      { shards: 2 },
    );
    await run.push("in", { value: event("a", 5_000, 1), shard: 0 });
    await run.push("in", { value: event("a", 5_000, 2), shard: 0 });
    await run.push("in", { value: event("a", 3_000, 3), shard: 1 });
    await run.push("in", { value: event("a", 3_000, 4), shard: 1 });
    assert.deepEqual(run.output("out"), [
      [1, -Infinity],
      [2, -Infinity],
      [3, -Infinity],
      [4, 2_999],
    ]);
  });

  test("asked for by a test reach operators exactly, and never go back", async () => {
    const job = pipeline((events) => events.process("show", watermarks));
    await verifyOperator(job, {
      steps: steps(1_234, event("a", 0, 1), 1_000, event("a", 0, 2), 1_235, event("a", 0, 3)),
      expected: {
        out: [
          [1, 1_234],
          [2, 1_234],
          [3, 1_235],
        ],
      },
    });
  });

  test("end at +∞ with bounded input", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("timer", {
          output: type<unknown>(),
          onRecord: ({ at }, ctx) => ctx.timers.eventTime(at + 10_000_000),
          onTimer: (at, ctx) => ctx.emit([at, ctx.watermark]),
        }),
    );
    await verifyOperator(job, { steps: steps(event("a", 0), { endInput: true }), expected: { out: [[10_000_000, Infinity]] } });
  });
});

describe("a union of two sources", () => {
  const job = twoSources((a, b) =>
    a
      .union(b)
      .keyBy(({ key }) => key as string)
      .window(tumbling(seconds(10)))
      .aggregate("count", count(), (key, { start }, n) => [key, start, n]),
  );

  test("has the lower of their watermarks", async () => {
    await verifyOperator(job, {
      steps: [
        { source: "a", value: event("k", 1) },
        { source: "a", watermark: 50_000 },
        { source: "b", value: event("k", 2) },
        { source: "b", watermark: 9_998 },
        { source: "b", value: event("k", 3) },
        { source: "b", watermark: 9_999 },
      ],
      expected: { out: [["k", 0, 3]] },
    });
  });

  test("goes on by the other when one has ended", async () => {
    await verifyOperator(job, {
      steps: [
        { source: "a", value: event("k", 1) },
        { endInput: true, source: "a" },
        { source: "b", value: event("k", 2) },
        { source: "b", watermark: 9_999 },
        { source: "b", value: event("k", 11_000) },
        { endInput: true, source: "b" },
      ],
      expected: {
        out: [
          ["k", 0, 2],
          ["k", 10_000, 1],
        ],
      },
    });
  });

  test("is held back by a source that has not begun", async () => {
    const run = await harness(job);
    await run.push("a", { value: event("k", 1) }, { watermark: 1_000_000 });
    assert.deepEqual(run.output("out"), []);
  });
});

describe("idleness", () => {
  const idle = boundedOutOfOrderness(seconds(1)).withIdleness(minutes(1));
  const windows = (watermarks: typeof idle) =>
    twoSources(
      (a, b) =>
        a
          .union(b)
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .aggregate("count", count(), (key, { start }, n) => [key, start, n]),
      { watermarks },
    );

  test("a source without records for so long no longer holds the watermark back", async () => {
    await verifyOperator(windows(idle), {
      steps: [
        { source: "a", value: event("k", 1) },
        { source: "a", value: event("k", 20_000) },
        { processingTime: 50_000 },
        { source: "a", value: event("k", 20_001) },
        { processingTime: 60_000 },
        { processingTime: 60_001 },
      ],
      expected: { out: [["k", 0, 1]] },
    });
  });

  test("once it has records again, it holds the watermark where it is", async () => {
    await verifyOperator(windows(idle), {
      steps: [
        { source: "b", value: event("k", 1) },
        { processingTime: 50_000 },
        { source: "a", value: event("k", 25_000) },
        { processingTime: 60_000 },
        { source: "b", value: event("k", 26_000) },
        { source: "b", value: event("late", 5_000) },
        { source: "a", value: event("k", 45_000) },
        { source: "b", value: event("k", 60_000) },
      ],
      expected: {
        out: [
          ["k", 0, 1],
          ["k", 20_000, 2],
        ],
      },
    });
  });

  test("does not let time go back when a job goes on at another parallelism", async () => {
    const job = pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .aggregate("count", count(), (key, { start }, n) => [key, start, n]),
      { watermarks: idle },
    );
    for (const [before, after] of [
      [2, 1],
      [1, 2],
      [2, 3],
    ] as const) {
      const run = await harness(job, { parallelism: before, shards: 2 });
      await run.push("in", { value: event("k", 1), shard: 0 }, { value: event("k", 2), shard: 1 });
      await run.advanceProcessingTime(seconds(50));
      await run.push("in", { watermark: 50_000, shard: 1 });
      await run.advanceProcessingTime(seconds(11));
      assert.deepEqual(run.output("out"), [["k", 0, 2]], "shard 0 is idle, shard 1 stands at 50 s");
      const restored = await harness(job, { parallelism: after, shards: 2, from: await run.snapshot() });
      await restored.push("in", { value: event("k", 3), shard: 1 });
      await restored.endInput();
      assert.deepEqual(restored.output("out"), [], `late before and after, from ${before} to ${after}`);
    }
  });

  test("when all are idle the watermark stands still", async () => {
    const run = await harness(windows(idle));
    await run.push("a", { value: event("k", 1) });
    await run.push("b", { value: event("k", 1) });
    await run.advanceProcessingTime(minutes(60));
    assert.deepEqual(run.output("out"), []);
  });

  test("with advanceWhenIdle it follows the clock, minus the bound", async () => {
    const run = await harness(windows(idle.advanceWhenIdle()));
    await run.push("a", { value: event("k", 1) });
    await run.push("b", { value: event("k", 55_000) });
    await run.advanceProcessingTime(seconds(60));
    assert.deepEqual(run.output("out"), []);
    await run.advanceProcessingTime(millis(1));
    assert.deepEqual(run.output("out"), [["k", 0, 1]]);
    await run.advanceProcessingTime(millis(997));
    assert.equal(run.output("out").length, 1);
    await run.advanceProcessingTime(millis(1));
    assert.equal(run.output("out").length, 2, "at 60.999 s less the bound of 1 s, the window up to 60 s has passed");
  });
});
