/** How records get from task to task where no key says so: in turn, or all to one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { evenSplitList, seconds, tumbling, count, type } from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";
import { runOn, schedules, sorted } from "./schedule.ts";

/** Gives each record the number of records that its task has had. */
const counting = {
  operatorState: { seen: evenSplitList<number>() },
  output: type<readonly [n: number | undefined, place: number]>(),
  onRecord({ n }: Event, ctx: any): void {
    ctx.operatorState.seen.add(n);
    ctx.emit([n, ctx.operatorState.seen.get().length]);
  },
};

const numbers = (to: number) => Array.from({ length: to }, (_, n) => ({ value: event("k", n, n) }));

describe("rebalance()", () => {
  const job = pipeline((events) => events.rebalance().process("fn", counting));

  test("gives every task as many records as the others", async () => {
    for (const parallelism of [1, 2, 3, 4]) {
      const run = await harness(job, { parallelism });
      await run.push("in", ...numbers(12));
      const places = run.output<readonly number[]>("out").map(([, place]) => place!);
      const even = Array.from({ length: 12 }, (_, n) => 1 + Math.floor(n / parallelism));
      assert.deepEqual(sorted(places), sorted(even), `at parallelism ${parallelism}`);
    }
  });

  test("spreads what comes from several tasks, and brings a source's shards to as many tasks as the job has", async () => {
    const run = await harness(
      pipeline((events) =>
        events
          .rebalance()
          .map("one", (e) => e)
          .rebalance()
          .process("fn", counting),
      ),
      { parallelism: 3, shards: 5 },
    );
    for (let shard = 0; shard < 5; shard++) await run.push("in", ...numbers(6).map((record) => ({ ...record, shard })));
    const places = run.output<readonly number[]>("out").map(([, place]) => place!);
    assert.equal(places.length, 30);
    assert.ok(Math.max(...places) <= 16, `one task has had ${Math.max(...places)} of 30`);
  });
});

describe("global()", () => {
  test("brings all records to one task, in the order of each task before it", async () => {
    const job = pipeline((events) => events.global().process("fn", counting));
    for (const parallelism of [1, 4]) {
      const run = await harness(job, { parallelism });
      await run.push("in", ...numbers(9));
      assert.deepEqual(
        run.output("out"),
        numbers(9).map(({ value: { n } }) => [n, n! + 1]),
      );
    }
  });

  test("makes one of what several tasks have", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .aggregate("count", count(), (key, _window, n) => ({ key, at: 0, n }))
        .global()
        .process("fn", counting),
    );
    const keys = ["a", "b", "c", "d", "e", "f"];
    await verifyOperator(job, {
      steps: steps(...keys.map((key) => event(key, 1)), 9_999),
      expected: { out: keys.map((_, n) => [1, n + 1]) },
    });
  });
});

test("no exchange loses a record or gives it twice, however the input is cut up", async () => {
  const job = pipeline((events) => {
    const spread = events.rebalance().map("spread", ({ n }) => n);
    const both = spread.connect(events.global().map("one", ({ n }) => n));
    return both.map(
      "sides",
      (n) => `spread ${n}`,
      (n) => `one ${n}`,
    );
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(40), schedules, async (to, schedule) => {
      const { out, deadLetters } = await runOn(job, numbers(to), schedule);
      assert.deepEqual(sorted(out), sorted(numbers(to).flatMap((_, n) => [`spread ${n}`, `one ${n}`])));
      assert.deepEqual(deadLetters, []);
    }),
    { numRuns: 60 },
  );
});

test("an exchange carries the times that a date can hold, to the edges", async () => {
  const times = [-8.64e15, -4_503_599_627_370_497, -4_503_599_627_370_496, -1, 0, 4_503_599_627_370_497, 8.64e15];
  const job = pipeline((events) =>
    events.rebalance().process("fn", { output: type<unknown>(), onRecord: (_e, ctx) => ctx.emit(ctx.timestamp) }),
  );
  const run = await harness(job, { parallelism: 2 });
  await run.push("in", ...times.map((timestamp) => ({ value: event("k", 0), timestamp })));
  assert.deepEqual(sorted(run.output("out")), sorted(times));
});
