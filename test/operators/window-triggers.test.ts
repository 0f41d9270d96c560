/** Every trigger: when windows fire, what of them stays, and what becomes of a trigger's state when windows merge or end. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  globalWindow,
  list,
  millis,
  minutes,
  outputTag,
  reducing,
  seconds,
  session,
  sliding,
  triggers,
  tumbling,
  value,
  type TimeWindow,
  type Trigger,
  type TriggerContext,
  type Window,
} from "../../runtime/index.ts";
import { harness, verifyMarbles, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, steps } from "./pipeline.ts";
import { collected, counts } from "./windowed.ts";

const end = { endInput: true } as const;
const at = (processingTime: number) => ({ processingTime });
const tenSeconds = tumbling(seconds(10));

/** The records of each firing of windows of ten seconds. */
const fired = (trigger: Trigger<Event, TimeWindow>, latenessMs = 0) =>
  collected(tenSeconds, (windows) => windows.trigger(trigger).allowedLateness(millis(latenessMs)));

describe("count trigger", () => {
  test("fires at every so many records, over all of the window; the rest without it does not", async () => {
    await verifyMarbles(
      fired(triggers.count(2)),
      `in   a:1@1  a:2@2    a:3@3  a:4@4        a:5@5  a:6@10s  |9999  a:7@10001  |
       out         [a,1,2]         [a,1,2,3,4]                         [a,6,7]`,
    );
  });

  test("counts of sessions that merge add up, but a merge alone does not fire", async () => {
    await verifyOperator(
      counts(session(seconds(5)), (windows) => windows.trigger(triggers.count(4))),
      {
        steps: steps(
          ...[event("a", 0), event("a", 1), event("a", 9_000), event("b", 9_000), event("a", 9_001)],
          // Each bridges two of two records: the count is five at once, and it fires once, for the record.
          ...[event("b", 0), event("b", 1), event("b", 9_001), event("a", 4_500), event("b", 4_500), event("a", 4_501), end],
        ),
        expected: {
          out: [
            ["a", 0, 14_001, 5],
            ["b", 0, 14_001, 5],
          ],
        },
      },
    );
  });
});

describe("purging trigger", () => {
  test("drops the contents of what fires, so a late record fires alone", async () => {
    await verifyMarbles(
      fired(triggers.purging(triggers.eventTime()), 5_000),
      `in   a:1@1  a:2@2  |9999    a:3@3  |12s  a:4@4  |
       out                [a,1,2]  [a,3]        [a,4]`,
    );
  });

  test("of sessions keeps their extent: what comes later joins what was purged", async () => {
    await verifyMarbles(
      counts(session(seconds(5)), (windows) => windows.trigger(triggers.purging(triggers.count(2)))),
      `in   a@0  a@4s       a@8s  a@12s       |
       out       a[0,9s)=2        a[0,17s)=2`,
    );
  });
});

describe("continuous event-time trigger", () => {
  test("fires at the multiples of its interval and at the window's end", async () => {
    await verifyMarbles(
      fired(triggers.continuousEventTime(seconds(4))),
      `in   a:1@500  |3999  a:2@4100  |4s      |7999  a:3@7s  |9998      |9999      |
       out                            [a,1,2]                 [a,1,2,3]  [a,1,2,3]`,
    );
  });

  test("a record later than the window's end fires at once", async () => {
    await verifyMarbles(
      fired(triggers.continuousEventTime(seconds(4)), 60_000),
      `in   |20s  a:1@500  a:2@600
       out        [a,1]    [a,1,2]`,
    );
  });

  test("sessions that merge fire at the earliest of their next times", async () => {
    await verifyMarbles(
      counts(session(seconds(5)), (windows) => windows.trigger(triggers.continuousEventTime(seconds(4)))),
      `in   a@9s  a@1s  a@5s  |4s          |8s          |12s         |13998  |13999
       out                    a[1s,14s)=3  a[1s,14s)=3  a[1s,14s)=3          a[1s,14s)=3`,
    );
  });

  test("in the global window ends with the input instead of firing for ever", async () => {
    await verifyMarbles(
      collected(globalWindow(), (windows) => windows.trigger(triggers.continuousEventTime(seconds(10)))),
      `in   a:1@3s  |10s   a:2@4s  |
       out          [a,1]          [a,1,2]`,
    );
  });
});

describe("continuous processing-time trigger", () => {
  test("fires at the multiples of its interval", async () => {
    await verifyOperator(fired(triggers.continuousProcessingTime(seconds(4))), {
      steps: steps(at(1_000), event("a", 1, 1), at(4_000), event("a", 2, 2), at(7_999), at(8_000), 9_999, at(60_000)),
      expected: {
        out: [
          ["a", 1],
          ["a", 1, 2],
        ],
      },
    });
  });

  test("in windows of event time whose end the clock has passed fires for what has come since", async () => {
    await verifyMarbles(
      fired(triggers.continuousProcessingTime(seconds(4))),
      `in     a:1@1s                                 a:2@2s
       clock          4s     9999          20s  21s          24s      30s
       out            [a,1]  [a,1]  [a,1]                    [a,1,2]`,
    );
  });

  test("in sessions by the clock ends with them", async () => {
    await verifyMarbles(
      counts(session(seconds(5), { time: "processing" }), (windows) =>
        windows.trigger(triggers.continuousProcessingTime(seconds(3))),
      ),
      `in         a@0              a@0
       clock  1s       4s               6s          8998  8999        100s
       out             a[1s,6s)=1       a[1s,9s)=2        a[1s,9s)=2`,
    );
  });
});

describe("delta trigger", () => {
  test("fires when a record is further than the threshold from the one that fired last", async () => {
    const distance = (last: Event, current: Event) => Math.abs((current.n ?? 0) - (last.n ?? 0));
    await verifyMarbles(
      fired(triggers.delta<Event>(2, distance)),
      `in   a:1@0  a:3@1  a:4@2      a:5@3  a:6@4  a:7@5            a:1@6              |
       out                [a,1,3,4]                [a,1,3,4,5,6,7]  [a,1,3,4,5,6,7,1]`,
    );
  });
});

describe("time-out trigger", () => {
  test("fires with its inner trigger, or so long after the first record", async () => {
    await verifyOperator(
      collected(globalWindow(), (windows) => windows.trigger(triggers.timeOut(triggers.purging(triggers.count(3)), seconds(5)))),
      {
        steps: steps(
          ...[event("a", 0, 1), at(2_000), event("a", 0, 2), at(4_999), event("b", 0, 9), event("a", 0, 3)],
          ...[at(6_000), event("a", 0, 4), at(9_999), at(10_999), at(11_000), at(60_000)],
        ),
        // The count is cleared when the time is out, what the window holds is not purged.
        expected: {
          out: [
            ["a", 1, 2, 3],
            ["b", 9],
            ["a", 4],
          ],
        },
      },
    );
  });

  test("is put off by each record when asked to", async () => {
    const trigger = triggers.timeOut(triggers.count(10), seconds(5), { resetTimerOnNewRecord: true });
    await verifyOperator(
      collected(globalWindow(), (windows) => windows.trigger(trigger)),
      {
        steps: steps(event("a", 0, 1), at(4_000), event("a", 0, 2), at(8_999), at(9_000), at(30_000)),
        expected: { out: [["a", 1, 2]] },
      },
    );
  });
});

describe("processing-time trigger over event-time windows", () => {
  test("fires when the clock has passed their end, and then for each record", async () => {
    await verifyMarbles(
      fired(triggers.processingTime()),
      `in         a:1@1s         a:2@2s   a:3@3s     |9999  a:4@4s
       clock  5s          10s
       out                [a,1]  [a,1,2]  [a,1,2,3]`,
    );
  });

  test("fires by the clock, and the window goes by the watermark", async () => {
    await verifyOperator(fired(triggers.processingTime()), {
      steps: steps(event("a", 1, 1), at(9_998), event("a", 2, 2), at(9_999), event("c", 10_001, 3), 9_999, at(30_000)),
      expected: {
        out: [
          ["a", 1, 2],
          ["c", 3],
        ],
      },
    });
  });
});

describe("event-time trigger over sessions by the clock", () => {
  const sessions = () => counts(session(seconds(5), { time: "processing" }), (windows) => windows.trigger(triggers.eventTime()));

  test("windows go by the clock, also those that have grown, before the watermark passes their ends", async () => {
    await verifyOperator(sessions(), {
      steps: steps(at(1_000), event("a", 0), event("b", 0), at(4_000), event("b", 0), at(60_000), end),
      expected: { out: [] },
    });
  });

  test("fires when the watermark passes their ends first", async () => {
    await verifyOperator(sessions(), {
      steps: steps(at(1_000), event("a", 0), 5_999, at(60_000), end),
      expected: { out: [["a", 1_000, 6_000, 1]] },
    });
  });
});

describe("never", () => {
  test("fires not even at the end", async () => {
    await verifyOperator(fired(triggers.never()), { steps: steps(event("a", 1, 1), 9_999, end), expected: { out: [] } });
  });
});

describe("custom triggers", () => {
  /** Fires early, `earlyMs` after a window's first record, and at its end; purges on a record that says so. */
  const early = (earlyMs: number) =>
    triggers.custom<Event, TimeWindow, { first: ReturnType<typeof value<number>>; seen: ReturnType<typeof list<number>> }>({
      state: { first: value<number>(), seen: list<number>() },
      onElement(record, timestamp, window, ctx) {
        if (record.n === 0) return "purge";
        ctx.state.seen.add(record.n ?? 0);
        ctx.timers.eventTime(window.maxTimestamp);
        if (ctx.state.first.get() === undefined) {
          ctx.state.first.set(timestamp);
          ctx.timers.eventTime(timestamp + earlyMs);
        }
        return "continue";
      },
      onEventTime(time, window, ctx) {
        return time === window.maxTimestamp || ctx.state.seen.get().length > 1 ? "fire" : "continue";
      },
      onMerge(window, ctx) {
        ctx.timers.eventTime(window.maxTimestamp);
        const first = ctx.state.first.get();
        if (first !== undefined) ctx.timers.eventTime(first + earlyMs);
      },
      onClear(window, ctx) {
        ctx.timers.cancelEventTime(window.maxTimestamp);
      },
    });

  test("have state and timers of the window", async () => {
    await verifyMarbles(
      fired(early(3_000)),
      `in   a:1@1s  a:2@2s  b:3@1s  a:9@12s  |4s      a:0@5s  a:4@6s  |9999         |
       out                                   [a,1,2]                  [b,3]  [a,4]  [a,9]`,
    );
  });

  test("their state is merged with the windows", async () => {
    await verifyOperator(
      counts(session(seconds(5)), (windows) => windows.trigger(early(7_000))),
      {
        // Each has one record in its list, together they have three.
        steps: steps(event("a", 0, 1), event("a", 8_000, 2), event("a", 4_000, 3), 6_999, 7_000, 12_999, 50_000),
        expected: {
          out: [
            ["a", 0, 13_000, 3],
            ["a", 0, 13_000, 3],
          ],
        },
      },
    );
  });

  test("a reducing state is merged by its own rule", async () => {
    const third = triggers.custom<Event, TimeWindow, { seen: ReturnType<typeof reducing<number>> }>({
      state: { seen: reducing<number>((a, b) => a + b) },
      onElement(_record, _timestamp, _window, ctx) {
        ctx.state.seen.add(1);
        return (ctx.state.seen.get() ?? 0) >= 3 ? "fire" : "continue";
      },
      onMerge: () => undefined,
    });
    await verifyOperator(
      counts(session(seconds(5)), (windows) => windows.trigger(third)),
      {
        steps: steps(event("a", 0), event("b", 0), event("a", 8_000), event("b", 1), event("a", 4_000), end),
        expected: { out: [["a", 0, 13_000, 3]] },
      },
    );
  });

  test("are told of a window's end, after which nothing is left of them", async () => {
    const run = await harness(counts(tumbling(seconds(1)), (windows) => windows.trigger(early(100))));
    const empty = (await run.snapshot()).sizeBytes;
    await run.push("in", ...Array.from({ length: 200 }, (_, n) => ({ value: event(`key ${n}`, n, 1) })));
    assert.ok((await run.snapshot()).sizeBytes > empty + 2_000);
    await run.push("in", { watermark: 5_000 });
    assert.ok((await run.snapshot()).sizeBytes < empty + 500);
  });

  test("see the watermark and the clock", async () => {
    const seen: unknown[] = [];
    const look = triggers.custom<Event, Window>({
      onElement(record, timestamp, _window, ctx) {
        seen.push([record.n, timestamp, ctx.watermark, ctx.processingTime]);
        return "fireAndPurge";
      },
    });
    const run = await harness(collected(globalWindow(), (windows) => windows.trigger(look)));
    await run.push("in", { value: event("a", 3, 1) }, { watermark: 2 });
    await run.advanceProcessingTime(minutes(1));
    await run.push("in", { value: event("a", 4, 2) });
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 2],
    ]);
    assert.deepEqual(seen, [
      [1, 3, -Infinity, 0],
      [2, 4, 2, 60_000],
    ]);
  });
});

describe("triggers that fire for ever", () => {
  const endless = (next: (time: number) => number) =>
    triggers.custom<Event, Window>({
      onElement(_record, timestamp, _window, ctx: TriggerContext<{}>) {
        ctx.timers.eventTime(timestamp);
        return "continue";
      },
      onEventTime(time, _window, ctx: TriggerContext<{}>) {
        ctx.timers.eventTime(next(time));
        return "continue";
      },
    });

  const ways: readonly (readonly [string, (time: number) => number])[] = [
    ["at the same time", (time) => time],
    ["at an earlier time", (time) => time - 1],
    ["when all time has passed", (time) => time + 1],
  ];
  for (const [name, next] of ways)
    test(`${name} are stopped, and the operator and the key are told`, async () => {
      const run = await harness(collected(globalWindow(), (windows) => windows.trigger(endless(next))));
      await run.push("in", { value: event("a", 5, 1) });
      await run.endInput();
      const [letter, ...more] = run.deadLetters();
      assert.deepEqual(more, []);
      assert.equal(letter?.operator, "all");
      assert.match(letter?.reason ?? "", /fires for ever.*key "a".*\(operator all\)/);
    });

  test("those that only go far do not count", async () => {
    const run = await harness(collected(globalWindow(), (windows) => windows.trigger(endless((time) => time + 1))));
    await run.push("in", { value: event("a", 5, 1) }, { watermark: 200_000 });
    assert.deepEqual(run.deadLetters(), []);
  });
});

describe("nonsense from a trigger", () => {
  const say = (result: unknown) => triggers.custom<Event, Window>({ onElement: () => result as never });

  for (const result of [undefined, "FIRE", true])
    test(`${String(result)} as a result sends the record to the dead letters`, async () => {
      await verifyOperator(
        collected(globalWindow(), (windows) => windows.trigger(say(result))),
        { steps: steps(event("a", 1, 1)), expected: { out: [] }, deadLetters: ["all"] },
      );
    });

  for (const time of [NaN, 1.5, Infinity, 2 ** 53])
    test(`a timer at ${time} sends the record to the dead letters`, async () => {
      const trigger = triggers.custom<Event, Window>({
        onElement(_record, _timestamp, _window, ctx: TriggerContext<{}>) {
          ctx.timers.processingTime(time);
          return "fire";
        },
      });
      await verifyOperator(
        collected(globalWindow(), (windows) => windows.trigger(trigger)),
        { steps: steps(event("a", 1, 1)), expected: { out: [] }, deadLetters: ["all"] },
      );
    });
});

test("a sliding window's trigger is its own", async () => {
  await verifyMarbles(
    counts(sliding(seconds(10), seconds(5)), (windows) => windows.trigger(triggers.count(2))),
    `in   a@7s  a@3s        a@12s        |
     out        a[0,10s)=2  a[5s,15s)=2`,
  );
});

test("a late record goes to the late output whatever the trigger", async () => {
  const late = outputTag<Event>("late");
  await verifyOperator(
    collected(tenSeconds, (windows) => windows.trigger(triggers.count(1)).sideOutputLate(late)),
    { steps: steps(9_999, event("a", 1, 1)), expected: { out: [], late: [event("a", 1, 1)] }, sideOutputs: [late] },
  );
});
