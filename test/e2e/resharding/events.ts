/** What is put into the stream, and what a job must make of it: computed from what was put, and nothing else. */
import type { Results } from "../scenario.ts";

export interface Event {
  /** The partition key too. */
  readonly key: string;
  /** 1, 2, 3, … of the key. */
  readonly n: number;
  /** Epoch ms. */
  readonly at: number;
}

export const windowMs = 10_000;

const keys = 200;
const startAt = Date.UTC(2025, 2, 3, 8);

export function makeEvents(count: number, perSecond: number): readonly Event[] {
  return Array.from({ length: count }, (_, n) => ({
    key: `key-${n % keys}`,
    n: Math.floor(n / keys) + 1,
    at: startAt + Math.floor((n * 1_000) / perSecond),
  }));
}

/** A day later, for every shard: all windows close but those of these events. */
export function closing(): readonly Event[] {
  return Array.from({ length: 400 }, (_, n) => ({ key: `closing-${n}`, n: 1, at: startAt + 24 * 3_600_000 }));
}

/** By key and window, one line each. */
export function countsOf(events: readonly Event[]): readonly string[] {
  const counts = new Map<string, { key: string; n: number; start: number }>();
  for (const { key, at } of events) {
    const start = Math.floor(at / windowMs) * windowMs;
    const name = `${key} ${start}`;
    const row = counts.get(name) ?? { key, n: 0, start };
    row.n++;
    counts.set(name, row);
  }
  return [...counts.values()].map((row) => JSON.stringify(row)).sort();
}

export function expectedOf(events: readonly Event[]): Results {
  return { counts: countsOf(events), breaks: [], deadLetters: [] };
}
