/** Every evictor, before the results and after, where windows fire once, more often, late, and where they merge. */
import { test } from "node:test";
import fc from "fast-check";
import {
  evictors,
  globalWindow,
  millis,
  session,
  triggers,
  tumbling,
  type Evictor,
  type Trigger,
} from "../../../runtime/index.ts";
import { schedules } from "../schedule.ts";
import { checkWindows, type Subject } from "./check-windows.ts";
import { events, latenesses } from "./inputs.ts";
import type { Event, Windowing } from "./oracle.ts";
import { count } from "./trigger-oracles.ts";

/** In whole seconds, so that it often is the threshold. */
const distance = (e: Event, last: Event) => Math.floor(Math.abs(last.at - e.at) / 1_000);

interface Evicting {
  readonly evictor: (options: { after: boolean }) => Evictor<Event>;
  readonly evict: (all: readonly Event[]) => readonly Event[];
}

const kinds: Readonly<Record<string, Evicting>> = {
  count: { evictor: (options) => evictors.count(2, options), evict: (all) => all.slice(-2) },
  time: {
    evictor: (options) => evictors.time(millis(1_500), options),
    evict: (all) => all.filter(({ at }) => at > Math.max(...all.map((e) => e.at)) - 1_500),
  },
  "time of no length": { evictor: (options) => evictors.time(millis(0), options), evict: () => [] },
  delta: {
    evictor: (options) => evictors.delta<Event>(1, distance, options),
    evict: (all) => all.filter((e) => distance(e, all.at(-1)!) < 1),
  },
};

interface Windows {
  readonly subject: Pick<Subject, "assigner"> & { readonly trigger?: Trigger<any, any> };
  readonly windowing: Windowing;
}

const windows = fc.constantFrom<Windows>(
  {
    subject: { assigner: tumbling(millis(7_000)) },
    windowing: { windowsOf: (at) => [[Math.floor(at / 7_000) * 7_000, Math.floor(at / 7_000) * 7_000 + 7_000]] },
  },
  {
    subject: { assigner: session(millis(4_000)) },
    windowing: { windowsOf: (at) => [[at, at + 4_000]], merging: true },
  },
  {
    subject: { assigner: globalWindow(), trigger: triggers.count(2) },
    windowing: { windowsOf: () => [[-Infinity, Infinity]], rule: () => count(2) },
  },
);

for (const [name, { evictor, evict }] of Object.entries(kinds))
  test(`the ${name} evictor, before and after`, async () => {
    const folds = fc.constantFrom("apply", "reduce", "aggregate" as const);
    await fc.assert(
      fc.asyncProperty(
        ...([events, windows, latenesses, schedules, fc.boolean(), folds] as const),
        async (input, { subject, windowing }, lateness, schedule, after, fold) => {
          const latenessMs = subject.trigger === undefined ? lateness : 0;
          await checkWindows(
            input,
            schedule,
            { ...subject, evictor: evictor({ after }), fold },
            { ...windowing, latenessMs, evict, evictAfter: after },
          );
        },
      ),
      { numRuns: 80 },
    );
  });
