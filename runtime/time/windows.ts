/**
 * The arithmetic of windows: which windows a timestamp belongs to, and when a window is over. Half-open [start, end), whole
 * epoch milliseconds, negative ones too. After Flink's TimeWindow, its assigners, and WindowOperator's rules of lateness.
 */
import type { TimeWindow } from "../api/windows.ts";
import { globalNamespace } from "../state/namespace.ts";

/**
 * The largest time: where cleanup times are clamped, and the maxTimestamp of a global window (Flink: Long.MAX_VALUE). A finite
 * number, so that every format stores it and a timer can stand at it: it fires with the final watermark only.
 */
export const largestTime = Number.MAX_SAFE_INTEGER;

/** The one window for all time; no other is equal to it. (Flink's GlobalWindow) */
export const globalWindow: TimeWindow = { ...globalNamespace, maxTimestamp: largestTime };

/** The window [start, end); its last millisecond is `maxTimestamp`. */
export function timeWindow(start: number, end: number): TimeWindow {
  return { start, end, maxTimestamp: end - 1 };
}

/**
 * The start of the window of `size` ms that holds `timestamp`, windows being shifted by `offset` from the epoch. Any offset
 * will do; assigners refuse |offset| >= size. (Flink's TimeWindow.getWindowStartWithOffset)
 *
 * Exact while |timestamp − offset| stays below 2^53, see `floorToGrid`.
 */
export function tumblingStart(timestamp: number, offset: number, size: number): number {
  return Math.floor((timestamp - offset) / size) * size + offset;
}

/** The windows of `size` ms, one every `slide` ms, that hold `timestamp`; the latest first, as in Flink's SlidingEventTimeWindows. */
export function slidingWindows(timestamp: number, offset: number, size: number, slide: number): TimeWindow[] {
  const windows: TimeWindow[] = [];
  for (let start = tumblingStart(timestamp, offset, slide); start > timestamp - size; start -= slide) {
    windows.push(timeWindow(start, start + size));
  }
  return windows;
}

/** The windows that begin every `size` ms, end every `step` and hold `timestamp`; the shortest first, as in Flink's CumulativeWindowAssigner. */
export function cumulativeWindows(timestamp: number, offset: number, step: number, size: number): TimeWindow[] {
  const start = tumblingStart(timestamp, offset, size);
  const windows: TimeWindow[] = [];
  for (let end = tumblingStart(timestamp, offset, step) + step; end <= start + size; end += step)
    windows.push(timeWindow(start, end));
  return windows;
}

/** Whether two windows merge: they share a millisecond or only touch. (Flink's TimeWindow.intersects) */
export function windowsIntersect(a: { start: number; end: number }, b: { start: number; end: number }): boolean {
  return a.start <= b.end && a.end >= b.start;
}

/** The smallest window that covers both. */
export function coverWindows(a: { start: number; end: number }, b: { start: number; end: number }): TimeWindow {
  return timeWindow(Math.min(a.start, b.start), Math.max(a.end, b.end));
}

/**
 * When a window's state is dropped: `maxTimestamp + lateness`, at most `largestTime`. At `largestTime` no cleanup timer is
 * needed. For processing-time windows the lateness is 0.
 */
export function cleanupTime(maxTimestamp: number, lateness: number): number {
  return Math.min(maxTimestamp + lateness, largestTime);
}

/** Whether an event-time window is over: its cleanup time has passed. For merging windows judged after merging. */
export function isWindowLate(maxTimestamp: number, lateness: number, watermark: number): boolean {
  return cleanupTime(maxTimestamp, lateness) <= watermark;
}
