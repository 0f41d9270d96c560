/**
 * The contents of one declared state in one namespace of one row, and what of them has changed since the last commit.
 *
 * C1 The event-time timer at a window's last millisecond is a flag of a cell of that window, where the row has one: nearly every
 *    window has that timer and no other, and a session's moves with each record. See `Row.setTimer`.
 */
import type { StateKind } from "../api/state.ts";
import { type Namespace, voidNamespace } from "./namespace.ts";

export class Cell {
  /** The state's place in its operator's schema. */
  state: number;
  namespace: Namespace;
  kind: StateKind;
  /** The value, a T[], or a Map: as `kind` says. */
  value: any;
  dirty = false;
  /** The durable state has the cell. */
  stored = false;
  /** C1: the timer is set. */
  endTimer = false;
  /** The durable state has that timer. */
  endTimerStored = false;
  /** Lists: the stored elements were replaced, so all are written anew. */
  replaced = false;
  /** Lists: how many elements are stored; fewer than `value.length` when some were added since. */
  storedLength = 0;
  /** Lists: the array was handed out, so it is not changed any more: what is added goes to a copy. */
  handedOut = false;
  /** The namespace under which the durable state has the cell, where it has another since. */
  storedNamespace: Namespace | undefined = undefined;
  /** Maps: entries changed since the last commit. */
  changed: Set<unknown> | undefined = undefined;

  constructor(state = 0, namespace: Namespace = voidNamespace, kind: StateKind = "value", value: any = undefined) {
    this.state = state;
    this.namespace = namespace;
    this.kind = kind;
    this.value = value;
  }

  /** Whether the next commit has something to say of the cell. */
  get unsettled(): boolean {
    return this.dirty || this.endTimer !== this.endTimerStored;
  }

  /** Moves the cell to another window. */
  rename(namespace: Namespace): void {
    if (this.stored && this.storedNamespace === undefined) this.storedNamespace = this.namespace;
    this.namespace = namespace;
    this.dirty = true;
  }

  /** Forgets what has changed: it has been written into a commit. */
  settle(): void {
    this.dirty = false;
    this.stored = true;
    this.endTimerStored = this.endTimer;
    this.storedNamespace = undefined;
    if (this.kind === "value") return;
    this.replaced = false;
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
    this.state = other.state;
    this.namespace = other.namespace;
    this.kind = other.kind;
    this.value = other.value;
    this.dirty = other.dirty;
    this.stored = other.stored;
    this.endTimer = other.endTimer;
    this.endTimerStored = other.endTimerStored;
    this.replaced = other.replaced;
    this.storedLength = other.storedLength;
    this.storedNamespace = other.storedNamespace;
    this.handedOut = other.handedOut;
    this.changed = other.changed;
  }
}
