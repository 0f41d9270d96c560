/**
 * What an operator with a broadcast side keeps of it.
 *
 * B1 It is written by the broadcast side alone, so that all tasks keep the same; the other side reads it.
 */
import type { BroadcastSide } from "../api/graph.ts";
import { broadcastPrefix } from "../api/operator-states.ts";
import type { MapState, ReadonlyMapState } from "../api/state.ts";
import type { OperatorHost } from "./operator.ts";

/** The states by the names that the author gave them: for the broadcast side, and for the other. */
export function broadcastStates(
  { operatorState }: OperatorHost,
  side: BroadcastSide,
): {
  readonly written: Readonly<Record<string, MapState<any, any>>>;
  readonly read: Readonly<Record<string, ReadonlyMapState<any, any>>>;
} {
  const stored = (operatorState?.handles() ?? {}) as unknown as Readonly<Record<string, MapState<any, any>>>;
  const names = Object.keys(side.broadcastStates);
  const written = names.map((name) => [name, stored[broadcastPrefix(side) + name] as MapState<any, any>] as const);
  return {
    written: Object.fromEntries(written),
    read: Object.fromEntries(written.map(([name, state]) => [name, readOf(state)])),
  };
}

/** B1, for those who have no compiler to hold them to it. */
function readOf(state: MapState<any, any>): ReadonlyMapState<any, any> {
  return {
    get: (key) => state.get(key),
    has: (key) => state.has(key),
    entries: () => state.entries(),
    isEmpty: () => state.isEmpty(),
  };
}
