/** Reducing and aggregating state: what was added, folded; stored, restored, rescaled and migrated like any other. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { aggregating, average, count, keyedProcess, reducing, sum, type, value } from "../../runtime/index.ts";
import type { Aggregator, FoldingState, Job, StateDescriptor } from "../../runtime/index.ts";
import { isMergeable, list, map } from "../../runtime/api/state.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";
import { runOn, schedules, sorted } from "./schedule.ts";

const joined: Aggregator<Event, string, string> = {
  create: () => "",
  add: (text, { n = 0 }) => `${text}${n}`,
  result: (text) => `<${text}>`,
};

/** Adds each event to the states; a negative number clears them. */
const folding = pipeline((events) =>
  events
    .keyBy(({ key }) => key as string)
    .process(
      "fn",
      keyedProcess({
        state: {
          largest: reducing<number>(Math.max),
          mean: aggregating(average<Event>(({ n = 0 }) => n)),
          text: aggregating(joined),
        },
        output: type<unknown>(),
        onRecord(e, ctx) {
          const { largest, mean, text } = ctx.state;
          if ((e.n ?? 0) < 0) for (const state of [largest, mean, text]) state.clear();
          else {
            largest.add(e.n ?? 0);
            mean.add(e);
            text.add(e);
          }
          ctx.emit([ctx.key, largest.get(), mean.get(), text.get()]);
        },
      }),
    ),
);

describe("reducing and aggregating state", () => {
  test("fold what is added, and are undefined before and after", () =>
    verifyOperator(folding, {
      steps: steps(
        event("a", 0, 1),
        event("b", 0, 9),
        event("a", 0, 4),
        event("a", 0, 1),
        event("a", 0, -1),
        event("a", 0, 3),
        event("b", 0, 5),
      ),
      expected: {
        out: [
          ["a", 1, 1, "<1>"],
          ["b", 9, 9, "<9>"],
          ["a", 4, 2.5, "<14>"],
          ["a", 4, 2, "<141>"],
          ["a", undefined, undefined, undefined],
          ["a", 3, 3, "<3>"],
          ["b", 9, 7, "<95>"],
        ],
      },
    }));

  test("are the oracle's under any schedule", async () => {
    const inputs = fc.array(fc.record({ key: fc.constantFrom("a", "b", "c"), n: fc.integer({ min: -3, max: 9 }) }), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(inputs, schedules, async (input, schedule) => {
        const seen = new Map<string, number[]>();
        const expected = input.map(({ key, n }) => {
          const values = n < 0 ? [] : [...(seen.get(key) ?? []), n];
          seen.set(key, values);
          if (values.length === 0) return [key, undefined, undefined, undefined];
          return [key, Math.max(...values), values.reduce((a, b) => a + b) / values.length, `<${values.join("")}>`];
        });
        const { out } = await runOn(
          folding,
          input.map(({ key, n }) => ({ value: event(key, 0, n) })),
          schedule,
        );
        assert.deepEqual(sorted(out), sorted(expected));
      }),
      { numRuns: 40 },
    );
  });

  const keeps = (total: StateDescriptor<FoldingState<number, unknown>>): Job =>
    pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process(
          "fn",
          keyedProcess({
            state: { total },
            output: type<unknown>(),
            onRecord({ n = 0 }, ctx) {
              ctx.state.total.add(n);
              ctx.emit(ctx.state.total.get());
            },
          }),
        ),
    );

  test("an accumulator is migrated by its aggregator, or by the state's own options", async () => {
    const before = await harness(keeps(aggregating(sum((n: number) => n))));
    await before.push("in", { value: event("a", 0, 7) });
    const snapshot = await before.snapshot();
    const boxed: Aggregator<number, { n: number }, number> = {
      create: () => ({ n: 0 }),
      add: ({ n }, more) => ({ n: n + more }),
      result: ({ n }) => n,
    };
    const migrating = { version: 1, migrate: (old: unknown) => ({ n: old as number }) };
    for (const state of [aggregating({ ...boxed, ...migrating }), aggregating(boxed, migrating)]) {
      const run = await harness(keeps(state), { from: snapshot });
      await run.push("in", { value: event("a", 0, 1) });
      assert.deepEqual(run.output("out"), [8]);
    }
    await assert.rejects(harness(keeps(aggregating({ ...boxed, version: 1 })), { from: snapshot }), {
      kind: "invalid",
      message: /operator fn: version older.*total.*stored 0.*planned 1/,
    });
    await assert.rejects(harness(keeps(reducing<number>(Math.max)), { from: snapshot }), {
      kind: "invalid",
      message: /state kind changed.*total.*stored aggregating.*planned reducing/,
    });
  });

  test("say whether their contents can be merged", () => {
    assert.ok(isMergeable(reducing<number>(Math.max)));
    assert.ok(isMergeable(aggregating(count())));
    assert.ok(isMergeable(list()));
    for (const state of [aggregating(joined), value(), map()]) assert.ok(!isMergeable(state));
  });
});
