/**
 * A row: all state and timers of one key in one operator, as plain objects in memory.
 *
 * Owns what has changed since the last commit, at the grain at which it is stored: a value, an element added to a list, an entry
 * of a map, a timer. The flags sit on the cells, so a change costs no lookup.
 *
 * W1 A row is in its store's dirty list exactly when `dirty`.
 * W2 `stored` says that the durable state has the cell; a cell that is cleared before it was stored leaves no trace.
 */
import type { Key } from "../api/key.ts";
import type { StateKind } from "../api/state.ts";
import type { KeyGroupState } from "./key-group.ts";
import { Timer, type TimerDomain } from "./timer.ts";

/** The window that state outside windows belongs to: start after end, so no real window equals it. */
export const voidStart = 1;
export const voidEnd = 0;

/** The contents of one declared state in one namespace (window) of one row. */
export class Cell {
  readonly state: number;
  readonly start: number;
  readonly end: number;
  readonly kind: StateKind;
  /** The value, a T[], or a Map: as `kind` says. */
  value: any;
  dirty = false;
  stored = false;
  /** Lists: how many elements are stored; fewer than `value.length` when some were added since. */
  storedLength = 0;
  /** Lists: the stored elements were replaced, so all are written anew. */
  replaced = false;
  /** Maps: entries changed since the last commit. */
  changed: Set<unknown> | undefined;

  constructor(state: number, start: number, end: number, kind: StateKind, value: any) {
    this.state = state;
    this.start = start;
    this.end = end;
    this.kind = kind;
    this.value = value;
  }
}

/** How many cells a row has before finding one goes through a map. */
const linearCells = 12;

export class Row {
  readonly key: Key;
  /** The top 32 bits of the key's hash key. */
  readonly hash: number;
  readonly group: KeyGroupState;
  cells: Cell[] = [];
  timers: Timer[] = [];
  /** Cells that the durable state still has. */
  deleted: Cell[] = [];
  /** Timers set or cancelled since the last commit. */
  touchedTimers: Timer[] = [];
  dirty = false;
  /** Where this row stands in its operator's timer queues; Infinity when it does not. */
  readonly scheduled: readonly [ScheduledRow, ScheduledRow];
  private byEnd: Map<number, Cell[]> | undefined;

  constructor(key: Key, hash: number, group: KeyGroupState) {
    this.key = key;
    this.hash = hash;
    this.group = group;
    this.scheduled = [new ScheduledRow(this, "eventTime"), new ScheduledRow(this, "processingTime")];
  }

  get empty(): boolean {
    return this.cells.length === 0 && this.timers.length === 0;
  }

  find(state: number, start: number, end: number): Cell | undefined {
    const cells = this.byEnd === undefined ? this.cells : this.byEnd.get(end);
    if (cells === undefined) return undefined;
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] as Cell;
      if (cell.start === start && cell.end === end && cell.state === state) return cell;
    }
    return undefined;
  }

  add(cell: Cell): void {
    this.cells.push(cell);
    if (this.byEnd !== undefined) this.index(cell);
    else if (this.cells.length > linearCells) this.reindex();
  }

  /** Takes the cell away; the next commit deletes it where it is stored. */
  remove(cell: Cell): void {
    const last = this.cells.pop() as Cell;
    if (last !== cell) this.cells[this.cells.indexOf(cell)] = last;
    if (this.byEnd !== undefined) this.reindex();
    if (cell.stored) this.deleted.push(cell);
  }

  /** Sets a timer; returns false when it is set already. */
  setTimer(domain: TimerDomain, at: number, start: number, end: number): boolean {
    if (this.findTimer(domain, at, start, end) !== undefined) return false;
    const cancelled = this.touchedTimers.find((timer) => timer.is(domain, at, start, end));
    const timer = cancelled ?? new Timer(domain, at, start, end);
    timer.live = true;
    this.timers.push(timer);
    this.touch(timer);
    return true;
  }

  /** Cancels a timer; returns false when it was not set. */
  cancelTimer(domain: TimerDomain, at: number, start: number, end: number): boolean {
    const timer = this.findTimer(domain, at, start, end);
    if (timer === undefined) return false;
    const last = this.timers.pop() as Timer;
    if (last !== timer) this.timers[this.timers.indexOf(timer)] = last;
    timer.live = false;
    if (timer.stored) this.touch(timer);
    else this.untouch(timer);
    return true;
  }

  private findTimer(domain: TimerDomain, at: number, start: number, end: number): Timer | undefined {
    const { timers } = this;
    for (let i = 0; i < timers.length; i++) {
      const timer = timers[i] as Timer;
      if (timer.is(domain, at, start, end)) return timer;
    }
    return undefined;
  }

  private touch(timer: Timer): void {
    if (timer.touched) return;
    timer.touched = true;
    this.touchedTimers.push(timer);
  }

  /** Set and cancelled before it was stored: no trace, so a window that moves with each record does not pile up. */
  private untouch(timer: Timer): void {
    if (!timer.touched) return;
    timer.touched = false;
    const last = this.touchedTimers.pop() as Timer;
    if (last !== timer) this.touchedTimers[this.touchedTimers.indexOf(timer)] = last;
  }

  /** The time of the earliest timer, or Infinity. */
  earliest(domain: TimerDomain): number {
    let earliest = Infinity;
    const { timers } = this;
    for (let i = 0; i < timers.length; i++) {
      const timer = timers[i] as Timer;
      if (timer.domain === domain && timer.at < earliest) earliest = timer.at;
    }
    return earliest;
  }

  /** The timers of a domain at exactly `at`, in the order of their windows. */
  timersAt(domain: TimerDomain, at: number): Timer[] {
    const due = this.timers.filter((timer) => timer.domain === domain && timer.at === at);
    return due.length > 1 ? due.sort((a, b) => a.start - b.start || a.end - b.end) : due;
  }

  /** Forgets what has changed: called when the changes have been written into a commit. */
  settle(): void {
    for (const cell of this.cells) {
      cell.dirty = false;
      cell.stored = true;
      cell.replaced = false;
      cell.changed = undefined;
      if (cell.kind === "list") cell.storedLength = cell.value.length;
    }
    for (const timer of this.touchedTimers) {
      timer.touched = false;
      timer.stored = timer.live;
    }
    if (this.touchedTimers.length > 0) this.touchedTimers = [];
    if (this.deleted.length > 0) this.deleted = [];
    this.dirty = false;
  }

  private index(cell: Cell): void {
    const same = this.byEnd?.get(cell.end);
    if (same === undefined) this.byEnd?.set(cell.end, [cell]);
    else same.push(cell);
  }

  private reindex(): void {
    this.byEnd = this.cells.length > linearCells ? new Map() : undefined;
    if (this.byEnd !== undefined) for (const cell of this.cells) this.index(cell);
  }

  /** A copy that `restore` can bring back: what the row was before a unit of work that may fail. */
  copy(): RowCopy {
    return {
      cells: this.cells.map(copyCell),
      timers: this.timers.map((timer) => timer.copy()),
      deleted: [...this.deleted],
      touched: this.touchedTimers.filter((timer) => !timer.live).map((timer) => timer.copy()),
    };
  }

  restore(copy: RowCopy): void {
    this.cells = copy.cells;
    this.deleted = copy.deleted;
    this.timers = copy.timers;
    this.touchedTimers = [...copy.timers.filter((timer) => timer.touched), ...copy.touched];
    this.reindex();
  }
}

export interface RowCopy {
  readonly cells: Cell[];
  readonly timers: Timer[];
  readonly deleted: Cell[];
  readonly touched: readonly Timer[];
}

function copyCell(cell: Cell): Cell {
  const copy = new Cell(cell.state, cell.start, cell.end, cell.kind, structuredClone(cell.value));
  copy.dirty = cell.dirty;
  copy.stored = cell.stored;
  copy.storedLength = cell.storedLength;
  copy.replaced = cell.replaced;
  copy.changed = cell.changed && new Set(cell.changed);
  return copy;
}

/** A row as a timer queue of one domain sees it. */
export class ScheduledRow {
  readonly row: Row;
  readonly domain: TimerDomain;
  queuedAt = Infinity;

  constructor(row: Row, domain: TimerDomain) {
    this.row = row;
    this.domain = domain;
  }

  earliest(): number {
    return this.row.earliest(this.domain);
  }
}
