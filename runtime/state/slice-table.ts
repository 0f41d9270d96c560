/**
 * What a key keeps of slices of event time: one value each, by where the slice begins, in the order of time.
 *
 * Owns the values and what of them has changed since the last commit. Does not own what was put together of them (`merged`): its maker
 * does, and it is thrown away as soon as a slice that it covers changes.
 *
 * T1 Slices go in the order of time, all before some time at once.
 * T2 `merged` covers nothing from `mergedTo` on, so what is before that must not change under it.
 */
import type { Fold } from "../api/state.ts";

/** So far from the end a place is looked for slice by slice: records mostly come nearly in the order of time. */
const nearEnd = 8;

/** So many places at the front may be empty before the others move up. */
const goneMost = 64;

export class SliceTable<M = unknown> {
  /** The table's slices are those from here on; what is before has gone. */
  first = 0;
  /** What was put together of the slices; undefined: nothing, or no longer. */
  merged: M | undefined = undefined;
  mergedTo = -Infinity;
  private readonly starts: number[] = [];
  private readonly values: unknown[] = [];
  /** 1: changed since the last commit. */
  private readonly marks: number[] = [];
  private changes = 0;
  /** All that began before it have gone since the last commit; NaN: none has. */
  private dropped = NaN;
  /** By how many places slices have moved up. */
  private moved = 0;

  /** One past the last slice's place. */
  get end(): number {
    return this.starts.length;
  }

  get isEmpty(): boolean {
    return this.first === this.starts.length;
  }

  startAt(place: number): number {
    return this.starts[place] as number;
  }

  valueAt(place: number): unknown {
    return this.values[place];
  }

  /** Where the last slice begins. */
  get latest(): number {
    return this.starts[this.starts.length - 1] as number;
  }

  /** By how much places are higher, counted so that a slice's never changes. */
  get offset(): number {
    return this.moved;
  }

  /** The place of the first slice that begins at `time` or later. */
  placeOf(time: number): number {
    const { starts } = this;
    let low = this.first;
    let high = starts.length;
    if (low === high || (starts[low] as number) >= time) return low;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as number) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Folds a value into the slice that begins at `start`. True when there was none. */
  fold(start: number, value: unknown, fold: Fold): boolean {
    const { starts, values } = this;
    const place = this.placeFromEnd(start);
    if (place < starts.length && starts[place] === start) {
      values[place] = fold.add(values[place], value);
      this.noteChange(place, start);
      return false;
    }
    const folded: unknown = fold.first(value);
    this.insert(place, start, folded);
    this.noteChange(place, start);
    return true;
  }

  /** Of use to those who read stored slices: puts one in, or another value in its place. */
  put(start: number, value: unknown): void {
    const place = this.placeFromEnd(start);
    if (place < this.starts.length && this.starts[place] === start) this.values[place] = value;
    else this.insert(place, start, value);
    this.noteChange(place, start);
  }

  /** As `placeOf`, for a time that is likely among the last. */
  placeFromEnd(start: number): number {
    const { starts } = this;
    let place = starts.length;
    const to = Math.max(this.first, place - nearEnd);
    while (place > to && (starts[place - 1] as number) >= start) place--;
    return place > to || place === this.first ? place : this.placeOf(start);
  }

  private insert(place: number, start: number, value: unknown): void {
    const { starts, values, marks } = this;
    if (place === starts.length) {
      starts.push(start);
      values.push(value);
      marks.push(0);
      return;
    }
    starts.splice(place, 0, start);
    values.splice(place, 0, value);
    marks.splice(place, 0, 0);
  }

  private noteChange(place: number, start: number): void {
    if (this.marks[place] === 0) {
      this.marks[place] = 1;
      this.changes++;
    }
    if (start < this.mergedTo) this.forgetMerged();
  }

  forgetMerged(): void {
    this.merged = undefined;
    this.mergedTo = -Infinity;
  }

  /** Drops the slices that begin before `time` (T1); true when there were any. */
  dropBefore(time: number): boolean {
    const { starts, values, marks } = this;
    const from = this.first;
    let { first } = this;
    for (; first < starts.length && (starts[first] as number) < time; first++) {
      values[first] = 0;
      this.changes -= marks[first] as number;
      marks[first] = 0;
    }
    if (first === from) return false;
    this.first = first;
    if (!(this.dropped > time)) this.dropped = time;
    if (first > goneMost && 2 * first > starts.length) this.moveUp();
    return true;
  }

  private moveUp(): void {
    const { first } = this;
    this.starts.splice(0, first);
    this.values.splice(0, first);
    this.marks.splice(0, first);
    this.moved += first;
    this.first = 0;
  }

  // ---- what has changed since the last commit ----

  /** See `dropped`. */
  get droppedBefore(): number {
    return this.dropped;
  }

  get changeCount(): number {
    return this.changes;
  }

  /** The place of the first that has changed. */
  get firstChange(): number {
    const { marks, starts } = this;
    let place = starts.length;
    for (let left = this.changes; left > 0;) if (marks[--place] === 1) left--;
    return place;
  }

  hasChangedAt(place: number): boolean {
    return this.marks[place] === 1;
  }

  settle(): void {
    const { marks } = this;
    for (let place = marks.length; this.changes > 0;)
      if (marks[--place] === 1) {
        marks[place] = 0;
        this.changes--;
      }
    this.dropped = NaN;
  }

  /** Shares nothing with this; without what was put together. */
  copy(): SliceTable<M> {
    const copy = new SliceTable<M>();
    for (let place = this.first; place < this.end; place++) {
      copy.insert(copy.end, this.startAt(place), structuredClone(this.values[place]));
      copy.marks[copy.end - 1] = this.marks[place] as number;
    }
    copy.changes = this.changes;
    copy.dropped = this.dropped;
    return copy;
  }
}
