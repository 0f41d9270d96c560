/**
 * A row: all state and timers of one key in one operator, as plain objects in memory.
 *
 * Owns what has changed since the last commit, at the grain at which it is stored: a value, an element added to a list, an entry
 * of a map, a timer. The flags sit on the cells, so a change costs no lookup. There may be millions of rows, and nearly all have
 * one cell and one timer: a row is its own first cell, and what few have stands aside. Whatever is reached at every record costs
 * a cache miss for each object that it is spread over.
 *
 * W1 A row is in its store's dirty list exactly when `listed`.
 * W2 What was set and cleared before it was stored leaves no trace in a commit.
 * W3 A row without its own cell has no others.
 * W5 What is over (C2) goes without a word in a commit, where the durable state knows that its window has fired: whoever has it finds by
 *    itself that it is over. The row then counts as changed all the same (`thinned`), so that the next base leaves it out.
 * W4 Whoever changes a cell says so by `noteChange`: a commit looks at nothing beyond the row's own cell where nothing of it has changed
 *    (`changedAside`), and not at further cells where none of them has.
 */
import type { Key } from "../api/key.ts";
import type { Seq } from "../base/ids.ts";
import { Cell, type CellKind } from "./cell.ts";
import { byEnd, insertInOrder, placeOf, staysInOrder, takeFromOrder } from "./cell-order.ts";
import type { KeyGroupState } from "./key-group.ts";
import { type Namespace, sameNamespace } from "./namespace.ts";
import { isEndTimer, Timer, type TimerDomain } from "./timer.ts";

/** How many further cells a row has before they are kept in the order of their windows' ends. */
const linearCells = 12;

const noCells: readonly Cell[] = [];

/** A cell that the durable state still has. */
export type DeletedCell = Pick<Cell, "state" | "namespace">;

/** Of all that have none; never written to. */
const nothing: never[] = [];

/**
 * What few rows have. Its lists are made when there is something to put into them. It is a cell of the row itself where there is a
 * second one and they are in no order: with windows that stay for late records, nearly every row has one.
 */
class RowExtras extends Cell {
  isCell = false;
  /** Further cells. */
  others: Cell[] = nothing;
  /** Those that are no flags of cells (C1). */
  timers: Timer[] = nothing;
  deleted: DeletedCell[] = nothing;
  /** Timers set or cancelled since the last commit. */
  touchedTimers: Timer[] = nothing;
  processing: ProcessingRow | undefined = undefined;
  /** `others` stand in the order of their windows' ends: they are many, or were. */
  ordered = false;
  /** One of `others` may have changed since the last commit (W4). */
  othersChanged = false;
  /** One of `others` was renamed since: another may have the name that it had. */
  othersRenamed = false;
  /** When something is due in one of `others`; undefined: it must be looked for. Each of them that is looked at costs a cache miss. */
  othersDue: number | undefined = undefined;

  /** The row may as well have none, once it is settled. */
  get empty(): boolean {
    return !this.hasCells && this.timers.length === 0 && this.processing === undefined;
  }

  get hasCells(): boolean {
    return this.isCell || this.others.length > 0;
  }

  leave(): void {
    this.isCell = false;
    this.become(blank);
  }
}

/** The list with the item in it: a new one where it was `nothing`. */
function withItem<T>(list: T[], item: T): T[] {
  if (list === nothing) return [item];
  list.push(item);
  return list;
}

/** Of all rows that have none of it; never written to. */
const noExtras = new RowExtras();

/** Beside those of the row's own cell. */
const mark = { present: 1 << 16, listed: 1 << 17, idle: 1 << 18, thinned: 1 << 19, changedAside: 1 << 20 } as const;

/** Rows stand in the queue of event-time timers themselves, since nearly all of them do. */
export class Row extends Cell {
  // In the order in which they are needed together: what records and timers look at lies beside the cell's own.
  /** Where the row stands in the queue of event-time timers. The queue's. */
  queuedIn: any = undefined;
  private extras = noExtras;
  /** The turn in which it was asked for last. */
  usedAt = 0;
  /** The last commit that changed it; 0 when none has since it was loaded. */
  changedAt: Seq = 0;
  readonly key: Key;
  /** The top 32 bits of the key's hash key, as a signed number: it then needs no box. See `hash`. */
  private readonly signedHash: number;
  readonly group: KeyGroupState;
  /** Neighbours among the group's rows. The group's. */
  next: Row | undefined = undefined;
  previous: Row | undefined = undefined;

  constructor(key: Key, hash: number, group: KeyGroupState) {
    super();
    this.key = key;
    this.signedHash = hash | 0;
    this.group = group;
  }

  /** The top 32 bits of the key's hash key. */
  get hash(): number {
    return this.signedHash >>> 0;
  }

  /** The row's own cell has contents. While it has none and is `stored`, the durable state still has it. */
  get present(): boolean {
    return (this.bits & mark.present) !== 0;
  }
  private set present(on: boolean) {
    this.set(mark.present, on);
  }

  get listed(): boolean {
    return (this.bits & mark.listed) !== 0;
  }
  set listed(on: boolean) {
    this.set(mark.listed, on);
  }

  /** Noted by the store as empty. The store's. */
  get idle(): boolean {
    return (this.bits & mark.idle) !== 0;
  }
  set idle(on: boolean) {
    this.set(mark.idle, on);
  }

  /** W5: it has lost contents since the last commit of which that will say nothing. */
  get thinned(): boolean {
    return (this.bits & mark.thinned) !== 0;
  }
  set thinned(on: boolean) {
    this.set(mark.thinned, on);
  }

  get empty(): boolean {
    return !this.present && this.extras.timers.length === 0;
  }

  /** Something beside its own cell has changed since the last commit. */
  get changedAside(): boolean {
    return (this.bits & mark.changedAside) !== 0;
  }
  private set changedAside(on: boolean) {
    this.set(mark.changedAside, on);
  }

  /** The row's cells beyond its own. */
  get others(): readonly Cell[] {
    const { extras } = this;
    return extras.isCell ? [extras, ...extras.others] : extras.others;
  }

  get otherCount(): number {
    const { isCell, others } = this.extras;
    return isCell ? others.length + 1 : others.length;
  }

  /** One of the cells beyond its own. */
  otherAt(place: number): Cell {
    const { extras } = this;
    if (!extras.isCell) return extras.others[place] as Cell;
    return place === 0 ? extras : (extras.others[place - 1] as Cell);
  }

  /** Whether the next commit may have something to say of them. */
  get othersChanged(): boolean {
    return this.extras.othersChanged;
  }

  /** Whether the next commit may have to say first of some that they are of another window. */
  get othersRenamed(): boolean {
    return this.extras.othersRenamed;
  }

  /** The cell, which is one of the row's, changes. */
  noteChange(cell: Cell): void {
    if (cell !== this) this.noteOthers();
  }

  private noteOthers(): void {
    const { extras } = this;
    extras.othersChanged = true;
    extras.othersDue = undefined;
    this.changedAside = true;
  }

  /** Timers that are no flags of cells. */
  get timers(): readonly Timer[] {
    return this.extras.timers;
  }

  get deleted(): readonly DeletedCell[] {
    return this.extras.deleted;
  }

  get touchedTimers(): readonly Timer[] {
    return this.extras.touchedTimers;
  }

  private ownExtras(): RowExtras {
    if (this.extras === noExtras) this.extras = new RowExtras();
    return this.extras;
  }

  /** For what the next commit is to see. */
  private changingExtras(): RowExtras {
    this.changedAside = true;
    return this.ownExtras();
  }

  /** The row as the queue of processing-time timers sees it. */
  get processing(): ProcessingRow {
    return (this.ownExtras().processing ??= new ProcessingRow(this));
  }

  get hasProcessing(): boolean {
    return this.extras.processing !== undefined;
  }

  // ---- cells ----

  /** All cells, the row's own first. */
  get cells(): readonly Cell[] {
    return this.present ? [this, ...this.others] : noCells;
  }

  /** The only cell, when there is one and no other. */
  get only(): Cell | undefined {
    return this.present && !this.extras.hasCells ? this : undefined;
  }

  find(state: number, namespace: Namespace): Cell | undefined {
    if (this.present && this.state === state && sameNamespace(this.namespace, namespace)) return this;
    return this.extras === noExtras ? undefined : this.findOther(state, namespace);
  }

  /** The cell of a state that has only one. */
  cellOf(state: number): Cell | undefined {
    if (this.present && this.state === state) return this;
    return this.extras === noExtras ? undefined : this.others.find((cell) => cell.state === state);
  }

  private findOther(state: number, namespace: Namespace): Cell | undefined {
    const { extras } = this;
    const { ordered, others } = extras;
    if (extras.isCell && extras.state === state && sameNamespace(extras.namespace, namespace)) return extras;
    for (let i = ordered ? placeOf(namespace.end, others) : 0; i < others.length; i++) {
      const cell = others[i] as Cell;
      if (cell.state === state && sameNamespace(cell.namespace, namespace)) return cell;
      if (ordered && cell.namespace.end > namespace.end) return undefined;
    }
    return undefined;
  }

  /** A further cell of the namespace; with `timed`, one whose flag is the timer at its end. */
  private otherIn(namespace: Namespace, timed: boolean): Cell | undefined {
    const { extras } = this;
    const { ordered, others } = extras;
    if (extras.isCell && sameNamespace(extras.namespace, namespace) && (extras.endTimer || !timed)) return extras;
    for (let i = ordered ? placeOf(namespace.end, others) : 0; i < others.length; i++) {
      const cell = others[i] as Cell;
      if (sameNamespace(cell.namespace, namespace) && (cell.endTimer || !timed)) return cell;
      if (ordered && cell.namespace.end > namespace.end) return undefined;
    }
    return undefined;
  }

  /** All cells of the namespace. */
  cellsIn(namespace: Namespace): readonly Cell[] {
    const found: Cell[] = this.present && sameNamespace(this.namespace, namespace) ? [this] : [];
    const { extras } = this;
    const { ordered, others } = extras;
    if (extras.isCell && sameNamespace(extras.namespace, namespace)) found.push(extras);
    for (let i = ordered ? placeOf(namespace.end, others) : 0; i < others.length; i++) {
      const cell = others[i] as Cell;
      if (sameNamespace(cell.namespace, namespace)) found.push(cell);
      else if (ordered && cell.namespace.end > namespace.end) break;
    }
    return found;
  }

  /** The cells of a state whose windows, of which no two overlap, share a time with [start, end] or touch it; in the order of time. */
  cellsAround(state: number, start: number, end: number): readonly Cell[] {
    const found: Cell[] = [];
    const take = (cell: Cell): boolean => {
      if (cell.state !== state) return true;
      const { namespace } = cell;
      if (namespace.start <= end && namespace.end >= start) found.push(cell);
      return namespace.start <= end;
    };
    if (this.present) take(this);
    const { ordered, others } = this.extras;
    if (this.extras.isCell) take(this.extras);
    for (let i = ordered ? placeOf(start, others) : 0; i < others.length; i++) if (!take(others[i] as Cell) && ordered) break;
    return found.sort((a, b) => a.namespace.start - b.namespace.start);
  }

  /** A new cell; there must be none of this state and namespace. */
  make(state: number, namespace: Namespace, kind: CellKind, value: unknown): Cell {
    if (this.present && (this.state !== state || namespace.end < this.namespace.end))
      return this.makeOther(new Cell(state, namespace, kind, value));
    if (this.present) {
      // The latest window is the one that records go to: it is where nothing else need be looked at.
      this.makeOther(this);
    } else if (this.stored) this.rememberDeleted(this);
    this.present = true;
    this.begin(state, namespace, kind, value);
    return this;
  }

  /** A further cell that is what the given one is. */
  private makeOther(like: Cell): Cell {
    const extras = this.ownExtras();
    const { ordered } = extras;
    extras.othersDue = undefined;
    // A window that has fired mostly says nothing more.
    if (!like.stored || like.unsettled) this.noteOthers();
    if (!ordered && !extras.isCell) {
      extras.isCell = true;
      extras.become(like);
      return extras;
    }
    const cell = new Cell();
    cell.become(like);
    if (ordered) insertInOrder(extras.others, cell);
    else extras.others = withItem(extras.others, cell);
    if (!ordered && extras.others.length > linearCells) this.putInOrder();
    return cell;
  }

  /** Takes the cell away; the next commit deletes it where it is stored. A timer at its window's end stays. */
  remove(cell: Cell): void {
    const { namespace, endTimer } = cell;
    this.forget(cell);
    if (endTimer) this.setTimer("eventTime", namespace.end - 1, namespace);
  }

  /** Takes the cell away together with its timer. */
  forget(cell: Cell): void {
    const { extras } = this;
    if (!extras.hasCells) return this.leaveOwn();
    const { others, ordered } = extras;
    extras.othersDue = undefined;
    this.changedAside = true;
    if (cell.stored) this.rememberDeleted(cell);
    if (cell === this && others.length > 0) this.become(others.pop() as Cell);
    else if (cell === this) {
      this.become(extras);
      extras.leave();
    } else if (cell === extras) extras.leave();
    else if (ordered) takeFromOrder(others, cell);
    else takeOut(others, cell);
  }

  /** Where it is stored, it says until the commit what to delete. */
  private leaveOwn(): void {
    this.present = false;
    if (!this.stored) return this.clearOwn();
    this.value = undefined;
    this.dirty = false;
    this.endTimer = false;
  }

  private rememberDeleted({ state, storedNamespace }: Cell): void {
    const extras = this.changingExtras();
    extras.deleted = withItem(extras.deleted, { state, namespace: storedNamespace });
  }

  private clearOwn(): void {
    this.become(blank);
  }

  /** The cell of another window; the next commit renames it where it is stored. Its timer at the end goes along. */
  renameCell(cell: Cell, namespace: Namespace): void {
    const { others, ordered } = this.extras;
    // A session that grows mostly keeps its place among the others: moving it would move them too.
    const moves = ordered && cell !== this && !staysInOrder(others, cell, namespace.end);
    if (moves) takeFromOrder(others, cell);
    this.noteChange(cell);
    if (cell !== this) this.extras.othersRenamed = true;
    cell.rename(namespace);
    if (moves) insertInOrder(others, cell);
  }

  private putInOrder(): void {
    const { extras } = this;
    if (extras.isCell) {
      const cell = new Cell();
      cell.become(extras);
      extras.others.push(cell);
      extras.leave();
    }
    extras.others.sort(byEnd);
    extras.ordered = true;
  }

  // ---- timers ----

  /** Sets a timer; returns false when it is set already. */
  setTimer(domain: TimerDomain, at: number, namespace: Namespace): boolean {
    if (this.hasTimer(domain, at, namespace)) return false;
    const cell = isEndTimer(domain, at, namespace) ? this.cellIn(namespace) : undefined;
    if (cell === undefined) this.setOwnTimer(domain, at, namespace);
    else this.flagEnd(cell, true);
    return true;
  }

  hasTimer(domain: TimerDomain, at: number, namespace: Namespace): boolean {
    if (isEndTimer(domain, at, namespace) && this.timedCell(namespace) !== undefined) return true;
    return this.findTimer(domain, at, namespace) !== undefined;
  }

  private flagEnd(cell: Cell, on: boolean): void {
    this.noteChange(cell);
    cell.endTimer = on;
  }

  private cellIn(namespace: Namespace): Cell | undefined {
    if (this.present && sameNamespace(this.namespace, namespace)) return this;
    return this.otherIn(namespace, false);
  }

  /** The cell whose flag is the timer at the end of the window. */
  private timedCell(namespace: Namespace): Cell | undefined {
    if (this.present && this.endTimer && sameNamespace(this.namespace, namespace)) return this;
    if (this.extras === noExtras) return undefined;
    return this.otherIn(namespace, true);
  }

  private setOwnTimer(domain: TimerDomain, at: number, namespace: Namespace): void {
    const timer =
      this.extras.touchedTimers.find((touched) => touched.is(domain, at, namespace)) ?? new Timer(domain, at, namespace);
    timer.live = true;
    this.addTimer(timer);
    this.touch(timer);
  }

  addTimer(timer: Timer): void {
    const extras = this.changingExtras();
    extras.timers = withItem(extras.timers, timer);
  }

  /** Cancels a timer; returns false when it was not set. */
  cancelTimer(domain: TimerDomain, at: number, namespace: Namespace): boolean {
    const cell = isEndTimer(domain, at, namespace) ? this.timedCell(namespace) : undefined;
    if (cell !== undefined) {
      this.flagEnd(cell, false);
      return true;
    }
    const timer = this.findTimer(domain, at, namespace);
    if (timer === undefined) return false;
    this.dropTimer(timer);
    if (timer.stored) this.touch(timer);
    else this.untouch(timer);
    return true;
  }

  /** Takes a live timer out that is no flag of a cell. */
  dropTimer(timer: Timer): void {
    timer.live = false;
    this.changedAside = true;
    takeOut(this.extras.timers, timer);
  }

  /** A timer that is no flag of a cell. */
  findTimer(domain: TimerDomain, at: number, namespace: Namespace): Timer | undefined {
    const { timers } = this.extras;
    for (let i = 0; i < timers.length; i++) {
      const timer = timers[i] as Timer;
      if (timer.is(domain, at, namespace)) return timer;
    }
    return undefined;
  }

  private touch(timer: Timer): void {
    if (timer.touched) return;
    timer.touched = true;
    const extras = this.changingExtras();
    extras.touchedTimers = withItem(extras.touchedTimers, timer);
  }

  /** Set and cancelled before it was stored: no trace, so a window that moves with each record does not pile up. */
  private untouch(timer: Timer): void {
    if (!timer.touched) return;
    timer.touched = false;
    takeOut(this.extras.touchedTimers, timer);
  }

  /** When something is due in event time: a timer, or contents that are over (C2). Infinity: never. */
  earliest(retentionMs = Infinity): number {
    let earliest = this.present ? this.dueAt(retentionMs) : Infinity;
    if (this.extras === noExtras) return earliest;
    const { timers } = this.extras;
    const others = this.othersDue(retentionMs);
    if (others < earliest) earliest = others;
    return timers.length === 0 ? earliest : Math.min(earliest, this.earliestTimer("eventTime"));
  }

  private othersDue(retentionMs: number): number {
    const { extras } = this;
    const due = extras.isCell ? extras.dueAt(retentionMs) : Infinity;
    if (extras.others.length === 0) return due;
    extras.othersDue ??= earliestDue(extras.others, extras.ordered, retentionMs);
    return Math.min(due, extras.othersDue);
  }

  /** The time of the earliest timer of a domain, or Infinity. */
  earliestOf(domain: TimerDomain): number {
    return domain === "eventTime" ? this.earliest() : this.earliestTimer(domain);
  }

  /** Of those that are no flags of cells. */
  private earliestTimer(domain: TimerDomain): number {
    let earliest = Infinity;
    for (const timer of this.timers) if (timer.domain === domain && timer.at < earliest) earliest = timer.at;
    return earliest;
  }

  /** The window of the row's own cell, where its end is the row's only timer at `at` or before. */
  onlyWindowEndingAt(at: number, retentionMs: number): Namespace | undefined {
    const { extras } = this;
    if (!this.present || !this.endTimer || this.namespace.end - 1 !== at) return undefined;
    if (extras !== noExtras && (extras.timers.length > 0 || this.othersDue(retentionMs) <= at)) return undefined;
    return this.namespace;
  }

  /** Drops the contents that are over at `at` (C2, W5); true when there were any. */
  dropOver(at: number, retentionMs: number): boolean {
    if (!this.present) return false;
    const { extras } = this;
    let dropped = false;
    // Backwards, the row's own cell last: what takes the place of a cell that goes was looked at already.
    if (extras !== noExtras && this.othersDue(retentionMs) <= at)
      for (let i = this.otherCount - 1; i >= 0; i--) dropped = this.dropIfOver(this.otherAt(i), at, retentionMs) || dropped;
    dropped = this.dropIfOver(this, at, retentionMs) || dropped;
    if (dropped) this.leaveExtras();
    return dropped;
  }

  private dropIfOver(cell: Cell, at: number, retentionMs: number): boolean {
    if (!cell.isOverAt(at, retentionMs)) return false;
    // W5: the durable state would have the window fire again.
    if (!cell.endTimerStored) cell.stored = false;
    this.forget(cell);
    this.thinned = true;
    return true;
  }

  /** The timers of a domain at exactly `at`, in the order of their windows. */
  timersAt(domain: TimerDomain, at: number): readonly Timer[] {
    const due: Timer[] = [];
    if (domain === "eventTime" && this.present && this.endTimer && this.namespace.end - 1 === at)
      due.push(new Timer(domain, at, this.namespace));
    if (this.extras === noExtras) return due;
    const { extras } = this;
    const { others, timers, ordered } = extras;
    if (domain === "eventTime" && extras.isCell && extras.endTimer && extras.namespace.end - 1 === at)
      due.push(new Timer(domain, at, extras.namespace));
    const from = domain === "processingTime" ? others.length : ordered ? placeOf(at + 1, others) : 0;
    for (let i = from; i < others.length; i++) {
      const { endTimer, namespace } = others[i] as Cell;
      if (endTimer && namespace.end - 1 === at) due.push(new Timer(domain, at, namespace));
      else if (ordered && namespace.end - 1 > at) break;
    }
    for (const timer of timers) if (timer.domain === domain && timer.at === at) due.push(timer);
    return due.length > 1 ? due.sort(compareWindows) : due;
  }

  // ---- what has changed ----

  /** Forgets what has gone or come: it has been written into a commit. Cells that are there settle by themselves. */
  settleRow(): void {
    this.listed = this.thinned = false;
    if (!this.present && this.stored) this.clearOwn();
    if (this.changedAside) this.settleExtras();
  }

  private settleExtras(): void {
    const { extras } = this;
    this.changedAside = false;
    if (extras === noExtras) return;
    for (const timer of extras.touchedTimers) {
      timer.touched = false;
      timer.stored = timer.live;
    }
    extras.touchedTimers = nothing;
    extras.deleted = nothing;
    extras.othersChanged = extras.othersRenamed = false;
    this.leaveExtras();
  }

  /** Lets them go where neither the row nor the next commit has a use for them. */
  private leaveExtras(): void {
    const { empty, deleted, touchedTimers } = this.extras;
    if (!empty || deleted !== nothing || touchedTimers !== nothing) return;
    this.extras = noExtras;
    this.changedAside = false;
  }

  /** What the row was before a unit of work that may fail: `restore` brings it back. */
  copyRow(): RowCopy {
    return {
      present: this.present,
      own: this.copy(),
      others: this.others.map((cell) => cell.copy()),
      ordered: this.extras.ordered,
      timers: this.timers.map((timer) => timer.copy()),
      deleted: [...this.deleted],
      cancelled: this.touchedTimers.filter((timer) => !timer.live).map((timer) => timer.copy()),
    };
  }

  restore(copy: RowCopy): void {
    this.present = copy.present;
    this.become(copy.own);
    const extras = this.ownExtras();
    extras.leave();
    extras.others = copy.others;
    extras.ordered = copy.ordered;
    this.noteOthers();
    extras.deleted = copy.deleted;
    extras.timers = copy.timers;
    extras.touchedTimers = [...copy.timers.filter((timer) => timer.touched), ...copy.cancelled];
  }
}

/** When something is due in the earliest of these cells; Infinity: never. */
function earliestDue(cells: readonly Cell[], ordered: boolean, retentionMs: number): number {
  let earliest = Infinity;
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i] as Cell;
    if (ordered && cell.namespace.end > earliest) break;
    const due = cell.dueAt(retentionMs);
    if (due < earliest) earliest = due;
  }
  return earliest;
}

function compareWindows(a: Timer, b: Timer): number {
  return a.namespace.start - b.namespace.start || a.namespace.end - b.namespace.end;
}

/** A cell that holds nothing and never did. */
const blank = new Cell();

/** Takes an item out of a list whose order means nothing. */
function takeOut<T>(list: T[], item: T): void {
  const last = list.pop() as T;
  if (last !== item) list[list.indexOf(item)] = last;
}

export interface RowCopy {
  readonly present: boolean;
  readonly own: Cell;
  readonly others: Cell[];
  readonly ordered: boolean;
  readonly timers: Timer[];
  readonly deleted: DeletedCell[];
  readonly cancelled: readonly Timer[];
}

/** A row in the queue of processing-time timers. */
export class ProcessingRow {
  readonly row: Row;
  queuedIn: any = undefined;

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
