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
