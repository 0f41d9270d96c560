/**
 * Windows as an author names them: which windows a record belongs to. Declarations alone; the assigners that carry them out are
 * operators' (operators/window/assigner.ts). After Flink's window assigners.
 */
import type { Duration } from "./duration.ts";

declare const brand: unique symbol;

export interface Window {
  readonly maxTimestamp: number;
}
/** [start, end), epoch ms. */
export interface TimeWindow extends Window {
  readonly start: number;
  readonly end: number;
}

/** The time that windows go by: the records' timestamps and watermarks, or the clock. */
export type WindowTime = "event" | "processing";

export interface WindowOptions {
  /** Shifts the windows' edges; it must be less than the size, or than the slide. */
  offset?: Duration;
  /** Default "event". */
  time?: WindowTime;
}

/** The day on which a calendar week begins. */
export type WeekStart = "monday" | "saturday" | "sunday";

export interface CalendarOptions {
  /** Of the IANA database, such as "Europe/Berlin". */
  timeZone: string;
  /** Default "event". */
  time?: WindowTime;
}

/** What the engine knows of an assigner. `time` is undefined where windows go by no time. */
export type WindowAssignerSpec =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs: number; readonly time: WindowTime }
  | {
      readonly kind: "sliding";
      readonly sizeMs: number;
      readonly slideMs: number;
      readonly offsetMs: number;
      readonly time: WindowTime;
    }
  | {
      readonly kind: "cumulating";
      readonly stepMs: number;
      readonly sizeMs: number;
      readonly offsetMs: number;
      readonly time: WindowTime;
    }
  | { readonly kind: "session"; readonly gap: number | ((value: any) => number); readonly time: WindowTime }
  | { readonly kind: "calendarDays"; readonly timeZone: string; readonly time: WindowTime }
  | { readonly kind: "calendarWeeks"; readonly timeZone: string; readonly startsOn: WeekStart; readonly time: WindowTime }
  | { readonly kind: "global"; readonly time: undefined }
  | { readonly kind: "count"; readonly size: number; readonly slide: number | undefined; readonly time: undefined };

export interface WindowAssigner<in T, out W extends Window> {
  readonly spec: WindowAssignerSpec;
  readonly [brand]?: (value: T) => W;
}

/** Windows of fixed size, side by side, aligned to the epoch plus offset (Flink's TumblingEventTimeWindows). */
export function tumbling(size: Duration, options: WindowOptions = {}): WindowAssigner<unknown, TimeWindow> {
  return { spec: { kind: "tumbling", sizeMs: size, ...gridOptions(options) } };
}

/**
 * Windows of `size`, one every `slide`, aligned to the epoch plus offset: a record belongs to each that holds it, to none when the
 * slide is longer than the size and it falls between two (Flink's SlidingEventTimeWindows).
 */
export function sliding(size: Duration, slide: Duration, options: WindowOptions = {}): WindowAssigner<unknown, TimeWindow> {
  return { spec: { kind: "sliding", sizeMs: size, slideMs: slide, ...gridOptions(options) } };
}

/**
 * Windows that begin every `size` and end every `step`, up to `size` long: results on the way to the whole (Flink's CUMULATE).
 * `size` must be a multiple of `step`.
 */
export function cumulating(step: Duration, size: Duration, options: WindowOptions = {}): WindowAssigner<unknown, TimeWindow> {
  return { spec: { kind: "cumulating", stepMs: step, sizeMs: size, ...gridOptions(options) } };
}

/**
 * Windows of activity, closed by `gap` without a record; they merge, also when they only touch (Flink's EventTimeSessionWindows).
 * A gap that a function gives for a record must be whole milliseconds above 0, else the record goes to the dead letters.
 */
export function session<T = unknown>(
  gap: Duration | ((value: T) => Duration),
  options: Pick<WindowOptions, "time"> = {},
): WindowAssigner<T, TimeWindow> {
  return { spec: { kind: "session", gap, time: options.time ?? "event" } };
}

/** The days of a time zone's calendar, from midnight to midnight: of 23, 24 or 25 hours, as its clocks are set. */
export function calendarDays({ timeZone, time = "event" }: CalendarOptions): WindowAssigner<unknown, TimeWindow> {
  return { spec: { kind: "calendarDays", timeZone, time } };
}

/** The weeks of a time zone's calendar, from midnight of their first day (default: Monday). */
export function calendarWeeks(options: CalendarOptions & { startsOn?: WeekStart }): WindowAssigner<unknown, TimeWindow> {
  const { timeZone, time = "event", startsOn = "monday" } = options;
  return { spec: { kind: "calendarWeeks", timeZone, startsOn, time } };
}

/** One window for all time. It never fires by itself, so it needs a trigger (Flink's GlobalWindows). */
export function globalWindow(): WindowAssigner<unknown, Window> {
  return { spec: { kind: "global", time: undefined } };
}

/**
 * Fires for every `size` records of a key, and begins anew; with `slide`, for every `slide` records over the last `size`
 * (Flink's countWindow: a global window with a count trigger, that purges, or with a count evictor).
 */
export function countWindow(size: number, slide?: number): WindowAssigner<unknown, Window> {
  return { spec: { kind: "count", size, slide, time: undefined } };
}

function gridOptions({ offset, time = "event" }: WindowOptions): { readonly offsetMs: number; readonly time: WindowTime } {
  return { offsetMs: offset ?? 0, time };
}
