import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  count,
  customWatermarks,
  keyedProcess,
  list,
  monotonous,
  outputTag,
  seconds,
  session,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import { defaultLimits } from "../../runtime/task/task-plan.ts";
import { harness, type JobHarness, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps, twoSources } from "./pipeline.ts";

/** Counts per key, in a rolling way. */
const rolling = (options = {}) =>
  pipeline(
    (events) =>
      events
        .keyBy(({ key }) => key)
        .process(
          "count",
          keyedProcess({
            state: { count: value<number>() },
            output: type<unknown>(),
            onRecord(_event: Event, ctx) {
              ctx.state.count.set((ctx.state.count.get() ?? 0) + 1);
              ctx.emit([ctx.key, ctx.state.count.get()]);
            },
          }),
        ),
    options,
  );

/** The JSON of each dead letter, and who refused it. */
function letters(run: JobHarness) {
  return run.deadLetters().map(({ operator, bytes, reason }) => ({ operator, value: Buffer.from(bytes).toString(), reason }));
}

describe("invalid keys", () => {
  const bad: readonly (readonly [string, unknown])[] = [
    ["null", null],
    ["NaN", NaN],
    ["undefined", undefined],
    ["an object", { a: 1 }],
    ["an empty tuple", []],
    ["a nested tuple", [["a"]]],
    ["a tuple with null", ["a", null]],
    ["a long text", "x".repeat(20_000)],
    ["a text of too many bytes", "ü".repeat(10_000)],
    ["a long tuple", Array.from({ length: 3_000 }, () => "part")],
    ["a date", new Date(0)],
  ];
  for (const parallelism of [1, 2])
    for (const [name, key] of bad)
      test(`${name} goes to the dead letters alone, at parallelism ${parallelism}`, async () => {
        const run = await harness(rolling(), { parallelism });
        await run.push("in", { value: event("good", 0) }, { value: event(key, 1) }, { value: event("good", 2) });
        assert.deepEqual(run.output("out"), [
          ["good", 1],
          ["good", 2],
        ]);
        assert.equal(run.deadLetters().length, 1);
        assert.equal(run.deadLetters()[0]?.operator, "count");
        assert.match(run.deadLetters()[0]?.reason ?? "", /key .*operator count/);
      });

  test("a key function that throws is the author's error", async () => {
    const job = pipeline((events) => events.keyBy(({ key }) => key.id as string).reduce("last", (_a, b) => b));
    await verifyOperator(job, {
      steps: steps(event({ id: "a" }, 0), event(null, 1), event({ id: "a" }, 2)),
      expected: { out: [event({ id: "a" }, 0), event({ id: "a" }, 2)] },
      deadLetters: ["last"],
    });
  });
});

describe("invalid timestamps", () => {
  const year300000 = 9.4e15;
  for (const at of [NaN, undefined, null, year300000, -year300000, 0.5, "2020-01-01", 1n, Infinity])
    test(`${String(at)} goes to the dead letters, and time goes on`, async () => {
      const job = pipeline((events) =>
        events
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .aggregate("count", count()),
      );
      const run = await harness(job);
      await run.push("in", { value: event("a", 1) }, { value: { key: "a", at } }, { value: event("a", 2) }, { watermark: 9_999 });
      assert.deepEqual(run.output("out"), [2]);
      assert.deepEqual(
        run.deadLetters().map(({ operator }) => operator),
        ["in"],
      );
      assert.match(run.deadLetters()[0]?.reason ?? "", /no valid timestamp/);
    });

  test("a timestamps function that throws", async () => {
    const run = await harness(pipeline((events) => events));
    await run.push("in", { value: null }, { value: event("a", 1) });
    assert.deepEqual(run.output("out"), [event("a", 1)]);
    assert.match(run.deadLetters()[0]?.reason ?? "", /no timestamp: Cannot read properties of null/);
  });

  test("the furthest dates are timestamps", async () => {
    const run = await harness(pipeline((events) => events));
    await run.push("in", { value: event("a", 8.64e15) }, { value: event("a", -8.64e15) });
    assert.equal(run.output("out").length, 2);
  });
});

describe("a watermark generator that throws", () => {
  test("sends its record to the dead letters", async () => {
    const watermarks = customWatermarks({
      create: () => ({}),
      onRecord(_state: object, { n }: Event): undefined {
        if (n === 13) throw new Error("unlucky");
      },
    });
    const run = await harness(rolling({ watermarks }));
    await run.push("in", { value: event("a", 0, 1) }, { value: event("a", 0, 13) }, { value: event("a", 0, 2) });
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 2],
    ]);
    assert.deepEqual(letters(run), [
      { operator: "in", value: '{"key":"a","at":0,"n":13}', reason: "unlucky (thrown in operator in)" },
    ]);
  });
});

/** Does a good deal, and then throws where `n` is 13. */
function spoiler(options = {}) {
  const side = outputTag<unknown>("side");
  const job = pipeline((events) => {
    const spoiled = events
      .keyBy(({ key }) => key as string)
      .process(
        "spoil",
        keyedProcess({
          state: { count: value<number>(), all: list<number>() },
          output: type<Event>(),
          sideOutputs: [side],
          onRecord(e: Event, ctx) {
            ctx.state.count.set((ctx.state.count.get() ?? 0) + 1);
            ctx.state.all.add(e.n ?? 0);
            ctx.timers.eventTime(e.at + (e.n ?? 0));
            ctx.output(side, e.n);
            ctx.emit({ ...e, n: ctx.state.count.get() as number });
            if (e.n === 13) throw new Error("thirteen");
          },
          onTimer(at, ctx) {
            ctx.state.count.set(100 * (ctx.state.count.get() ?? 0));
            ctx.emit({ key: `timer ${ctx.key} ${ctx.state.all.get().join()}`, at, n: ctx.state.count.get() as number });
            if (at === 6_666) throw new Error("a timer");
          },
        }),
      );
    return spoiled
      .keyBy(({ key }) => key as string)
      .process(
        "after",
        keyedProcess({
          state: { sum: value<number>() },
          output: type<unknown>(),
          onRecord(e: Event, ctx) {
            ctx.state.sum.set((ctx.state.sum.get() ?? 0) + (e.n ?? 0));
            ctx.emit([ctx.key, e.at, ctx.state.sum.get()]);
            if (e.at === 777) throw new Error("downstream");
          },
        }),
      );
  }, options);
  return { job, side };
}

describe("a handler that throws", () => {
  test("leaves nothing of its record: no state, no timer, no output, and harms no neighbour", async () => {
    const { job, side } = spoiler();
    await verifyOperator(job, {
      steps: steps(event("a", 1, 1), event("a", 2, 13), event("b", 3, 13), event("b", 4, 1), event("a", 5, 2), 20_000),
      expected: {
        out: [
          ["a", 1, 1],
          ["b", 4, 1],
          ["a", 5, 3],
          ["timer a 1,2", 2, 200],
          ["timer b 1", 5, 100],
          ["timer a 1,2", 7, 20_200],
        ],
        side: [1, 1, 2],
      },
      sideOutputs: [side],
      deadLetters: ["spoil", "spoil"],
    });
  });

  test("downstream in the chain takes everything back that its record did upstream", async () => {
    const { job, side } = spoiler();
    await verifyOperator(job, {
      steps: steps(event("a", 1, 1), event("a", 777, 2), event("a", 3, 3), { endInput: true }),
      expected: {
        out: [
          ["a", 1, 1],
          ["a", 3, 3],
          ["timer a 1,3", 2, 200],
          ["timer a 1,3", 6, 20_200],
        ],
        side: [1, 3],
      },
      sideOutputs: [side],
      deadLetters: ["after"],
      options: {},
    });
  });

  test("says which record and where, in its own bytes", async () => {
    const run = await harness(spoiler().job);
    await run.push("in", { value: event("a", 1, 1) }, { value: event("a", 2, 13) });
    const [letter] = run.deadLetters();
    assert.equal(letter?.position, "2");
    assert.equal(letter?.shard, "shard-0");
    assert.deepEqual(letters(run), [
      { operator: "spoil", value: '{"key":"a","at":2,"n":13}', reason: "thirteen (thrown in operator spoil)" },
    ]);
  });

  test("in a timer: the timer goes to the dead letters as (operator, key, time) and is gone, its work is taken back", async () => {
    const { job } = spoiler();
    const run = await harness(job);
    await run.push("in", { value: event("a", 6_660, 6) }, { value: event("b", 6_660, 6) }, { value: event("a", 6_661, 1) });
    await run.push("in", { value: event("a", 1, 0) }, { watermark: 20_000 });
    const [first, second] = run.deadLetters();
    assert.equal(run.deadLetters().length, 2);
    assert.equal(first?.operator, "spoil");
    assert.equal(first?.shard, "timer of spoil");
    assert.deepEqual(
      [first, second]
        .map((letter) => JSON.parse(Buffer.from(letter?.bytes ?? []).toString()).timer)
        .sort((x, y) => (x.key < y.key ? -1 : 1)),
      ["a", "b"].map((key) => ({ operator: "spoil", key, at: 6_666, domain: "eventTime" })),
    );
    assert.deepEqual(run.output("out").slice(4), [
      ["timer a 6,1,0", 1, 300],
      ["timer a 6,1,0", 6_662, 30_300],
    ]);
    await run.push("in", { value: event("a", 30_000, 0) });
    assert.deepEqual(run.output("out").at(-1), ["a", 30_000, 1 + 2 + 3 + 30_001]);
  });

  test("in one batch with watermarks that fire timers: what comes behind them is handled too", async () => {
    const { job } = spoiler();
    const run = await harness(job);
    const batch = [event("a", 1, 1), event("a", 2, 13), event("a", 5_000, 2), event("a", 20_000, 3)];
    await run.push("in", ...batch.flatMap((e) => [{ value: e }, { watermark: e.at }]), { watermark: 30_000 });
    assert.deepEqual(
      run.output<[string, number]>("out").map(([key, at]) => [key, at]),
      [
        ["a", 1],
        ["timer a 1", 2],
        ["a", 5_000],
        ["a", 20_000],
        ["timer a 1,2,3", 5_002],
        ["timer a 1,2,3", 20_003],
      ],
    );
    assert.equal(run.deadLetters().length, 1);
  });

  test("in a timer does not take the record with it whose watermark fired it", async () => {
    const job = pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .process("fn", {
            output: type<unknown>(),
            onRecord: (e, ctx) => {
              ctx.timers.eventTime(e.at - 1);
              ctx.emit(e.at);
            },
            onTimer(at) {
              throw new Error(`at ${at}`);
            },
          }),
      { watermarks: monotonous() },
    );
    await verifyOperator(job, {
      steps: steps(event("a", 1_000), event("a", 2_000), event("a", 3_000)),
      expected: { out: [1_000, 2_000, 3_000] },
      deadLetters: ["fn", "fn", "fn"],
    });
  });

  for (const recordsPerTurn of [1, 2, 3, 100])
    test(`whatever the batches: ${recordsPerTurn} records at once`, async () => {
      const run = await harness(spoiler().job, { recordsPerTurn });
      const ns = [1, 13, 2, 13, 13, 3, 4, 13];
      await run.push("in", ...ns.map((n, i) => ({ value: event(i % 2 === 0 ? "a" : "b", i, n) })), { watermark: 50 });
      await run.crash();
      assert.deepEqual(run.output("out").slice(0, 4), [
        ["a", 0, 1],
        ["a", 2, 3],
        ["b", 5, 1],
        ["a", 6, 6],
      ]);
      assert.equal(run.deadLetters().length, 4);
      assert.deepEqual(
        run
          .output<[string, number, number]>("out")
          .slice(4)
          .map(([key, at]) => [key, at]),
        [
          ["timer a 1,2,4", 1],
          ["timer a 1,2,4", 4],
          ["timer b 3", 8],
          ["timer a 1,2,4", 10],
        ],
      );
    });
});

describe('under onUserError "fail"', () => {
  test("the turn fails with the author's error and nothing is committed of its batch", async () => {
    const { job } = spoiler({ onUserError: "fail" });
    const run = await harness(job);
    await run.push("in", { value: event("a", 1, 1) });
    await assert.rejects(run.push("in", { value: event("a", 2, 2) }, { value: event("a", 3, 13) }), {
      kind: "user",
      message: "thirteen (thrown in operator spoil): record at position 3 of shard-0",
      context: { operator: "spoil", shard: "shard-0", position: "3" },
    });
    assert.deepEqual(run.output("out"), [["a", 1, 1]]);
    assert.deepEqual(run.deadLetters(), []);
    await assert.rejects(run.crash(), { kind: "user" }, "it fails again until the code or the record is changed");
  });

  test("a timer that throws fails the turn", async () => {
    const { job } = spoiler({ onUserError: "fail" });
    const run = await harness(job);
    await run.push("in", { value: event("a", 6_660, 6) });
    await assert.rejects(run.push("in", { watermark: 7_000 }), {
      kind: "user",
      message: 'a timer (thrown in operator spoil): timer of key "a" at 6666',
    });
  });

  test("what is invalid still goes to the dead letters", async () => {
    const run = await harness(rolling({ onUserError: "fail" }));
    await run.push("in", { value: event(null, 0) }, { value: event("a", 0) }, { value: { key: "a" } });
    assert.deepEqual(run.output("out"), [["a", 1]]);
    assert.equal(run.deadLetters().length, 2);
  });
});

describe("values that cannot be stored or sent", () => {
  for (const parallelism of [1, 2]) {
    test(`in state go to the dead letters with their record, at parallelism ${parallelism}`, async () => {
      const job = pipeline((events) =>
        events
          .keyBy(({ key }) => key as string)
          .process(
            "keep",
            keyedProcess({
              state: { kept: value<unknown>() },
              output: type<unknown>(),
              onRecord({ n }: Event, ctx) {
                ctx.state.kept.set(n === 13 ? () => n : n);
                ctx.emit(n);
              },
            }),
          ),
      );
      const run = await harness(job, { parallelism });
      await run.push("in", { value: event("a", 0, 1) }, { value: event("c", 1, 13) }, { value: event("b", 2, 2) });
      assert.deepEqual(run.output("out").toSorted(), [1, 2]);
      assert.deepEqual(
        run.deadLetters().map(({ operator }) => operator),
        ["keep"],
      );
    });
  }

  test("across an exchange: a function, a symbol, and what is larger than a frame", async () => {
    const job = pipeline((events) =>
      events
        .map("make", ({ n, at }): Event => ({
          key: "k",
          at,
          n: (n === 1 ? () => 1 : n === 2 ? Symbol("s") : n === 3 ? "x".repeat(70_000) : n) as number,
        }))
        .keyBy(({ key }) => key as string)
        .process("size", { output: type<unknown>(), onRecord: ({ n }, ctx) => ctx.emit(String(n).length) }),
    );
    const limits = { ...defaultLimits, frameBytesMax: 65_536, heldBytesMax: 1 << 20, outputBytesMax: 1 << 20 };
    const run = await harness(job, { parallelism: 2, environment: { limits } });
    await run.push("in", ...[1, 0, 2, 10, 3, 100].map((n) => ({ value: event("k", 0, n) })));
    assert.deepEqual(run.output("out"), [1, 2, 3]);
    assert.deepEqual(
      letters(run).map(({ operator, value: json }) => [operator, JSON.parse(json).n]),
      [
        ["size", 1],
        ["size", 2],
        ["size", 3],
      ],
    );
  });

  test("into a sink: the row goes to the dead letters, the others are written", async () => {
    const job = pipeline((events) => events.map("make", ({ n }) => (n === 1 ? () => n : n)));
    const run = await harness(job);
    await run.push("in", { value: event("a", 0, 0) }, { value: event("a", 0, 1) }, { value: event("a", 0, 2) });
    assert.deepEqual(run.output("out"), [0, 2]);
    assert.equal(run.deadLetters()[0]?.operator, "out");
  });
});

test("a record that fails in one of two sources keeps the order of the other", async () => {
  const job = twoSources((a, b) => a.union(b).map("check", (e) => (e.n === 13 ? e.key.x.y : [e.key, e.n])));
  await verifyOperator(job, {
    steps: [
      { source: "a", value: event("a", 0, 1) },
      { source: "b", value: event("b", 0, 13) },
      { source: "b", value: event("b", 0, 1) },
      { source: "a", value: event("a", 0, 13) },
      { source: "a", value: event("a", 0, 2) },
    ],
    expected: {
      out: [
        ["a", 1],
        ["b", 1],
        ["a", 2],
      ],
    },
    deadLetters: ["check", "check"],
  });
});

test("a session that grows beside a record that fails leaves no older session behind in what is stored", async () => {
  const job = pipeline((events) => {
    // Fails when something has changed already, so that the batch runs again with every unit taken back by itself.
    const counted = keyedProcess({
      state: { seen: value<number>() },
      output: type<Event>(),
      onRecord(e: Event, ctx) {
        ctx.state.seen.set(1);
        if (e.n === 13) throw new Error("thirteen");
        ctx.emit(e);
      },
    });
    return events
      .keyBy(({ key }) => key)
      .process("check", counted)
      .keyBy(({ key }) => key)
      .window(session(seconds(1)))
      .aggregate("session", count(), (key, { start, end }, n) => [key, start, end, n]);
  });
  const run = await harness(job, { parallelism: 1 });
  await run.push("in", { value: event("a", 1_000) });
  await run.push("in", { value: event("a", 1_500) }, { value: event("b", 0, 13) });
  await run.crash();
  await run.push("in", { value: event("a", 2_000) });
  await run.endInput();
  assert.deepEqual(run.output("out"), [["a", 1_000, 3_000, 3]]);
  assert.equal(run.deadLetters().length, 1);
});
