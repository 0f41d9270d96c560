/** New code goes on from what old code stored, or refuses before anything is changed and says what does not fit. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  keyedProcess,
  list,
  map,
  seconds,
  sum,
  tumbling,
  type,
  value,
  type Aggregator,
  type Job,
  type KeyedProcessFunction,
  type StateSpec,
} from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";

/** A job whose operator "fn" has these states. */
function job<const S extends StateSpec>(state: S, onRecord: KeyedProcessFunction<string, Event, unknown, S>["onRecord"]): Job {
  const fn = keyedProcess({ state, output: type<unknown>(), onRecord });
  return pipeline((events) => events.keyBy(({ key }) => key as string).process("fn", fn));
}

/** What version 1 stored: a number, names, and scores by round. */
const first = job({ total: value<number>(), names: list<string>(), scores: map<number, number>() }, ({ n = 0 }, ctx) => {
  ctx.state.total.set((ctx.state.total.get() ?? 0) + n);
  ctx.state.names.add(`n${n}`);
  ctx.state.scores.set(n, n * n);
});

async function stored(by: Job = first) {
  const run = await harness(by);
  await run.push("in", { value: event("a", 0, 2) }, { value: event("b", 0, 3) }, { value: event("a", 0, 5) });
  return run.snapshot();
}

describe("new code", () => {
  test("migrates values, list elements and map values of an older version, once", async () => {
    const calls: unknown[] = [];
    const second = job(
      {
        total: value<{ cents: number }>({
          version: 2,
          migrate: (old, from) => (calls.push(from), { cents: 100 * (old as number) }),
        }),
        names: list<[string]>({ version: 1, migrate: (old) => [old as string] }),
        scores: map<number, string>({ version: 5, migrate: (old) => `was ${String(old)}` }),
      },
      ({ n = 0 }, ctx) => {
        const { total, names, scores } = ctx.state;
        total.set({ cents: (total.get()?.cents ?? 0) + n });
        names.add([`new ${n}`]);
        scores.set(n, "new");
        ctx.emit([total.get(), names.get(), [...scores.entries()]]);
      },
    );
    const run = await harness(second, { from: await stored() });
    await run.push("in", { value: event("a", 0, 1) });
    const expected = [
      { cents: 701 },
      [["n2"], ["n5"], ["new 1"]],
      [
        [2, "was 4"],
        [5, "was 25"],
        [1, "new"],
      ],
    ];
    assert.deepEqual(run.output("out"), [expected]);
    assert.deepEqual(calls, [0]);

    const third = await harness(second, { from: await run.snapshot(), parallelism: 2 });
    await third.push("in", { value: event("a", 0, 0) }, { value: event("b", 0, 0) });
    assert.deepEqual(
      third
        .output<[{ cents: number }]>("out")
        .map(([total]) => total.cents)
        .sort(),
      [300, 701],
    );
    assert.deepEqual(calls, [0, 0], "what was written again is of the new version; what was not is migrated when it is read");
  });

  test("may add a state", async () => {
    const more = job(
      {
        added: value<string>(),
        total: value<number>(),
        names: list<string>(),
        scores: map<number, number>(),
        last: list<number>(),
      },
      ({ n = 0 }, ctx) => {
        const { added, total, names, last } = ctx.state;
        added.set(`${added.get() ?? "fresh"} ${n}`);
        last.add(n);
        ctx.emit([added.get(), total.get(), names.get(), last.get()]);
      },
    );
    const run = await harness(more, { from: await stored() });
    await run.push("in", { value: event("a", 0, 1) });
    await run.crash();
    await run.push("in", { value: event("a", 0, 2) });
    assert.deepEqual(run.output("out"), [
      ["fresh 1", 7, ["n2", "n5"], [1]],
      ["fresh 1 2", 7, ["n2", "n5"], [1, 2]],
    ]);
  });

  test("may declare its states in another order", async () => {
    const turned = job({ scores: map<number, number>(), names: list<string>(), total: value<number>() }, (_event, ctx) =>
      ctx.emit([ctx.state.total.get(), ctx.state.names.get(), [...ctx.state.scores.entries()]]),
    );
    const run = await harness(turned, { from: await stored() });
    await run.push("in", { value: event("b", 0, 1) });
    assert.deepEqual(run.output("out"), [[3, ["n3"], [[3, 9]]]]);
  });

  test("may add operators around the old ones, whose state stays", async () => {
    const grown = pipeline((events) =>
      events
        .filter("some", ({ n }) => n !== 99)
        .keyBy(({ key }) => key as string)
        .process(
          "fn",
          keyedProcess({
            state: { total: value<number>(), names: list<string>(), scores: map<number, number>() },
            output: type<Event>(),
            onRecord: (e, ctx) => ctx.emit({ ...e, n: ctx.state.total.get() ?? -1 }),
          }),
        )
        .keyBy(({ key }) => key as string)
        .reduce("later", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) })),
    );
    const run = await harness(grown, { from: await stored(), parallelism: 3 });
    await run.push("in", { value: event("a", 0, 1) }, { value: event("a", 0, 99) }, { value: event("a", 0, 1) });
    assert.deepEqual(
      run.output<Event>("out").map(({ n }) => n),
      [7, 14],
    );
  });

  test("migrates an aggregator's accumulator", async () => {
    const counting = (aggregator: Aggregator<Event, any, any>) =>
      pipeline((events) =>
        events
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .aggregate("agg", aggregator),
      );
    const total: Aggregator<Event, { total: number }, string> = {
      create: () => ({ total: 0 }),
      add: (accumulator, e) => ({ total: accumulator.total + (e.n ?? 0) }),
      result: ({ total: n }) => `total ${n}`,
      version: 1,
      migrate: (old) => ({ total: 1_000 * (old as number) }),
    };
    const plain: Aggregator<Event, number, number> = { create: () => 0, add: (n, e) => n + (e.n ?? 0), result: (n) => n };
    assert.ok(sum((e: Event) => e.n ?? 0));
    const run = await harness(counting(total), { from: await stored(counting(plain)) });
    await run.push("in", { value: event("a", 1, 5) }, { watermark: 9_999 });
    assert.deepEqual(run.output("out").toSorted(), ["total 3000", "total 7005"]);
  });
});

describe("is refused, with the operator, the state and what to do, and the snapshot stays good:", () => {
  const nothing = () => {};
  const names = list<string>();
  const scores = map<number, number>();
  const refusals: readonly (readonly [string, Job, RegExp])[] = [
    [
      "a changed kind",
      job({ total: list<number>(), names, scores }, nothing),
      /operator fn: state kind changed.*total.*stored value.*planned list/,
    ],
    ["a removed state", job({ total: value<number>(), scores }, nothing), /operator fn: state removed.*names/],
    [
      "an older version without migrate",
      job({ total: value<number>({ version: 1 }), names, scores }, nothing),
      /operator fn: version older.*total.*stored 0.*planned 1/,
    ],
    ["a removed operator", pipeline((events) => events), /operator fn: operator removed/],
    [
      "an operator of another kind",
      pipeline((events) => events.keyBy(({ key }) => key as string).reduce("fn", (a) => a)),
      /operator fn: operator kind changed.*keyedProcess.*reduce/,
    ],
    [
      "another number of key groups",
      { ...first, options: { keyGroups: 64 } },
      /keyGroups is fixed for a job's life: stored 32768, declared 64/,
    ],
  ];
  for (const [name, changed, message] of refusals)
    test(name, async () => {
      const snapshot = await stored();
      await assert.rejects(harness(changed, { from: snapshot }), (error: Error & { kind: string }) => {
        assert.equal(error.kind, "invalid");
        assert.match(error.message, message);
        return true;
      });
      const run = await harness(first, { from: snapshot });
      await run.push("in", { value: event("a", 0, 1) });
    });

  test("a version that is newer than the code", async () => {
    const newer = job({ total: value<number>({ version: 3 }), names, scores }, (_event, ctx) => ctx.state.total.set(1));
    await assert.rejects(harness(first, { from: await stored(newer) }), {
      kind: "invalid",
      message: /operator fn: version newer.*total.*stored 3.*planned 0/,
    });
  });

  test("another job's snapshot", async () => {
    const other = { ...first, name: "other" };
    await assert.rejects(harness(other, { from: await stored() }), { kind: "invalid", message: /state of job pipeline/ });
  });
});
