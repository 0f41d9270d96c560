/**
 * The windows of one key under a merging assigner (sessions), and where the state of each is kept. Plain data and pure
 * functions; after Flink's MergingWindowSet.
 *
 * M1 The list is sorted by start; no two of its windows share a millisecond or touch.
 * M2 A merged window keeps one of the state windows it was made of, so that extending a session moves no state. Flink takes any;
 *    here it is the earliest one's, so that the outcome does not depend on a hash order.
 * M3 Adding a window that is inside one of the list, or equal to it, changes nothing: its state window stays too.
 * M4 The added window itself is never among the merged: it had no state and no timer.
 */
import { MillraceError } from "../base/errors.ts";

/** A window [start, end) of the key, and the window under whose name its contents are kept. Epoch ms. */
export interface MergingWindow {
  readonly start: number;
  readonly end: number;
  readonly stateStart: number;
  readonly stateEnd: number;
}

/** What adding a window did. */
export interface AddedWindow {
  /** All windows of the key afterwards; the same list when nothing changed. */
  readonly windows: readonly MergingWindow[];
  /** The window that the added one is or has become part of. Records and triggers belong to it. */
  readonly window: MergingWindow;
  /**
   * Windows of the list that went into `window`: their timers and triggers are to be merged, their cleanup timers deleted.
   * Empty when there was no merge. The first one's state window is `window`'s; the contents of the others' state windows are
   * to be merged into it.
   */
  readonly merged: readonly MergingWindow[];
  readonly changed: boolean;
}

const none: readonly MergingWindow[] = [];

/** Adds [start, end) to a key's windows and merges what it touches. */
export function addWindow(windows: readonly MergingWindow[], start: number, end: number): AddedWindow {
  const size = windows.length;
  let from = 0;
  while (from < size && windows[from]!.end < start) from++;
  const first = windows[from];
  if (first === undefined || first.start > end) return insertWindow(windows, from, start, end);
  if (first.start <= start && first.end >= end) return { windows, window: first, merged: none, changed: false };

  let to = from + 1;
  while (to < size && windows[to]!.start <= end) to++;
  return mergeWindows(windows, from, to, start, end);
}

function insertWindow(windows: readonly MergingWindow[], at: number, start: number, end: number): AddedWindow {
  const window = { start, end, stateStart: start, stateEnd: end };
  const after = windows.length === 0 ? [window] : windows.toSpliced(at, 0, window);
  return { windows: after, window, merged: none, changed: true };
}

function mergeWindows(windows: readonly MergingWindow[], from: number, to: number, start: number, end: number): AddedWindow {
  const merged = windows.slice(from, to);
  const first = merged[0]!;
  const window = {
    start: Math.min(first.start, start),
    end: Math.max(merged[merged.length - 1]!.end, end),
    stateStart: first.stateStart,
    stateEnd: first.stateEnd,
  };
  const after = windows.length === 1 ? [window] : windows.toSpliced(from, to - from, window);
  return { windows: after, window, merged, changed: true };
}

/** The key's windows without [start, end): it is over. Throws `internal` when it is not among them. */
export function retireWindow(windows: readonly MergingWindow[], start: number, end: number): readonly MergingWindow[] {
  const at = windows.findIndex((window) => window.start === start && window.end === end);
  if (at < 0) throw new MillraceError("internal", `window to retire is not in flight: [${start}, ${end})`);
  return windows.length === 1 ? none : windows.toSpliced(at, 1);
}

/** The entry of [start, end), or undefined: it was merged away or retired. */
export function findWindow(windows: readonly MergingWindow[], start: number, end: number): MergingWindow | undefined {
  return windows.find((window) => window.start === start && window.end === end);
}
