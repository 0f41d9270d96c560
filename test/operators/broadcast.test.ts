/** Records by key beside a stream that every task sees the whole of. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { list, map, outputTag, type, value } from "../../runtime/index.ts";
import type { Job, KeyedBroadcastProcessFunction } from "../../runtime/index.ts";
import { harness, type HarnessSnapshot, type OperatorStep, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, twoSources } from "./pipeline.ts";
import { runOn, schedules, sorted } from "./schedule.ts";

const keyOf = ({ key }: Event) => key as string;
const states = { rules: map<string, number>(), count: map<true, number>() };

/** "a" has events by key, "b" is broadcast. */
const record = (item: Event): OperatorStep => ({ source: "a", value: item });
const rule = (key: string, n: number): OperatorStep => ({ source: "b", value: event(key, 0, n) });
const time = (at: number): OperatorStep[] => [
  { source: "a", watermark: at },
  { source: "b", watermark: at },
];

const heard = outputTag<string>("heard");

/** A rule is the broadcast number of its key; one below 0 takes it away. Records give the rule they find, and again in a timer. */
const ruled: KeyedBroadcastProcessFunction<
  string,
  Event,
  Event,
  unknown,
  { seen: ReturnType<typeof list<number>> },
  typeof states
> = {
  state: { seen: list<number>() },
  output: type<unknown>(),
  sideOutputs: [heard],
  onRecord({ n = 0, at }, ctx) {
    ctx.state.seen.add(n);
    ctx.emit([ctx.key, n, ctx.broadcast.rules.get(ctx.key), ctx.timestamp]);
    if (at > 0) ctx.timers.eventTime(at);
  },
  onBroadcast({ key, n = 0 }, ctx) {
    const { rules, count } = ctx.broadcast;
    if (n < 0) rules.delete(key as string);
    else rules.set(key as string, n);
    count.set(true, (count.get(true) ?? 0) + 1);
  },
  onTimer(at, ctx) {
    ctx.emit([
      "timer",
      ctx.key,
      at,
      [...ctx.state.seen.get()],
      [...ctx.broadcast.rules.entries()],
      ctx.broadcast.count.get(true),
    ]);
  },
};

function jobOf(fn: KeyedBroadcastProcessFunction<string, Event, Event, unknown, any, typeof states>): Job {
  return twoSources((a, b) => a.keyBy(keyOf).connect(b.broadcast("rules", states)).process("ruled", fn));
}

describe("a broadcast", () => {
  test("is seen by every key, in records and in timers, as it is then", async () => {
    await verifyOperator(jobOf(ruled), {
      steps: [
        record(event("x", 10, 1)),
        rule("x", 7),
        rule("y", 8),
        record(event("x", 20, 2)),
        record(event("y", 0, 3)),
        ...time(10),
        rule("y", -1),
        record(event("y", 0, 4)),
        rule("x", 9),
        ...time(30),
      ],
      expected: {
        out: [
          ["x", 1, undefined, 10],
          ["x", 2, 7, 20],
          ["y", 3, 8, 0],
          [
            "timer",
            "x",
            10,
            [1, 2],
            [
              ["x", 7],
              ["y", 8],
            ],
            2,
          ],
          ["y", 4, undefined, 0],
          ["timer", "x", 20, [1, 2], [["x", 9]], 4],
        ],
      },
    });
  });

  test("reaches every task, which may all speak of it", async () => {
    const job = jobOf({
      ...ruled,
      onBroadcast({ key }, ctx) {
        ctx.output(heard, `${key}`);
        ctx.emit(["heard", key, ctx.timestamp]);
      },
    });
    for (const parallelism of [1, 2, 4]) {
      const run = await harness(job, { parallelism, shards: { b: 3 } });
      await run.push("b", { value: event("r", 5), shard: 0 }, { value: event("s", 6), shard: 2 });
      assert.deepEqual(sorted(run.sideOutput(heard)), sorted(Array.from({ length: parallelism }, () => ["r", "s"]).flat()));
      assert.equal(run.output("out").length, 2 * parallelism);
    }
  });

  test("is not written by the keyed side, nor has its own side keys", async () => {
    const job = jobOf({
      ...ruled,
      onRecord: (_event, ctx) => (ctx.broadcast.rules as never as Map<string, number>).set("x", 1),
      onBroadcast({ n }, ctx) {
        const { state, timers } = ctx as never as { state?: unknown; timers?: unknown };
        assert.deepEqual([state, timers], [undefined, undefined]);
        if (n === 13) throw new Error("an unlucky rule");
      },
    });
    const run = await harness(job);
    await run.push("a", { value: event("x", 1) });
    await run.push("b", { value: event("x", 1, 13) }, { value: event("x", 1, 14) });
    assert.deepEqual(
      run.deadLetters().map(({ operator, reason }) => [operator, reason.replace(/ \(.*/, "")]),
      [
        ["ruled", "ctx.broadcast.rules.set is not a function"],
        ["ruled", "an unlucky rule"],
      ],
    );
  });

  test("that fails leaves what was broadcast as it was", async () => {
    const job = jobOf({
      ...ruled,
      onBroadcast({ key, n = 0 }, ctx) {
        ctx.broadcast.rules.set(key as string, n);
        if (n === 13) throw new Error("an unlucky rule");
      },
    });
    await verifyOperator(job, {
      // Rescaled to two tasks after the second step, to one after the fourth: each task would refuse it.
      steps: [rule("x", 1), rule("x", 13), record(event("x", 0, 1)), rule("x", 14), record(event("x", 0, 2)), rule("y", 13)],
      expected: {
        out: [
          ["x", 1, 1, 0],
          ["x", 2, 14, 0],
        ],
      },
      deadLetters: ["ruled", "ruled"],
    });
  });

  test("goes with a job to any parallelism, each task with one copy", async () => {
    let snapshot: HarnessSnapshot | undefined;
    const keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for (const [n, parallelism] of [1, 3, 2, 4, 1].entries()) {
      const run = await harness(jobOf(ruled), { parallelism, ...(snapshot && { from: snapshot }) });
      await run.push("a", ...keys.map((key) => ({ value: event(key, 0, n) })));
      const expected = keys.map((key) => [key, n, n === 0 ? undefined : n * 100, 0]);
      assert.deepEqual(sorted(run.output("out")), sorted(expected), `at parallelism ${parallelism}`);
      await run.push("b", ...keys.map((key) => ({ value: event(key, 0, (n + 1) * 100) })));
      snapshot = await run.snapshot();
    }
  });

  test("stands beside records without keys, in each of their tasks", async () => {
    const job = twoSources((a, b) =>
      a.connect(b.broadcast("rules", states)).process("ruled", {
        output: type<unknown>(),
        sideOutputs: [heard],
        onRecord({ key, n }, ctx) {
          ctx.emit([key, n, ctx.broadcast.rules.get(key as string), ctx.timestamp]);
        },
        onBroadcast({ key, n = 0 }, ctx) {
          ctx.broadcast.rules.set(key as string, n);
          ctx.output(heard, `${key}`);
        },
      }),
    );
    await verifyOperator(job, {
      steps: [rule("x", 1), record(event("x", 5, 1)), record(event("y", 6, 2)), rule("y", 2), record(event("y", 7, 3))],
      expected: {
        out: [
          ["x", 1, 1, 5],
          ["y", 2, undefined, 6],
          ["y", 3, 2, 7],
        ],
      },
    });
    const run = await harness(job, { parallelism: 3, shards: { a: 2 } });
    await run.push("b", { value: event("x", 0, 7) });
    for (const shard of [0, 1]) await run.push("a", ...[1, 2, 3].map((n) => ({ value: event("x", n, n), shard })));
    assert.deepEqual(sorted(run.output("out")), sorted([1, 2, 3, 1, 2, 3].map((n) => ["x", n, 7, n])));
    assert.equal(run.sideOutput(heard).length, 3);
  });

  test("gives what ten lines would, however the input is cut up", async () => {
    const isRule = ({ at }: Event) => at % 3 === 0;
    // Each key of a record meets its rules in the order of the input only within one task, so what is compared is what is known at the end.
    const sum = { n: value<number>() };
    const last: KeyedBroadcastProcessFunction<string, Event, Event, unknown, typeof sum, typeof states> = {
      state: sum,
      output: type<unknown>(),
      onRecord({ n = 0 }, ctx) {
        ctx.state.n.set((ctx.state.n.get() ?? 0) + n);
        ctx.timers.eventTime(1_000_000_000);
      },
      onBroadcast: ruled.onBroadcast,
      onTimer: (_at, ctx) =>
        ctx.emit([ctx.key, ctx.state.n.get(), ctx.broadcast.rules.get(ctx.key), ctx.broadcast.count.get(true)]),
    };
    const job = pipeline((all) => {
      const rules = all.filter("rules", isRule).broadcast("rules", states);
      return all
        .filter("records", (e) => !isRule(e))
        .keyBy(keyOf)
        .connect(rules)
        .process("ruled", last);
    });
    const events = fc.array(
      fc.record({ key: fc.constantFrom("a", "b", "c", "d"), at: fc.nat(50), n: fc.integer({ min: -3, max: 9 }) }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(events, schedules, async (input, schedule) => {
        const rules = new Map<string, number | undefined>();
        const sums = new Map<string, number>();
        for (const e of input)
          if (isRule(e)) rules.set(e.key, e.n < 0 ? undefined : e.n);
          else sums.set(e.key, (sums.get(e.key) ?? 0) + e.n);
        const count = input.filter(isRule).length || undefined;
        const { out, deadLetters } = await runOn(
          job,
          input.map((e) => ({ value: e })),
          schedule,
        );
        assert.deepEqual(sorted(out), sorted([...sums].map(([key, n]) => [key, n, rules.get(key), count])));
        assert.deepEqual(deadLetters, []);
      }),
      { numRuns: 80 },
    );
  });

  test("is known before the first key in batch mode", async () => {
    const job = twoSources((a, b) => a.keyBy(keyOf).connect(b.broadcast("rules", states)).process("ruled", ruled), {
      mode: "batch",
    });
    for (const parallelism of [1, 3]) {
      const run = await harness(job, { parallelism });
      await run.push("a", { value: event("x", 10, 1) }, { value: event("y", 0, 2) });
      await run.push("b", { value: event("x", 0, 7) }, { value: event("y", 0, 8) });
      await run.endInput();
      const rules = [
        ["x", 7],
        ["y", 8],
      ];
      assert.deepEqual(
        sorted(run.output("out")),
        sorted([
          ["x", 1, 7, 10],
          ["timer", "x", 10, [1], rules, 2],
          ["y", 2, 8, 0],
        ]),
      );
    }
  });
});
