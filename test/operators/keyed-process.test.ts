import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { keyedProcess, list, map, outputTag, seconds, type, value } from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import type { KeyedProcessFunction, StateSpec } from "../../runtime/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";

/** A keyed function on the source's events, by their key. */
function keyed<const S extends StateSpec>(fn: KeyedProcessFunction<any, Event, unknown, S>) {
  return pipeline((events) => events.keyBy(({ key }) => key).process("fn", fn));
}

describe("state", () => {
  test("a value is the key's own: set, read back, cleared", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process(
          "fn",
          keyedProcess({
            state: { sum: value<number>() },
            output: type<unknown>(),
            onRecord({ n = 0 }, ctx) {
              if (n < 0) ctx.state.sum.clear();
              else ctx.state.sum.set((ctx.state.sum.get() ?? 0) + n);
              ctx.emit([ctx.key, ctx.state.sum.get()]);
            },
          }),
        ),
    );
    await verifyOperator(job, {
      steps: steps(event("a", 0, 1), event("b", 0, 10), event("a", 0, 2), event("a", 0, -1), event("a", 0, 5), event("b", 0, 1)),
      expected: {
        out: [
          ["a", 1],
          ["b", 10],
          ["a", 3],
          ["a", undefined],
          ["a", 5],
          ["b", 11],
        ],
      },
    });
  });

  test("a list grows, is replaced, and is emptied", async () => {
    const job = keyed({
      state: { seen: list<number>() },
      output: type<unknown>(),
      onRecord({ n = 0 }, ctx) {
        const { seen } = ctx.state;
        if (n === 0) seen.clear();
        else if (n === 100) seen.update([7, 8]);
        else if (n === 200) seen.addAll([1, 2, 3]);
        else if (n === 300) seen.update([]);
        else seen.add(n);
        ctx.emit([...seen.get()]);
      },
    });
    await verifyOperator(job, {
      steps: steps(...[1, 2, 100, 3, 200, 0, 4, 300, 5, 5, 100, 0].map((n) => event("a", 0, n))),
      expected: { out: [[1], [1, 2], [7, 8], [7, 8, 3], [7, 8, 3, 1, 2, 3], [], [4], [], [5], [5, 5], [7, 8], []] },
    });
  });

  test("a map keeps entries in the order of their first setting, with keys of any scalar", async () => {
    const job = keyed({
      state: { entries: map<any, any>() },
      output: type<unknown>(),
      onRecord({ n: command }, ctx) {
        const { entries } = ctx.state;
        const [verb, key, item] = command as unknown as [string, any, any];
        if (verb === "set") entries.set(key, item);
        if (verb === "delete") entries.delete(key);
        if (verb === "clear") entries.clear();
        ctx.emit([[...entries.entries()], entries.isEmpty(), entries.has(key), entries.get(key)]);
      },
    });
    const commands = [
      ["set", 1, "one"],
      ["set", "1", { text: true }],
      ["set", 1, "uno"],
      ["delete", 1],
      ["delete", "absent"],
      ["set", 2n, undefined],
      ["clear"],
      ["set", true, 1],
      ["delete", true],
      ["set", "again", 1],
    ];
    await verifyOperator(job, {
      steps: commands.map((n) => ({ source: "in", value: { key: "k", at: 0, n } })),
      expected: {
        out: [
          [[[1, "one"]], false, true, "one"],
          [
            [
              [1, "one"],
              ["1", { text: true }],
            ],
            false,
            true,
            { text: true },
          ],
          [
            [
              [1, "uno"],
              ["1", { text: true }],
            ],
            false,
            true,
            "uno",
          ],
          [[["1", { text: true }]], false, false, undefined],
          [[["1", { text: true }]], false, false, undefined],
          [
            [
              ["1", { text: true }],
              [2n, undefined],
            ],
            false,
            true,
            undefined,
          ],
          [[], true, false, undefined],
          [[[true, 1]], false, true, 1],
          [[], true, false, undefined],
          [[["again", 1]], false, true, 1],
        ],
      },
    });
  });

  test("values come back as what they were", async () => {
    const odd = {
      map: new Map<unknown, unknown>([[1, new Set(["a", 2n])]]),
      date: new Date(7),
      bytes: new Uint8Array([0, 255]),
      nothing: undefined,
      none: null,
      nan: NaN,
      minusZero: -0,
      deep: [[[[{ x: [1.5, -1, 2 ** 40] }]]]],
    };
    const job = keyed({
      state: { kept: value<unknown>() },
      output: type<unknown>(),
      onRecord({ n }, ctx) {
        if (n === 1) ctx.state.kept.set(odd);
        else ctx.emit(ctx.state.kept.get());
      },
    });
    await verifyOperator(job, { steps: steps(event("a", 0, 1), event("a", 0, 2)), expected: { out: [odd] } });
  });

  test("keys that differ in type alone are different keys, and -0 is 0", async () => {
    const job = keyed({
      state: { count: value<number>() },
      output: type<unknown>(),
      onRecord(_event, ctx) {
        ctx.state.count.set((ctx.state.count.get() ?? 0) + 1);
        ctx.emit([ctx.key, ctx.state.count.get()]);
      },
    });
    const keys = [
      1,
      "1",
      1n,
      true,
      ["1"],
      [1],
      [1, "1"],
      ["1", 1],
      -0,
      0,
      1,
      ["1"],
      Infinity,
      -Infinity,
      0.1,
      ["a", "b"],
      ["ab"],
      ["a1:b"],
    ];
    const counts = new Map<number, number>([
      [8, 1],
      [9, 2],
      [10, 2],
      [11, 2],
    ]);
    await verifyOperator(job, {
      steps: keys.map((key) => ({ source: "in", value: { key, at: 0 } })),
      expected: { out: keys.map((key, n) => [Object.is(key, -0) ? 0 : key, counts.get(n) ?? 1]) },
    });
  });
});

describe("timers", () => {
  /** Emits what happens; `n` says what a record does. */
  const timers = keyed({
    state: { fired: value<number>() },
    output: type<unknown>(),
    onRecord({ n, at }, ctx) {
      if (n === 1) ctx.timers.eventTime(at);
      if (n === 2) ctx.timers.processingTime(at);
      if (n === -1) ctx.timers.cancelEventTime(at);
      if (n === -2) ctx.timers.cancelProcessingTime(at);
    },
    onTimer(at, ctx) {
      ctx.state.fired.set((ctx.state.fired.get() ?? 0) + 1);
      ctx.emit([ctx.key, ctx.domain, at, ctx.timestamp, ctx.state.fired.get()]);
    },
  });
  const set = (key: string, at: number) => ({ source: "in", value: event(key, at, 1), timestamp: 0 });
  const cancel = (key: string, at: number) => ({ source: "in", value: event(key, at, -1), timestamp: 0 });
  const wake = (key: string, at: number) => ({ source: "in", value: event(key, at, 2), timestamp: 0 });

  test("of event time fire in the order of their times when the watermark has reached them", async () => {
    await verifyOperator(timers, {
      steps: steps(set("a", 3_000), set("b", 1_000), set("a", 2_000), 1_999, 2_000, 10_000),
      expected: {
        out: [
          ["b", "eventTime", 1_000, 1_000, 1],
          ["a", "eventTime", 2_000, 2_000, 1],
          ["a", "eventTime", 3_000, 3_000, 2],
        ],
      },
    });
  });

  test("set twice for one time fire once; cancelled they do not fire; set again they do", async () => {
    await verifyOperator(timers, {
      steps: steps(set("a", 1_000), set("a", 1_000), set("a", 2_000), cancel("a", 2_000), cancel("b", 1_000), 2_000),
      expected: { out: [["a", "eventTime", 1_000, 1_000, 1]] },
    });
    await verifyOperator(timers, {
      steps: steps(set("a", 1_000), cancel("a", 1_000), set("a", 1_000), 1_000),
      expected: { out: [["a", "eventTime", 1_000, 1_000, 1]] },
    });
  });

  test("in the past of the watermark fire with the next watermark", async () => {
    await verifyOperator(timers, {
      steps: steps(5_000, set("a", 10), 5_001),
      expected: { out: [["a", "eventTime", 10, 10, 1]] },
    });
  });

  test("of processing time fire when the clock reaches them, and what they emit has no timestamp", async () => {
    await verifyOperator(timers, {
      steps: steps(
        wake("a", 50),
        wake("b", 40),
        wake("a", 60),
        { source: "in", value: event("a", 60, -2), timestamp: 0 },
        {
          processingTime: 39,
        },
        { processingTime: 100 },
      ),
      expected: {
        out: [
          ["b", "processingTime", 40, undefined, 1],
          ["a", "processingTime", 50, undefined, 1],
        ],
      },
    });
  });

  test("of both domains at one time are two timers", async () => {
    await verifyOperator(timers, {
      steps: steps(set("a", 50), wake("a", 50), { processingTime: 50 }, 50),
      expected: {
        out: [
          ["a", "processingTime", 50, undefined, 1],
          ["a", "eventTime", 50, 50, 2],
        ],
      },
    });
  });

  test("of one time fire in an order that depends on nothing but the keys", async () => {
    const keys = Array.from({ length: 30 }, (_, n) => `key ${n}`);
    const forwards = await harness(timers);
    await forwards.push("in", ...keys.map((key) => set(key, 1_000)), { watermark: 1_000 });
    const backwards = await harness(timers, { recordsPerTurn: 7 });
    await backwards.push("in", ...keys.toReversed().map((key) => set(key, 1_000)), { watermark: 1_000 });
    assert.equal(forwards.output("out").length, 30);
    assert.deepEqual(forwards.output("out"), backwards.output("out"));
  });

  test("set in timers fire in the same watermark when they are due, and see it as the current one", async () => {
    const job = keyed({
      output: type<unknown>(),
      onRecord: ({ at }, ctx) => ctx.timers.eventTime(at),
      onTimer(at, ctx) {
        ctx.emit([at, ctx.watermark]);
        ctx.timers.eventTime(at + 1_000);
        if (at === 3_000) ctx.timers.cancelEventTime(4_000);
      },
    });
    await verifyOperator(job, {
      steps: steps({ source: "in", value: event("a", 1_000), timestamp: 0 }, 2_500, 9_000),
      expected: {
        out: [
          [1_000, 2_500],
          [2_000, 2_500],
          [3_000, 9_000],
        ],
      },
    });
  });

  test("that set themselves anew keep a beat of processing time", async () => {
    const job = keyed({
      output: type<unknown>(),
      onRecord: (_event, ctx) => ctx.timers.processingTime(ctx.processingTime + 10_000),
      onTimer(at, ctx) {
        ctx.emit([at, ctx.processingTime]);
        ctx.timers.processingTime(at + 10_000);
      },
    });
    const run = await harness(job);
    await run.push("in", { value: event("a", 0) });
    await run.advanceProcessingTime(seconds(35));
    assert.deepEqual(run.output("out"), [
      [10_000, 10_000],
      [20_000, 20_000],
      [30_000, 30_000],
    ]);
  });

  test("at times that are none are the author's error, with operator and key; the state is as before", async () => {
    for (const set of ["eventTime", "processingTime", "cancelEventTime", "cancelProcessingTime"] as const) {
      const job = keyed({
        state: { seen: list<number>() },
        output: type<unknown>(),
        onRecord({ n }, ctx) {
          ctx.state.seen.add(n as number);
          ctx.timers[set](n as number);
          ctx.emit([...ctx.state.seen.get()]);
        },
      });
      const run = await harness(job);
      const times = [NaN, 0.5, 2 ** 53, -(2 ** 53), Infinity, -Infinity];
      await run.push("in", ...times.map((n) => ({ value: event(["a", 1n], 0, n) })), { value: event(["a", 1n], 0, 2 ** 53 - 1) });
      assert.deepEqual(
        run
          .deadLetters()
          .map(({ operator, reason }) => [operator, /whole epoch milliseconds .*: (.*) \(operator fn\)/.exec(reason)?.[1]]),
        ["NaN", "0.5", `${2 ** 53}`, `${-(2 ** 53)}`, "Infinity", "-Infinity (before the first watermark?)"].map((shown) => [
          "fn",
          `${shown}, key ["a","1n"]`,
        ]),
      );
      assert.deepEqual(run.output("out"), [[2 ** 53 - 1]]);
    }
  });

  test("at the edges of time, and just before the epoch, are as others; clearing state leaves them", async () => {
    const job = keyed({
      state: { n: value<number>() },
      output: type<unknown>(),
      onRecord({ n = 0 }, ctx) {
        ctx.state.n.set(n);
        ctx.timers.eventTime(n);
        if (n < 0) ctx.state.n.clear();
      },
      onTimer: (at, ctx) => ctx.emit([at, ctx.state.n.get()]),
    });
    await verifyOperator(job, {
      steps: steps(event("a", 0, -1), event("b", 0, -(2 ** 53) + 1), event("a", 0, 2 ** 53 - 1), event("b", 0, -1), 5, {
        endInput: true,
      }),
      expected: {
        out: [
          [-(2 ** 53) + 1, undefined],
          [-1, undefined],
          [-1, 2 ** 53 - 1],
          [2 ** 53 - 1, 2 ** 53 - 1],
        ],
      },
      order: "any",
    });
  });

  test("of processing time that have come already fire at once, in the order of their times, and those they set", async () => {
    const job = keyed({
      output: type<unknown>(),
      onRecord({ n = 0 }, ctx) {
        ctx.timers.processingTime(ctx.processingTime + n);
        ctx.timers.processingTime(ctx.processingTime);
        ctx.timers.processingTime(-5);
      },
      onTimer(at, ctx) {
        ctx.emit([at, ctx.processingTime]);
        if (at === -5) ctx.timers.processingTime(ctx.processingTime - 1);
      },
    });
    await verifyOperator(job, {
      steps: steps({ processingTime: 100 }, event("a", 0, 7), { processingTime: 107 }),
      expected: {
        out: [
          [-5, 100],
          [99, 100],
          [100, 100],
          [107, 107],
        ],
      },
    });
  });

  test("that set themselves anew for ever are the author's error, with operator and key, and stop", async () => {
    for (const domain of ["eventTime", "processingTime"] as const) {
      const job = keyed({
        output: type<unknown>(),
        onRecord: ({ n = 0 }, ctx) => ctx.timers[domain](n),
        onTimer(at, ctx) {
          if (ctx.key === "again") ctx.timers[domain](at);
          else ctx.emit([ctx.key, at]);
        },
      });
      const run = await harness(job, { startAt: 50 });
      await run.push("in", { value: event("again", 0, 7) }, { watermark: 50 });
      assert.deepEqual(
        run.deadLetters().map(({ operator, reason }) => [operator, /a timer fires for ever: .*/.exec(reason)?.[0]]),
        [["fn", 'a timer fires for ever: it sets timers that are due already: key "again", timer 7 (operator fn)']],
      );
      await run.push("in", { value: event("once", 0, 20) }, { watermark: 60 });
      assert.deepEqual(run.output("out"), [["once", 20]], "what comes after it goes on");
    }
  });

  test("that beat on for ever stop when all time has passed", async () => {
    const job = keyed({
      state: { beats: value<number>() },
      output: type<unknown>(),
      onRecord: ({ at }, ctx) => ctx.timers.eventTime(at),
      onTimer(at, ctx) {
        ctx.state.beats.set((ctx.state.beats.get() ?? 0) + 1);
        ctx.timers.eventTime(at + 1_000);
        if (at === 3_000) ctx.emit(ctx.state.beats.get());
      },
    });
    const run = await harness(job);
    await run.push("in", { value: event("a", 1_000), timestamp: 0 }, { watermark: 5_000 });
    assert.deepEqual(run.output("out"), [3]);
    await run.endInput();
    assert.match(run.deadLetters()[0]!.reason, /a timer fires for ever: .*key "a"/);
    assert.equal(run.deadLetters().length, 1);
  });

  test("set in timers of the other domain wait for their own time", async () => {
    const job = keyed({
      output: type<unknown>(),
      onRecord: ({ at }, ctx) => ctx.timers.eventTime(at),
      onTimer(at, ctx) {
        ctx.emit([ctx.domain, at]);
        if (ctx.domain === "eventTime") ctx.timers.processingTime(50);
        else ctx.timers.eventTime(at + 25);
      },
    });
    await verifyOperator(job, {
      steps: steps({ source: "in", value: event("a", 10), timestamp: 0 }, 10, { processingTime: 50 }, 74, 75, {
        processingTime: 60,
      }),
      expected: {
        out: [
          ["eventTime", 10],
          ["processingTime", 50],
          ["eventTime", 75],
          ["processingTime", 50],
        ],
      },
    });
  });

  test("may write side outputs", async () => {
    const late = outputTag<number>("woken");
    const job = keyed({
      output: type<unknown>(),
      sideOutputs: [late],
      onRecord: ({ at }, ctx) => ctx.timers.eventTime(at),
      onTimer: (at, ctx) => ctx.output(late, at),
    });
    await verifyOperator(job, {
      steps: steps(event("a", 5_000), event("b", 6_000), 5_500, { endInput: true }),
      expected: { out: [], woken: [5_000, 6_000] },
      sideOutputs: [late],
    });
  });
});

test("reduce gives the rolled-up value after each record", async () => {
  const job = pipeline((events) =>
    events
      .keyBy(({ key }) => key as string)
      .reduce("sum", (a, b) => ({ key: a.key, at: Math.max(a.at, b.at), n: (a.n ?? 0) + (b.n ?? 0) })),
  );
  await verifyOperator(job, {
    steps: steps(event("a", 3, 1), event("b", 4, 5), event("a", 2, 2), event("a", 9, -3)),
    expected: { out: [event("a", 3, 1), event("b", 4, 5), event("a", 3, 3), event("a", 9, 0)] },
  });
});
