/**
 * States of windows that merge, the contents apart: what the trigger keeps of each and what the author's function does. Each is
 * merged by its own rule; a list is joined, of maps and values without a rule the earlier window's stays where both have one.
 */
import { windowStates } from "../../api/operator-states.ts";
import type { StateDeclaration } from "../../api/state.ts";
import {
  CurrentNamespace,
  type KeyedAccess,
  ListHandle,
  MapHandle,
  type StateHandle,
  stateHandle,
  ValueHandle,
} from "../../state/keyed-access.ts";
import type { Namespace } from "../../state/namespace.ts";

interface MergedState {
  readonly declaration: StateDeclaration;
  readonly handle: StateHandle;
}

export class MergedStates {
  private readonly at = new CurrentNamespace();
  private readonly states: readonly MergedState[];

  constructor(access: KeyedAccess) {
    const { triggerPrefix, windowPrefix } = windowStates;
    this.states = [...access.store.states]
      .map(([name, declaration], number) => ({ name, declaration, handle: stateHandle(declaration, access, number, this.at) }))
      .filter(({ name }) => name.startsWith(triggerPrefix) || name.startsWith(windowPrefix));
  }

  /** What the later window has goes over into what the earlier one has. */
  move(later: Namespace, earlier: Namespace): void {
    for (const { declaration, handle } of this.states) {
      this.at.namespace = later;
      if (handle instanceof ValueHandle) this.moveValue(handle, declaration, earlier);
      else if (handle instanceof ListHandle) this.moveList(handle, earlier);
      else this.moveMap(handle, earlier);
    }
  }

  private moveValue(handle: ValueHandle, { merge }: StateDeclaration, into: Namespace): void {
    const moved = handle.get();
    if (moved === undefined) return;
    handle.clear();
    this.at.namespace = into;
    const own = handle.get();
    if (own === undefined) handle.set(moved);
    else if (merge !== undefined) handle.set(merge(own, moved));
  }

  private moveList(handle: ListHandle, into: Namespace): void {
    const moved = handle.peek();
    handle.clear();
    this.at.namespace = into;
    handle.addAll(moved);
  }

  private moveMap(handle: MapHandle, into: Namespace): void {
    const moved = [...handle.entries()];
    handle.clear();
    this.at.namespace = into;
    for (const [key, value] of moved) if (!handle.has(key)) handle.set(key, value);
  }
}
