/** State outside keys: each task's own, through crashes and snapshots; dealt out at another number of tasks. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { evenSplitList, type JobOptions, type ProcessFunction, type, unionList } from "../../runtime/index.ts";
import { harness, type HarnessSnapshot, verifyOperator } from "../../runtime/testing/index.ts";
import type { OperatorStateSpec } from "../../runtime/api/operator-scoped-state.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";
import { sorted } from "./schedule.ts";

function job<const S extends OperatorStateSpec>(fn: ProcessFunction<Event, unknown, S>, options: JobOptions = {}) {
  return pipeline((events) => events.rebalance().process("fn", fn), options);
}

/** Adds each event's number to the state; a number below 0 asks for what there is. */
const splitting = job({
  operatorState: { seen: evenSplitList<number>() },
  output: type<unknown>(),
  onRecord({ n = 0 }, ctx) {
    const { seen } = ctx.operatorState;
    if (n >= 0) seen.add(n);
    else ctx.emit(seen.get().toSorted());
  },
});

const uniting = job({
  operatorState: { all: unionList<number>() },
  output: type<unknown>(),
  onRecord({ n = 0 }, ctx) {
    const { all } = ctx.operatorState;
    if (n === -2) all.update([ctx.operatorState.all.get().length]);
    else if (n === -3) all.clear();
    else if (n >= 0) all.add(n);
    else ctx.emit([...all.get()]);
  },
});

/** As many asking events as make every task answer: rebalance goes round. */
const ask = (tasks: number) => Array.from({ length: tasks }, () => ({ value: event("", 0, -1) }));
const numbers = (...list: number[]) => list.map((n) => ({ value: event("", 0, n) }));

/** What each task has, at a parallelism. */
async function holdings(of: ReturnType<typeof job>, from: HarnessSnapshot, parallelism: number) {
  const run = await harness(of, { from, parallelism });
  await run.push("in", ...ask(parallelism));
  return { held: run.output<number[]>("out"), snapshot: await run.snapshot() };
}

describe("a list that is split evenly", () => {
  test("is the task's own, whatever happens to it", () => {
    // Rescaled after the third step and after the sixth: between them nobody is asked.
    const list = [1, 2, -1, 3, 4, 5, 6, -1, 7];
    return verifyOperator(splitting, {
      steps: steps(...list.map((n) => event("", 0, n))),
      expected: {
        out: [
          [1, 2],
          [1, 2, 3, 4, 5, 6],
        ],
      },
    });
  });

  test("is dealt out over the tasks, nothing lost or doubled, as even as can be", async () => {
    const first = await harness(splitting, { parallelism: 2 });
    await first.push("in", ...numbers(1, 2, 3, 4, 5, 6, 7));
    let snapshot = await first.snapshot();
    for (const parallelism of [3, 2, 5, 1, 4, 4]) {
      const { held, snapshot: next } = await holdings(splitting, snapshot, parallelism);
      assert.deepEqual(held.flat().sort(), [1, 2, 3, 4, 5, 6, 7], `at parallelism ${parallelism}`);
      const sizes = held.map((items) => items.length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `sizes ${sizes.join(", ")} at parallelism ${parallelism}`);
      snapshot = next;
    }
  });

  test("stays where it is at the same parallelism, however uneven", async () => {
    const first = await harness(splitting, { parallelism: 2 });
    // Each batch starts its round anew, so one task gets them all.
    for (const n of [1, 2, 3]) await first.push("in", ...numbers(n));
    await first.push("in", ...ask(2));
    const before = first.output<number[]>("out");
    const { held } = await holdings(splitting, await first.snapshot(), 2);
    assert.deepEqual(held, before);
  });

  test("belongs to a source's task as well, and follows the shards to one task and back", async () => {
    const atSource = pipeline((events) =>
      events
        .process("fn", {
          operatorState: { seen: evenSplitList<number>() },
          output: type<unknown>(),
          onRecord({ n = 0 }, ctx) {
            if (n >= 0) ctx.operatorState.seen.add(n);
            else ctx.emit([...ctx.operatorState.seen.get()]);
          },
        })
        .rebalance()
        .map("same", (value) => value),
    );
    const run = await harness(atSource, { parallelism: 2, shards: 2 });
    const into = (shard: number, ...list: number[]) => list.map((n) => ({ value: event("", 0, n), shard }));
    await run.push("in", ...into(0, 1, 2, 3), ...into(1, 4));
    await run.crash();
    await run.push("in", ...into(0, -1), ...into(1, -1));
    assert.deepEqual(sorted(run.output("out")), sorted([[1, 2, 3], [4]]));
    const single = await harness(atSource, { parallelism: 1, shards: 2, from: await run.snapshot() });
    await single.push("in", ...into(0, -1));
    assert.deepEqual(single.output<number[]>("out").flat().sort(), [1, 2, 3, 4]);
    const again = await harness(atSource, { parallelism: 2, shards: 2, from: await single.snapshot() });
    await again.push("in", ...into(0, -1), ...into(1, -1));
    assert.deepEqual(
      again.output<number[]>("out").map((items) => items.length),
      [2, 2],
    );
  });

  test("loses and doubles nothing, whatever the tasks, crashes and evictions", async () => {
    const rounds = fc.array(
      fc.record({
        added: fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 9 }),
        parallelism: fc.integer({ min: 1, max: 4 }),
        crash: fc.boolean(),
        cacheBytesMax: fc.constantFrom(0, 1 << 20),
      }),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(rounds, async (list) => {
        let from: HarnessSnapshot | undefined;
        for (const { added, parallelism, crash, cacheBytesMax } of list) {
          const run = await harness(splitting, { parallelism, environment: { cacheBytesMax }, ...(from && { from }) });
          await run.push("in", ...numbers(...added));
          if (crash) await run.crash();
          await run.push("in", ...numbers(...added));
          from = await run.snapshot();
        }
        const { held } = await holdings(splitting, from as HarnessSnapshot, 1);
        const expected = list.flatMap(({ added }) => [...added, ...added]);
        assert.deepEqual(
          held.map((items) => items.toSorted((a, b) => a - b)),
          [expected.toSorted((a, b) => a - b)],
        );
      }),
      { numRuns: 40 },
    );
  });
});

describe("a list that is united", () => {
  test("is given to every task, once", async () => {
    const first = await harness(uniting, { parallelism: 2 });
    await first.push("in", ...numbers(1, 2, 3));
    let snapshot = await first.snapshot();
    for (const parallelism of [3, 1, 2, 2]) {
      const { held, snapshot: next } = await holdings(uniting, snapshot, parallelism);
      assert.equal(held.length, parallelism);
      for (const items of held) assert.deepEqual(items.toSorted(), [1, 2, 3]);
      snapshot = next;
    }
    const last = await harness(uniting, { parallelism: 2, from: snapshot });
    await last.push("in", ...numbers(4, 5));
    await last.crash();
    const { held } = await holdings(uniting, await last.snapshot(), 3);
    for (const items of held) assert.deepEqual(items.toSorted(), [1, 2, 3, 4, 5]);
  });

  test("is replaced by what a task says is its own", async () => {
    const first = await harness(uniting, { parallelism: 2 });
    await first.push("in", ...numbers(1, 2, 3));
    const second = await harness(uniting, { parallelism: 2, from: await first.snapshot() });
    await second.push("in", ...numbers(-2, -2));
    const { held, snapshot } = await holdings(uniting, await second.snapshot(), 2);
    assert.deepEqual(held, [
      [3, 3],
      [3, 3],
    ]);
    const third = await harness(uniting, { parallelism: 2, from: snapshot });
    await third.push("in", ...numbers(-3, -3));
    assert.deepEqual((await holdings(uniting, await third.snapshot(), 2)).held, [[], []]);
  });
});

test("what a handler did to it before it threw is taken back", async () => {
  const throwing = job({
    operatorState: { seen: evenSplitList<number>() },
    output: type<unknown>(),
    onRecord({ n = 0 }, ctx) {
      const { seen } = ctx.operatorState;
      seen.add(n);
      if (n === 2) throw new Error("no twos");
      ctx.emit([...seen.get()]);
    },
  });
  await verifyOperator(throwing, {
    steps: steps(event("", 0, 1), event("", 0, 2)),
    expected: { out: [[1]] },
    deadLetters: ["fn"],
  });
});
