/** Operators with two inputs: each value on its side, one state and one watermark for both. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  boundedOutOfOrderness,
  evenSplitList,
  list,
  map,
  millis,
  minutes,
  outputTag,
  seconds,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import type { JobOptions, KeyedCoProcessFunction, MapState, StateSpec, Timers } from "../../runtime/index.ts";
import { harness, type OperatorStep, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, twoSources } from "./pipeline.ts";
import { runOn, schedules, sorted } from "./schedule.ts";

/** Steps of the sources "a" and "b": events, and numbers that are watermarks. */
const a = (item: Event | number): OperatorStep => stepOf("a", item);
const b = (item: Event | number): OperatorStep => stepOf("b", item);

function stepOf(source: string, item: Event | number): OperatorStep {
  return typeof item === "number" ? { source, watermark: item } : { source, value: item };
}

const keyOf = ({ key }: Event) => key as string;

/** Both sources by their keys. */
function keyed<const S extends StateSpec>(
  fn: KeyedCoProcessFunction<string, Event, Event, unknown, S>,
  options: JobOptions = {},
) {
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
          yield `${n}`;
          yield `${-n}`;
        },
      ),
    );
    await verifyOperator(flat, {
      steps: [a(event("x", 1, 2)), b(event("x", 2, 7)), a(event("x", 3, 0))],
      expected: { out: ["left", "left", "7", "-7"] },
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
        onLeft: ({ n = 0 }, ctx) =>
          n % 2 === 0 ? ctx.emit(["left", n, ctx.timestamp, ctx.watermark]) : ctx.output(odd, `left ${n}`),
        onRight: ({ n = 0 }, ctx) =>
          n % 2 === 0 ? ctx.emit(["right", n, ctx.timestamp, ctx.watermark]) : ctx.output(odd, `right ${n}`),
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

  test("process keeps state of its task, which both sides share", async () => {
    const job = twoSources((left, right) =>
      left.connect(right).process("both", {
        operatorState: { seen: evenSplitList<number>() },
        output: type<unknown>(),
        onLeft: ({ n = 0 }, ctx) => ctx.operatorState.seen.add(n),
        onRight: (_event, ctx) => ctx.emit(ctx.operatorState.seen.get().toSorted()),
      }),
    );
    // Rescaled to two tasks after the second step, to one after the fourth: between them nobody is asked.
    await verifyOperator(job, {
      steps: [a(event("x", 1, 1)), b(event("x", 1)), ...[2, 3, 4].map((n) => a(event("x", 1, n))), b(event("x", 1))],
      expected: { out: [[1], [1, 2, 3, 4]] },
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
      onLeft: ({ n = 0 }, ctx) => ctx.state.left.add(n),
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

  test("keep one timer for both sides, of either domain, and cancel each other's", async () => {
    const told = outputTag<string>("told");
    const job = keyed({
      output: type<unknown>(),
      sideOutputs: [told],
      onLeft({ n = 0 }, ctx) {
        ctx.timers.eventTime(n);
        ctx.timers.processingTime(n);
      },
      onRight({ n = 0 }, ctx) {
        ctx.timers.eventTime(n);
        ctx.timers.cancelProcessingTime(n);
      },
      onTimer(at, ctx) {
        ctx.emit([ctx.key, ctx.domain, at, ctx.timestamp]);
        ctx.output(told, `${ctx.key}${at}`);
      },
    });
    await verifyOperator(job, {
      steps: [
        a(event("x", 0, 50)),
        b(event("x", 0, 50)),
        a(event("x", 0, 70)),
        { processingTime: 100 },
        a(60),
        b(60),
        b(80),
        a(70),
      ],
      expected: {
        out: [
          ["x", "processingTime", 70, undefined],
          ["x", "eventTime", 50, 50],
          ["x", "eventTime", 70, 70],
        ],
        told: ["x70", "x50", "x70"],
      },
      sideOutputs: [told],
    });
  });

  test("that fail are to blame by the operator, on either side and in timers; state stays whole", async () => {
    const job = keyed({
      state: { seen: value<number>() },
      output: type<unknown>(),
      onLeft({ n = 0 }, ctx) {
        ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
        if (n < 0) throw new Error("left fails");
        ctx.timers.eventTime(n);
      },
      onRight({ n = 0 }, ctx) {
        ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
        if (n < 0) throw new Error("right fails");
        ctx.emit(ctx.state.seen.get());
      },
      onTimer(at, ctx) {
        ctx.state.seen.clear();
        if (at === 13) throw new Error("the timer fails");
      },
    });
    await verifyOperator(job, {
      steps: [
        a(event("x", 0, 13)),
        a(event("x", 0, -1)),
        b(event("x", 0, -1)),
        b(event("x", 0, 1)),
        a(20),
        b(20),
        b(event("x", 0, 1)),
      ],
      expected: { out: [2, 3] },
      deadLetters: ["both", "both", "both"],
    });
  });
});

/** Sets a timer at each record's time; tells when it fires, and the watermark then. */
const ticking: KeyedCoProcessFunction<string, Event, Event, unknown, {}> = {
  output: type<unknown>(),
  onLeft: ({ at }, ctx) => ctx.timers.eventTime(at),
  onRight: ({ at }, ctx) => ctx.timers.eventTime(at),
  onTimer: (at, ctx) => ctx.emit([at, ctx.watermark]),
};

describe("the watermark of two inputs", () => {
  test("is the lower of both sides'", async () => {
    await verifyOperator(keyed(ticking), {
      steps: [a(event("x", 10)), b(event("x", 20)), a(15), a(40), b(9), b(12), b(30), b(50), a(event("x", 41)), a(60)],
      expected: {
        out: [
          [10, 12],
          [20, 30],
          [41, 50],
        ],
      },
    });
  });

  test("is that of the other side when one has ended", async () => {
    for (const first of ["a", "b"] as const) {
      const other = first === "a" ? b : a;
      await verifyOperator(keyed(ticking), {
        steps: [a(event("x", 10)), b(event("x", 20)), { endInput: true, source: first }, other(15), { endInput: true }],
        expected: {
          out: [
            [10, 15],
            [20, Infinity],
          ],
        },
      });
    }
  });

  test("does not wait for a side that is idle, and stands still when both are", async () => {
    const watermarks = boundedOutOfOrderness(seconds(1)).withIdleness(minutes(1));
    const job = twoSources((left, right) => left.keyBy(keyOf).connect(right.keyBy(keyOf)).process("both", ticking), {
      watermarks,
    });
    await verifyOperator(job, {
      steps: [
        a(event("x", 5_000)),
        b(event("x", 5_500)),
        { processingTime: 30_000 },
        a(event("x", 10_000)),
        { processingTime: 60_001 },
        { processingTime: 100_000 },
        a(event("x", 20_000)),
        { processingTime: 1_000_000 },
        // Active again: holds the watermark where it is, though it stands lower.
        b(event("x", 18_500)),
        a(event("x", 40_000)),
        b(event("x", 25_000)),
      ],
      expected: {
        out: [
          [5_000, 8_999],
          [5_500, 8_999],
          [10_000, 18_999],
          [18_500, 23_999],
          [20_000, 23_999],
        ],
      },
    });
  });

  test("counts the channels of each side by themselves, at any parallelism", async () => {
    for (const parallelism of [1, 3]) {
      const run = await harness(keyed(ticking), { parallelism, shards: { a: 2, b: 3 } });
      await run.push("a", { value: event("x", 10) }, { watermark: 100, shard: 0 });
      await run.push("b", { value: event("x", 20) }, { watermark: 90, shard: 0 }, { watermark: 80, shard: 1 });
      await run.push("a", { watermark: 50, shard: 1 });
      assert.deepEqual(run.output("out"), [], "shard 2 of b has said nothing yet");
      await run.push("b", { watermark: 15, shard: 2 });
      assert.deepEqual(run.output("out"), [[10, 15]]);
      await run.push("b", { watermark: 60, shard: 2 });
      assert.deepEqual(run.output("out").at(-1), [20, 50]);
    }
  });

  test("is passed on after the timers that it fires, so that what comes next finds nothing late", async () => {
    const job = twoSources((left, right) =>
      left
        .keyBy(keyOf)
        .connect(right.keyBy(keyOf))
        .process("both", { ...ticking, output: type<readonly [number, number]>() })
        .keyBy(() => "all")
        .window(tumbling(millis(10)))
        .apply("window", (_key, { start }, values) => [[start, values.map((fired) => (fired as readonly number[])[0])]]),
    );
    await verifyOperator(job, {
      steps: [a(event("x", 4)), b(event("x", 13)), a(event("x", 8)), a(25), b(9), b(25)],
      expected: {
        out: [
          [0, [4, 8]],
          [10, [13]],
        ],
      },
    });
  });
});

describe("records in time's order from both sides", () => {
  /** Collects the records of a time, and gives them when the watermark has passed it. */
  const sides = { left: map<number, number[]>(), right: map<number, number[]>() };
  const merge: KeyedCoProcessFunction<string, Event, Event, unknown, typeof sides> = {
    state: sides,
    output: type<unknown>(),
    onLeft: (e, ctx) => collect(e, ctx.state.left, ctx.timers),
    onRight: (e, ctx) => collect(e, ctx.state.right, ctx.timers),
    onTimer(at, ctx) {
      const { left, right } = ctx.state;
      ctx.emit({ key: ctx.key, at, left: left.get(at) ?? [], right: right.get(at) ?? [] });
      left.delete(at);
      right.delete(at);
    },
  };
  const collect = ({ at, n = 0 }: Event, into: MapState<number, number[]>, timers: Timers) => {
    into.set(
      at,
      [...(into.get(at) ?? []), n].sort((x, y) => x - y),
    );
    timers.eventTime(at);
  };
  const boundMs = 3_000;
  const watermarks = boundedOutOfOrderness(millis(boundMs));
  const isLeft = ({ n = 0 }: Event) => n % 3 !== 0;

  /** What one upstream stage sends goes to both sides, over the same channels. */
  const split = pipeline(
    (all) => {
      const left = all.filter("left", isLeft);
      const right = all.filter("right", (e) => !isLeft(e));
      return left.keyBy(keyOf).connect(right.keyBy(keyOf)).process("merge", merge);
    },
    { watermarks },
  );
  /** The same behind a stage of its own, in turn over its tasks, and sides that are unions. */
  const spread = pipeline(
    (all) => {
      const tens = all.rebalance().map("tens", (e) => ({ ...e, n: (e.n ?? 0) * 10 }));
      const of = (uid: string, keep: (e: Event) => boolean) =>
        tens
          .filter(`${uid}-even`, (e) => keep(e) && e.at % 2 === 0)
          .union(tens.filter(`${uid}-odd`, (e) => keep(e) && e.at % 2 !== 0));
      const left = of("left", ({ n = 0 }) => isLeft(event("", 0, n / 10)));
      const right = of("right", ({ n = 0 }) => !isLeft(event("", 0, n / 10)));
      return left
        .keyBy(keyOf)
        .connect(right.keyBy(keyOf))
        .process("merge", merge)
        .global()
        .map("one", (row) => row);
    },
    { watermarks },
  );

  const inputs = fc
    .array(fc.record({ key: fc.constantFrom("a", "b", "c"), at: fc.integer({ min: 0, max: 40 }), late: fc.nat(boundMs) }), {
      maxLength: 50,
    })
    .map((list) => list.map(({ key, at, late }, n) => event(key, at * 500 + late - boundMs, n)).sort((x, y) => x.at - y.at))
    .chain((ordered) =>
      fc.array(fc.nat(boundMs), { minLength: ordered.length, maxLength: ordered.length }).map((delays) => ({ ordered, delays })),
    )
    .map(({ ordered, delays }) =>
      ordered
        .map((e, n) => ({ e, arrives: e.at + delays[n]! }))
        .sort((x, y) => x.arrives - y.arrives)
        .map(({ e }) => e),
    );

  const expected = (input: readonly Event[], times: number) => {
    const rows = new Map<string, { key: string; at: number; left: number[]; right: number[] }>();
    for (const e of input) {
      const row = rows.get(`${e.key} ${e.at}`) ?? { key: e.key, at: e.at, left: [], right: [] };
      rows.set(`${e.key} ${e.at}`, row);
      (isLeft(e) ? row.left : row.right).push(e.n! * times);
    }
    for (const { left, right } of rows.values()) for (const side of [left, right]) side.sort((x, y) => x - y);
    return [...rows.values()];
  };

  for (const [name, job, times] of [
    ["from one stage", split, 1],
    ["from several tasks, over unions", spread, 10],
  ] as const)
    test(`are the oracle's, however the input is cut up: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(inputs, schedules, async (input, schedule) => {
          const { out, deadLetters } = await runOn(
            job,
            input.map((e) => ({ value: e })),
            schedule,
          );
          assert.deepEqual(sorted(out), sorted(expected(input, times)));
          assert.deepEqual(deadLetters, []);
        }),
        { numRuns: 80 },
      );
    });

  test("come by key in batch mode, both sides sorted as one", async () => {
    const job = twoSources((left, right) => left.keyBy(keyOf).connect(right.keyBy(keyOf)).process("merge", merge), {
      mode: "batch",
    });
    const sided = twoSources(
      (left, right) =>
        left
          .keyBy(keyOf)
          .connect(right.keyBy(keyOf))
          .process("sides", {
            output: type<unknown>(),
            onLeft: ({ at }, ctx) => ctx.emit(["left", ctx.key, at]),
            onRight: ({ at }, ctx) => ctx.emit(["right", ctx.key, at]),
          }),
      { mode: "batch" },
    );
    const input = ["b", "a", "b", "a", "c", "a"].map((key, n) => event(key, 60 - n * 7, n));
    for (const parallelism of [1, 2]) {
      const run = await harness(job, { parallelism });
      const order = await harness(sided, { parallelism: 1 });
      for (const e of input) for (const each of [run, order]) await each.push(isLeft(e) ? "a" : "b", { value: e });
      assert.deepEqual(run.output("out"), [], "not before the end");
      await run.endInput();
      await order.endInput();
      assert.deepEqual(sorted(run.output("out")), sorted(expected(input, 1)));
      const byKey = input.toSorted((x, y) => (x.key === y.key ? x.at - y.at : x.key < y.key ? -1 : 1));
      assert.deepEqual(
        order.output("out"),
        byKey.map((e) => [isLeft(e) ? "left" : "right", e.key, e.at]),
      );
    }
  });
});
