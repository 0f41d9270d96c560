/** New code goes on from what old code stored, or refuses before anything is changed and says what does not fit. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  evenSplitList,
  keyedProcess,
  list,
  map,
  seconds,
  sum,
  tumbling,
  type,
  unionList,
  value,
  type Aggregator,
  type Duration,
  type Job,
  type KeyedProcessFunction,
  type OperatorStateSpec,
  type ProcessFunction,
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

describe("what the job no longer has is left behind where that is allowed, the rest goes on:", () => {
  const allowed = (changed: Job): Job => ({ ...changed, options: { ...changed.options, allowSkippedState: true } });

  test("a removed state", async () => {
    const less = job({ total: value<number>() }, ({ n = 0 }, ctx) => {
      ctx.state.total.set((ctx.state.total.get() ?? 0) + n);
      ctx.emit(ctx.state.total.get());
    });
    await assert.rejects(harness(less, { from: await stored() }), {
      kind: "invalid",
      message: /state removed, state names \(keep it, or leave it behind with allowSkippedState\).*state removed, state scores/,
    });
    const run = await harness(allowed(less), { from: await stored() });
    await run.push("in", { value: event("b", 0, 1) });
    // The option is taken away again; what was left behind does not come back with its name.
    const later = await harness(less, { from: await run.snapshot(), parallelism: 2 });
    await later.push("in", { value: event("b", 0, 1) });
    assert.deepEqual([run.output("out"), later.output("out")], [[4], [5]]);
    const again = job({ total: value<number>(), names: list<string>() }, (_event, ctx) => ctx.emit(ctx.state.names.get()));
    const back = await harness(again, { from: await later.snapshot() });
    await back.push("in", { value: event("a", 0, 1) });
    assert.deepEqual(back.output("out"), [[]], "of a key that was not touched either");
  });

  test("a removed operator, its timers and windows", async () => {
    const two = (rest: (events: Parameters<Parameters<typeof pipeline>[0]>[0]) => ReturnType<Parameters<typeof pipeline>[0]>) =>
      pipeline(rest);
    const windowed = two((events) =>
      events
        .keyBy(({ key }) => key as string)
        .reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) }))
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .reduce("windows", (_a, b) => b),
    );
    const plain = two((events) =>
      events.keyBy(({ key }) => key as string).reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) })),
    );
    await assert.rejects(harness(plain, { from: await stored(windowed) }), {
      kind: "invalid",
      message: /operator windows: operator removed \(keep it, or leave its state behind with allowSkippedState\)/,
    });
    const run = await harness(allowed(plain), { from: await stored(windowed) });
    await run.push("in", { value: event("a", 1, 1) }, { watermark: 99_999 });
    assert.deepEqual(
      run.output<Event>("out").map(({ n }) => n),
      [8],
    );
  });

  test("but not what has changed its kind or its version", async () => {
    const changed = job({ total: list<number>(), names: list<string>({ version: 2 }), scores: map<number, number>() }, () => {});
    await assert.rejects(harness(allowed(changed), { from: await stored() }), {
      kind: "invalid",
      message: /state kind changed, state total, stored value, planned list.*version older, state names, stored 0, planned 2/,
    });
  });
});

describe("a ttl", () => {
  const counted = (ttl: Duration | undefined) =>
    job({ n: value<number>(ttl && { ttl }) }, (_event, ctx) => {
      ctx.state.n.set((ctx.state.n.get() ?? 0) + 1);
      ctx.emit(ctx.state.n.get());
    });

  test("may be given to state that had none: what is there counts as written when the job went on", async () => {
    const first = await harness(counted(undefined));
    await first.push("in", { value: event("a", 0) }, { value: event("b", 0) });
    await first.advanceProcessingTime(seconds(100));
    const run = await harness(counted(seconds(10)), { from: await first.snapshot() });
    await run.advanceProcessingTime(seconds(9));
    await run.push("in", { value: event("a", 0) });
    await run.advanceProcessingTime(seconds(1));
    await run.push("in", { value: event("a", 0) }, { value: event("b", 0) });
    assert.deepEqual(run.output("out"), [2, 3, 1]);
  });

  test("goes from then on in what is never touched again, too", async () => {
    const first = await harness(counted(undefined));
    await first.push("in", ...Array.from({ length: 300 }, (_, i) => ({ value: event(`k${i}`, 0) })));
    const run = await harness(counted(seconds(10)), { from: await first.snapshot() });
    const sizes = [];
    for (let round = 0; round < 3; round++) {
      sizes.push((await run.snapshot()).sizeBytes);
      await run.advanceProcessingTime(seconds(10));
    }
    assert.ok(sizes.at(-1)! < sizes[0]! / 5, sizes.join(", "));
  });

  test("may be taken away, or be another", async () => {
    const first = await harness(counted(seconds(10)));
    await first.push("in", { value: event("a", 0) });
    const snapshot = await first.snapshot();
    for (const [ttl, expected] of [
      [undefined, 2],
      [seconds(60), 2],
      [seconds(5), 1],
    ] as const) {
      const run = await harness(counted(ttl), { from: snapshot });
      await run.advanceProcessingTime(seconds(9));
      await run.push("in", { value: event("a", 0) });
      assert.deepEqual(run.output("out"), [expected]);
    }
  });
});

describe("state outside keys", () => {
  const tasks = <const S extends OperatorStateSpec>(
    operatorState: S,
    onRecord: ProcessFunction<Event, unknown, S>["onRecord"] = () => {},
  ) => pipeline((events) => events.process("fn", { operatorState, output: type<unknown>(), onRecord }));
  const before = tasks({ items: evenSplitList<number>(), all: unionList<number>() }, ({ n = 0 }, ctx) => {
    ctx.operatorState.items.add(n);
    ctx.operatorState.all.add(-n);
  });

  test("is migrated", async () => {
    const migrate = (old: unknown) => `was ${String(old)}`;
    const changed = tasks(
      { all: unionList<string>({ version: 1, migrate }), items: evenSplitList<string>({ version: 1, migrate }) },
      (_event, ctx) => ctx.emit([ctx.operatorState.items.get(), ctx.operatorState.all.get()]),
    );
    const run = await harness(changed, { from: await stored(before) });
    await run.push("in", { value: event("a", 0) });
    const items = ["was 2", "was 3", "was 5"];
    assert.deepEqual(run.output("out"), [[items, ["was -2", "was -3", "was -5"]]]);
    const older = tasks({ items: evenSplitList<number>({ version: 1 }), all: unionList<number>() });
    await assert.rejects(harness(older, { from: await stored(before) }), {
      kind: "invalid",
      message: /operator fn: version older, state items, stored 0, planned 1/,
    });
  });

  test("may be added to, and not be taken away or dealt out otherwise", async () => {
    const more = tasks(
      { new: evenSplitList<number>(), items: evenSplitList<number>(), all: unionList<number>() },
      (_event, ctx) => ctx.emit([ctx.operatorState.new.get(), ctx.operatorState.items.get()]),
    );
    const run = await harness(more, { from: await stored(before) });
    await run.push("in", { value: event("a", 0) });
    assert.deepEqual(run.output("out"), [[[], [2, 3, 5]]]);
    await assert.rejects(harness(tasks({ items: evenSplitList<number>() }), { from: await stored(before) }), {
      kind: "invalid",
      message: /operator fn: state removed, state all/,
    });
    await assert.rejects(
      harness(tasks({ items: unionList<number>(), all: unionList<number>() }), { from: await stored(before) }),
      {
        kind: "invalid",
        message: /operator fn: state kind changed, state items, stored evenSplit, planned union/,
      },
    );
  });
});

test("a migrate function that throws stops the job and says where; the state stays", async () => {
  let broken = true;
  const migrate = (old: unknown): number => {
    if (broken) throw new Error("not a number");
    return 10 * (old as number);
  };
  const changed = job(
    { total: value<number>({ version: 3, migrate }), names: list<string>(), scores: map<number, number>() },
    (_event, ctx) => ctx.emit(ctx.state.total.get()),
  );
  const run = await harness(changed, { from: await stored() });
  await assert.rejects(run.push("in", { value: event("a", 0, 1) }), {
    kind: "user",
    message: "migrate of state total of operator fn threw on a value of version 0, declared 3: not a number",
  });
  broken = false;
  await run.crash();
  assert.deepEqual(run.output("out"), [70]);
  assert.deepEqual(run.deadLetters(), []);
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
