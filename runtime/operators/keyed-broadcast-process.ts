/**
 * process of records by key beside a stream that every task sees the whole of (Flink's KeyedBroadcastProcessFunction,
 * CoBroadcastWithKeyedOperator).
 *
 * B1 What is broadcast is written by the broadcast side alone, so that all tasks keep the same; the keyed side reads it.
 */
import type { BroadcastSpec, KeyedBroadcastProcessFunction } from "../api/co-functions.ts";
import type { OperatorSpec } from "../api/graph.ts";
import { broadcastPrefix } from "../api/operator-states.ts";
import type { MapState, ReadonlyMapState } from "../api/state.ts";
import type { Timer } from "../state/timer.ts";
import { HandlerContext } from "./context.ts";
import { KeyedHandlerContext } from "./keyed-context.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";

type Fn = KeyedBroadcastProcessFunction<any, any, any, any, any, any>;
type Handles = Readonly<Record<string, MapState<any, any>>>;

export class KeyedBroadcastProcessOperator implements Operator {
  private readonly fn: Fn;
  private readonly keyed: KeyedHandlerContext & { readonly broadcast: object };
  private readonly broadcast: HandlerContext & { readonly broadcast: object };

  constructor(host: KeyedOperatorHost, spec: OperatorSpec & { kind: "keyedBroadcastProcess" }) {
    this.fn = spec.fn;
    const handles = broadcastHandles(host, spec);
    const readonly = Object.fromEntries(Object.entries(handles).map(([name, handle]) => [name, readonlyOf(handle)]));
    const { sideOutputs } = spec.fn;
    this.keyed = Object.assign(new KeyedHandlerContext(host, sideOutputs), { broadcast: readonly });
    this.broadcast = Object.assign(new HandlerContext(host, sideOutputs), { broadcast: handles });
  }

  onRecord(value: any, timestamp: number, input: number): void {
    if (input === 0) {
      this.keyed.moveTo(timestamp);
      this.fn.onRecord(value, this.keyed as unknown as Parameters<Fn["onRecord"]>[1]);
    } else {
      this.broadcast.moveTo(timestamp);
      this.fn.onBroadcast(value, this.broadcast as unknown as Parameters<Fn["onBroadcast"]>[1]);
    }
  }

  onTimer(timer: Timer): void {
    this.keyed.beginTimer(timer);
    try {
      this.fn.onTimer?.(timer.at, this.keyed as unknown as Parameters<NonNullable<Fn["onTimer"]>>[1]);
    } finally {
      this.keyed.endTimer();
    }
  }
}

/** By the names that the author gave them. */
function broadcastHandles(host: KeyedOperatorHost, spec: OperatorSpec & { kind: "keyedBroadcastProcess" }): Handles {
  const stored = (host.operatorState?.handles() ?? {}) as unknown as Handles;
  const names = Object.keys(spec.broadcastStates satisfies BroadcastSpec);
  return Object.fromEntries(names.map((name) => [name, stored[broadcastPrefix(spec) + name] as MapState<any, any>]));
}

/** B1, for those who have no compiler to hold them to it. */
function readonlyOf(state: MapState<any, any>): ReadonlyMapState<any, any> {
  return {
    get: (key) => state.get(key),
    has: (key) => state.has(key),
    entries: () => state.entries(),
    isEmpty: () => state.isEmpty(),
  };
}
