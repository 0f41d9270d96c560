/** How docs/testing.md tries the job by hand: the bodies of two tests. */
import assert from "node:assert/strict";
import { minutes, type Sink } from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { pageCounts, type PerMinute } from "./page-counts.ts";

export async function countsByHand(sink: Sink<PerMinute>): Promise<void> {
  const run = await harness(pageCounts(sink));
  await run.push("views", { value: { page: "/a", at: 1_000 } }, { value: { page: "/a", at: 59_000 } });
  await run.crash();
  await run.push("views", { value: { page: "/b", at: 61_000 } });
  assert.deepEqual(run.output("totals"), [], "the watermark is a minute behind the latest view");
  await run.advanceWatermark("views", 60_000);
  assert.deepEqual(run.output("totals"), [{ page: "/a", start: 0, views: 2 }]);

  const restored = await harness(pageCounts(sink), { from: await run.snapshot(), parallelism: 2 });
  await restored.advanceProcessingTime(minutes(5));
  await restored.endInput();
  assert.deepEqual(restored.output("totals"), [{ page: "/b", start: 60_000, views: 1 }]);
  assert.deepEqual(restored.deadLetters(), []);
}

export async function countsInEveryWay(sink: Sink<PerMinute>): Promise<void> {
  await verifyOperator(pageCounts(sink), {
    steps: [
      { source: "views", value: { page: "/a", at: 1_000 } },
      { source: "views", value: { page: "/a", at: 59_000 } },
      { source: "views", watermark: 60_000 },
      { source: "views", value: { page: "/b", at: 61_000 } },
      { endInput: true },
    ],
    expected: {
      totals: [
        { page: "/a", start: 0, views: 2 },
        { page: "/b", start: 60_000, views: 1 },
      ],
    },
  });
}
