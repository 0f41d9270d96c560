/**
 * The schedule of rows that have timers, for one time domain of one operator, in memory. It owns no timers: a row knows its own,
 * and stands here once, at the earliest of them or before.
 *
 * Q1 An entry is valid when `row.queuedIn` is its bucket; any other is stale and skipped. Only the queue writes `queuedIn`.
 * Q2 Rows come out by (timestamp, compare), however and in whatever order they were scheduled.
 * Q3 A row is queued again lazily: one whose earliest timer has moved on since (it was deleted) is moved when it is met.
 * Q4 Stale entries never outnumber the valid ones by more than a constant, in each bucket and in the heaps.
 * Q5 Rows before the horizon stand at their exact times; those after it only at the second or so in which they are due, until it
 *    comes: the timers of sessions move with each record, and most have moved on by then. They are then put in order at once
 *    (open-span.ts); what is scheduled before the horizon later stands in a line of its own.
 */
import { sortByHash } from "./canonical-order.ts";
import { OpenSpan, spanMs } from "./open-span.ts";
import { type Bucket, type Queued, TimerLine } from "./timer-line.ts";

/** A row with timers. */
export interface Scheduled extends Queued {
  /** The row's earliest timer now, whole ms; Infinity when it has none. `retentionMs` is the queue's. */
  earliest(retentionMs: number): number;
}

/** The rows due at one timestamp, in canonical order. */
export interface DueRows<R> {
  readonly at: number;
  readonly rows: readonly R[];
}

/** So many rows are looked at before they are used: they lie scattered in memory, and are then fetched side by side. */
const rowsAhead = 16;

function lookAtRows(rows: readonly Scheduled[], from: number, retentionMs: number): number {
  const to = Math.min(rows.length, from + rowsAhead);
  let seen = 0;
  for (let i = from; i < to; i++) if (rows[i]!.queuedIn !== undefined) seen += rows[i]!.earliest(retentionMs);
  return seen;
}

const none: never[] = [];

export class TimerQueue<R extends Scheduled> {
  readonly #compare: (a: R, b: R) => number;
  readonly #hashOf: ((row: R) => number) | undefined;
  readonly #retentionMs: number;
  /** At the beginnings of spans, from the horizon on. */
  readonly #far = new TimerLine<R>();
  /** The span before the horizon. */
  readonly #open = new OpenSpan<R>();
  /** At exact times, before the horizon. */
  readonly #near = new TimerLine<R>();
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
    return { entries: near.entries + this.#open.entries + far.entries, times: near.times + far.times };
  }

  /** Queues the row at `at` unless it stands there or earlier already. An infinite `at` is no timer. */
  schedule(row: R, at: number): void {
    if (!(at < Number.POSITIVE_INFINITY)) return;
    const near = at < this.#horizon;
    let time = near ? at : Math.floor(at / spanMs) * spanMs;
    const { queuedIn } = row;
    if (queuedIn !== undefined) {
      if (queuedIn.at <= time && (queuedIn !== this.#open.bucket || !near)) return;
      // Where in the open span it stood is not known.
      if (queuedIn === this.#open.bucket) time = Math.min(time, row.earliest(this.#retentionMs));
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
    for (;;) {
      const [open, near, far] = [this.#open.earliest(), this.#near.earliest(), this.#far.earliest()];
      const exact = Math.min(open, near);
      if (exact < far || far === Number.POSITIVE_INFINITY) return exact;
      this.#openSpan();
    }
  }

  /**
   * Takes out the rows of the earliest timestamp that is not after `upTo`, or undefined when there is none. To be called again
   * until then, since firing may schedule more. Whoever fires a row schedules it again at its next timer.
   */
  popDue(upTo: number): DueRows<R> | undefined {
    while (Math.min(this.#open.earliest(), this.#near.earliest(), this.#far.earliest()) <= upTo) {
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
    const start = bucket.at;
    const horizon = start + spanMs;
    this.#horizon = horizon;
    this.#size -= bucket.valid;
    const { rows } = bucket;
    const open = this.#open;
    open.begin(start, rows.length);
    for (let i = 0; i < rows.length; i++) {
      if (i % rowsAhead === 0) this.#seen = lookAtRows(rows, i, this.#retentionMs);
      const row = rows[i]!;
      if (row.queuedIn !== bucket) continue;
      row.queuedIn = undefined;
      const due = row.earliest(this.#retentionMs);
      if (due < start || due >= horizon) this.schedule(row, due);
      else {
        open.add(row, due - start);
        this.#size++;
      }
    }
    open.sort();
  }

  /** Takes out what stands at an exact time; rows that have no timer there go to where their next one is. */
  #take(at: number): R[] {
    let rows: R[] = this.#open.earliest() === at ? this.#emptyAt(at, this.#open.take(at), this.#open.bucket) : none;
    if (this.#near.earliest() === at) {
      const bucket = this.#near.take(at);
      const further = this.#emptyAt(at, bucket.rows, bucket);
      rows = rows.length === 0 ? further : rows.concat(further);
    }
    return this.#hashOf === undefined ? rows.sort(this.#compare) : sortByHash(rows, this.#hashOf, this.#compare);
  }

  /** Leaves of the rows those that are in the bucket, and due at `at`; they leave the bucket. */
  #emptyAt(at: number, rows: R[], bucket: Bucket<R>): R[] {
    let due = 0;
    for (let i = 0; i < rows.length; i++) {
      if (i % rowsAhead === 0) this.#seen = lookAtRows(rows, i, this.#retentionMs);
      const row = rows[i]!;
      if (row.queuedIn !== bucket) continue;
      row.queuedIn = undefined;
      bucket.valid--;
      this.#size--;
      const earliest = row.earliest(this.#retentionMs);
      if (earliest > at) this.schedule(row, earliest);
      else rows[due++] = row;
    }
    if (due < rows.length) rows.length = due;
    return rows;
  }
}
