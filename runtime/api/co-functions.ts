/** The functions of two inputs: what an author hands over where streams are connected. */
import type { Context, Declares, KeyedContext, ProcessContext, TimerContext } from "./functions.ts";
import type { OperatorStateSpec } from "./operator-scoped-state.ts";
import type { MapState, ReadonlyMapState, StateDescriptor, States, StateSpec } from "./state.ts";

/** Without keys (Flink's CoProcessFunction). */
export interface CoProcessFunction<A, B, R, S extends OperatorStateSpec = Record<never, never>> extends Declares<R> {
  readonly operatorState?: S;
  onLeft(value: A, ctx: ProcessContext<R, S>): void;
  onRight(value: B, ctx: ProcessContext<R, S>): void;
}

/** State and timers are the key's, whichever side its record came from (Flink's KeyedCoProcessFunction). */
export interface KeyedCoProcessFunction<K, A, B, R, S extends StateSpec> extends Declares<R> {
  readonly state?: S;
  onLeft(value: A, ctx: KeyedContext<K, R, S>): void;
  onRight(value: B, ctx: KeyedContext<K, R, S>): void;
  onTimer?(at: number, ctx: TimerContext<K, R, S>): void;
}

/** The states that a broadcast keeps in every task: maps. */
export type BroadcastSpec = Readonly<Record<string, StateDescriptor<MapState<any, any>>>>;
/** The same for those who must not change them. */
export type ReadonlyBroadcast<G extends BroadcastSpec> = {
  readonly [P in keyof G]: G[P] extends StateDescriptor<MapState<infer K, infer V>> ? ReadonlyMapState<K, V> : never;
};

/** Records without keys beside a stream that every task sees the whole of (Flink's BroadcastProcessFunction). */
export interface BroadcastProcessFunction<T, B, R, G extends BroadcastSpec> extends Declares<R> {
  onRecord(value: T, ctx: Context<R> & { readonly broadcast: ReadonlyBroadcast<G> }): void;
  /** Must do the same in every task: it is called in each. */
  onBroadcast(value: B, ctx: Context<R> & { readonly broadcast: States<G> }): void;
}

/** Records by key beside a stream that every task sees the whole of (Flink's KeyedBroadcastProcessFunction). */
export interface KeyedBroadcastProcessFunction<K, T, B, R, S extends StateSpec, G extends BroadcastSpec> extends Declares<R> {
  readonly state?: S;
  onRecord(value: T, ctx: KeyedContext<K, R, S> & { readonly broadcast: ReadonlyBroadcast<G> }): void;
  /** Must do the same in every task: it is called in each, and has no keyed state and no timers. */
  onBroadcast(value: B, ctx: Context<R> & { readonly broadcast: States<G> }): void;
  onTimer?(at: number, ctx: TimerContext<K, R, S> & { readonly broadcast: ReadonlyBroadcast<G> }): void;
}
