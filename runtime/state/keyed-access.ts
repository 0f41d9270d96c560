/**
 * The author's way to keyed state: handles that always mean the current key (and, for window state, the current window).
 *
 * Owns the current row; moves with every record and timer. A handle is made once per operator and allocates nothing per call.
 */
import type { KeyPart } from "../api/key.ts";
import type { Fold, FoldingState, ListState, MapState, ValueState } from "../api/state.ts";
import { MillraceError } from "../base/errors.ts";
import type { KeyedStore } from "./keyed-store.ts";
import type { Cell } from "./cell.ts";
import { type Namespace, sameNamespace, voidNamespace } from "./namespace.ts";
import type { Row } from "./row.ts";
import type { TimerDomain } from "./timer.ts";

/** By so much a window's edges may move for a commit to be able to say so, ms. */
const renamedMost = 2 ** 50;

/** The row, and the window, that the handles of one operator refer to now. */
export class KeyedAccess {
  readonly store: KeyedStore;
  /** Batch mode, at the end of a key: timers that timers set are dropped. */
  dropsTimers = false;
  /** Processing time, epoch ms; the task's. */
  clock: { readonly now: number } = { now: 0 };
  private current: Row | undefined;

  constructor(store: KeyedStore) {
    this.store = store;
  }

  get row(): Row {
    return this.current ?? this.noRow();
  }

  private noRow(): never {
    throw new MillraceError("internal", `keyed state of ${this.store.operator} is used outside a record or timer`);
  }

  setRow(row: Row | undefined): void {
    this.current = row;
  }

  setTimer(domain: TimerDomain, at: number, namespace: Namespace): void {
    if (!this.dropsTimers) this.setOwnTimer(domain, at, namespace);
  }

  /** A timer by which the operator itself goes on: it is never dropped. */
  setOwnTimer(domain: TimerDomain, at: number, namespace: Namespace): void {
    const { row, store } = this;
    if (!row.setTimer(domain, at, namespace)) return;
    store.markDirty(row);
    if (domain === "eventTime") store.eventTimers.schedule(row, at);
    else store.processingTimers.schedule(row.processing, at);
  }

  /** A cell of the current key goes over to another window, whose end is then its timer. It may then be another object. */
  moveCell(cell: Cell, to: Namespace): void {
    const { row, store } = this;
    const { state, namespace, kind, value } = cell;
    if (Math.abs(to.start - namespace.start) > renamedMost) {
      row.forget(cell);
      cell = row.make(state, to, kind, value);
      cell.dirty = true;
    } else row.renameCell(cell, to);
    row.noteChange(cell);
    cell.endTimer = true;
    store.markDirty(row);
    store.eventTimers.schedule(row, to.end - 1);
  }

  /** All state of one window of the current key, and the timer at its end, become another window's, which ends no earlier. */
  renameWindow(from: Namespace, to: Namespace): void {
    const { row } = this;
    const { only } = row;
    if (only === undefined) for (const cell of row.cellsIn(from)) this.renameCell(cell, to);
    else if (sameNamespace(only.namespace, from)) this.renameCell(only, to);
  }

  /** The same, of a cell that is all the state of its window. */
  renameCell(cell: Cell, to: Namespace): void {
    const { row, store } = this;
    row.renameCell(cell, to);
    store.markDirty(row);
  }

  cancelTimer(domain: TimerDomain, at: number, namespace: Namespace): void {
    if (this.row.cancelTimer(domain, at, namespace)) this.store.markDirty(this.row);
  }
}

/** Which window the handles refer to. */
export class CurrentNamespace {
  namespace: Namespace = voidNamespace;
}

export abstract class Handle {
  protected readonly access: KeyedAccess;
  protected readonly state: number;
  protected readonly at: CurrentNamespace;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace) {
    this.access = access;
    this.state = state;
    this.at = at;
  }

  protected cell(): Cell | undefined {
    return this.access.row.find(this.state, this.at.namespace);
  }

  protected change(cell: Cell): void {
    const { row, store } = this.access;
    cell.dirty = true;
    row.noteChange(cell);
    store.markDirty(row);
  }

  clear(): void {
    const cell = this.cell();
    if (cell === undefined) return;
    this.access.row.remove(cell);
    this.access.store.markDirty(this.access.row);
  }

  /**
   * The contents of windows that merge become one of `into`, by the state's own rule, in the order of `from` after what `into` has
   * (Flink's InternalMergingState). Throws `invalid` for value and map state, which have no such rule.
   */
  merge(into: Namespace, from: readonly Namespace[]): void {
    const { row, store } = this.access;
    for (const namespace of from) {
      const cell = row.find(this.state, namespace);
      if (cell === undefined || sameNamespace(namespace, into)) continue;
      const { value } = cell;
      row.remove(cell);
      store.markDirty(row);
      this.mergeIn(into, value);
    }
  }

  /** Adds what was kept under another namespace. */
  protected mergeIn(_into: Namespace, _value: any): void {
    const name = [...this.access.store.states.keys()][this.state];
    throw new MillraceError("invalid", `state ${name} cannot be merged: list, reducing and aggregating (with merge) state can`);
  }
}

export class ValueHandle extends Handle implements ValueState<any> {
  get(): any {
    return this.cell()?.value;
  }

  set(value: any): void {
    let cell = this.cell();
    if (cell === undefined) {
      cell = this.access.row.make(this.state, this.at.namespace, "value", value);
    } else cell.value = value;
    this.change(cell);
  }

  /** Folds a value in, with one look-up; returns true when there was none before. */
  fold(value: any, fold: { first(value: any): any; add(accumulator: any, value: any): any }): boolean {
    const cell = this.cell();
    if (cell?.value === undefined) {
      this.set(fold.first(value));
      return true;
    }
    cell.value = fold.add(cell.value, value);
    this.change(cell);
    return false;
  }
}

const none: readonly any[] = Object.freeze([]);

export class ListHandle extends Handle implements ListState<any> {
  /** The elements as they are now: an author may emit them, so what is added later must not show in them. */
  get(): readonly any[] {
    const cell = this.cell();
    if (cell === undefined) return none;
    cell.handedOut = true;
    return cell.value;
  }

  /** The elements, for a reader who lets go of them before the next is added. */
  peek(): readonly any[] {
    return this.cell()?.value ?? none;
  }

  add(value: any): void {
    const cell = this.made();
    if (cell.handedOut) {
      cell.value = cell.value.slice();
      cell.handedOut = false;
    }
    cell.value.push(value);
    this.change(cell);
  }

  addAll(values: Iterable<any>): void {
    for (const value of values) this.add(value);
  }

  update(values: Iterable<any>): void {
    const items = [...values];
    if (items.length === 0) return this.clear();
    const cell = this.made();
    cell.value = items;
    cell.handedOut = false;
    cell.replaced = true;
    this.change(cell);
  }

  /** A list that is there, without elements. */
  empty(): void {
    const cell = this.made();
    cell.value = [];
    cell.handedOut = false;
    cell.replaced = true;
    this.change(cell);
  }

  protected made(at = this.at.namespace): Cell {
    const { row } = this.access;
    return row.find(this.state, at) ?? row.make(this.state, at, "list", []);
  }

  protected override mergeIn(into: Namespace, value: any): void {
    const cell = this.made(into);
    cell.value = [...cell.value, ...value];
    cell.handedOut = false;
    this.change(cell);
  }
}

const noEntries: ReadonlyMap<any, any> = new Map();

export class MapHandle extends Handle implements MapState<KeyPart, any> {
  get(key: KeyPart): any {
    return this.cell()?.value.get(key);
  }

  has(key: KeyPart): boolean {
    return this.cell()?.value.has(key) ?? false;
  }

  entries(): Iterable<readonly [KeyPart, any]> {
    return this.cell()?.value ?? none;
  }

  /** The entries as they are, for a reader who lets go of them before the next change. */
  peek(): ReadonlyMap<KeyPart, any> {
    return this.cell()?.value ?? noEntries;
  }

  isEmpty(): boolean {
    return this.cell() === undefined;
  }

  set(key: KeyPart, value: any): void {
    const cell = this.cell() ?? this.access.row.make(this.state, this.at.namespace, "map", new Map());
    cell.value.set(key, value);
    this.changeEntry(cell, key);
  }

  /** Folds a value into an entry; returns true when there was none before. */
  fold(key: KeyPart, value: any, fold: { first(value: any): any; add(accumulator: any, value: any): any }): boolean {
    const cell = this.cell();
    const known = cell?.value.get(key);
    if (cell === undefined || known === undefined) {
      this.set(key, fold.first(value));
      return true;
    }
    cell.value.set(key, fold.add(known, value));
    this.changeEntry(cell, key);
    return false;
  }

  delete(key: KeyPart): void {
    const cell = this.cell();
    if (!cell?.value.delete(key)) return;
    if (cell.value.size === 0) this.clear();
    else this.changeEntry(cell, key);
  }

  private changeEntry(cell: Cell, key: KeyPart): void {
    (cell.changed ??= new Set()).add(key);
    this.change(cell);
  }
}

/** Reducing and aggregating state: what is kept is the accumulator. */
export class FoldingHandle extends Handle implements FoldingState<any, any> {
  protected readonly fold: Fold;

  constructor(access: KeyedAccess, state: number, at: CurrentNamespace, fold: Fold) {
    super(access, state, at);
    this.fold = fold;
  }

  get(): any {
    const cell = this.cell();
    return cell === undefined ? undefined : this.fold.result(cell.value);
  }

  add(value: any): void {
    const cell = this.cell();
    if (cell === undefined) return this.make(this.at.namespace, this.fold.first(value));
    cell.value = this.fold.add(cell.value, value);
    this.change(cell);
  }

  protected make(at: Namespace, accumulator: any): void {
    this.change(this.access.row.make(this.state, at, "value", accumulator));
  }

  protected override mergeIn(into: Namespace, accumulator: any): void {
    const { merge } = this.fold;
    if (merge === undefined) return super.mergeIn(into, accumulator);
    const cell = this.access.row.find(this.state, into);
    if (cell === undefined) return this.make(into, accumulator);
    cell.value = merge(cell.value, accumulator);
    this.change(cell);
  }
}
