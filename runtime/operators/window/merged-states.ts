/**
 * States of windows that merge, the contents apart: what the trigger keeps of each and what the author's function does. Lists and
 * folded states are merged by their own rule; of values and maps, which have none, the earlier window's stays where both have one.
 */
import { windowStates } from "../../api/operator-states.ts";
import { isMergeable } from "../../api/state.ts";
import { CurrentNamespace, type KeyedAccess } from "../../state/keyed-access.ts";
import type { Namespace } from "../../state/namespace.ts";
import { type StateHandle, stateHandle } from "../../state/state-handles.ts";

interface MergedState {
  readonly number: number;
  readonly mergeable: boolean;
  readonly handle: StateHandle;
}

export class MergedStates {
  private readonly access: KeyedAccess;
  private readonly states: readonly MergedState[];

  constructor(access: KeyedAccess) {
    const { triggerPrefix, windowPrefix } = windowStates;
    const at = new CurrentNamespace();
    this.access = access;
    this.states = [...access.store.states]
      .map(([name, declaration], number) => {
        const handle = stateHandle(declaration, access, number, at);
        return { name, number, mergeable: isMergeable(declaration), handle };
      })
      .filter(({ name }) => name.startsWith(triggerPrefix) || name.startsWith(windowPrefix));
  }

  /** What the later window has goes over into what the earlier one has. */
  move(later: Namespace, earlier: Namespace): void {
    for (const { number, mergeable, handle } of this.states) {
      if (mergeable) handle.merge(earlier, [later]);
      else this.moveCell(number, later, earlier);
    }
  }

  private moveCell(state: number, later: Namespace, earlier: Namespace): void {
    const { row, store } = this.access;
    const cell = row.find(state, later);
    if (cell === undefined) return;
    const { kind, value } = cell;
    row.remove(cell);
    if (row.find(state, earlier) === undefined) row.make(state, earlier, kind, value).dirty = true;
    store.markDirty(row);
  }
}
