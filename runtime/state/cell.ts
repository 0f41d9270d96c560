/**
 * The contents of one declared state in one namespace of one row, and what of them has changed since the last commit.
 *
 * C1 The event-time timer at a window's last millisecond is a flag of a cell of that window, where the row has one: nearly every
 *    window has that timer and no other, and a session's moves with each record. See `Row.setTimer`.
 */
import { type Namespace, voidNamespace } from "./namespace.ts";

/** How contents are kept: one value, elements in their order, or entries. Folded state keeps one value. */
export type CellKind = "value" | "list" | "map";

/** A cell's yes-or-no's in one number: as fields of their own they would make a row of one cell half as large again. */
const bit = {
  dirty: 1,
  stored: 2,
  endTimer: 4,
  endTimerStored: 8,
  replaced: 16,
} as const;

export class Cell {
  private bits = 0;
  /** The state's place in its operator's schema. */
  state: number;
  namespace: Namespace;
  /** The value, a T[], or a Map: as `kind` says. */
  value: any;
  kind: CellKind;
  /** Lists: the array was handed out, so it is not changed any more: what is added goes to a copy. */
  handedOut = false;
  /** The namespace under which the durable state has the cell, where it has another since. */
  storedNamespace: Namespace | undefined = undefined;
  /** Lists: how many elements are stored; fewer than `value.length` when some were added since. */
  storedLength = 0;
  /** Maps: entries changed since the last commit. */
  changed: Set<unknown> | undefined = undefined;

  constructor(state = 0, namespace: Namespace = voidNamespace, kind: CellKind = "value", value: any = undefined) {
    this.state = state;
    this.namespace = namespace;
    this.value = value;
    this.kind = kind;
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

  /** Lists: the stored elements were replaced, so all are written anew. */
  get replaced(): boolean {
    return (this.bits & bit.replaced) !== 0;
  }
  set replaced(on: boolean) {
    this.set(bit.replaced, on);
  }

  private set(which: number, on: boolean): void {
    this.bits = on ? this.bits | which : this.bits & ~which;
  }

  /** Whether the next commit has something to say of the cell. */
  get unsettled(): boolean {
    const { bits } = this;
    return (bits & bit.dirty) !== 0 || ((bits & bit.endTimer) !== 0) !== ((bits & bit.endTimerStored) !== 0);
  }

  /** Moves the cell to another window. */
  rename(namespace: Namespace): void {
    if (this.stored && this.storedNamespace === undefined) this.storedNamespace = this.namespace;
    this.namespace = namespace;
    this.dirty = true;
  }

  /** Forgets what has changed: it has been written into a commit. */
  settle(): void {
    this.bits = bit.stored | (this.endTimer ? bit.endTimer | bit.endTimerStored : 0);
    this.storedNamespace = undefined;
    if (this.kind === "value") return;
    this.changed = undefined;
    if (this.kind === "list") this.storedLength = this.value.length;
  }

  copy(): Cell {
    const copy = new Cell();
    copy.become(this);
    copy.value = structuredClone(this.value);
    copy.changed = this.changed && new Set(this.changed);
    return copy;
  }

  /** Takes over all that `other` is. */
  become(other: Cell): void {
    this.bits = other.bits;
    this.state = other.state;
    this.namespace = other.namespace;
    this.value = other.value;
    this.kind = other.kind;
    this.storedNamespace = other.storedNamespace;
    this.storedLength = other.storedLength;
    this.handedOut = other.handedOut;
    this.changed = other.changed;
  }
}
