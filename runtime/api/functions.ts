/** The functions an author hands over, and what their handlers are given. */
import type { OperatorStates, OperatorStateSpec } from "./operator-scoped-state.ts";
import type { States, StateSpec } from "./state.ts";
import type { Window } from "./windows.ts";

declare const brand: unique symbol;

/** Any Standard Schema validator (zod, valibot, arktype, …); an asynchronous one is refused at its first value. */
export interface Schema<out T> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}
/** A type as a value: names what cannot be inferred; with a schema, it is also checked. */
export interface Type<out T> {
  readonly schema?: Schema<T> | undefined;
  readonly [brand]?: () => T;
}
/** Names a type where TypeScript cannot infer it: the output of a process function. */
export function type<T>(schema?: Schema<T>): Type<T> {
  return { schema };
}

/** Somewhere to put a T. */
export interface Receives<in T> {
  readonly id: string;
  readonly [brand]?: (value: T) => void;
}
/** Names a side output; the same tag writes (ctx.output, sideOutputLate) and reads (sideOutput). */
export interface OutputTag<T> extends Receives<T> {
  readonly type: Type<T>;
}
export function outputTag<T>(id: string): OutputTag<T> {
  return { id, type: type<T>() };
}

/** `merge` is needed by merging windows and lets the plan aggregate before the exchange; `retract` by changelog input. */
export interface Aggregator<in T, A, out R> {
  create(): A;
  add(accumulator: A, value: T): A;
  result(accumulator: A): R;
  merge?(a: A, b: A): A;
  retract?(accumulator: A, value: T): A;
  /** Of the accumulator's shape, which is stored. */
  readonly version?: number;
  migrate?(old: unknown, from: number): A;
  /** Of the accumulator: `millrace check` holds what is stored against it, beside the shape that `create` gives. */
  readonly schema?: Schema<A>;
}

/** What every handler is given. */
export interface Context<R> {
  /** Sends a result on; it carries the input's timestamp, or the timer's. The value must not be changed afterwards. */
  emit(value: R): void;
  /** Sends to a side output; the tag must stand in `sideOutputs`. */
  output<O>(tag: OutputTag<O>, value: O): void;
  /** Epoch ms; undefined without event time. */
  readonly timestamp: number | undefined;
  /** The operator's current watermark, epoch ms; -Infinity before the first. */
  readonly watermark: number;
  /** Epoch ms, fixed for the turn: an input, not a clock. */
  readonly processingTime: number;
  counter(name: string): { add(n?: number): void };
}
export interface Timers {
  eventTime(at: number): void;
  processingTime(at: number): void;
  cancelEventTime(at: number): void;
  cancelProcessingTime(at: number): void;
}
export interface KeyedContext<K, R, S extends StateSpec> extends Context<R> {
  readonly key: K;
  readonly state: States<S>;
  readonly timers: Timers;
}
export interface TimerContext<K, R, S extends StateSpec> extends KeyedContext<K, R, S> {
  readonly domain: "eventTime" | "processingTime";
}
/** What a process function declares beside its handlers. */
export interface Declares<R> {
  readonly output: Type<R>;
  readonly sideOutputs?: readonly OutputTag<any>[];
}
/** What a process function without keys is given: state of its task. */
export interface ProcessContext<R, S extends OperatorStateSpec> extends Context<R> {
  readonly operatorState: OperatorStates<S>;
}
export interface ProcessFunction<T, R, S extends OperatorStateSpec = {}> extends Declares<R> {
  /** Kept by each task, and dealt out anew at another number of tasks: `evenSplitList`, `unionList`. */
  readonly operatorState?: S;
  onRecord(value: T, ctx: ProcessContext<R, S>): void;
}
export interface KeyedProcessFunction<K, T, R, S extends StateSpec> extends Declares<R> {
  /** Named when the function is written apart from its stream. */
  readonly key?: Type<K>;
  readonly state?: S;
  onRecord(value: T, ctx: KeyedContext<K, R, S>): void;
  onTimer?(at: number, ctx: TimerContext<K, R, S>): void;
}
export type WindowContext<K, R, S extends StateSpec, WS extends StateSpec> = Omit<KeyedContext<K, R, S>, "timers"> & {
  readonly windowState: States<WS>;
};
/** `state` is per key over all windows, `windowState` per key and window. */
export interface WindowFunction<K, T, R, W extends Window, S extends StateSpec, WS extends StateSpec> extends Declares<R> {
  readonly state?: S;
  readonly windowState?: WS;
  onWindow(window: W, values: Iterable<T>, ctx: WindowContext<K, R, S, WS>): void;
  onClear?(window: W, ctx: WindowContext<K, R, S, WS>): void;
}
/** Names the types of a keyed process function that is written apart from its stream, for reuse and verifyOperator. */
export function keyedProcess<K, T, R, const S extends StateSpec = {}>(
  fn: KeyedProcessFunction<K, T, R, S>,
): KeyedProcessFunction<K, T, R, S> {
  return fn;
}

/** The ids of the side outputs that a function declares. */
export function tagsOf({ sideOutputs = [] }: Pick<Declares<unknown>, "sideOutputs">): readonly string[] {
  return sideOutputs.map((tag) => tag.id);
}
