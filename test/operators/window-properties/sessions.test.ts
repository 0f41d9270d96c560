/** Windows that merge, with every trigger that does: the oracle's, however records were batched. */
import { test } from "node:test";
import fc from "fast-check";
import { millis, session, triggers, type Trigger } from "../../../runtime/index.ts";
import { schedules } from "../schedule.ts";
import { checkWindows, folds } from "./check-windows.ts";
import { events, latenesses } from "./inputs.ts";
import type { Event, Rule, Windowing } from "./oracle.ts";
import { continuousEventTime, count, weighed } from "./trigger-oracles.ts";
import { weighedTrigger } from "./weighed-trigger.ts";

const gap = 4_000;
const staticGap = { assigner: session(millis(gap)), windowsOf: (at: number) => [[at, at + gap] as const] };
const dynamicGap = {
  assigner: session<Event>((e) => millis(e.gap)),
  windowsOf: (at: number, e: Event) => [[at, at + e.gap] as const],
};
const gaps = fc.constantFrom(staticGap, dynamicGap);

for (const fold of folds.filter((name) => name !== "aggregate"))
  test(`sessions of a static and a dynamic gap, ${fold}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        ...([events, gaps, latenesses, schedules, fc.boolean()] as const),
        async (input, { assigner, windowsOf }, latenessMs, schedule, countsLate) =>
          checkWindows(input, schedule, { assigner, fold, countsLate }, { windowsOf, latenessMs, merging: true }),
      ),
      { numRuns: 60 },
    );
  });

type Triggered = { readonly trigger: Trigger<any, any>; readonly rule: (latenessMs: number) => (() => Rule) | undefined };

const merging: Readonly<Record<string, Triggered>> = {
  "event time": { trigger: triggers.eventTime(), rule: () => undefined },
  count: { trigger: triggers.count(3), rule: () => () => count(3) },
  "continuous event time": {
    trigger: triggers.continuousEventTime(millis(1_500)),
    rule: () => () => continuousEventTime(1_500),
  },
  custom: { trigger: weighedTrigger(2_200), rule: (latenessMs) => () => weighed(2_200, latenessMs) },
};

for (const [name, { trigger, rule }] of Object.entries(merging))
  test(`sessions with a ${name} trigger, plain and purging`, async () => {
    await fc.assert(
      fc.asyncProperty(
        ...([events, gaps, latenesses, schedules, fc.boolean()] as const),
        async (input, { assigner, windowsOf }, latenessMs, schedule, purging) => {
          const own = rule(latenessMs);
          const windowing: Windowing = { windowsOf, latenessMs, merging: true, purging, ...(own && { rule: own }) };
          await checkWindows(input, schedule, { assigner, trigger: purging ? triggers.purging(trigger) : trigger }, windowing);
        },
      ),
      { numRuns: 60 },
    );
  });
