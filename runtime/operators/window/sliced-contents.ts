/**
 * What the slices of the current key hold, and a window's result put together of them.
 *
 * Accumulators are copied before they are merged, since merging may change either of the two (as Flink allows it to).
 */
import type { Aggregator } from "../../api/functions.ts";
import { CurrentNamespace, type KeyedAccess, ValueHandle } from "../../state/keyed-access.ts";
import type { Cell } from "../../state/cell.ts";
import type { Namespace } from "../../state/namespace.ts";
import { aggregateFold, type Fold } from "../../api/state.ts";
import { copyValue } from "./copy-value.ts";

export class SlicedContents {
  private readonly access: KeyedAccess;
  private readonly state: number;
  private readonly fold: Fold;
  private readonly at = new CurrentNamespace();
  private readonly handle: ValueHandle;
  private readonly aggregator: Aggregator<any, any, any>;
  /** The slices of the window that is being given, in the order of time. */
  private cells: Cell[] = [];

  constructor(access: KeyedAccess, state: number, aggregator: Aggregator<any, any, any>) {
    this.access = access;
    this.state = state;
    this.aggregator = aggregator;
    this.fold = aggregateFold(aggregator);
    this.handle = new ValueHandle(access, state, this.at);
  }

  /** True when the slice was empty. */
  add(slice: Namespace, value: unknown): boolean {
    this.at.namespace = slice;
    return this.handle.fold(value, this.fold);
  }

  drop(slice: Namespace): void {
    this.at.namespace = slice;
    this.handle.clear();
  }

  /** The slices that lie between `start` and `end`, in the order of time. Valid until the next call. */
  within(start: number, end: number): readonly Cell[] {
    const { row } = this.access;
    this.cells = [];
    if (row.present) this.take(row, start, end);
    const { others } = row;
    for (let i = 0; i < others.length; i++) this.take(others[i] as Cell, start, end);
    return this.cells;
  }

  /** Cells stand nearly in the order of time: the place of one is looked for from the end. */
  private take(cell: Cell, start: number, end: number): void {
    const { namespace } = cell;
    if (cell.state !== this.state || namespace.start < start || namespace.end > end) return;
    const { cells } = this;
    let at = cells.length;
    cells.push(cell);
    for (; at > 0 && (cells[at - 1] as Cell).namespace.start > namespace.start; at--) cells[at] = cells[at - 1] as Cell;
    cells[at] = cell;
  }

  /** What the window's function sees: the result over the slices found last, of which there is one at least. */
  result(): unknown {
    const { cells, aggregator } = this;
    let merged = copyValue((cells[0] as Cell).value);
    for (let i = 1; i < cells.length; i++) merged = aggregator.merge?.(merged, copyValue((cells[i] as Cell).value));
    return aggregator.result(merged);
  }
}
