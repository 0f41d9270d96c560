/** What windows of the current key held that failed when they fired, where their contents go by themselves: kept until it is given back. */
import { windowStates } from "../../api/operator-states.ts";
import type { Cell, CellKind } from "../../state/cell.ts";
import type { KeyedAccess } from "../../state/keyed-access.ts";
import type { Namespace } from "../../state/namespace.ts";

export class OwedResults {
  private readonly access: KeyedAccess;
  private readonly state: number;

  constructor(access: KeyedAccess) {
    this.access = access;
    this.state = [...access.store.states.keys()].indexOf(windowStates.owed);
  }

  /** In the place of what was kept of the window before. */
  keep(window: Namespace, kind: CellKind, value: unknown): void {
    this.take(window);
    const { row, store } = this.access;
    const cell = row.make(this.state, window, kind, value);
    cell.dirty = true;
    row.noteChange(cell);
    store.markDirty(row);
  }

  /** Takes out what is kept of a window. */
  take(window: Namespace): Pick<Cell, "kind" | "value"> | undefined {
    const { row, store } = this.access;
    const cell = row.find(this.state, window);
    if (cell === undefined) return undefined;
    const { kind, value } = cell;
    row.forget(cell);
    store.markDirty(row);
    return { kind, value };
  }
}
