/** Frames with nothing but watermarks: at most one per channel and interval, and none waits for ever. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { count, millis, seconds, tumbling } from "../../runtime/index.ts";
import { harness, type HarnessOptions } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { event, pipeline } from "../operators/pipeline.ts";

const job = (watermarkInterval = seconds(1)) =>
  pipeline(
    (events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .aggregate("count", count(), (key, { start }, n) => [key, start, n]),
    { parallelism: 2, watermarkInterval },
  );

/** A running job, and how many frames its source's task has sent. */
async function start(options: HarnessOptions & { interval?: ReturnType<typeof millis> } = {}) {
  let frames = 0;
  const run = (await harness(job(options.interval), {
    ...options,
    wrapPorts: (ports) => ({
      ...ports,
      log: {
        shards: (stream) => ports.log.shards(stream),
        read: (...call) => ports.log.read(...call),
        append: (stream, records) => {
          frames += records.length;
          return ports.log.append(stream, records);
        },
      },
    }),
  })) as RunningHarness;
  return {
    run,
    /** Frames since the last look. */
    sent: () => {
      const since = frames;
      frames = 0;
      return since;
    },
  };
}

describe("watermarks without records", () => {
  test("wait for the interval, then go by themselves", async () => {
    const { run, sent } = await start();
    await run.push("in", { value: event("a", 1) });
    assert.equal(sent(), 2, "the record's frame, and its watermark to the other task");
    await run.advanceWatermark("in", 9_000);
    await run.advanceWatermark("in", 9_999);
    assert.equal(sent(), 0);
    assert.deepEqual(run.output("out"), []);
    await run.advanceProcessingTime(millis(999));
    assert.equal(sent(), 0);
    await run.advanceProcessingTime(millis(1));
    assert.equal(sent(), 2);
    assert.deepEqual(run.output("out"), [["a", 0, 1]]);
    await run.advanceProcessingTime(seconds(60));
    assert.equal(sent(), 0, "nothing waits any more");
  });

  test("go along with the next record of their channel, in their place", async () => {
    const { run, sent } = await start();
    await run.push("in", { value: event("a", 1) });
    await run.advanceWatermark("in", 5_000);
    await run.advanceWatermark("in", 9_999);
    sent();
    await run.push("in", { value: event("a", 10_001) });
    assert.equal(sent(), 1);
    assert.deepEqual(run.output("out"), [["a", 0, 1]], "the window had closed when the record came");
  });

  for (const [what, urge] of [
    ["a checkpoint", (run: RunningHarness) => run.checkpoint()],
    ["the end of the input", (run: RunningHarness) => run.endInput()],
  ] as const)
    test(`do not wait for ${what}`, async () => {
      const { run } = await start();
      await run.push("in", { value: event("a", 1) });
      await run.advanceWatermark("in", 5_000);
      await run.advanceWatermark("in", 9_999);
      assert.deepEqual(run.output("out"), []);
      await urge(run);
      assert.deepEqual(run.output("out"), [["a", 0, 1]]);
    });

  test("wait on over a crash", async () => {
    const { run, sent } = await start();
    await run.push("in", { value: event("a", 1) });
    await run.advanceWatermark("in", 5_000);
    await run.advanceWatermark("in", 9_999);
    await run.crash();
    sent();
    assert.deepEqual(run.output("out"), []);
    await run.advanceProcessingTime(seconds(1));
    assert.equal(sent(), 2);
    assert.deepEqual(run.output("out"), [["a", 0, 1]]);
  });

  test("do not wait where the interval is zero", async () => {
    const { run } = await start({ interval: millis(0) });
    await run.push("in", { value: event("a", 1) });
    for (const at of [5_000, 9_000, 9_999]) await run.advanceWatermark("in", at);
    assert.deepEqual(run.output("out"), [["a", 0, 1]]);
  });
});
