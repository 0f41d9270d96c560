/** By a clock that goes on by itself a millisecond is not over when it comes: more records may fall into it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { count, millis, seconds, tumbling, type } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import { realTimeLimits } from "../../runtime/task/task-plan.ts";
import { type Event, event, pipeline } from "./pipeline.ts";

const keyOf = ({ key }: Event) => key as string;
const options = { startAt: 3_000, environment: { limits: realTimeLimits } };

for (const parallelism of [1, 2])
  describe(`by a real clock, at parallelism ${parallelism}`, () => {
    test("a window takes in what comes in its last millisecond, and gives one result", async () => {
      const job = pipeline((events) =>
        events
          .keyBy(keyOf)
          .window(tumbling(seconds(10), { time: "processing" }))
          .aggregate("count", count(), (key, { start }, n) => [key, start, n]),
      );
      const run = await harness(job, { ...options, parallelism });
      await run.push("in", { value: event("k", 1) });
      await run.advanceProcessingTime(millis(6_999));
      await run.push("in", { value: event("k", 2) });
      assert.deepEqual(run.output("out"), [], "the clock says 9999");
      await run.advanceProcessingTime(millis(1));
      assert.deepEqual(run.output("out"), [["k", 0, 2]]);
    });

    test("a timer fires when its millisecond is over, without anybody bringing a record", async () => {
      const job = pipeline((events) =>
        events.keyBy(keyOf).process("wait", {
          output: type<unknown>(),
          onRecord: (_event, ctx) => ctx.timers.processingTime(5_000),
          onTimer: (at, ctx) => ctx.emit([at, ctx.processingTime]),
        }),
      );
      const run = await harness(job, { ...options, parallelism });
      await run.push("in", { value: event("k", 1) });
      await run.advanceProcessingTime(seconds(60));
      assert.deepEqual(run.output("out"), [[5_000, 5_001]]);
    });
  });
