/**
 * Event-time windows that overlap, over slices that they share: a record is added to one slice however many windows it belongs to,
 * and a window's result is put together when it fires. It gives what the WindowOperator gives of the same windows.
 *
 * Owns the slices of the current key, which are one cell. The cell's namespace is the window that fires next, and its timer the cell's
 * flag (Cell C1): it goes from window to window.
 *
 * L1 While a slice is in a window that has not fired, the cell stands at the earliest such window, with its timer set.
 * L2 A slice stays until its last window is over, so whatever may fire a window, for the first time or again, finds its slices. They may
 *    stay longer: slices that are over are in no window that may fire.
 * L3 A record is late when its last window is.
 * L4 Slices that only wait for late records have a timer of their own at the time at which the last of them is over.
 * L5 Of a window that failed when it fired its slices are kept aside, until its timer is given back or a late record has it fire after
 *    all; the cell goes on to the next.
 */
import type { WindowSpec } from "../../api/graph.ts";
import { contentsName } from "../../api/operator-states.ts";
import type { TimeWindow } from "../../api/windows.ts";
import { assert } from "../../base/assert.ts";
import type { Cell } from "../../state/cell.ts";
import type { Namespace } from "../../state/namespace.ts";
import { SliceTable } from "../../state/slice-table.ts";
import type { Timer } from "../../state/timer.ts";
import { type Slice, type Slices, slicesOf } from "../../time/slices.ts";
import { cleanupTime, isWindowLate, largestTime, timeWindow } from "../../time/windows.ts";
import type { KeyedOperatorHost, Operator } from "../operator.ts";
import { emitterOf, type WindowEmitter } from "./emitter.ts";
import { giveLate, timestampFor } from "./late-records.ts";
import { copyValue } from "./copy-value.ts";
import { OwedResults } from "./owed-results.ts";
import { SlicedContents } from "./sliced-contents.ts";

const noSlice: Slice = { start: Infinity, end: Infinity, first: timeWindow(0, 0), last: timeWindow(0, 0) };

/** Records mostly fall into one of so many slices. */
const recentSlices = 8;

export class SlicedWindowOperator implements Operator {
  private readonly host: KeyedOperatorHost;
  private readonly spec: WindowSpec;
  private readonly slices: Slices;
  private readonly contents: SlicedContents;
  private readonly emitter: WindowEmitter;
  private readonly owed: OwedResults;
  private readonly latenessMs: number;
  /** The place of the slices among the operator's states. */
  private readonly state: number;
  private readonly stepMs: number;
  private readonly recent: Slice[] = new Array<Slice>(recentSlices).fill(noSlice);
  /** The window whose timer has fired last, where it goes over a boundary, and the window that ends next. */
  private firing = timeWindow(0, 0);
  private boundary = 0;
  private next: TimeWindow | undefined;

  constructor(host: KeyedOperatorHost, spec: WindowSpec) {
    const { assigner, contents } = spec;
    assert(assigner.kind === "sliding" || assigner.kind === "cumulating", "windows that share slices overlap");
    assert(contents.kind === "aggregate", "what is kept in slices merges");
    this.host = host;
    this.spec = spec;
    this.slices = slicesOf(assigner);
    this.stepMs = assigner.kind === "sliding" ? assigner.slideMs : assigner.stepMs;
    this.state = [...host.access.store.states.keys()].indexOf(contentsName(spec));
    this.contents = new SlicedContents(contents.aggregator);
    this.emitter = emitterOf(host, spec, this.contents);
    this.owed = new OwedResults(host.access);
    this.latenessMs = spec.allowedLateness;
  }

  onRecord(value: any, timestamp: number): void {
    const slice = this.sliceAt(timestampFor(timestamp));
    const watermark = this.host.watermark();
    if (isWindowLate(slice.last.maxTimestamp, this.latenessMs, watermark))
      return giveLate(this.host, this.spec, value, timestamp);
    const { row, store } = this.host.access;
    const known = row.cellOf(this.state);
    const table: SliceTable = known === undefined ? new SliceTable() : known.value;
    const fresh = table.fold(slice.start, value, this.contents.fold);
    const cell = known ?? row.make(this.state, slice.first, "slices", table);
    cell.dirty = true;
    row.noteChange(cell);
    store.markDirty(row);
    if (slice.first.maxTimestamp <= watermark) this.onBelated(slice, cell, watermark, fresh);
    else if (!cell.endTimer || slice.first.end < cell.namespace.end) this.host.access.moveCell(cell, slice.first);
  }

  private sliceAt(time: number): Slice {
    const place = Math.floor(time / this.stepMs) & (recentSlices - 1);
    const recent = this.recent[place] as Slice;
    return time >= recent.start && time < recent.end ? recent : (this.recent[place] = this.slices.sliceAt(time));
  }

  /** Some of the record's windows have fired: those that are still allowed fire again, the others will. */
  private onBelated(slice: Slice, cell: Cell, watermark: number, fresh: boolean): void {
    for (const window of this.slices.windowsOf(slice)) {
      if (window.maxTimestamp > watermark || isWindowLate(window.maxTimestamp, this.latenessMs, watermark)) continue;
      this.contents.goTo(cell.value, window.start, this.slices.boundaryOf(window), window.end, false);
      this.emitter.emit(window);
      this.owed.take(window);
    }
    if (!fresh) return;
    if (slice.last.maxTimestamp > watermark) {
      let window = slice.first;
      while (window.maxTimestamp <= watermark) window = this.slices.next(window) as TimeWindow;
      if (!cell.endTimer || window.end < cell.namespace.end) this.host.access.moveCell(cell, window);
    } else if (!cell.endTimer) this.setCleanupTimer(slice.last);
  }

  onTimer({ at, namespace }: Timer): void {
    const { row, store } = this.host.access;
    const cell = row.cellOf(this.state);
    if (cell === undefined) return;
    if (at === namespace.end - 1) this.fire(cell, namespace);
    else this.cleanUp(cell);
    store.markDirty(row);
  }

  /** Gives the window that the cell stands at for the first time, and sees to what comes after it. */
  private fire(cell: Cell, namespace: Namespace): void {
    this.goTo(namespace);
    const { firing, contents } = this;
    contents.goTo(cell.value, firing.start, this.boundary, firing.end, true);
    this.emitter.emit(firing);
    this.goOn(cell);
  }

  /** Where the window that has fired last leaves the cell. */
  private goOn(cell: Cell): void {
    const { firing, next } = this;
    const table: SliceTable = cell.value;
    this.dropOver(cell, next?.start ?? firing.end);
    const later = table.placeOf(next?.start ?? firing.end);
    if (later < table.end) this.host.access.moveCell(cell, this.windowFrom(table.startAt(later)));
    else if (!table.isEmpty) this.setCleanupTimer(this.sliceAt(table.latest).last);
  }

  /** L5 */
  onTimerFailed({ at, namespace }: Timer): void {
    const { row, store } = this.host.access;
    const cell = row.cellOf(this.state);
    if (cell === undefined || at !== namespace.end - 1) return;
    this.goTo(namespace);
    this.owed.keep(namespace, "slices", slicesIn(cell.value, namespace));
    this.goOn(row.cellOf(this.state)!);
    store.markDirty(row);
  }

  onTimerAgain(timer: Timer): void {
    const { at, namespace } = timer;
    const table: SliceTable | undefined = at === namespace.end - 1 ? this.owed.take(namespace)?.value : undefined;
    if (table === undefined || table.isEmpty) return;
    this.goTo(namespace);
    this.contents.goTo(table, namespace.start, this.boundary, namespace.end, false);
    this.emitter.emit(this.firing);
  }

  /** Most timers of one time are of the same window, each of another key. */
  private goTo({ start, end }: Namespace): void {
    if (this.firing.start === start && this.firing.end === end) return;
    this.firing = timeWindow(start, end);
    this.boundary = this.slices.boundaryOf(this.firing);
    this.next = this.slices.next(this.firing);
  }

  /** The window that fires next, where the first slice that it may have begins at `start`. */
  private windowFrom(start: number): TimeWindow {
    const { next } = this;
    return next !== undefined && start < next.end ? next : this.sliceAt(start).first;
  }

  private cleanUp(cell: Cell): void {
    const { endTimer, namespace } = cell;
    const table: SliceTable = cell.value;
    this.dropOver(cell, endTimer ? namespace.start : Infinity);
    if (!table.isEmpty && !endTimer) this.setCleanupTimer(this.sliceAt(table.latest).last);
  }

  /** Drops what is in no window that may still fire: what is over, before `fired`. The cell goes with its last slice. */
  private dropOver(cell: Cell, fired: number): void {
    const { latenessMs, host } = this;
    const table: SliceTable = cell.value;
    const over = latenessMs === 0 ? fired : Math.min(fired, this.slices.keptFrom(host.watermark() - latenessMs));
    if (table.dropBefore(over)) cell.dirty = true;
    if (table.isEmpty) host.access.row.forget(cell);
  }

  private setCleanupTimer(window: TimeWindow): void {
    const at = cleanupTime(window.maxTimestamp, this.latenessMs);
    if (at < largestTime) this.host.access.setOwnTimer("eventTime", at, window);
  }
}

/** Those of the table that lie in the window, as a table of their own. */
function slicesIn(table: SliceTable, { start, end }: Namespace): SliceTable {
  const into = new SliceTable();
  const last = table.placeFromEnd(end);
  for (let place = table.placeOf(start); place < last; place++) into.put(table.startAt(place), copyValue(table.valueAt(place)));
  return into;
}
