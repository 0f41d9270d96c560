/** A sink that has its rows keyed, behind an exchange: an operator without state that is given keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defineJob, type DataStream } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import { anySink, anySource, event, type Event } from "./pipeline.ts";

test("a sink with a key gets every row, however many tasks there are", async () => {
  for (const parallelism of [1, 3]) {
    const job = defineJob("keyed-sink", (builder) => {
      const events: DataStream<Event> = builder.source("in", anySource<Event>("in"), { timestamps: ({ at }) => at });
      events.sinkTo("out", { ...anySink(), key: ({ key }: Event) => key as string });
    });
    const run = await harness(job, { parallelism });
    await run.push("in", ...["a", "b", "c", "d", "a"].map((key, n) => ({ value: event(key, n) })));
    const rows = run.output<Event>("out").map(({ key, at }) => `${key}${at}`);
    assert.deepEqual(rows.sort(), ["a0", "a4", "b1", "c2", "d3"], `at parallelism ${parallelism}`);
  }
});
