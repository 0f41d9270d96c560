/** Every kind of window beside tumbling and session ones: which records a window has, and when it closes. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  calendarDays,
  calendarWeeks,
  count,
  countWindow,
  cumulating,
  globalWindow,
  hours,
  millis,
  minutes,
  outputTag,
  seconds,
  session,
  sliding,
  triggers,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import { harness, verifyMarbles, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";
import { collected, counts } from "./windowed.ts";

const end = { endInput: true } as const;

describe("sliding windows", () => {
  test("hold each record as often as they overlap", async () => {
    await verifyMarbles(
      counts(sliding(seconds(10), seconds(5))),
      `in   a@0  a@4999  a@5s  b@-1  |4998        |4999                     |9999       |
       out                           b[-10s,0)=1  b[-5s,5s)=1  a[-5s,5s)=2  a[0,10s)=3  a[5s,15s)=1`,
      { order: "any" },
    );
  });

  test("of a size that is no multiple of the slide, with an offset and negative times", async () => {
    await verifyOperator(counts(sliding(millis(10), millis(4), { offset: millis(-3) })), {
      steps: steps(event("a", 0), event("a", 3), event("a", -7), end),
      expected: {
        // Starts are …, -15, -11, -7, -3, 1.
        out: [
          ["a", -15, -5, 1],
          ["a", -11, -1, 1],
          ["a", -7, 3, 2],
          ["a", -3, 7, 2],
          ["a", 1, 11, 1],
        ],
      },
    });
  });

  test("that leave gaps pass over the records between them, which are not late", async () => {
    const late = outputTag<Event>("late");
    await verifyMarbles(
      counts(sliding(seconds(2), seconds(10)), (windows) => windows.sideOutputLate(late)),
      `in    a@1999  a@2s  a@9999  a@10s  |12s                     a@9s  |
       out                                a[0,2s)=1  a[10s,12s)=1
       late                                                        a@9s`,
      { sideOutputs: [late] },
    );
  });

  test("a record late for some of its windows only is not late", async () => {
    const late = outputTag<Event>("late");
    await verifyMarbles(
      counts(sliding(seconds(10), seconds(5)), (windows) => windows.sideOutputLate(late)),
      `in    a@7s  |9999       a@6s  |14999       a@8s  |
       out         a[0,10s)=1        a[5s,15s)=2
       late                                       a@8s`,
      { sideOutputs: [late] },
    );
  });

  test("with allowed lateness fire every window that a late record belongs to, the latest first", async () => {
    await verifyOperator(
      counts(sliding(seconds(10), seconds(5)), (windows) => windows.allowedLateness(seconds(7))),
      {
        steps: steps(
          event("a", 7_000),
          event("b", 0),
          14_999,
          event("a", 6_000),
          16_999,
          event("a", 9_999),
          event("b", 1),
          40_000,
        ),
        expected: {
          out: [
            ["b", -5_000, 5_000, 1],
            ["a", 0, 10_000, 1],
            ["b", 0, 10_000, 1],
            ["a", 5_000, 15_000, 1],
            ["a", 5_000, 15_000, 2],
            ["a", 0, 10_000, 2],
            ["a", 5_000, 15_000, 3],
          ],
        },
        order: "anyBetweenWatermarks",
      },
    );
  });

  test("apply sees a window's records in the order in which they came", async () => {
    await verifyMarbles(
      collected(sliding(seconds(10), seconds(5))),
      `in   a:1@7s  a:2@2s  a:3@9s  |9999             a:4@12s  |
       out                          [a,2]  [a,1,2,3]           [a,1,3,4]  [a,4]`,
      { order: "any" },
    );
  });

  test("of processing time go by the clock", async () => {
    await verifyMarbles(
      counts(sliding(minutes(2), minutes(1), { time: "processing" })),
      `in     a@0               a@0
       clock       1m                5m
       out         a[-1m,1m)=1       a[0,2m)=2  a[1m,3m)=1`,
    );
  });

  test("leave nothing behind", async () => {
    const run = await harness(counts(sliding(seconds(10), seconds(1)), (windows) => windows.allowedLateness(seconds(5))));
    const empty = (await run.snapshot()).sizeBytes;
    await run.push("in", ...Array.from({ length: 300 }, (_, n) => ({ value: event(`key ${n % 50}`, n * 10) })));
    assert.ok((await run.snapshot()).sizeBytes > empty + 2_000);
    await run.push("in", { watermark: 30_000 });
    assert.equal(run.output("out").length, 50 * 12);
    assert.ok((await run.snapshot()).sizeBytes < empty + 1_000);
  });
});

describe("cumulating windows", () => {
  test("give the results on the way to the whole", async () => {
    await verifyOperator(counts(cumulating(seconds(5), seconds(15))), {
      steps: steps(
        event("a", 0),
        event("a", 12_000),
        event("a", 6_000),
        4_999,
        event("a", 14_999),
        9_999,
        event("a", 15_000),
        end,
      ),
      expected: {
        out: [
          ["a", 0, 5_000, 1],
          ["a", 0, 10_000, 2],
          ["a", 0, 15_000, 4],
          ["a", 15_000, 20_000, 1],
          ["a", 15_000, 25_000, 1],
          ["a", 15_000, 30_000, 1],
        ],
      },
    });
  });

  test("a late record still counts in those that are open", async () => {
    await verifyMarbles(
      counts(cumulating(seconds(5), seconds(15), { offset: seconds(1) })),
      `in   a@7s  |10999       a@2s  |
       out        a[1s,11s)=1        a[1s,16s)=2`,
    );
  });
});

describe("calendar windows", () => {
  const hour = 3_600_000;
  const at = (text: string) => Date.parse(text);

  test("days have 23 hours when clocks go forward, and 25 when they go back", async () => {
    await verifyOperator(counts(calendarDays({ timeZone: "Europe/Berlin" })), {
      steps: steps(
        ...[event("a", at("2024-03-31T00:00+01:00")), event("a", at("2024-03-31T23:59:59.999+02:00"))],
        ...[event("a", at("2024-04-01T00:00+02:00")), event("b", at("2024-10-27T02:30+02:00"))],
        ...[event("b", at("2024-10-27T23:00+01:00")), event("b", at("2024-10-28T00:00+01:00")), end],
      ),
      expected: {
        out: [
          ["a", at("2024-03-31T00:00+01:00"), at("2024-03-31T00:00+01:00") + 23 * hour, 2],
          ["a", at("2024-04-01T00:00+02:00"), at("2024-04-02T00:00+02:00"), 1],
          ["b", at("2024-10-27T00:00+02:00"), at("2024-10-27T00:00+02:00") + 25 * hour, 2],
          ["b", at("2024-10-28T00:00+01:00"), at("2024-10-29T00:00+01:00"), 1],
        ],
      },
    });
  });

  test("weeks begin on Monday, or on the day that is asked for", async () => {
    const weeks = (startsOn?: "sunday") => counts(calendarWeeks({ timeZone: "America/New_York", ...(startsOn && { startsOn }) }));
    const input = steps(event("a", at("2024-11-02T12:00Z")), event("a", at("2024-11-03T12:00Z")), end);
    await verifyOperator(weeks(), {
      steps: input,
      expected: { out: [["a", at("2024-10-28T00:00-04:00"), at("2024-11-04T00:00-05:00"), 2]] },
    });
    await verifyOperator(weeks("sunday"), {
      steps: input,
      expected: {
        out: [
          ["a", at("2024-10-27T00:00-04:00"), at("2024-11-03T00:00-04:00"), 1],
          ["a", at("2024-11-03T00:00-04:00"), at("2024-11-10T00:00-05:00"), 1],
        ],
      },
    });
  });

  test("go by the clock when asked to", async () => {
    await verifyOperator(counts(calendarDays({ timeZone: "Asia/Tokyo", time: "processing" })), {
      steps: steps(event("a", 7), { processingTime: 15 * hour - 2 }, event("a", 7), { processingTime: 15 * hour }, event("a", 7)),
      expected: { out: [["a", -9 * hour, 15 * hour, 2]] },
    });
  });
});

describe("count windows", () => {
  test("fire for every so many records of a key, whose contents go", async () => {
    await verifyOperator(collected(countWindow(3)), {
      steps: steps(...[1, 2, 3, 4, 5, 6, 7].flatMap((n) => [event("a", 0, n), event("b", 0, -n)]), end),
      expected: {
        out: [
          ["a", 1, 2, 3],
          ["b", -1, -2, -3],
          ["a", 4, 5, 6],
          ["b", -4, -5, -6],
        ],
      },
    });
  });

  test("with a slide fire for every so many over the last", async () => {
    await verifyMarbles(
      collected(countWindow(4, 2)),
      `in   a:1@0  a:2@0    a:3@0  a:4@0        a:5@0  a:6@0        a:7@0  |
       out         [a,1,2]         [a,1,2,3,4]         [a,3,4,5,6]`,
    );
  });

  test("fold what is in them, and need neither timestamps nor watermarks", async () => {
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(countWindow(2))
        .reduce("sum", (a, b) => ({ ...a, n: (a.n ?? 0) + (b.n ?? 0) })),
    );
    await verifyOperator(job, {
      steps: steps(event("a", 1, 1), event("a", 0, 2), event("a", 5, 4), event("a", 5, 8)),
      expected: { out: [event("a", 1, 3), event("a", 5, 12)] },
    });
  });

  test("results carry the largest time", async () => {
    const run = await harness(collected(countWindow(1)));
    await run.push("in", { value: event("a", 3, 1) });
    assert.deepEqual(run.rows("out"), [{ value: ["a", 1], timestamp: Number.MAX_SAFE_INTEGER, change: "+I" }]);
  });
});

describe("the global window", () => {
  test("takes every record and is never late", async () => {
    await verifyMarbles(
      collected(globalWindow(), (windows) => windows.trigger(triggers.count(2))),
      `in   a:1@50  |100s  a:2@1    a:3@2  |200s  a:4@-9       |
       out                 [a,1,2]                [a,1,2,3,4]`,
    );
  });

  test("fires at the end of the stream when asked to", async () => {
    await verifyOperator(
      collected(globalWindow(), (windows) => windows.trigger(triggers.endOfStream())),
      { steps: steps(event("a", 5, 1), 90_000, event("a", 7, 2), end), expected: { out: [["a", 1, 2]] } },
    );
  });
});

describe("windows of a whole stream", () => {
  test("have the key null and run in one task", async () => {
    const job = pipeline((events) =>
      events.windowAll(tumbling(seconds(10))).aggregate("count", count(), (key, { start }, n) => [key, start, n]),
    );
    await verifyMarbles(
      job,
      `in   a@1  b@2  c@10001  |9999       |
       out                     [null,0,2]  [null,10000,1]`,
    );
  });

  test("have state and a key for their window function too", async () => {
    const job = pipeline((events) =>
      events.windowAll(session(seconds(5))).process("fn", {
        output: type<unknown>(),
        state: { windows: value<number>() },
        onWindow(window, values, ctx) {
          ctx.state.windows.set((ctx.state.windows.get() ?? 0) + 1);
          ctx.emit([ctx.key, window.start, [...values].length, ctx.state.windows.get()]);
        },
      }),
    );
    await verifyMarbles(
      job,
      `in   a@0  b@4s  c@20s  |
       out                    [null,0,2,1]  [null,20000,1,2]`,
    );
  });

  test("take all records of several tasks", async () => {
    const job = pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .window(tumbling(seconds(1)))
          .aggregate("each", count())
          .windowAll(tumbling(hours(1)))
          .reduce("all", (a, b) => a + b),
      { parallelism: 2 },
    );
    const run = await harness(job);
    await run.push("in", ...Array.from({ length: 100 }, (_, n) => ({ value: event(`key ${n % 7}`, n * 100) })));
    await run.endInput();
    assert.deepEqual(run.output("out"), [100]);
  });
});
