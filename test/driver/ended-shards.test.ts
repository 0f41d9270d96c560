/** Shards that had ended before a checkpoint, and what they leave open, at any parallelism. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { count, seconds, tumbling } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { event, pipeline } from "../operators/pipeline.ts";

const job = pipeline((events) =>
  events
    .keyBy(({ key }) => key as string)
    .window(tumbling(seconds(10)))
    .aggregate("count", count()),
);

test("windows that were open when a checkpoint was taken close at another parallelism, although all shards had ended", async () => {
  const run = (await harness(job, { parallelism: 2, shards: 2 })) as RunningHarness;
  await run.push("in", { value: event("a", 1), shard: 0 }, { watermark: 5, shard: 0 }, { watermark: 7, shard: 1 });
  run.source("in").end(0);
  await run.settle();
  const before = await run.checkpoint();
  // The shard that ended first tells of it after the barrier, the other before it: time stands still in the checkpoint.
  await run.coordinator().restore(before);
  run.source("in").end(1);
  const snapshot = await run.snapshot();
  for (const parallelism of [1, 2, 3]) {
    const restored = await harness(job, { from: snapshot, parallelism });
    await restored.endInput();
    assert.deepEqual(restored.output("out"), [1], `at parallelism ${parallelism}`);
  }
});
