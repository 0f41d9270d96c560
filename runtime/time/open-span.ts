/**
 * The rows of the span whose time has come, in the order in which they are due: sorted once, by counting, where a bucket for each
 * millisecond would be made and thrown away again.
 *
 * Owns the order; whoever opens a span says when each row is due. A row that leaves, or is due at another time since, leaves its
 * entry behind, which is skipped.
 */
import type { Bucket } from "./timer-line.ts";

/** So many milliseconds are a span. */
export const spanMs = 1024;

/** Below this many entries left behind tidying is not worth its while. */
const staleAllowed = 1024;

export class OpenSpan<R extends { queuedIn: Bucket<any> | undefined }> {
  readonly bucket: Bucket<R> = { at: Number.NEGATIVE_INFINITY, line: this, rows: [], valid: 0 };
  #start = 0;
  /** How far behind the start the rows are due, ms: in the order of the rows. */
  #offsets = new Int32Array(0);
  #rows: R[] = [];
  #next = 0;

  /** Begins a span that starts at `start`, for at most `most` rows. The one before must be empty. */
  begin(start: number, most: number): void {
    this.#start = start;
    this.#next = 0;
    this.#rows = [];
    if (this.#offsets.length < most) this.#offsets = new Int32Array(most);
  }

  /** Adds a row that is due so many ms behind the start, before `spanMs`. To be followed by `sort`. */
  add(row: R, offset: number): void {
    const rows = this.#rows;
    this.#offsets[rows.length] = offset;
    rows.push(row);
    row.queuedIn = this.bucket;
    this.bucket.valid++;
  }

  sort(): void {
    const { length } = this.#rows;
    const [rows, offsets] = [this.#rows, this.#offsets];
    let inOrder = true;
    for (let i = 1; i < length && inOrder; i++) inOrder = offsets[i - 1]! <= offsets[i]!;
    if (inOrder) return;
    const places = new Int32Array(spanMs);
    for (let i = 0; i < length; i++) places[offsets[i]!]!++;
    let place = 0;
    for (let offset = 0; offset < spanMs; offset++) {
      const count = places[offset]!;
      places[offset] = place;
      place += count;
    }
    const [sortedRows, sortedOffsets] = [rows.slice(), new Int32Array(offsets.length)];
    for (let i = 0; i < length; i++) {
      const to = places[offsets[i]!]!++;
      sortedRows[to] = rows[i]!;
      sortedOffsets[to] = offsets[i]!;
    }
    this.#rows = sortedRows;
    this.#offsets = sortedOffsets;
  }

  /** When the next row is due; Infinity when there is none. */
  earliest(): number {
    const [rows, { bucket }] = [this.#rows, this];
    while (this.#next < rows.length && rows[this.#next]!.queuedIn !== bucket) this.#next++;
    if (this.#next < rows.length) return this.#start + this.#offsets[this.#next]!;
    if (rows.length > 0) this.#clear();
    return Number.POSITIVE_INFINITY;
  }

  /** Takes out what is due at `at`, which is `earliest()`: with it, entries that were left behind. */
  take(at: number): R[] {
    const [rows, offsets, offset, from] = [this.#rows, this.#offsets, at - this.#start, this.#next];
    let to = from;
    while (to < rows.length && offsets[to] === offset) to++;
    this.#next = to;
    return rows.slice(from, to);
  }

  /** Of a row that has left. */
  forget(row: R): void {
    row.queuedIn = undefined;
    this.bucket.valid--;
    if (this.bucket.valid === 0) this.#clear();
    else if (this.entries > 2 * this.bucket.valid + staleAllowed) this.#compact();
  }

  get entries(): number {
    return this.#rows.length - this.#next;
  }

  #clear(): void {
    this.#rows = [];
    this.#next = 0;
  }

  /** A row that has left does not come back while the span is open, so what looks valid is. */
  #compact(): void {
    const [rows, offsets] = [this.#rows, this.#offsets];
    let kept = 0;
    for (let i = this.#next; i < rows.length; i++) {
      if (rows[i]!.queuedIn !== this.bucket) continue;
      offsets[kept] = offsets[i]!;
      rows[kept++] = rows[i]!;
    }
    rows.length = kept;
    this.#next = 0;
  }
}
