/**
 * The schedule of rows that have timers, for one time domain of one operator, in memory. It owns no timers: a row knows its own,
 * and stands here once, at the earliest of them or before.
 *
 * Q1 An entry is valid when `row.queuedIn` is its bucket; any other is stale and skipped. Only the queue writes `queuedIn`.
 * Q2 Rows come out by (timestamp, compare), however and in whatever order they were scheduled.
 * Q3 A row is queued again lazily: one whose earliest timer has moved on since (it was deleted) is moved when it is met.
 * Q4 Stale entries never outnumber the valid ones by more than a constant, in each bucket and in the heaps.
 * Q5 Rows before the horizon stand at their exact times; those after it only at the second or so in which they are due, until it
 *    comes: the timers of sessions move with each record, and most have moved on by then.
 *
 * Windows put very many rows at few timestamps, so rows stand in buckets, and only the buckets' times are in heaps.
 */
import { sortByHash } from "./canonical-order.ts";
import { NumberHeap } from "./number-heap.ts";

/** A row with timers. */
export interface Scheduled {
  /** Where the row stands in the queue; undefined when it does not. Begins so, then the queue's alone. */
  queuedIn: Bucket<any> | undefined;
  /** The row's earliest timer now, whole ms; Infinity when it has none. `retentionMs` is the queue's. */
  earliest(retentionMs: number): number;
}

/** The rows due at one timestamp, in canonical order. */
export interface DueRows<R> {
  readonly at: number;
  readonly rows: readonly R[];
}

/** Rows that stand at one time. */
export interface Bucket<R> {
  readonly at: number;
  readonly line: { forget(row: R): void };
  readonly rows: R[];
  /** Rows whose `queuedIn` it is. */
  valid: number;
}

/** Below this many stale entries tidying is not worth its while. */
const staleAllowed = 16;

/** What is after the horizon is told apart by so much. */
const spanMs = 1024;

/** So many rows are looked at before they are used: they lie scattered in memory, and are then fetched side by side. */
const rowsAhead = 16;

function lookAtRows(rows: readonly Scheduled[], from: number, retentionMs: number): number {
  const to = Math.min(rows.length, from + rowsAhead);
  let seen = 0;
  for (let i = from; i < to; i++) if (rows[i]!.queuedIn !== undefined) seen += rows[i]!.earliest(retentionMs);
  return seen;
}

export class TimerQueue<R extends Scheduled> {
  readonly #compare: (a: R, b: R) => number;
  readonly #hashOf: ((row: R) => number) | undefined;
  readonly #retentionMs: number;
  /** At exact times, before the horizon. */
  readonly #near = new Line<R>();
  /** At the beginnings of spans, from the horizon on. */
  readonly #far = new Line<R>();
  #horizon = Number.NEGATIVE_INFINITY;
  #size = 0;
  /** Of no use but that looks at rows are not optimised away. */
  #seen = 0;

  /**
   * `compare` orders rows of one timestamp: by hash, then by key; it must not find two rows equal. With `hashOf`, that same
   * 32-bit hash, many rows are sorted some times faster, in the same order. `retentionMs`: how long rows keep what stays after its
   * window, of which the end is then due as a timer is (see `Row.earliest`).
   */
  constructor(compare: (a: R, b: R) => number, hashOf?: (row: R) => number, retentionMs = Infinity) {
    this.#compare = compare;
    this.#hashOf = hashOf;
    this.#retentionMs = retentionMs;
  }

  /** How many rows are queued. */
  get size(): number {
    return this.#size;
  }

  /** What is held in memory, stale entries included. */
  footprint(): { entries: number; times: number } {
    const [near, far] = [this.#near.footprint(), this.#far.footprint()];
    return { entries: near.entries + far.entries, times: near.times + far.times };
  }

  /** Queues the row at `at` unless it stands there or earlier already. An infinite `at` is no timer. */
  schedule(row: R, at: number): void {
    if (!(at < Number.POSITIVE_INFINITY)) return;
    const near = at < this.#horizon;
    const time = near ? at : Math.floor(at / spanMs) * spanMs;
    if (row.queuedIn !== undefined) {
      if (row.queuedIn.at <= time) return;
      this.remove(row);
    }
    this.#size++;
    (near ? this.#near : this.#far).add(row, time);
  }

  /** Takes the row out: it was evicted, or has no timers left. */
  remove(row: R): void {
    if (row.queuedIn === undefined) return;
    this.#size--;
    row.queuedIn.line.forget(row);
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
    while (this.#far.earliest() <= this.#near.earliest() && this.#far.earliest() < Number.POSITIVE_INFINITY) this.#openSpan();
    return this.#near.earliest();
  }

  /**
   * Takes out the rows of the earliest timestamp that is not after `upTo`, or undefined when there is none. To be called again
   * until then, since firing may schedule more. Whoever fires a row schedules it again at its next timer.
   */
  popDue(upTo: number): DueRows<R> | undefined {
    while (Math.min(this.#near.earliest(), this.#far.earliest()) <= upTo) {
      const at = this.peek();
      if (at > upTo || at === Number.POSITIVE_INFINITY) return undefined;
      const rows = this.#take(at);
      if (rows.length > 0) return { at, rows };
    }
    return undefined;
  }

  /** Moves the horizon past the next span: its rows go to where their timers are now. */
  #openSpan(): void {
    const bucket = this.#far.take(this.#far.earliest());
    this.#horizon = bucket.at + spanMs;
    this.#size -= bucket.valid;
    const { rows } = bucket;
    for (let i = 0; i < rows.length; i++) {
      if (i % rowsAhead === 0) this.#seen = lookAtRows(rows, i, this.#retentionMs);
      const row = rows[i]!;
      if (row.queuedIn !== bucket) continue;
      row.queuedIn = undefined;
      this.schedule(row, row.earliest(this.#retentionMs));
    }
  }

  /** Empties a bucket of an exact time; rows that have no timer there go to where their next one is. */
  #take(at: number): R[] {
    const bucket = this.#near.take(at);
    const { rows } = bucket;
    this.#size -= bucket.valid;
    let due = 0;
    for (let i = 0; i < rows.length; i++) {
      if (i % rowsAhead === 0) this.#seen = lookAtRows(rows, i, this.#retentionMs);
      const row = rows[i]!;
      if (row.queuedIn !== bucket) continue;
      row.queuedIn = undefined;
      const earliest = row.earliest(this.#retentionMs);
      if (earliest > at) this.schedule(row, earliest);
      else rows[due++] = row;
    }
    if (due < rows.length) rows.length = due;
    return this.#hashOf === undefined ? rows.sort(this.#compare) : sortByHash(rows, this.#hashOf, this.#compare);
  }
}

/** Buckets in the order of their times. */
class Line<R extends Scheduled> {
  readonly #buckets = new Map<number, Bucket<R>>();
  /** Every bucket's time, and times whose buckets are gone. */
  readonly #times = new NumberHeap();
  /** The bucket that took the last row: successive rows mostly share a time. */
  #last: Bucket<R> | undefined;

  add(row: R, at: number): void {
    const bucket = this.#last?.at === at ? this.#last : this.#bucketAt(at);
    row.queuedIn = bucket;
    bucket.rows.push(row);
    bucket.valid++;
  }

  /** The earliest bucket's time, Infinity when there is none. */
  earliest(): number {
    for (;;) {
      const at = this.#times.peek();
      if (at === Number.POSITIVE_INFINITY || this.#buckets.has(at)) return at;
      this.#times.pop();
    }
  }

  /** Takes the bucket at `at` out: the caller's, with its stale entries. */
  take(at: number): Bucket<R> {
    const bucket = this.#buckets.get(at) as Bucket<R>;
    this.#drop(bucket);
    return bucket;
  }

  /** Makes the row's entry stale. */
  forget(row: R): void {
    const bucket = row.queuedIn as Bucket<R>;
    row.queuedIn = undefined;
    bucket.valid--;
    if (bucket.valid === 0) this.#drop(bucket);
    else if (bucket.rows.length > 2 * bucket.valid + staleAllowed) compact(bucket);
  }

  footprint(): { entries: number; times: number } {
    let entries = 0;
    for (const bucket of this.#buckets.values()) entries += bucket.rows.length;
    return { entries, times: this.#times.size };
  }

  #bucketAt(at: number): Bucket<R> {
    let bucket = this.#buckets.get(at);
    if (bucket === undefined) {
      bucket = { at, line: this, rows: [], valid: 0 };
      this.#buckets.set(at, bucket);
      this.#times.push(at);
      if (this.#times.size > 2 * this.#buckets.size + staleAllowed) this.#times.reset(this.#buckets.keys());
    }
    return (this.#last = bucket);
  }

  #drop(bucket: Bucket<R>): void {
    this.#buckets.delete(bucket.at);
    if (this.#last === bucket) this.#last = undefined;
  }
}

/** Leaves one entry of each valid row: a row that left and came back has two that look valid. */
function compact<R extends Scheduled>(bucket: Bucket<R>): void {
  const { rows } = bucket;
  let kept = 0;
  for (const row of rows) {
    if (row.queuedIn !== bucket) continue;
    row.queuedIn = undefined;
    rows[kept++] = row;
  }
  rows.length = kept;
  for (const row of rows) row.queuedIn = bucket;
}
