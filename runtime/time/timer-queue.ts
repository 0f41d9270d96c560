/**
 * The schedule of rows that have timers, for one time domain of one operator, in memory. It owns no timers: a row knows its own,
 * and stands here once, at the earliest of them.
 *
 * Q1 An entry is valid when `row.queuedAt` is its bucket's time; any other is stale and skipped. Only the queue writes
 *    `queuedAt`.
 * Q2 Rows come out by (timestamp, compare), however and in whatever order they were scheduled.
 * Q3 A row is queued again lazily: one whose earliest timer has moved on since (it was deleted) is moved when it is met.
 * Q4 Stale entries never outnumber the valid ones by more than a constant, in each bucket and in the heap.
 *
 * Windows put very many rows at few timestamps, so rows stand in one bucket per timestamp, and only the distinct timestamps
 * are in a heap.
 */
import { sortByHash } from "./canonical-order.ts";
import { NumberHeap } from "./number-heap.ts";

/** A row with timers. */
export interface Scheduled {
  /** Where the row stands in the queue, epoch ms; Infinity when it does not. Begins as Infinity, then the queue's alone. */
  queuedAt: number;
  /** The row's earliest timer now; Infinity when it has none. */
  earliest(): number;
}

/** The rows due at one timestamp, in canonical order. */
export interface DueRows<R> {
  readonly at: number;
  readonly rows: readonly R[];
}

interface Bucket<R> {
  readonly at: number;
  readonly rows: R[];
  /** Rows whose `queuedAt` is `at`. */
  valid: number;
}

/** Below this many stale entries tidying is not worth its while. */
const staleAllowed = 16;

export class TimerQueue<R extends Scheduled> {
  readonly #compare: (a: R, b: R) => number;
  readonly #hashOf: ((row: R) => number) | undefined;
  readonly #buckets = new Map<number, Bucket<R>>();
  /** Every bucket's time, and times whose buckets are gone. */
  readonly #times = new NumberHeap();
  /** The bucket that took the last row: successive rows mostly share a timestamp. */
  #last: Bucket<R> | undefined;
  #size = 0;

  /**
   * `compare` orders rows of one timestamp: by hash, then by key; it must not find two rows equal. With `hashOf`, that same
   * 32-bit hash, many rows are sorted some times faster, in the same order.
   */
  constructor(compare: (a: R, b: R) => number, hashOf?: (row: R) => number) {
    this.#compare = compare;
    this.#hashOf = hashOf;
  }

  /** How many rows are queued. */
  get size(): number {
    return this.#size;
  }

  /** What is held in memory, stale entries included. */
  footprint(): { entries: number; times: number } {
    let entries = 0;
    for (const bucket of this.#buckets.values()) entries += bucket.rows.length;
    return { entries, times: this.#times.size };
  }

  /** Queues the row at `at` unless it stands there or earlier already. An infinite `at` is no timer. */
  schedule(row: R, at: number): void {
    if (!(at < row.queuedAt)) return;
    if (row.queuedAt !== Number.POSITIVE_INFINITY) this.#forgetEntry(row);
    row.queuedAt = at;
    this.#size++;
    const bucket = this.#bucketAt(at);
    bucket.rows.push(row);
    bucket.valid++;
  }

  /** Takes the row out: it was evicted, or has no timers left. */
  remove(row: R): void {
    if (row.queuedAt === Number.POSITIVE_INFINITY) return;
    this.#forgetEntry(row);
    row.queuedAt = Number.POSITIVE_INFINITY;
  }

  /** Takes all these rows out. */
  removeAll(rows: Iterable<R>): void {
    for (const row of rows) this.remove(row);
  }

  /**
   * The earliest time at which a row stands, Infinity when none does. A lower bound of the earliest timer: exact unless
   * that row's timer was deleted since.
   */
  peek(): number {
    for (;;) {
      const at = this.#times.peek();
      if (at === Number.POSITIVE_INFINITY || this.#buckets.has(at)) return at;
      this.#times.pop();
    }
  }

  /**
   * Takes out the rows of the earliest timestamp that is not after `upTo`, or undefined when there is none. To be called again
   * until then, since firing may schedule more. Whoever fires a row schedules it again at its next timer.
   */
  popDue(upTo: number): DueRows<R> | undefined {
    for (;;) {
      const at = this.peek();
      if (at > upTo || at === Number.POSITIVE_INFINITY) return undefined;
      const rows = this.#take(at);
      if (rows.length > 0) return { at, rows };
    }
  }

  /** Empties the earliest bucket; rows that have no timer there go to where their next one is. */
  #take(at: number): R[] {
    this.#times.pop();
    const bucket = this.#buckets.get(at)!;
    this.#drop(bucket);
    const due: R[] = [];
    for (const row of bucket.rows) {
      if (row.queuedAt !== at) continue;
      row.queuedAt = Number.POSITIVE_INFINITY;
      this.#size--;
      const earliest = row.earliest();
      if (earliest > at) this.schedule(row, earliest);
      else due.push(row);
    }
    return this.#hashOf === undefined ? due.sort(this.#compare) : sortByHash(due, this.#hashOf, this.#compare);
  }

  #bucketAt(at: number): Bucket<R> {
    if (this.#last?.at === at) return this.#last;
    let bucket = this.#buckets.get(at);
    if (bucket === undefined) {
      bucket = { at, rows: [], valid: 0 };
      this.#buckets.set(at, bucket);
      this.#times.push(at);
      this.#tidyTimes();
    }
    return (this.#last = bucket);
  }

  /** Makes the row's entry stale. */
  #forgetEntry(row: R): void {
    const bucket = this.#buckets.get(row.queuedAt)!;
    bucket.valid--;
    this.#size--;
    if (bucket.valid === 0) this.#drop(bucket);
    else if (bucket.rows.length > 2 * bucket.valid + staleAllowed) compact(bucket);
  }

  #drop(bucket: Bucket<R>): void {
    this.#buckets.delete(bucket.at);
    if (this.#last === bucket) this.#last = undefined;
  }

  #tidyTimes(): void {
    if (this.#times.size > 2 * this.#buckets.size + staleAllowed) this.#times.reset(this.#buckets.keys());
  }
}

/** Leaves one entry of each valid row: a row that left and came back has two that look valid. */
function compact<R extends Scheduled>(bucket: Bucket<R>): void {
  const { at, rows } = bucket;
  let kept = 0;
  for (const row of rows) {
    if (row.queuedAt !== at) continue;
    row.queuedAt = Number.NaN;
    rows[kept++] = row;
  }
  rows.length = kept;
  for (const row of rows) row.queuedAt = at;
}
