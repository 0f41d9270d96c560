/** Every evictor, before and after the window's function, over every kind of function. */
import { describe, test } from "node:test";
import {
  average,
  evictors,
  globalWindow,
  keyedProcess,
  list,
  millis,
  outputTag,
  seconds,
  session,
  triggers,
  tumbling,
  type,
  type Evictor,
} from "../../runtime/index.ts";
import { verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";
import { collected, counts } from "./windowed.ts";

const end = { endInput: true } as const;

/** Fires at every second record of the global window. */
const everySecond = (evictor: Evictor<Event>) =>
  collected(globalWindow(), (windows) => windows.trigger(triggers.count(2)).evictor(evictor));

const distance = (value: Event, last: Event) => (last.n ?? 0) - (value.n ?? 0);

describe("count evictor", () => {
  const input = steps(...[1, 2, 3, 4, 5, 6].map((n) => event("a", 0, n)));

  test("keeps the last before the function", async () => {
    await verifyOperator(everySecond(evictors.count(3)), {
      steps: input,
      expected: {
        out: [
          ["a", 1, 2],
          ["a", 2, 3, 4],
          ["a", 4, 5, 6],
        ],
      },
    });
  });

  test("keeps the last after the function, which sees what came since", async () => {
    await verifyOperator(everySecond(evictors.count(1, { after: true })), {
      steps: input,
      expected: {
        out: [
          ["a", 1, 2],
          ["a", 2, 3, 4],
          ["a", 4, 5, 6],
        ],
      },
    });
  });
});

describe("time evictor", () => {
  const input = steps(
    event("a", 1_000, 1),
    event("a", 4_000, 2),
    event("a", 3_000, 3),
    event("a", 2_000, 4),
    event("a", 9_000, 5),
    {
      endInput: true,
    },
  );
  const job = (after: boolean) =>
    collected(tumbling(seconds(10)), (windows) =>
      windows.trigger(triggers.count(2)).evictor(evictors.time(seconds(2), { after })),
    );

  test("keeps what is not as much older than the latest", async () => {
    await verifyOperator(job(false), {
      steps: input,
      expected: {
        out: [
          ["a", 2],
          ["a", 2, 3],
        ],
      },
    });
  });

  test("the same after the function", async () => {
    await verifyOperator(job(true), {
      steps: input,
      expected: {
        out: [
          ["a", 1, 2],
          ["a", 2, 3, 4],
        ],
      },
    });
  });

  test("keeps all where records have no timestamps", async () => {
    const untimed = keyedProcess({
      key: type<string>(),
      state: { items: list<Event>() },
      output: type<Event>(),
      onRecord(item: Event, ctx) {
        ctx.state.items.add(item);
        ctx.timers.processingTime(1_000);
      },
      onTimer(_at, ctx) {
        for (const item of ctx.state.items.get()) ctx.emit(item);
      },
    });
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("untimed", untimed)
        .keyBy(({ key }) => key as string)
        .window(globalWindow())
        .trigger(triggers.count(2))
        .evictor(evictors.time(millis(1)))
        .apply("all", (_key, _window, values) => [values.map(({ n }) => n)]),
    );
    await verifyOperator(job, {
      steps: steps(event("a", 1, 1), event("a", 900, 2), event("a", 5_000, 3), event("a", 2, 4), { processingTime: 1_000 }),
      expected: {
        out: [
          [1, 2],
          [1, 2, 3, 4],
        ],
      },
    });
  });
});

describe("delta evictor", () => {
  test("drops what is as far from the last as the threshold", async () => {
    const input = steps(...[1, 5, 4, 6, 7, 3].map((n) => event("a", 0, n)));
    await verifyOperator(everySecond(evictors.delta<Event>(2, distance)), {
      steps: input,
      expected: {
        out: [
          ["a", 5],
          ["a", 5, 6],
          ["a", 5, 6, 7, 3],
        ],
      },
    });
    await verifyOperator(everySecond(evictors.delta<Event>(2, distance, { after: true })), {
      steps: input,
      expected: {
        out: [
          ["a", 1, 5],
          ["a", 5, 4, 6],
          ["a", 5, 6, 7, 3],
        ],
      },
    });
  });
});

describe("with an evictor", () => {
  const values = steps(...[1, 2, 3, 4].map((n) => event("a", n, n)), 9_999, event("b", 10_001, 5), end);

  test("reduce folds what is left when the window fires; of nothing there is nothing", async () => {
    const job = (evictor: Evictor<Event>) =>
      pipeline((events) =>
        events
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(10)))
          .evictor(evictor)
          .reduce("sum", (a, b) => event(a.key, b.at, (a.n ?? 0) + (b.n ?? 0))),
      );
    await verifyOperator(job(evictors.count(2)), { steps: values, expected: { out: [event("a", 4, 7), event("b", 10_001, 5)] } });
    await verifyOperator(job(evictors.delta<Event>(0, distance)), { steps: values, expected: { out: [] } });
  });

  test("aggregate does too, without merging", async () => {
    const { merge: _, ...mean } = average((e: Event) => e.n ?? 0);
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(session(millis(100)))
        .evictor(evictors.count(2))
        .aggregate("mean", mean, (key, { start, end }, n) => [key, start, end, n]),
    );
    await verifyOperator(job, {
      steps: steps(event("a", 150, 7), event("a", 0, 1), event("a", 75, 2), event("b", 0, 3), end),
      expected: {
        out: [
          ["b", 0, 100, 3],
          ["a", 0, 250, 4.5],
        ],
      },
    });
  });

  test("process sees what is left, with its state", async () => {
    const cleared = outputTag<unknown>("cleared");
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .evictor(evictors.count(1))
        .process("fn", {
          output: type<unknown>(),
          sideOutputs: [cleared],
          onWindow: (window, items, ctx) => ctx.emit([ctx.key, window.start, ...[...items].map(({ n }) => n)]),
          onClear: (window, ctx) => ctx.output(cleared, window.start),
        }),
    );
    await verifyOperator(job, {
      steps: values,
      expected: {
        out: [
          ["a", 0, 4],
          ["b", 10_000, 5],
        ],
        cleared: [0, 10_000],
      },
      sideOutputs: [cleared],
    });
  });

  test("a session that was evicted to nothing goes on", async () => {
    const all = evictors.delta<Event>(0, () => 1, { after: true });
    await verifyOperator(
      counts(session(seconds(5)), (windows) => windows.trigger(triggers.count(2)).evictor(all)),
      {
        steps: steps(event("a", 0), event("a", 4_000), event("a", 8_000), event("a", 12_000), end),
        expected: {
          out: [
            ["a", 0, 9_000, 2],
            ["a", 0, 17_000, 2],
          ],
        },
      },
    );
  });
});
