/**
 * The same results from the same events in plain JavaScript: no engine, no durability, no order of time. What a good programmer
 * would write for a finished list. Imports nothing of the engine.
 */
import { Checksum, type Event } from "./events.ts";

/** Count per key and minute. */
export function tumblingCounts(events: Iterable<Event>): Checksum {
  const windows = new Map<number, Map<string, number>>();
  for (const { key, at } of events) {
    const start = Math.floor(at / 60_000) * 60_000;
    let counts = windows.get(start);
    if (counts === undefined) windows.set(start, (counts = new Map()));
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const result = new Checksum();
  for (const [start, counts] of windows) for (const [key, n] of counts) result.add(key, start, n);
  return result;
}

/** Count per key and window of `size` every `slide`, of which `size` is a multiple: the counts of slides, added up. */
export function slidingCounts(events: Iterable<Event>, size: number, slide: number): Checksum {
  const slides = new Map<string, Map<number, number>>();
  for (const { key, at } of events) {
    const start = Math.floor(at / slide) * slide;
    let counts = slides.get(key);
    if (counts === undefined) slides.set(key, (counts = new Map()));
    counts.set(start, (counts.get(start) ?? 0) + 1);
  }
  const result = new Checksum();
  for (const [key, counts] of slides) {
    const windows = new Map<number, number>();
    for (const [start, n] of counts)
      for (let window = start; window > start - size; window -= slide) windows.set(window, (windows.get(window) ?? 0) + n);
    for (const [window, n] of windows) result.add(key, window, n);
  }
  return result;
}

interface Session {
  start: number;
  end: number;
  n: number;
}

/** Count per key and session: records less than `gap` apart, or exactly, belong together. */
export function sessionCounts(events: Iterable<Event>, gap: number): Checksum {
  const sessions = new Map<string, Session[]>();
  for (const { key, at } of events) {
    const list = sessions.get(key);
    if (list === undefined) sessions.set(key, [{ start: at, end: at + gap, n: 1 }]);
    else join(list, at, at + gap);
  }
  const result = new Checksum();
  for (const [key, list] of sessions) for (const { start, n } of list) result.add(key, start, n);
  return result;
}

function join(list: Session[], start: number, end: number): void {
  let into: Session | undefined;
  for (let i = 0; i < list.length; i++) {
    const session = list[i]!;
    if (session.start > end || session.end < start) continue;
    if (into === undefined) {
      into = session;
      into.start = Math.min(into.start, start);
      into.end = Math.max(into.end, end);
      into.n++;
    } else {
      into.start = Math.min(into.start, session.start);
      into.end = Math.max(into.end, session.end);
      into.n += session.n;
      list.splice(i--, 1);
    }
  }
  if (into === undefined) list.push({ start, end, n: 1 });
}
