/** Lets the first value of each key pass. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { firstOfKey, seconds } from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";

const job = pipeline((events) =>
  events
    .keyBy(({ key }) => key as string)
    .process("once", firstOfKey<Event, string>({ within: seconds(60) }))
    .map("show", ({ key, n }) => [key, n]),
);

describe("firstOfKey", () => {
  test("lets the first of each key pass, across snapshots and restores", async () => {
    await verifyOperator(job, {
      steps: steps(event("a", 0, 1), event("a", 0, 2), event("b", 0, 3), event("a", 0, 4), event("b", 0, 5)),
      expected: {
        out: [
          ["a", 1],
          ["b", 3],
        ],
      },
    });
  });

  test("remembers a key for its time, from the first on", async () => {
    const run = await harness(job);
    await run.push("in", { value: event("a", 0, 1) });
    await run.advanceProcessingTime(seconds(59));
    await run.push("in", { value: event("a", 0, 2) });
    await run.advanceProcessingTime(seconds(2));
    await run.push("in", { value: event("a", 0, 3) });
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 3],
    ]);
  });

  test("refuses a time that is none", () => {
    for (const within of [0, -1, NaN]) assert.throws(() => firstOfKey({ within: within as never }), /time above zero/);
  });
});
