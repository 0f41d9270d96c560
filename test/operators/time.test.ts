import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  boundedOutOfOrderness,
  count,
  customWatermarks,
  minutes,
  monotonous,
  seconds,
  tumbling,
  type,
} from "../../runtime/index.ts";
import { harness, verifyMarbles, verifyOperator } from "../../runtime/testing/index.ts";
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
      .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
  );

  test("has the lower of their watermarks", async () => {
    await verifyMarbles(
      job,
      `a    k@1  |50s
       b               k@2  |9998  k@3  |9999
       out                              k[0,10s)=3`,
    );
  });

  test("goes on by the other when one has ended", async () => {
    await verifyMarbles(
      job,
      `a    k@1  |
       b            k@2  |9999        k@11s  |
       out               k[0,10s)=2          k[10s,20s)=1`,
    );
  });

  test("is held back by a source that has not begun", async () => {
    await verifyMarbles(job, "a  k@1  |1000s");
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
          .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
      { watermarks },
    );

  test("a source without records for so long no longer holds the watermark back", async () => {
    await verifyMarbles(
      windows(idle),
      `a      k@1  k@20s       k@20001
       clock              50s           60s  60001
       out                                   k[0,10s)=1`,
    );
  });

  test("once it has records again, it holds the watermark where it is", async () => {
    await verifyMarbles(
      windows(idle),
      `a                k@25s                                 k@45s
       b      k@1                         k@26s  late@5s             k@60s
       clock       50s         60s  60001
       out                          k[0,10s)=1                       k[20s,30s)=2`,
    );
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

  test("a source that has ended does not end event time for one that is idle, at any parallelism", async () => {
    const connected = twoSources(
      (a, b) =>
        a
          .connect(b)
          .process("either", { output: type<Event>(), onLeft: (v, ctx) => ctx.emit(v), onRight: (v, ctx) => ctx.emit(v) })
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
      { watermarks: idle },
    );
    for (const job of [windows(idle), connected])
      for (const parallelism of [1, 2])
        for (const endsFirst of [true, false]) {
          const run = await harness(job, { parallelism });
          await run.push("a", { value: event("k", 1_000) });
          await run.push("b", { value: event("k", 2_000) });
          if (endsFirst) await run.endInput("a");
          await run.advanceProcessingTime(minutes(5));
          if (!endsFirst) await run.endInput("a");
          const how = `parallelism ${parallelism}, the end comes ${endsFirst ? "first" : "last"}`;
          assert.deepEqual(run.output("out"), [], `nothing may end before b goes on: ${how}`);
          await run.push("b", { value: event("k", 3_000) });
          await run.endInput("b");
          assert.deepEqual(run.output("out"), [["k", 0, 10_000, 3]], how);
        }
  });

  test("a source that has ended beside an idle one stays so through a restore, at another parallelism too", async () => {
    for (const [before, after] of [
      [1, 2],
      [2, 1],
      [2, 3],
    ] as const) {
      const run = await harness(windows(idle), { parallelism: before });
      await run.push("a", { value: event("k", 1_000) });
      await run.push("b", { value: event("k", 2_000) });
      await run.endInput("a");
      await run.advanceProcessingTime(minutes(5));
      const restored = await harness(windows(idle), { parallelism: after, from: await run.snapshot() });
      assert.deepEqual(restored.output("out"), [], `from ${before} to ${after}`);
      await restored.push("b", { value: event("k", 5_000) }, { watermark: 20_000 });
      assert.deepEqual(restored.output("out"), [["k", 0, 10_000, 3]], `from ${before} to ${after}`);
    }
  });

  test("when all are idle the watermark stands still", async () => {
    await verifyMarbles(
      windows(idle),
      `a      k@1
       b           k@1
       clock            60m`,
    );
  });

  test("with advanceWhenIdle it follows the clock, minus the bound of 1 s", async () => {
    await verifyMarbles(
      windows(idle.advanceWhenIdle()),
      `a      k@1
       b           k@55s
       clock              60s  60001       60998  60999
       out                     k[0,10s)=1         k[50s,60s)=1`,
    );
  });
});
