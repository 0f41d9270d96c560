/** Mappings of a laptop's cloud ask more often than AWS's: what they take beyond is not taken from functions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { limitsBeside } from "../../../emulator/cloud/mappings.ts";
import { kinesisLimits } from "../../../emulator/kinesis/index.ts";

const readsBeside = (streams: readonly string[], pollIntervalMs: number) =>
  limitsBeside(
    streams.map((streamName) => ({ streamName })),
    pollIntervalMs,
  ).readCallsPerSecond! -
  (1_000 / pollIntervalMs) * Math.max(0, ...streams.map((stream) => streams.filter((other) => other === stream).length));

test("a shard has as many reads for others beside its mappings as on AWS, however often they ask", () => {
  const { readCallsPerSecond } = kinesisLimits;
  for (const pollIntervalMs of [1_000, 250, 50]) {
    assert.equal(readsBeside(["a", "b"], pollIntervalMs), readCallsPerSecond - 1);
    assert.equal(readsBeside(["a", "b", "b"], pollIntervalMs), readCallsPerSecond - 2);
  }
});

test("mappings that ask seldom take nothing away, and without one a shard has its own limit", () => {
  assert.deepEqual(limitsBeside([{ streamName: "a" }], 5_000), { readCallsPerSecond: kinesisLimits.readCallsPerSecond });
  assert.deepEqual(limitsBeside([], 250), { readCallsPerSecond: kinesisLimits.readCallsPerSecond });
});
