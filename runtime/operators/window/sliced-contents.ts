/**
 * A window's result, put together of what its slices hold.
 *
 * A window lies across at most one boundary of blocks of slices (time/slices.ts). Its result is that of its slices before the boundary,
 * put together from the last to the first, and of those after it, from the first to the last. Both are parts of what the next window
 * needs, so they are kept beside the slices, and a window costs three merges, however many slices it has.
 *
 * U1 What is put together, and in which order, follows from the slices alone: whether something was kept, or was lost with the memory
 *    that it was kept in, shows in no result.
 * U2 Accumulators are copied before they are merged, since merging may change either of the two (as Flink allows it to), and before a
 *    result is made, which may be the accumulator itself.
 * U3 Only what is small is kept: an accumulator that collects would be there as often as there are slices.
 */
import type { Aggregator } from "../../api/functions.ts";
import { aggregateFold, type Fold } from "../../api/state.ts";
import type { SliceTable } from "../../state/slice-table.ts";
import { copyValue } from "./copy-value.ts";

/** Windows of fewer slices are put together anew each time. */
const fewSlices = 4;

/** Of a kept accumulator: so many numbers and the like. */
const leavesMost = 32;

/** What is kept of a key's slices. Places are counted so that they stay (`SliceTable.offset`). */
interface Merged {
  readonly boundary: number;
  /** Over the slices before the boundary, the last one alone first, and one more each time. */
  readonly before: unknown[];
  /** One past the last slice before the boundary. */
  readonly boundaryPlace: number;
  /** Over the slices from the boundary on up to `place`; `nothing`: there is none. */
  after: unknown;
  place: number;
}

const nothing = Symbol("nothing");

export class SlicedContents {
  readonly fold: Fold;
  private readonly aggregator: Aggregator<any, any, any>;
  private table: SliceTable<Merged> | undefined;
  private from = 0;
  private boundary = 0;
  private until = 0;
  private keeps = false;

  constructor(aggregator: Aggregator<any, any, any>) {
    this.aggregator = aggregator;
    this.fold = aggregateFold(aggregator);
  }

  /**
   * The window whose result is asked for next: the slices of the table from `from` until `until`, with the boundary between them.
   * `keeps`: the next windows are asked for next, so what is put together is kept.
   */
  goTo(table: SliceTable<any>, from: number, boundary: number, until: number, keeps: boolean): void {
    this.table = table;
    this.from = from;
    this.boundary = boundary;
    this.until = until;
    this.keeps = keeps;
  }

  /** What the window's function sees. There must be a slice. */
  result(): unknown {
    const table = this.table as SliceTable<Merged>;
    const { from, until } = this;
    const first = table.placeOf(from);
    const end = table.placeFromEnd(until);
    const merged = this.keeps && end - first > fewSlices ? this.mergedOf(table, first, end) : undefined;
    if (merged === undefined) {
      const middle = table.placeOf(this.boundary);
      return this.resultOf(
        this.backwards(table, first, Math.min(middle, end)),
        this.forwards(table, Math.max(first, middle), end),
      );
    }
    const count = merged.boundaryPlace - table.offset - first;
    return this.resultOf(count > 0 ? copyValue(merged.before[count - 1]) : nothing, copyValue(merged.after));
  }

  private resultOf(before: unknown, after: unknown): unknown {
    const { aggregator } = this;
    if (before === nothing) return aggregator.result(after);
    return aggregator.result(after === nothing ? before : aggregator.merge?.(before, after));
  }

  /** Over the slices of these places, put together from the last to the first. */
  private backwards(table: SliceTable, first: number, end: number): unknown {
    if (first >= end) return nothing;
    const { aggregator } = this;
    let merged: unknown = copyValue(table.valueAt(end - 1));
    for (let place = end - 2; place >= first; place--) merged = aggregator.merge?.(copyValue(table.valueAt(place)), merged);
    return merged;
  }

  /** Over the slices of these places, put together from the first to the last. */
  private forwards(table: SliceTable, first: number, end: number, onto: unknown = nothing): unknown {
    const { aggregator } = this;
    let merged = onto;
    for (let place = first; place < end; place++) {
      const value: unknown = copyValue(table.valueAt(place));
      merged = merged === nothing ? value : aggregator.merge?.(merged, value);
    }
    return merged;
  }

  /** What is kept, brought up to the window; undefined: it is not worth keeping. */
  private mergedOf(table: SliceTable<Merged>, first: number, end: number): Merged | undefined {
    const known = table.merged;
    const goesOn = known?.boundary === this.boundary && known.boundaryPlace - table.offset - first <= known.before.length;
    const merged = goesOn ? known : this.begin(table, first, end);
    if (merged === undefined) return undefined;
    const from = merged.place - table.offset;
    if (from < end) {
      merged.after = this.forwards(table, from, end, merged.after);
      merged.place = end + table.offset;
      if (!isSmall(merged.after)) return void table.forgetMerged();
    }
    table.mergedTo = this.until;
    return merged;
  }

  private begin(table: SliceTable<Merged>, first: number, end: number): Merged | undefined {
    const { aggregator, boundary } = this;
    const middle = Math.min(table.placeOf(boundary), end);
    const before: unknown[] = [];
    table.forgetMerged();
    for (let place = middle - 1; place >= first; place--) {
      const value: unknown = copyValue(table.valueAt(place));
      const merged: unknown = before.length === 0 ? value : aggregator.merge?.(value, copyValue(before[before.length - 1]));
      if (!isSmall(merged)) return undefined;
      before.push(merged);
    }
    const boundaryPlace = middle + table.offset;
    return (table.merged = { boundary, before, boundaryPlace, after: nothing, place: boundaryPlace });
  }
}

/** U3 */
function isSmall(value: unknown): boolean {
  return typeof value === "number" || leavesLeft(value, leavesMost) >= 0;
}

/** How many more of them there may be after those of the value; below 0: they are too many. */
function leavesLeft(value: unknown, left: number): number {
  if (typeof value === "string") return left - 1 - value.length;
  if (typeof value === "bigint") return value < 1n << 64n && value > -1n << 64n ? left - 1 : -1;
  if (typeof value !== "object" || value === null) return left - 1;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return -1;
  let rest = left - 1;
  for (const name in value) {
    if (rest < 0) return rest;
    rest = leavesLeft((value as Record<string, unknown>)[name], rest);
  }
  return rest;
}
