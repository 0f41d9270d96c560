/** The handle that fits a declared state. */
import type { StateDeclaration, ValueState } from "../api/state.ts";
import { type CurrentNamespace, FoldingHandle, type KeyedAccess, ListHandle, MapHandle, ValueHandle } from "./keyed-access.ts";
import { type TtlHandle, ttlHandle } from "./ttl-handles.ts";

export type StateHandle = ValueHandle | ListHandle | MapHandle | FoldingHandle | TtlHandle;

/** The handle of the operator's state number `state`. */
export function stateHandle(
  declaration: StateDeclaration,
  access: KeyedAccess,
  state: number,
  at: CurrentNamespace,
): StateHandle {
  if (declaration.ttl !== undefined) return ttlHandle(declaration, declaration.ttl, access, state, at);
  if (declaration.kind === "list") return new ListHandle(access, state, at);
  if (declaration.kind === "map") return new MapHandle(access, state, at);
  if (declaration.fold !== undefined) return new FoldingHandle(access, state, at, declaration.fold);
  return new ValueHandle(access, state, at);
}

/** The handle of an operator's own state that is one value. */
export function valueHandle(access: KeyedAccess, state: number, at: CurrentNamespace): ValueState<any> {
  const declaration = [...access.store.states.values()][state] as StateDeclaration;
  return stateHandle(declaration, access, state, at) as ValueState<any>;
}

/** An object with a handle for each state whose stored name opens with `prefix`, under the name after it. */
export function stateHandles(access: KeyedAccess, at: CurrentNamespace, prefix = ""): Record<string, StateHandle> {
  const handles: Record<string, StateHandle> = {};
  let number = 0;
  for (const [name, declaration] of access.store.states) {
    if (name.startsWith(prefix)) handles[name.slice(prefix.length)] = stateHandle(declaration, access, number, at);
    number++;
  }
  return handles;
}
