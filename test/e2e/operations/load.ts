/**
 * What is put while a job is operated, and what must come of it: computed from what was put, and nothing else.
 *
 * Steady keys all the time, fragile ones until they are held back: a deployment that breaks, breaks on these.
 */
import type { Results } from "../scenario.ts";
import { countsOf, type Event } from "../resharding/events.ts";

const steadyKeys = 190;
const fragileKeys = 10;
const startAt = Date.UTC(2025, 2, 3, 8);

export class Load {
  readonly events: Event[] = [];
  readonly #perSecond: number;
  readonly #numbers = new Map<string, number>();
  holdsFragile = false;
  #stopped = false;
  #drawn = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Until `stop`; undefined then. */
  next(sliceMs: number): readonly Event[] | undefined {
    if (this.#stopped) return undefined;
    const count = Math.round((this.#perSecond * sliceMs) / 1_000);
    const slice = Array.from({ length: count }, () => this.#draw()).filter((event) => event !== undefined);
    this.events.push(...slice);
    return slice;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** A day later, for every shard: all windows close but those of these events. */
  close(): readonly Event[] {
    return Array.from({ length: 400 }, (_, n) => ({ key: `closing-${n}`, n: 1, at: startAt + 24 * 3_600_000 }));
  }

  #draw(): Event | undefined {
    const drawn = this.#drawn++;
    const place = drawn % (steadyKeys + fragileKeys);
    if (place >= steadyKeys && this.holdsFragile) return undefined;
    const key = place < steadyKeys ? `key-${place}` : `fragile-${place - steadyKeys}`;
    const n = (this.#numbers.get(key) ?? 0) + 1;
    this.#numbers.set(key, n);
    return { key, n, at: startAt + Math.floor((drawn * 1_000) / this.#perSecond) };
  }
}

export function isFragile(key: string): boolean {
  return key.startsWith("fragile-");
}

/** Every event counted in its window, and every fragile one behind the one before it. */
export function expectedOf(events: readonly Event[]): Results {
  return { counts: countsOf(events), rows: rowsOf(events) };
}

export function rowsOf(events: readonly Event[]): readonly string[] {
  return events
    .filter(({ key }) => isFragile(key))
    .map(({ key, n }) => JSON.stringify({ after: n - 1, key, n }))
    .sort();
}

/**
 * Results of a job as they are compared: a late event belongs to the count of its window, which has been put out without it. Two counts of
 * one window stay two.
 */
export function withLate({ counts = [], rows = [], late = [] }: Results): Results {
  const found = counts.map((line) => JSON.parse(line) as { key: string; n: number; start: number });
  for (const line of late) {
    const event = JSON.parse(line) as Event;
    const { start } = JSON.parse(countsOf([event])[0]!) as { start: number };
    const row = found.find((known) => known.key === event.key && known.start === start);
    if (row === undefined) found.push({ key: event.key, n: 1, start });
    else row.n++;
  }
  return { counts: found.map((row) => JSON.stringify(row)).sort(), rows: [...rows].sort() };
}

/** All lines of both. */
export function together(a: Results, b: Results): Results {
  return Object.fromEntries(Object.keys({ ...a, ...b }).map((name) => [name, [...(a[name] ?? []), ...(b[name] ?? [])]]));
}
