/**
 * A row: all state and timers of one key in one operator, as plain objects in memory.
 *
 * Owns what has changed since the last commit, at the grain at which it is stored: a value, an element added to a list, an entry
 * of a map, a timer. The flags sit on the cells, so a change costs no lookup. There may be millions of rows: what most do not
 * need is shared until they do.
 *
 * W1 A row is in its store's dirty list exactly when `dirty`.
 * W2 What was set and cleared before it was stored leaves no trace in a commit.
 */
import type { Key } from "../api/key.ts";
import type { Seq } from "../base/ids.ts";
import type { Cell } from "./cell.ts";
import type { KeyGroupState } from "./key-group.ts";
import { type Namespace, sameNamespace } from "./namespace.ts";
import { Timer, type TimerDomain } from "./timer.ts";

/** How many cells a row has before finding one goes through a map. */
const linearCells = 12;

const noCells: Cell[] = [];
const noTimers: Timer[] = [];

/** Rows stand in the queue of event-time timers themselves, since nearly all of them do. */
export class Row {
  readonly key: Key;
  /** The top 32 bits of the key's hash key, as a signed number: it then needs no box. See `hash`. */
  private readonly signedHash: number;
  readonly group: KeyGroupState;
  /** The first cell stands in the row itself: most rows have one, and reach it without a list. */
  first: Cell | undefined = undefined;
  others: Cell[] = noCells;
  timers: Timer[] = noTimers;
  /** Cells that the durable state still has. */
  deleted: Cell[] = noCells;
  /** Timers set or cancelled since the last commit. */
  touchedTimers: Timer[] = noTimers;
  dirty = false;
  /** The row's place in its group's list. The group's. */
  place = 0;
  /** The turn in which it was asked for last. */
  usedAt = 0;
  /** The last commit that changed it; 0 when none has since it was loaded. */
  changedAt: Seq = 0;
  /** Where the row stands in the queue of event-time timers; Infinity when it does not. The queue's. */
  queuedAt = Infinity;
  private processingRow: ProcessingRow | undefined = undefined;
  private byEnd: Map<number, Cell[]> | undefined = undefined;

  constructor(key: Key, hash: number, group: KeyGroupState) {
    this.key = key;
    this.signedHash = hash | 0;
    this.group = group;
  }

  /** The top 32 bits of the key's hash key. */
  get hash(): number {
    return this.signedHash >>> 0;
  }

  get empty(): boolean {
    return this.first === undefined && this.timers.length === 0;
  }

  /** The row as the queue of processing-time timers sees it. */
  get processing(): ProcessingRow {
    return (this.processingRow ??= new ProcessingRow(this));
  }

  get hasProcessing(): boolean {
    return this.processingRow !== undefined;
  }

  /** All cells, the first one first. */
  get cells(): readonly Cell[] {
    return this.first === undefined ? noCells : [this.first, ...this.others];
  }

  find(state: number, namespace: Namespace): Cell | undefined {
    const { first } = this;
    if (first === undefined) return undefined;
    if (first.state === state && sameNamespace(first.namespace, namespace)) return first;
    const cells = this.byEnd === undefined ? this.others : this.byEnd.get(namespace.end);
    if (cells === undefined) return undefined;
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] as Cell;
      if (cell.state === state && sameNamespace(cell.namespace, namespace)) return cell;
    }
    return undefined;
  }

  add(cell: Cell): void {
    if (this.first === undefined) this.first = cell;
    else if (this.others === noCells) this.others = [cell];
    else {
      this.others.push(cell);
      if (this.byEnd !== undefined) this.index(cell);
      else if (this.others.length > linearCells) this.reindex();
    }
  }

  /** Takes the cell away; the next commit deletes it where it is stored. */
  remove(cell: Cell): void {
    const last = this.others === noCells ? undefined : this.others.pop();
    if (this.others.length === 0) this.others = noCells;
    if (cell === this.first) this.first = last;
    else if (last !== cell) this.others[this.others.indexOf(cell)] = last as Cell;
    if (this.byEnd !== undefined) this.reindex();
    if (!cell.stored) return;
    if (this.deleted === noCells) this.deleted = [cell];
    else this.deleted.push(cell);
  }

  /** Moves the cell to another window; the next commit renames it where it is stored. */
  rename(cell: Cell, namespace: Namespace): void {
    cell.namespace = namespace;
    if (this.byEnd !== undefined) this.reindex();
  }

  /** Sets a timer; returns false when it is set already. */
  setTimer(domain: TimerDomain, at: number, namespace: Namespace): boolean {
    if (this.findTimer(domain, at, namespace) !== undefined) return false;
    const cancelled =
      this.touchedTimers.length === 0 ? undefined : this.touchedTimers.find((timer) => timer.is(domain, at, namespace));
    const timer = cancelled ?? new Timer(domain, at, namespace);
    timer.live = true;
    this.addTimer(timer);
    this.touch(timer);
    return true;
  }

  addTimer(timer: Timer): void {
    if (this.timers === noTimers) this.timers = [timer];
    else this.timers.push(timer);
  }

  /** Cancels a timer; returns false when it was not set. */
  cancelTimer(domain: TimerDomain, at: number, namespace: Namespace): boolean {
    const timer = this.findTimer(domain, at, namespace);
    if (timer === undefined) return false;
    this.dropTimer(timer);
    if (timer.stored) this.touch(timer);
    else this.untouch(timer);
    return true;
  }

  /** As cancelling one timer and setting another, but in place where the old one was never stored. */
  moveTimer(domain: TimerDomain, at: number, namespace: Namespace, toAt: number, toNamespace: Namespace): void {
    const timer = this.findTimer(domain, at, namespace);
    if (timer === undefined || timer.stored) {
      if (timer !== undefined) this.cancelTimer(domain, at, namespace);
      this.setTimer(domain, toAt, toNamespace);
    } else {
      timer.at = toAt;
      timer.namespace = toNamespace;
    }
  }

  /** Takes a live timer out. */
  dropTimer(timer: Timer): void {
    timer.live = false;
    const last = this.timers.pop() as Timer;
    if (last !== timer) this.timers[this.timers.indexOf(timer)] = last;
  }

  findTimer(domain: TimerDomain, at: number, namespace: Namespace): Timer | undefined {
    const { timers } = this;
    for (let i = 0; i < timers.length; i++) {
      const timer = timers[i] as Timer;
      if (timer.is(domain, at, namespace)) return timer;
    }
    return undefined;
  }

  private touch(timer: Timer): void {
    if (timer.touched) return;
    timer.touched = true;
    if (this.touchedTimers === noTimers) this.touchedTimers = [timer];
    else this.touchedTimers.push(timer);
  }

  /** Set and cancelled before it was stored: no trace, so a window that moves with each record does not pile up. */
  private untouch(timer: Timer): void {
    if (!timer.touched) return;
    timer.touched = false;
    const last = this.touchedTimers.pop() as Timer;
    if (last !== timer) this.touchedTimers[this.touchedTimers.indexOf(timer)] = last;
  }

  /** The time of the earliest event-time timer, or Infinity. */
  earliest(): number {
    return this.earliestOf("eventTime");
  }

  /** The time of the earliest timer of a domain, or Infinity. */
  earliestOf(domain: TimerDomain): number {
    let earliest = Infinity;
    const { timers } = this;
    for (let i = 0; i < timers.length; i++) {
      const timer = timers[i] as Timer;
      if (timer.domain === domain && timer.at < earliest) earliest = timer.at;
    }
    return earliest;
  }

  /** The timers of a domain at exactly `at`, in the order of their windows. */
  timersAt(domain: TimerDomain, at: number): readonly Timer[] {
    const [only] = this.timers;
    if (this.timers.length === 1 && only?.domain === domain && only.at === at) return [only];
    const due = this.timers.filter((timer) => timer.domain === domain && timer.at === at);
    return due.length > 1 ? due.sort((a, b) => a.namespace.start - b.namespace.start || a.namespace.end - b.namespace.end) : due;
  }

  /** Forgets which timers and cells have gone or come: they have been written into a commit. Cells settle by themselves. */
  settle(): void {
    if (this.touchedTimers !== noTimers) {
      for (const timer of this.touchedTimers) {
        timer.touched = false;
        timer.stored = timer.live;
      }
      this.touchedTimers = noTimers;
    }
    this.deleted = noCells;
    this.dirty = false;
  }

  private index(cell: Cell): void {
    const same = this.byEnd?.get(cell.namespace.end);
    if (same === undefined) this.byEnd?.set(cell.namespace.end, [cell]);
    else same.push(cell);
  }

  private reindex(): void {
    this.byEnd = this.others.length > linearCells ? new Map() : undefined;
    if (this.byEnd !== undefined) for (const cell of this.others) this.index(cell);
  }

  /** A copy that `restore` can bring back: what the row was before a unit of work that may fail. */
  copy(): RowCopy {
    return {
      cells: this.cells.map((cell) => cell.copy()),
      timers: this.timers.map((timer) => timer.copy()),
      deleted: [...this.deleted],
      cancelled: this.touchedTimers.filter((timer) => !timer.live).map((timer) => timer.copy()),
    };
  }

  restore(copy: RowCopy): void {
    const [first, ...others] = copy.cells;
    this.first = first;
    this.others = others.length === 0 ? noCells : others;
    this.deleted = copy.deleted;
    this.timers = copy.timers;
    this.touchedTimers = [...copy.timers.filter((timer) => timer.touched), ...copy.cancelled];
    this.reindex();
  }
}

export interface RowCopy {
  readonly cells: Cell[];
  readonly timers: Timer[];
  readonly deleted: Cell[];
  readonly cancelled: readonly Timer[];
}

/** A row in the queue of processing-time timers. */
export class ProcessingRow {
  readonly row: Row;
  queuedAt = Infinity;

  constructor(row: Row) {
    this.row = row;
  }

  get hash(): number {
    return this.row.hash;
  }

  get key(): Key {
    return this.row.key;
  }

  earliest(): number {
    return this.row.earliestOf("processingTime");
  }
}
