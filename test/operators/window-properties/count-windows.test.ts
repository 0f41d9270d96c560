/** Windows of so many records, and windows of a whole stream: the oracle's. */
import { test } from "node:test";
import fc from "fast-check";
import { countWindow, globalWindow, millis, session, sliding, triggers, tumbling } from "../../../runtime/index.ts";
import { schedules } from "../schedule.ts";
import { checkWindows, type Fold } from "./check-windows.ts";
import { events, latenesses } from "./inputs.ts";
import type { Pair, Windowing } from "./oracle.ts";
import { count } from "./trigger-oracles.ts";

const always: Pair = [-Infinity, Infinity];
const folds = fc.constantFrom<Fold>("apply", "reduce", "aggregate");

test("count windows, of a key and of all", async () => {
  await fc.assert(
    fc.asyncProperty(
      ...([events, schedules, fc.integer({ min: 1, max: 5 }), folds, fc.boolean()] as const),
      async (input, schedule, size, fold, all) => {
        const windowing: Windowing = { windowsOf: () => [always], rule: () => count(size), purging: true };
        await checkWindows(input, schedule, { assigner: countWindow(size), fold, all }, windowing);
      },
    ),
    { numRuns: 100 },
  );
});

test("count windows that slide, of a key and of all", async () => {
  const sizes = fc.integer({ min: 1, max: 5 });
  await fc.assert(
    fc.asyncProperty(
      ...([events, schedules, sizes, sizes, folds, fc.boolean()] as const),
      async (input, schedule, size, slide, fold, all) => {
        const evict: Windowing["evict"] = (records) => records.slice(-size);
        const windowing: Windowing = { windowsOf: () => [always], rule: () => count(slide), evict };
        await checkWindows(input, schedule, { assigner: countWindow(size, slide), fold, all }, windowing);
      },
    ),
    { numRuns: 100 },
  );
});

test("windows of a whole stream: tumbling, sliding, sessions, all time", async () => {
  const kinds = fc.constantFrom(
    {
      subject: { assigner: tumbling(millis(5_000)) },
      windowing: {
        windowsOf: (at: number): Pair[] => [[Math.floor(at / 5_000) * 5_000, Math.floor(at / 5_000) * 5_000 + 5_000]],
      },
    },
    {
      subject: { assigner: sliding(millis(4_000), millis(2_000)) },
      windowing: {
        windowsOf: (at: number): Pair[] =>
          [0, 2_000].map((back) => Math.floor(at / 2_000) * 2_000 - back).map((start) => [start, start + 4_000]),
      },
    },
    {
      subject: { assigner: session(millis(1_500)) },
      windowing: { windowsOf: (at: number): Pair[] => [[at, at + 1_500]], merging: true },
    },
    {
      subject: { assigner: globalWindow(), trigger: triggers.count(4) },
      windowing: { windowsOf: (): Pair[] => [always], rule: () => count(4) },
    },
  );
  await fc.assert(
    fc.asyncProperty(
      ...([events, kinds, latenesses, schedules, fc.constantFrom<Fold>("apply", "reduce", "merging")] as const),
      async (input, { subject, windowing }, latenessMs, schedule, fold) =>
        checkWindows(input, schedule, { ...subject, fold, all: true }, { ...windowing, latenessMs }),
    ),
    { numRuns: 120 },
  );
});
