/** Windows and triggers that go by the clock, which is turned between records: the oracle's, however records were batched. */
import { test } from "node:test";
import fc from "fast-check";
import { millis, session, sliding, triggers, tumbling, type Trigger } from "../../../runtime/index.ts";
import { schedules } from "../schedule.ts";
import { checkWindows, type Fold } from "./check-windows.ts";
import { eventsAndClock, latenesses } from "./inputs.ts";
import { endOfEventTime, type Event, type Pair, type Rule, type Windowing } from "./oracle.ts";
import { continuousClockTime, count, delta, endOfClockTime, never, timeOut } from "./trigger-oracles.ts";

const time = "processing" as const;
const folds = fc.constantFrom<Fold>("apply", "reduce", "merging");

function tumblingOf(size: number, offset = 0): (time: number) => Pair[] {
  return (at) => {
    const start = Math.floor((at - offset) / size) * size + offset;
    return [[start, start + size]];
  };
}

const byClock = {
  tumbling: {
    assigner: tumbling(millis(2_500), { time, offset: millis(300) }),
    windowsOf: tumblingOf(2_500, 300),
    merging: false,
  },
  sliding: {
    assigner: sliding(millis(3_000), millis(1_500), { time }),
    windowsOf: (at: number): Pair[] =>
      [0, 1_500].map((back) => Math.floor(at / 1_500) * 1_500 - back).map((start) => [start, start + 3_000]),
    merging: false,
  },
  session: { assigner: session(millis(1_000), { time }), windowsOf: (at: number): Pair[] => [[at, at + 1_000]], merging: true },
  "session of a dynamic gap": {
    assigner: session<Event>((e) => millis(e.gap / 5), { time }),
    windowsOf: (at: number, e: Event): Pair[] => [[at, at + e.gap / 5]],
    merging: true,
  },
};

interface Triggered {
  readonly trigger: Trigger<any, any>;
  readonly rule: () => Rule;
  readonly merges: boolean;
}

const distance = (last: Event, current: Event) => current.at - last.at;
const rules: readonly Triggered[] = [
  { trigger: triggers.processingTime(), rule: endOfClockTime, merges: true },
  { trigger: triggers.continuousProcessingTime(millis(700)), rule: () => continuousClockTime(700), merges: true },
  { trigger: triggers.count(2), rule: () => count(2), merges: true },
  { trigger: triggers.delta<Event>(2_000, distance), rule: () => delta(2_000, distance), merges: false },
  { trigger: triggers.never(), rule: never, merges: true },
];

for (const [name, { assigner, windowsOf, merging }] of Object.entries(byClock))
  test(`${name} windows by the clock`, async () => {
    const choice = fc.constantFrom(
      ...rules.filter(({ merges, trigger }) => !merging || (merges && trigger.spec.kind !== "never")),
    );
    await fc.assert(
      fc.asyncProperty(
        ...([eventsAndClock, choice, schedules, folds, fc.boolean()] as const),
        async (input, { trigger, rule }, schedule, fold, purging) => {
          const windowing: Windowing = { windowsOf, by: "clock", merging, purging, rule };
          await checkWindows(
            input,
            schedule,
            { assigner, fold, trigger: purging ? triggers.purging(trigger) : trigger },
            windowing,
          );
        },
      ),
      { numRuns: 50 },
    );
  });

const byEvents = {
  tumbling: { assigner: tumbling(millis(5_000)), windowsOf: tumblingOf(5_000), merging: false },
  session: {
    assigner: session<Event>((e) => millis(uneven(e.at) - e.at)),
    windowsOf: (at: number): Pair[] => [[at, uneven(at)]],
    merging: true,
  },
};

/** The end of a session which does not lie where the clock is turned to. */
function uneven(at: number): number {
  return Math.abs((at + 999) % 100) === 0 ? at + 1_001 : at + 1_000;
}

for (const [name, { assigner, windowsOf, merging }] of Object.entries(byEvents))
  test(`${name} windows of event time that fire by the clock, before it comes to them and long after`, async () => {
    // Of sessions that merge, the time that a continuous trigger has set is the earlier one's, which is a matter of its own.
    const choice = fc.constantFrom(...rules.slice(0, merging ? 1 : 2));
    await fc.assert(
      fc.asyncProperty(
        ...([eventsAndClock, choice, latenesses, schedules, fc.boolean()] as const),
        async (input, { trigger, rule }, latenessMs, schedule, purging) => {
          await checkWindows(
            input,
            schedule,
            { assigner, trigger: purging ? triggers.purging(trigger) : trigger },
            { windowsOf, merging, latenessMs, purging, rule },
          );
        },
      ),
      { numRuns: 100 },
    );
  });

const timedOut = fc.record({
  inner: fc.constantFrom<{ trigger: Trigger<any, any>; rule: () => Rule; allowsLate: boolean }>(
    { trigger: triggers.count(3), rule: () => count(3), allowsLate: true },
    { trigger: triggers.eventTime(), rule: endOfEventTime, allowsLate: false },
    { trigger: triggers.never(), rule: never, allowsLate: true },
  ),
  after: fc.constantFrom(600, 1_500),
  reset: fc.boolean(),
  clear: fc.boolean(),
});

test("the time-out trigger, around others, with all its options", async () => {
  await fc.assert(
    fc.asyncProperty(
      ...([eventsAndClock, timedOut, latenesses, schedules, fc.boolean()] as const),
      async (input, { inner, after, reset, clear }, lateness, schedule, purging) => {
        const latenessMs = inner.allowsLate ? lateness : 0;
        const options = { resetTimerOnNewRecord: reset, shouldClearOnTimeout: clear };
        const plain = triggers.timeOut(inner.trigger, millis(after), options);
        const rule = () => timeOut(inner.rule, after, { reset, clear, latenessMs });
        await checkWindows(
          input,
          schedule,
          { assigner: tumbling(millis(5_000)), trigger: purging ? triggers.purging(plain) : plain },
          { windowsOf: tumblingOf(5_000), latenessMs, purging, rule },
        );
      },
    ),
    { numRuns: 100 },
  );
});
