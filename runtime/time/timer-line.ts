/**
 * Rows in buckets, each of one time, and the buckets in the order of their times. Only the times are in a heap: windows put very
 * many rows at few of them.
 */
import { NumberHeap } from "./number-heap.ts";

/** Rows that stand at one time. */
export interface Bucket<R> {
  readonly at: number;
  readonly line: { forget(row: R): void };
  readonly rows: R[];
  /** Rows whose `queuedIn` it is. */
  valid: number;
}

/** A row with timers, as it stands in line. */
export interface Queued {
  /** Where the row stands in the queue; undefined when it does not. Begins so, then the queue's alone. */
  queuedIn: Bucket<any> | undefined;
}

/** Below this many stale entries tidying is not worth its while. */
const staleAllowed = 16;

export class TimerLine<R extends Queued> {
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
function compact<R extends Queued>(bucket: Bucket<R>): void {
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
