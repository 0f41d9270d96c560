import { test } from "node:test";
import assert from "node:assert/strict";
import { harness } from "../../runtime/testing/index.ts";
import { event, pipeline } from "./pipeline.ts";

const job = pipeline((events) =>
  events
    .assumeKeyed(({ key }) => key as string)
    .reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) }))
    .map("show", ({ key, n }) => [key, n]),
);
const record = (key: string, n: number) => ({ value: event(key, 0, n), partitionKey: key });

test("assumeKeyed keeps state by the source's partition key, one task per shard, without an exchange", async () => {
  for (const parallelism of [1, 2]) {
    const run = await harness(job, { parallelism, shards: 2 });
    await run.push("in", record("a", 1), record("a", 2));
    await run.crash();
    await run.push("in", record("a", 4));
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 3],
      ["a", 7],
    ]);
    const restored = await harness(job, { parallelism: 3 - parallelism, shards: 2, from: await run.snapshot() });
    await restored.push("in", record("a", 8));
    assert.deepEqual(restored.output("out"), [["a", 15]]);
  }
});

test("a record whose key is not its partition key goes to the dead letters", async () => {
  for (const parallelism of [1, 2]) {
    const run = await harness(job, { parallelism });
    await run.push("in", record("a", 1), { value: event("a", 0, 2), partitionKey: "b" }, record("a", 4));
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 5],
    ]);
    assert.deepEqual(
      run.deadLetters().map(({ operator }) => operator),
      ["sum"],
    );
  }
});
