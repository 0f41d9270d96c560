/**
 * The days and weeks of a time zone's calendar as windows: [midnight, midnight), of 23, 24 or 25 hours, as its clocks are set.
 *
 * D1 The windows lie side by side: a day begins at the first instant at which the zone's clocks show its date or a later one, and
 *    ends where the next begins. Where clocks go back over midnight, what is shown twice belongs to the day that has begun; a date
 *    that the zone left out (Samoa, 30 December 2011) has no window.
 * D2 Results depend on the arguments and on the platform's table of time zones, never on the machine's own zone.
 */
import type { TimeWindow } from "../api/windows.ts";
import { timeWindow } from "./windows.ts";

const dayMs = 86_400_000;
/** No zone is or was further from UTC, so that its midnight is at most so far from that of UTC. */
const offsetMostMs = 16 * 3_600_000;
/** The ends of what a date can be. */
const farthest = 8.64e15;

/** So many days are kept in mind. */
const startsMax = 10_000;

const calendars = new Map<string, ZoneCalendar>();

/** The zone's calendar, made once: that takes as long as a small batch. Throws a RangeError for a zone that the platform does not know. */
export function calendarOf(timeZone: string): ZoneCalendar {
  let calendar = calendars.get(timeZone);
  if (calendar === undefined) calendars.set(timeZone, (calendar = new ZoneCalendar(timeZone)));
  return calendar;
}

/** 0 is Sunday. 1 January 1970 was a Thursday. */
const epochWeekday = 4;

export class ZoneCalendar {
  private readonly format: Intl.DateTimeFormat;
  /** Where days start: asking for what clocks show takes microseconds. */
  private readonly starts = new Map<number, number>();

  /** Throws a RangeError for a zone that the platform does not know. */
  constructor(timeZone: string) {
    this.format = new Intl.DateTimeFormat("en-US", {
      ...{ timeZone, calendar: "gregory", numberingSystem: "latn", hourCycle: "h23", era: "short" },
      ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" },
    });
  }

  /** The day that holds the instant. */
  dayOf(at: number): TimeWindow {
    const day = this.dayNumber(at);
    return timeWindow(this.startOf(day), this.startOf(day + 1));
  }

  /** The week that holds the instant; `firstDay`: 0 is Sunday. */
  weekOf(at: number, firstDay: number): TimeWindow {
    const day = this.dayNumber(at);
    const first = day - modulo(day + epochWeekday - firstDay, 7);
    return timeWindow(this.startOf(first), this.startOf(first + 7));
  }

  /** Days from 1 January 1970 to that of the instant; by D1 the last one that has begun. */
  private dayNumber(at: number): number {
    let day = Math.floor((at + this.offsetAt(at)) / dayMs);
    while (this.startOf(day + 1) <= at) day++;
    return day;
  }

  private startOf(day: number): number {
    let start = this.starts.get(day);
    if (start !== undefined) return start;
    start = this.computeStart(day);
    if (this.starts.size >= startsMax) this.starts.clear();
    this.starts.set(day, start);
    return start;
  }

  /** The first instant at which the zone's clocks show midnight of the day, or later. */
  private computeStart(day: number): number {
    const midnight = day * dayMs;
    const from = clamp(midnight - offsetMostMs);
    const to = clamp(midnight + offsetMostMs);
    const before = this.offsetAt(from);
    const after = this.offsetAt(to);
    if (before === after) return midnight - before;
    const change = this.changeWithin(from, to, before);
    if (midnight - before < change) return midnight - before;
    return Math.max(midnight - after, change);
  }

  /** The instant in (from, to] at which the offset stops being `before`. */
  private changeWithin(from: number, to: number, before: number): number {
    let last = from;
    let first = to;
    while (first - last > 1) {
      const middle = Math.floor((last + first) / 2);
      if (this.offsetAt(middle) === before) last = middle;
      else first = middle;
    }
    return first;
  }

  /** What the zone's clocks show, less UTC, in ms. */
  private offsetAt(at: number): number {
    const shown: Record<string, number> = {};
    let beforeChrist = false;
    for (const { type, value } of this.format.formatToParts(clamp(at))) {
      if (type === "era") beforeChrist = value.startsWith("B");
      else shown[type] = Number(value);
    }
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
    const date = dayNumberOf(beforeChrist ? 1 - year : year, month, day);
    const seconds = hour * 3_600 + minute * 60 + second;
    return date * dayMs + seconds * 1_000 - Math.floor(clamp(at) / 1_000) * 1_000;
  }
}

function clamp(at: number): number {
  return Math.max(-farthest, Math.min(farthest, at));
}

function modulo(a: number, b: number): number {
  return ((a % b) + b) % b;
}

/** Days from 1 January 1970 to a date of the Gregorian calendar, before its time too. Years count from 1 March, so that a leap day is a year's last. */
function dayNumberOf(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}
