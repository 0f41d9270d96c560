/**
 * Keyed state as an author declares and uses it: declared as data beside the handlers, always that of the current key.
 */
import type { Duration } from "./duration.ts";
import type { Aggregator, Schema } from "./functions.ts";
import { invalid } from "./invalid.ts";
import type { KeyPart } from "./key.ts";
import type { Redistribution } from "./operator-scoped-state.ts";

declare const brand: unique symbol;

/**
 * How long contents live after they were written, in processing time: what was written at t is expired from t + `after` on. A list's
 * elements and a map's entries each live for themselves, everything else as a whole (Flink's StateTtlConfig).
 */
export interface Ttl {
  after: Duration;
  /** Whether reading prolongs life as writing does; default `onCreateAndWrite`. */
  update?: "onCreateAndWrite" | "onReadAndWrite";
  /**
   * Whether a read still gives what has expired and was not cleaned up yet: then once, and it is gone. Default
   * `neverReturnExpired`.
   */
  visibility?: "neverReturnExpired" | "returnExpiredIfNotCleanedUp";
}

export interface StateOptions<T> {
  /** Default: contents live until they are cleared. */
  ttl?: Duration | Ttl;
  /** Of the value's shape; default 0. */
  version?: number;
  /** Makes today's value of one stored under an older version. */
  migrate?: (old: unknown, from: number) => T;
  /** What a value must be, a list's item, a map's value, an accumulator: `millrace check` holds what is stored against it. */
  schema?: Schema<T>;
}

/** "slices": of windows that share them; no author declares it. */
export type StateKind = "value" | "list" | "map" | "reducing" | "aggregating" | "slices" | Redistribution;

/** How values become one: what reducing and aggregating state keep is the accumulator. */
export interface Fold {
  first(value: any): any;
  add(accumulator: any, value: any): any;
  result(accumulator: any): any;
  /** Two accumulators become one, as windows merge; undefined where an aggregator does not say how. */
  readonly merge?: ((a: any, b: any) => any) | undefined;
}

/** A `Ttl` as the engine sees it. */
export interface TtlDeclaration {
  readonly afterMs: number;
  readonly refreshOnRead: boolean;
  readonly returnExpired: boolean;
}

/** What the engine knows of a declared state. */
export interface StateDeclaration {
  readonly kind: StateKind;
  readonly version: number;
  readonly migrate?: ((old: any, from: number) => any) | undefined;
  /** Of reducing and aggregating state. */
  readonly fold?: Fold | undefined;
  readonly ttl?: TtlDeclaration | undefined;
  /** As in `StateOptions`. */
  readonly schema?: Schema<any> | undefined;
  /** Makes an accumulator that nothing was added to: what is stored is of its shape. */
  readonly initial?: (() => unknown) | undefined;
}

export interface StateDescriptor<out H> extends StateDeclaration {
  readonly kind: Exclude<StateKind, Redistribution | "slices">;
  readonly [brand]?: () => H;
}
export type StateSpec = Readonly<Record<string, StateDescriptor<unknown>>>;
export type States<S extends StateSpec> = {
  readonly [P in keyof S]: S[P] extends StateDescriptor<infer H> ? H : never;
};

export interface ValueState<T> {
  get(): T | undefined;
  set(value: T): void;
  clear(): void;
}
export interface ListState<T> {
  get(): readonly T[];
  add(value: T): void;
  addAll(values: Iterable<T>): void;
  update(values: Iterable<T>): void;
  clear(): void;
}
export interface ReadonlyMapState<K, V> {
  get(key: K): V | undefined;
  has(key: K): boolean;
  entries(): Iterable<readonly [K, V]>;
  isEmpty(): boolean;
}
export interface MapState<K, V> extends ReadonlyMapState<K, V> {
  set(key: K, value: V): void;
  delete(key: K): void;
  clear(): void;
}
/** Values go in one by one, one result comes out; undefined before the first (Flink's ReducingState and AggregatingState). */
export interface FoldingState<I, O> {
  get(): O | undefined;
  add(value: I): void;
  clear(): void;
}

function declare(kind: StateDescriptor<any>["kind"], options: StateOptions<any> | undefined): StateDescriptor<any> {
  const { version = 0, migrate, ttl, schema } = options ?? {};
  return { kind, version, migrate, ttl: ttlOf(ttl), ...(schema && { schema }) };
}

/** Throws `invalid` for a length of time that is none, or another word than the types allow. */
export function ttlOf(ttl: Duration | Ttl | undefined): TtlDeclaration | undefined {
  if (ttl === undefined) return undefined;
  const {
    after,
    update = "onCreateAndWrite",
    visibility = "neverReturnExpired",
  } = typeof ttl === "number" ? { after: ttl } : ttl;
  if (!Number.isSafeInteger(after) || after < 1) throw invalid("a state's ttl must be whole ms, above 0", { ttl: after });
  if (update !== "onCreateAndWrite" && update !== "onReadAndWrite")
    throw invalid("a ttl's update is onCreateAndWrite or onReadAndWrite", { update });
  if (visibility !== "neverReturnExpired" && visibility !== "returnExpiredIfNotCleanedUp")
    throw invalid("a ttl's visibility is neverReturnExpired or returnExpiredIfNotCleanedUp", { visibility });
  return {
    afterMs: after,
    refreshOnRead: update === "onReadAndWrite",
    returnExpired: visibility === "returnExpiredIfNotCleanedUp",
  };
}

/** One value per key. Whoever changes a value it got must `set` it again: only then is it stored. */
export function value<T>(options?: StateOptions<T>): StateDescriptor<ValueState<T>> {
  return declare("value", options);
}
/** A list per key; adding costs what is added, not the list's length. */
export function list<T>(options?: StateOptions<T>): StateDescriptor<ListState<T>> {
  return declare("list", options);
}
/** A map per key; a change costs its entry. `version` and `migrate` are of the values. */
export function map<K extends KeyPart, V>(options?: StateOptions<V>): StateDescriptor<MapState<K, V>> {
  return declare("map", options);
}
/** All values that were added, reduced to one. */
export function reducing<T>(reduce: (a: T, b: T) => T, options?: StateOptions<T>): StateDescriptor<FoldingState<T, T>> {
  return { ...declare("reducing", options), fold: reduceFold(reduce) };
}
/**
 * All values that were added, aggregated; what is kept is the accumulator. `version` and `migrate` are of its shape: the aggregator's
 * own unless the options say otherwise.
 */
export function aggregating<T, A, R>(
  aggregator: Aggregator<T, A, R>,
  options?: StateOptions<A>,
): StateDescriptor<FoldingState<T, R>> {
  const { version, migrate } = aggregator;
  const shape = options?.version === undefined && options?.migrate === undefined ? { version, migrate } : options;
  const own = { ...options, version: shape.version ?? 0, migrate: shape.migrate?.bind(aggregator) } as StateOptions<A>;
  const declared = declare("aggregating", { ...(aggregator.schema && { schema: aggregator.schema }), ...own });
  return { ...declared, fold: aggregateFold(aggregator), initial: () => aggregator.create() };
}

/** Whether two contents of the state can become one, as merging windows need it: Flink's list, reducing and aggregating state can. */
export function isMergeable({ kind, fold }: StateDeclaration): boolean {
  return kind === "list" || fold?.merge !== undefined;
}

export function reduceFold(reduce: (a: any, b: any) => any): Fold {
  return { first: (value) => value, add: reduce, merge: reduce, result: (value) => value };
}

export function aggregateFold(aggregator: Aggregator<any, any, any>): Fold {
  return {
    first: (value) => aggregator.add(aggregator.create(), value),
    add: (accumulator, value) => aggregator.add(accumulator, value),
    result: (accumulator) => aggregator.result(accumulator),
    merge: aggregator.merge?.bind(aggregator),
  };
}
