/** The contents of one declared state in one namespace of one row, and what of them has changed since the last commit. */
import type { StateKind } from "../api/state.ts";
import type { Namespace } from "./namespace.ts";

export class Cell {
  /** The state's place in its operator's schema. */
  readonly state: number;
  namespace: Namespace;
  /** The namespace under which the durable state has the cell, once it has it. */
  storedNamespace: Namespace;
  readonly kind: StateKind;
  /** The value, a T[], or a Map: as `kind` says. */
  value: any;
  dirty = false;
  /** The durable state has the cell. */
  stored = false;
  /** Lists: the stored elements were replaced, so all are written anew. */
  replaced = false;
  /** Lists: how many elements are stored; fewer than `value.length` when some were added since. */
  storedLength = 0;
  /** Lists: the array was handed out, so it is not changed any more: what is added goes to a copy. */
  handedOut = false;
  /** Maps: entries changed since the last commit. */
  changed: Set<unknown> | undefined = undefined;

  constructor(state: number, namespace: Namespace, kind: StateKind, value: any) {
    this.state = state;
    this.namespace = namespace;
    this.storedNamespace = namespace;
    this.kind = kind;
    this.value = value;
  }

  /** Forgets what has changed: it has been written into a commit. */
  settle(): void {
    this.dirty = false;
    this.stored = true;
    this.storedNamespace = this.namespace;
    if (this.kind === "value") return;
    this.replaced = false;
    this.changed = undefined;
    if (this.kind === "list") this.storedLength = this.value.length;
  }

  copy(): Cell {
    const copy = new Cell(this.state, this.namespace, this.kind, structuredClone(this.value));
    copy.dirty = this.dirty;
    copy.stored = this.stored;
    copy.storedNamespace = this.storedNamespace;
    copy.replaced = this.replaced;
    copy.storedLength = this.storedLength;
    copy.changed = this.changed && new Set(this.changed);
    return copy;
  }
}
