/** The events of the counting benchmarks: the same objects for the engine and for the baseline. Imports nothing. */
export interface Event {
  readonly key: string;
  /** Epoch ms. */
  readonly at: number;
}

/** Whole numbers in [0, below). Deterministic. */
function randomNumbers(): (below: number) => number {
  let state = 12_345;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0; // mulberry32, a public-domain generator
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const start = Date.UTC(2026, 0, 1);

/** `count` events over `keys` keys at 10,000 a second of event time, out of order by up to 2 s. Deterministic. */
export function* generateEvents(count: number, keys: number): Generator<Event, void, void> {
  const random = randomNumbers();
  for (let i = 0; i < count; i++) yield { key: `user-${random(keys)}`, at: start + Math.floor(i / 10) + random(2_000) };
}

export function makeEvents(count: number, keys: number): readonly Event[] {
  return [...generateEvents(count, keys)];
}

/** Events of few keys, those of one key `apartMs` apart on average, out of order by up to `withinMs`. */
export function scatterEvents(count: number, keys: number, apartMs: number, withinMs: number): readonly Event[] {
  const random = randomNumbers();
  const at = (i: number) => start + Math.floor((i * apartMs) / keys) + random(withinMs);
  return Array.from({ length: count }, (_, i) => ({ key: `user-${random(keys)}`, at: at(i) }));
}

/** Sums rows in any order: equal for equal sets of rows. */
export class Checksum {
  rows = 0;
  private sum = 0;

  add(key: string, start: number, n: number): void {
    let hash = 17;
    for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
    this.sum = (this.sum + Math.imul(hash ^ (start / 1000), n + 7)) | 0;
    this.rows++;
  }

  get text(): string {
    return `${this.rows} rows, ${(this.sum >>> 0).toString(16)}`;
  }
}
