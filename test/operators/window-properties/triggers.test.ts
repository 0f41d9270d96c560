/** Every trigger of event time and of records, on windows of fixed size and on that of all time: the oracle's. */
import { test } from "node:test";
import fc from "fast-check";
import { globalWindow, millis, sliding, triggers, tumbling, type Trigger } from "../../../runtime/index.ts";
import { schedules } from "../schedule.ts";
import { checkWindows } from "./check-windows.ts";
import { events, latenesses } from "./inputs.ts";
import { endOfEventTime, type Event, type Rule, type Windowing } from "./oracle.ts";
import { continuousEventTime, count, delta, endOfStream, never, weighed } from "./trigger-oracles.ts";
import { weighedTrigger } from "./weighed-trigger.ts";

/** In whole seconds, so that it often is the threshold. */
const distance = (last: Event, current: Event) => Math.floor((current.at - last.at) / 1_000);

interface Triggered {
  readonly trigger: Trigger<any, any>;
  readonly rule: (latenessMs: number) => Rule;
  /** On which windows; default: both. */
  readonly on?: "fixed" | "always";
}

const kinds: Readonly<Record<string, Triggered>> = {
  "event time": { trigger: triggers.eventTime(), rule: endOfEventTime, on: "fixed" },
  count: { trigger: triggers.count(3), rule: () => count(3) },
  "continuous event time": { trigger: triggers.continuousEventTime(millis(1_500)), rule: () => continuousEventTime(1_500) },
  delta: { trigger: triggers.delta<Event>(2, distance), rule: () => delta(2, distance) },
  never: { trigger: triggers.never(), rule: never },
  "end of stream": { trigger: triggers.endOfStream(), rule: endOfStream, on: "always" },
  custom: { trigger: weighedTrigger(1_200), rule: (latenessMs) => weighed(1_200, latenessMs), on: "fixed" },
};

const tumblingWindows = {
  assigner: tumbling(millis(7_000)),
  windowsOf: (at: number) => [[Math.floor(at / 7_000) * 7_000, Math.floor(at / 7_000) * 7_000 + 7_000] as const],
};
const slidingWindows = {
  assigner: sliding(millis(6_000), millis(3_000)),
  windowsOf(at: number) {
    const start = Math.floor(at / 3_000) * 3_000;
    return [[start, start + 6_000] as const, [start - 3_000, start + 3_000] as const];
  },
};
const always = { assigner: globalWindow(), windowsOf: () => [[-Infinity, Infinity] as const] };

for (const [name, { trigger, rule, on }] of Object.entries(kinds)) {
  const assigners = [...(on === "always" ? [] : [tumblingWindows, slidingWindows]), ...(on === "fixed" ? [] : [always])];
  test(`the ${name} trigger, plain and purging`, async () => {
    await fc.assert(
      fc.asyncProperty(
        ...([events, fc.constantFrom(...assigners), latenesses, schedules, fc.boolean()] as const),
        async (input, { assigner, windowsOf }, lateness, schedule, purging) => {
          const latenessMs = assigner === always.assigner ? 0 : lateness;
          const windowing: Windowing = { windowsOf, latenessMs, purging, rule: () => rule(latenessMs) };
          await checkWindows(input, schedule, { assigner, trigger: purging ? triggers.purging(trigger) : trigger }, windowing);
        },
      ),
      { numRuns: 60 },
    );
  });
}
