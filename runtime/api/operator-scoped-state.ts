/**
 * State of an operator outside keys, as an author declares it: each task has its own, and what happens to it at another number of tasks
 * is part of the declaration (Flink's CheckpointedFunction: getListState, getUnionListState; its broadcast state).
 *
 * O1 Redistribution happens at a restore and where a source's shard splits or merges, never at a crash.
 */
import type { ListState, MapState, StateDeclaration, StateDescriptor, StateOptions } from "./state.ts";

declare const brand: unique symbol;

/**
 * `evenSplit`: at another number of tasks the items of all are dealt out one by one. `union`: every task is given the items of all.
 * `broadcast`: a map that is the same in every task; each takes one copy.
 */
export type Redistribution = "evenSplit" | "union" | "broadcast";

export interface OperatorStateDescriptor<out H> extends StateDeclaration {
  readonly kind: Redistribution;
  readonly [brand]?: () => H;
}
export type OperatorStateSpec = Readonly<Record<string, OperatorStateDescriptor<unknown>>>;
export type OperatorStates<S extends OperatorStateSpec> = {
  readonly [P in keyof S]: S[P] extends OperatorStateDescriptor<infer H> ? H : never;
};

/** Of operator-scoped state: it belongs to no key, so nothing in it expires. */
export type OperatorStateOptions<T> = Omit<StateOptions<T>, "ttl">;

function declare(kind: Redistribution, options: OperatorStateOptions<any> | undefined): OperatorStateDescriptor<any> {
  return { kind, version: options?.version ?? 0, migrate: options?.migrate };
}

/** A list of the task's own; a restore at another parallelism deals the items of all tasks out evenly. */
export function evenSplitList<T>(options?: OperatorStateOptions<T>): OperatorStateDescriptor<ListState<T>> {
  return declare("evenSplit", options);
}

/**
 * A list of the task's own; after a restore every task has the items of all. What came with a restore and is left alone is counted once
 * at the next; a task that wants to keep only its own says so with `update`.
 */
export function unionList<T>(options?: OperatorStateOptions<T>): OperatorStateDescriptor<ListState<T>> {
  return declare("union", options);
}

/** Declared maps as broadcast state, stored under names with this prefix. */
export function broadcastStates(
  spec: Readonly<Record<string, StateDescriptor<MapState<any, any>>>>,
  prefix = "",
): ReadonlyMap<string, StateDeclaration> {
  const states = Object.entries(spec);
  return new Map(states.map(([name, { version, migrate }]) => [prefix + name, { kind: "broadcast", version, migrate }]));
}

/** Whether state of this kind belongs to the operator's task, not to a key. */
export function isOperatorScoped(kind: string): kind is Redistribution {
  return kind === "evenSplit" || kind === "union" || kind === "broadcast";
}
