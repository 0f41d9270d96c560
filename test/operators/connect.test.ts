/** Operators with two inputs: each value on its side, one state and one watermark for both. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { boundedOutOfOrderness, defineJob, hours, list, outputTag, type, value } from "../../runtime/index.ts";
import type { DataStream, Job, JobOptions, KeyedCoProcessFunction, StateSpec } from "../../runtime/index.ts";
import { harness, type OperatorStep, verifyOperator } from "../../runtime/testing/index.ts";
import { anySink, anySource, type Event, event, twoSources } from "./pipeline.ts";

/** Steps of the sources "a" and "b": events, and numbers that are watermarks. */
const a = (item: Event | number): OperatorStep => stepOf("a", item);
const b = (item: Event | number): OperatorStep => stepOf("b", item);

function stepOf(source: string, item: Event | number): OperatorStep {
  return typeof item === "number" ? { source, watermark: item } : { source, value: item };
}

const keyOf = ({ key }: Event) => key as string;

/** Both sources by their keys. */
function keyed<const S extends StateSpec>(fn: KeyedCoProcessFunction<string, Event, Event, unknown, S>, options: JobOptions = {}) {
  return twoSources((left, right) => left.keyBy(keyOf).connect(right.keyBy(keyOf)).process("both", fn), options);
}

describe("connected streams without keys", () => {
  test("map and flatMap have a function for each side", async () => {
    const mapped = twoSources((left, right) =>
      left.connect(right).map(
        "both",
        ({ n }) => `left ${n}`,
        ({ n }) => `right ${n}`,
      ),
    );
    await verifyOperator(mapped, {
      steps: [a(event("x", 1, 1)), b(event("x", 2, 2)), a(event("x", 3, 3))],
      expected: { out: ["left 1", "right 2", "left 3"] },
    });
    const flat = twoSources((left, right) =>
      left.connect(right).flatMap(
        "both",
        ({ n = 0 }) => Array.from({ length: n }, () => "left"),
        function* ({ n = 0 }) {
          yield n;
          yield -n;
        },
      ),
    );
    await verifyOperator(flat, {
      steps: [a(event("x", 1, 2)), b(event("x", 2, 7)), a(event("x", 3, 0))],
      expected: { out: ["left", "left", 7, -7] },
    });
  });

  test("a flatMap that gives nothing to go through is the author's error", async () => {
    const job = twoSources((left, right) =>
      left.connect(right).flatMap(
        "both",
        () => [1],
        () => undefined as never,
      ),
    );
    const run = await harness(job);
    await run.push("b", { value: event("x", 1) });
    assert.match(run.deadLetters()[0]!.reason, /must return an iterable.*\(operator both\)/);
  });

  test("process sees time, and writes side outputs, from both sides", async () => {
    const odd = outputTag<string>("odd");
    const job = twoSources((left, right) =>
      left.connect(right).process("both", {
        output: type<unknown>(),
        sideOutputs: [odd],
        onLeft: ({ n = 0 }, ctx) => (n % 2 === 0 ? ctx.emit(["left", n, ctx.timestamp, ctx.watermark]) : ctx.output(odd, `left ${n}`)),
        onRight: ({ n = 0 }, ctx) => (n % 2 === 0 ? ctx.emit(["right", n, ctx.timestamp, ctx.watermark]) : ctx.output(odd, `right ${n}`)),
      }),
    );
    await verifyOperator(job, {
      steps: [a(5), a(event("x", 10, 1)), b(event("x", 11, 2)), b(3), b(event("x", 12, 3)), a(event("x", 13, 4))],
      expected: {
        out: [
          ["right", 2, 11, -Infinity],
          ["left", 4, 13, 3],
        ],
        odd: ["left 1", "right 3"],
      },
      sideOutputs: [odd],
    });
  });

  test("one stream can be both sides", async () => {
    const job = twoSources((left, right) =>
      left
        .connect(left)
        .map(
          "both",
          ({ n }) => `left ${n}`,
          ({ n }) => `right ${n}`,
        )
        .union(right.map("other", () => "b")),
    );
    await verifyOperator(job, {
      steps: [a(event("x", 1, 1)), b(event("x", 1)), a(event("x", 1, 2))],
      expected: { out: ["left 1", "right 1", "b", "left 2", "right 2"] },
    });
  });
});

describe("connected streams with keys", () => {
  test("share the key's state, whichever side a record comes from", async () => {
    const job = keyed({
      state: { left: list<number>(), right: value<number>() },
      output: type<unknown>(),
      onLeft({ n = 0 }, { key, state, emit: _emit, ...ctx }) {
        state.left.add(n);
        assert.equal(ctx.timestamp, ctx.timestamp);
      },
      onRight({ n = 0 }, ctx) {
        ctx.state.right.set((ctx.state.right.get() ?? 0) + n);
        ctx.emit([ctx.key, [...ctx.state.left.get()], ctx.state.right.get()]);
      },
    });
    await verifyOperator(job, {
      steps: [
        a(event("x", 1, 1)),
        b(event("x", 1, 10)),
        b(event("y", 1, 5)),
        a(event("y", 1, 2)),
        a(event("x", 1, 3)),
        b(event("x", 1, 10)),
        b(event("y", 1, 1)),
      ],
      expected: {
        out: [
          ["x", [1], 10],
          ["y", [], 5],
          ["x", [1, 3], 20],
          ["y", [2], 6],
        ],
      },
    });
  });
});
