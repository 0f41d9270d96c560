/**
 * What the slices of the current key hold, and a window's result put together of them. The slices are the entries of one map, by
 * their starts, so that a key with many has one cell, and a commit writes those that have changed.
 *
 * Accumulators are copied before they are merged, since merging may change either of the two (as Flink allows it to).
 */
import type { Aggregator } from "../../api/functions.ts";
import { aggregateFold, type Fold } from "../../api/state.ts";
import { CurrentNamespace, type KeyedAccess, MapHandle } from "../../state/keyed-access.ts";
import { copyValue } from "./copy-value.ts";

export class SlicedContents {
  private readonly aggregator: Aggregator<any, any, any>;
  private readonly fold: Fold;
  private readonly handle: MapHandle;
  /** The slices found last, in the order of time. */
  private readonly starts: number[] = [];
  private readonly accumulators: unknown[] = [];

  constructor(access: KeyedAccess, state: number, aggregator: Aggregator<any, any, any>) {
    this.aggregator = aggregator;
    this.fold = aggregateFold(aggregator);
    this.handle = new MapHandle(access, state, new CurrentNamespace());
  }

  /** Adds to the slice that begins at `start`. True when there was none. */
  add(start: number, value: unknown): boolean {
    return this.handle.fold(start, value, this.fold);
  }

  /** Finds the slices that begin between `from` and `until`; returns how many there are. */
  find(from: number, until: number): number {
    const { starts, accumulators } = this;
    const slices = this.handle.peek() as ReadonlyMap<number, unknown>;
    let found = 0;
    for (const [start, accumulator] of slices) {
      if (start < from || start >= until) continue;
      // They stand nearly in the order of time: the place of one is looked for from the end.
      let at = found++;
      for (; at > 0 && (starts[at - 1] as number) > start; at--) {
        starts[at] = starts[at - 1] as number;
        accumulators[at] = accumulators[at - 1];
      }
      starts[at] = start;
      accumulators[at] = accumulator;
    }
    starts.length = accumulators.length = found;
    return found;
  }

  /** Of those found last: where the first begins, and where the last does. */
  get earliest(): number {
    return this.starts[0] as number;
  }
  get latest(): number {
    return this.starts.at(-1) as number;
  }

  /** What the window's function sees: the result over the slices found last, of which there must be one. */
  result(): unknown {
    const { accumulators, aggregator } = this;
    let merged = copyValue(accumulators[0]);
    for (let i = 1; i < accumulators.length; i++) merged = aggregator.merge?.(merged, copyValue(accumulators[i]));
    return aggregator.result(merged);
  }

  /** Drops those found last that begin before `until`. */
  dropFoundBefore(until: number): void {
    for (const start of this.starts) {
      if (start >= until) return;
      this.handle.delete(start);
    }
  }
}
