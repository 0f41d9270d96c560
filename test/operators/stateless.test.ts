import { test } from "node:test";
import assert from "node:assert/strict";
import { outputTag, type } from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { event, pipeline, steps } from "./pipeline.ts";

test("map gives one result for each value, filter some, flatMap any number, in their order", async () => {
  const job = pipeline((events) =>
    events
      .map("double", ({ key, n }) => ({ key, n: 2 * (n ?? 0) }))
      .filter("positive", ({ n }) => n > 0)
      .flatMap("repeat", ({ key, n }) => Array.from({ length: n }, (_, i) => `${key}${i}`)),
  );
  await verifyOperator(job, {
    steps: steps(event("a", 0, 1), event("b", 1, 0), event("c", 2, 2)),
    expected: { out: ["a0", "a1", "c0", "c1", "c2", "c3"] },
  });
});

test("results carry the timestamp of their input", async () => {
  const run = await harness(pipeline((events) => events.flatMap("twice", ({ key }) => [key, key])));
  await run.push("in", { value: event("a", 1_234) });
  assert.deepEqual(run.rows("out"), [
    { value: "a", timestamp: 1_234, change: "+I" },
    { value: "a", timestamp: 1_234, change: "+I" },
  ]);
});

test("process sees timestamp, watermark and processing time, and writes side outputs", async () => {
  const odd = outputTag<number>("odd");
  const job = pipeline((events) =>
    events.process("sort", {
      output: type<unknown>(),
      sideOutputs: [odd],
      onRecord({ n = 0 }, ctx) {
        if (n % 2 === 1) ctx.output(odd, n);
        else ctx.emit([n, ctx.timestamp, ctx.watermark, ctx.processingTime]);
      },
    }),
  );
  await verifyOperator(job, {
    steps: steps(event("a", 5, 0), event("a", 6, 1), 7_500, { processingTime: 90 }, event("a", 4, 2), event("a", 4, 3)),
    expected: {
      out: [
        [0, 5, -Infinity, 0],
        [2, 4, 7_500, 90],
      ],
      odd: [1, 3],
    },
    sideOutputs: [odd],
  });
});

test("what a handler is given may be taken apart", async () => {
  const odd = outputTag<number>("odd");
  const job = pipeline((events) =>
    events.process("sort", {
      output: type<unknown>(),
      sideOutputs: [odd],
      onRecord({ n = 0 }, { emit, output, counter, timestamp }) {
        counter("seen").add();
        if (n % 2 === 1) output(odd, n);
        else emit([n, timestamp]);
      },
    }),
  );
  await verifyOperator(job, {
    steps: steps(event("a", 5, 0), event("a", 6, 1), event("a", 7, 2)),
    expected: {
      out: [
        [0, 5],
        [2, 7],
      ],
      odd: [1],
    },
    sideOutputs: [odd],
  });
});

test("a flatMap function that returns no iterable sends its record to the dead letters", async () => {
  const job = pipeline((events) => events.flatMap("wrong", ({ n }) => (n === 1 ? (undefined as never) : [n])));
  await verifyOperator(job, {
    steps: steps(event("a", 0, 0), event("a", 1, 1), event("a", 2, 2)),
    expected: { out: [0, 2] },
    deadLetters: ["wrong"],
  });
});
