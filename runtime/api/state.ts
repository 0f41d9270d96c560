/**
 * Keyed state as an author declares and uses it: declared as data beside the handlers, always that of the current key.
 */
import type { KeyPart } from "./key.ts";

declare const brand: unique symbol;

export interface StateOptions<T> {
  /** Of the value's shape; default 0. */
  version?: number;
  /** Makes today's value of one stored under an older version. */
  migrate?: (old: unknown, from: number) => T;
}

export type StateKind = "value" | "list" | "map";

/** What the engine knows of a declared state. */
export interface StateDeclaration {
  readonly kind: StateKind;
  readonly version: number;
  readonly migrate?: ((old: any, from: number) => any) | undefined;
  /** Makes one value of two where windows merge; without it, the earlier window's stays. Lists and maps are joined. */
  readonly merge?: ((a: any, b: any) => any) | undefined;
}

export interface StateDescriptor<out H> extends StateDeclaration {
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

function declare(kind: StateKind, options: StateOptions<any> | undefined): StateDeclaration {
  return { kind, version: options?.version ?? 0, migrate: options?.migrate };
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
