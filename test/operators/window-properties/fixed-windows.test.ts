/** Windows of which time alone decides: what they give does not depend on how records were batched, crashed, restored, rescaled. */
import { test } from "node:test";
import fc from "fast-check";
import {
  calendarDays,
  calendarWeeks,
  cumulating,
  millis,
  sliding,
  tumbling,
  type TimeWindow,
  type WindowAssigner,
} from "../../../runtime/index.ts";
import { schedules } from "../schedule.ts";
import { checkWindows, folds } from "./check-windows.ts";
import { days, events, latenesses } from "./inputs.ts";
import type { Pair } from "./oracle.ts";

interface Kind {
  readonly assigner: WindowAssigner<unknown, TimeWindow>;
  readonly windowsOf: (at: number) => readonly Pair[];
}

/** All windows of these starts and this size that hold the time, by trying every start. */
function holding(at: number, isStart: (time: number) => boolean, size: number): Pair[] {
  const found: Pair[] = [];
  for (let start = at; start > at - size; start--) if (isStart(start)) found.push([start, start + size]);
  return found;
}

const isMultiple = (n: number, of: number) => ((n % of) + of) % of === 0;

const kinds: Readonly<Record<string, fc.Arbitrary<Kind>>> = {
  tumbling: fc.tuple(fc.constantFrom(3_000, 7_500), fc.constantFrom(0, 0, -500, 37, 2_000)).map(([size, offset]) => ({
    assigner: tumbling(millis(size), { offset: millis(offset) }),
    windowsOf: (at) => holding(at, (start) => isMultiple(start - offset, size), size),
  })),
  sliding: fc
    .tuple(fc.constantFrom(4_000, 6_000, 7_000), fc.constantFrom(1_000, 2_000, 3_500, 9_000), fc.constantFrom(0, 0, -500, 37))
    .map(([size, slide, offset]) => ({
      assigner: sliding(millis(size), millis(slide), { offset: millis(offset) }),
      windowsOf: (at) => holding(at, (start) => isMultiple(start - offset, slide), size),
    })),
  cumulating: fc
    .tuple(fc.constantFrom(1_000, 2_500), fc.constantFrom(2, 4), fc.constantFrom(0, 0, 500, 37))
    .map(([step, n, offset]) => ({
      assigner: cumulating(millis(step), millis(step * n), { offset: millis(offset) }),
      windowsOf: (at) => {
        const [[start]] = holding(at, (from) => isMultiple(from - offset, step * n), step * n) as [Pair];
        const ends = Array.from({ length: n }, (_, i) => start + (i + 1) * step);
        return ends.filter((end) => end > at).map((end) => [start, end] as const);
      },
    })),
};

for (const [name, kind] of Object.entries(kinds))
  for (const fold of folds)
    test(`${name} windows, ${fold}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          ...([events, kind, latenesses, schedules, fc.boolean()] as const),
          async (input, { assigner, windowsOf }, latenessMs, schedule, countsLate) =>
            checkWindows(input, schedule, { assigner, fold, countsLate }, { windowsOf, latenessMs }),
        ),
        { numRuns: 30 },
      );
    });

const hourMs = 3_600_000;

/** The hours around a time at which the zone's clocks show the same, as a function tells what is the same. */
function around(at: number, shows: (at: number) => string): Pair {
  let [start, end] = [Math.floor(at / hourMs) * hourMs, Math.floor(at / hourMs + 1) * hourMs];
  while (shows(start - 1) === shows(at)) start -= hourMs;
  while (shows(end) === shows(at)) end += hourMs;
  return [start, end];
}

/** The date that clocks show. */
function dateIn(timeZone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" });
  return (at) => format.format(at);
}

/** The date of the last such weekday that clocks have shown. */
function weekIn(timeZone: string, firstDay: number): (at: number) => string {
  const date = dateIn(timeZone);
  return (at) => {
    const shown = Date.parse(date(at)); // as if it were UTC
    const since = (new Date(shown).getUTCDay() - firstDay + 7) % 7;
    return new Date(shown - since * 24 * hourMs).toISOString();
  };
}

const calendars: readonly (readonly [what: string, from: string, kind: () => Kind])[] = [
  ["days as clocks go forward", "2024-03-29T00:00Z", () => daysIn("Europe/Berlin")],
  ["days as clocks go back", "2024-11-01T00:00Z", () => daysIn("America/New_York")],
  ["days that begin at one o'clock", "2018-11-02T00:00Z", () => daysIn("America/Sao_Paulo")],
  ["weeks as clocks go forward", "2024-03-29T00:00Z", () => weeksIn("Europe/Berlin", "monday", 1)],
  ["weeks as clocks go back", "2024-11-01T00:00Z", () => weeksIn("America/New_York", "sunday", 0)],
];

function daysIn(timeZone: string): Kind {
  const date = dateIn(timeZone);
  return { assigner: calendarDays({ timeZone }), windowsOf: (at) => [around(at, date)] };
}

function weeksIn(timeZone: string, startsOn: "monday" | "sunday", firstDay: number): Kind {
  const week = weekIn(timeZone, firstDay);
  return { assigner: calendarWeeks({ timeZone, startsOn }), windowsOf: (at) => [around(at, week)] };
}

for (const [what, from, kind] of calendars)
  test(`calendar ${what}`, async () => {
    const { assigner, windowsOf } = kind();
    const lengths = fc.constantFrom(0, 5 * hourMs, 48 * hourMs);
    await fc.assert(
      fc.asyncProperty(days(from, 5), lengths, schedules, fc.constantFrom(...folds), async (input, latenessMs, schedule, fold) =>
        checkWindows(input, schedule, { assigner, fold }, { windowsOf, latenessMs, boundMs: 12 * hourMs }),
      ),
      { numRuns: 15 },
    );
  });
