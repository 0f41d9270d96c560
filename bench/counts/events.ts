/** The events of the counting benchmarks: the same objects for the engine and for the baseline. Imports nothing. */
const noBytes = new Uint8Array(0);

/** An event as a source gives it to the engine: a record that is decoded already. */
export class Event {
  readonly key: string;
  /** Epoch ms. */
  readonly at: number;
  private readonly index: number;

  constructor(key: string, at: number, index: number) {
    this.key = key;
    this.at = at;
    this.index = index;
  }

  get position(): string {
    return String(this.index + 1);
  }
  get partitionKey(): string {
    return "";
  }
  get arrivalTime(): number {
    return 0;
  }
  get bytes(): Uint8Array {
    return noBytes;
  }
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
  for (let i = 0; i < count; i++) yield new Event(`user-${random(keys)}`, start + Math.floor(i / 10) + random(2_000), i);
}

export function makeEvents(count: number, keys: number): readonly Event[] {
  return [...generateEvents(count, keys)];
}

/** Events of few keys, those of one key `apartMs` apart on average, out of order by up to `withinMs`. */
export function scatterEvents(count: number, keys: number, apartMs: number, withinMs: number): readonly Event[] {
  const random = randomNumbers();
  const at = (i: number) => start + Math.floor((i * apartMs) / keys) + random(withinMs);
  return Array.from({ length: count }, (_, i) => new Event(`user-${random(keys)}`, at(i), i));
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
