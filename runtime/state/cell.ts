/**
 * The contents of one declared state in one namespace of one row, and what of them has changed since the last commit.
 *
 * C1 The event-time timer at a window's last millisecond is a flag of a cell of that window, where the row has one: nearly every
 *    window has that timer and no other, and a session's moves with each record. See `Row.setTimer`.
 * C2 A store may keep the contents of windows (its state number 0) for some time after they have fired: those without the timer of C1.
 *    When they are over follows from their windows, so no timer says it. See `Row.dropOver`.
 * C3 A namespace that moves in place is one cell's. Whoever keeps it beyond the next change of the cell takes a copy (`keptNamespace`).
 */
import { SliceTable } from "./slice-table.ts";
import { keptNamespace, movedTo, type Namespace, voidNamespace } from "./namespace.ts";

/** Its cells without a timer are over some time after their windows' ends, where the store says so. */
const retainedState = 0;

/** How contents are kept: one value, elements in their order, entries, or slices of time. Folded state keeps one value. */
export type CellKind = "value" | "list" | "map" | "slices";

/** Its place, its kind and its yes-or-no's in one number: as fields of their own they would make a row half as large again. */
const bit = {
  state: 0xff,
  list: 1 << 8,
  map: 1 << 9,
  dirty: 1 << 10,
  stored: 1 << 11,
  endTimer: 1 << 12,
  endTimerStored: 1 << 13,
  replaced: 1 << 14,
  handedOut: 1 << 15,
} as const;

const kindBits = { value: 0, list: bit.list, map: bit.map, slices: bit.list | bit.map } as const;
const kindMask = kindBits.slices;
/** What stays of a cell while its contents come and go. */
const nature = bit.state | bit.list | bit.map;
/** All that is a cell's. Higher bits are a row's, which is a cell too. */
const cellBits = 0xffff;

export class Cell {
  protected bits: number;
  namespace: Namespace;
  /** The value, a T[], a Map, or a SliceTable: as `kind` says. */
  value: any;
  /** By how much its window's edges have moved from where the durable state has them, ms. */
  startMoved = 0;
  endMoved = 0;
  /** Of a list, `storedLength`; of a map, `changed`. */
  private known: number | Set<unknown> | undefined = undefined;

  constructor(state = 0, namespace: Namespace = voidNamespace, kind: CellKind = "value", value: any = undefined) {
    this.bits = state | kindBits[kind];
    this.namespace = namespace;
    this.value = value;
  }

  /** The durable state has the cell under another namespace. */
  get renamed(): boolean {
    return this.startMoved !== 0 || this.endMoved !== 0;
  }

  /** The namespace under which the durable state has the cell, where it has it. */
  get storedNamespace(): Namespace {
    const { start, end } = this.namespace;
    return this.renamed ? { start: start - this.startMoved, end: end - this.endMoved } : this.namespace;
  }

  /** The durable state has the cell, or will be told to have it, under the name that it has now. */
  forgetStoredName(): void {
    this.startMoved = 0;
    this.endMoved = 0;
  }

  /** The state's place in its operator's schema. */
  get state(): number {
    return this.bits & bit.state;
  }

  get kind(): CellKind {
    const kind = this.bits & kindMask;
    if (kind === 0) return "value";
    return kind === kindBits.list ? "list" : kind === kindBits.map ? "map" : "slices";
  }

  /** Lists: how many elements are stored; fewer than `value.length` when some were added since. */
  get storedLength(): number {
    return typeof this.known === "number" ? this.known : 0;
  }
  set storedLength(length: number) {
    this.known = length;
  }

  /** Maps: entries changed since the last commit. */
  get changed(): Set<unknown> | undefined {
    return typeof this.known === "object" ? this.known : undefined;
  }
  set changed(changed: Set<unknown> | undefined) {
    this.known = changed;
  }

  /** Lists: the array was handed out, so it is not changed any more: what is added goes to a copy. */
  get handedOut(): boolean {
    return (this.bits & bit.handedOut) !== 0;
  }
  set handedOut(on: boolean) {
    this.set(bit.handedOut, on);
  }

  /** The contents have changed since the last commit. */
  get dirty(): boolean {
    return (this.bits & bit.dirty) !== 0;
  }
  set dirty(on: boolean) {
    this.set(bit.dirty, on);
  }

  /** The durable state has the cell. */
  get stored(): boolean {
    return (this.bits & bit.stored) !== 0;
  }
  set stored(on: boolean) {
    this.set(bit.stored, on);
  }

  /** C1: the timer is set. */
  get endTimer(): boolean {
    return (this.bits & bit.endTimer) !== 0;
  }
  set endTimer(on: boolean) {
    this.set(bit.endTimer, on);
  }

  /** C1 of the durable state: it has the timer. */
  get endTimerStored(): boolean {
    return (this.bits & bit.endTimerStored) !== 0;
  }

  /**
   * When something is due in the cell's window: its end, as long as the timer there is set; of contents that stay for `retentionMs`
   * after it (C2), when they are over. Infinity: never.
   */
  dueAt(retentionMs: number): number {
    const { bits, namespace } = this;
    if ((bits & bit.endTimer) !== 0) return namespace.end - 1;
    if ((bits & bit.state) !== retainedState) return Infinity;
    const over = namespace.end - 1 + retentionMs;
    return over < Number.MAX_SAFE_INTEGER ? over : Infinity;
  }

  /** C2: the contents have stayed until `at`, and no longer. */
  isOverAt(at: number, retentionMs: number): boolean {
    if ((this.bits & bit.endTimer) !== 0) return false;
    const over = this.dueAt(retentionMs);
    return over <= at && over < Infinity;
  }

  /** Lists: the stored elements were replaced, so all are written anew. */
  get replaced(): boolean {
    return (this.bits & bit.replaced) !== 0;
  }
  set replaced(on: boolean) {
    this.set(bit.replaced, on);
  }

  protected set(which: number, on: boolean): void {
    this.bits = on ? this.bits | which : this.bits & ~which;
  }

  /** Whether the next commit has something to say of the cell. */
  get unsettled(): boolean {
    const { bits } = this;
    return (bits & bit.dirty) !== 0 || ((bits & bit.endTimer) !== 0) !== ((bits & bit.endTimerStored) !== 0);
  }

  /** Moves the cell to another window. */
  rename({ start, end }: Namespace): void {
    const { namespace } = this;
    if (this.stored) {
      this.startMoved += start - namespace.start;
      this.endMoved += end - namespace.end;
    }
    this.namespace = movedTo(namespace, start, end);
    this.dirty = true;
  }

  /** Forgets what has changed: it has been written into a commit. */
  settle(): void {
    const { bits } = this;
    const kept = bits & (~cellBits | nature | bit.endTimer | bit.handedOut);
    this.bits = kept | bit.stored | ((bits & bit.endTimer) !== 0 ? bit.endTimerStored : 0);
    this.forgetStoredName();
    const kind = bits & kindMask;
    if (kind === 0) return;
    if (kind === kindBits.list) this.known = this.value.length;
    else if (kind === kindBits.map) this.known = undefined;
    else this.value.settle();
  }

  copy(): Cell {
    const copy = new Cell();
    copy.become(this);
    copy.namespace = keptNamespace(this.namespace);
    // Of a cell that has gone its kind may be left.
    copy.value = this.value instanceof SliceTable ? this.value.copy() : structuredClone(this.value);
    if (this.changed !== undefined) copy.changed = new Set(this.changed);
    return copy;
  }

  /** Takes over all that `other` is as a cell. */
  become(other: Cell): void {
    this.bits = (this.bits & ~cellBits) | (other.bits & cellBits);
    this.namespace = other.namespace;
    this.value = other.value;
    this.startMoved = other.startMoved;
    this.endMoved = other.endMoved;
    this.known = other.known;
  }

  /** Becomes another cell, which is new; what it was is forgotten. */
  protected begin(state: number, namespace: Namespace, kind: CellKind, value: unknown): void {
    this.bits = (this.bits & ~cellBits) | state | kindBits[kind];
    this.namespace = namespace;
    this.value = value;
    this.forgetStoredName();
    this.known = undefined;
  }
}
