import type { DataStream } from "./data-stream.ts";
import type { Duration } from "./duration.ts";
import type { Evictor, EvictorSpec } from "./evictors.ts";
import type { Aggregator, Receives, WindowFunction } from "./functions.ts";
import type { WindowContents, WindowResult, WindowSpec } from "./graph.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { invalid } from "./invalid.ts";
import type { None } from "./keyed-stream.ts";
import type { Origin } from "./origin.ts";
import type { StateSpec } from "./state.ts";
import type { Trigger, TriggerSpec } from "./triggers.ts";
import type { Window, WindowAssignerSpec } from "./windows.ts";

/** How windows are made, before it is said what is done with them. */
type Windowing = Pick<WindowSpec, "keyed" | "assigner" | "evictor" | "allowedLateness" | "lateTag"> & {
  readonly trigger: TriggerSpec | undefined;
};

/** Windows as their assigner has them. */
export function windowing(assigner: WindowAssignerSpec, keyed: boolean): Windowing {
  const own = { trigger: defaultTrigger(assigner), evictor: defaultEvictor(assigner) };
  return { keyed, assigner, ...own, allowedLateness: 0, lateTag: undefined };
}

/** Undefined: there is none that would ever fire. */
function defaultTrigger(assigner: WindowAssignerSpec): TriggerSpec | undefined {
  switch (assigner.kind) {
    case "global":
      return undefined;
    case "count": {
      const { size, slide } = assigner;
      return slide === undefined ? { kind: "purging", inner: { kind: "count", count: size } } : { kind: "count", count: slide };
    }
    default:
      return { kind: assigner.time === "event" ? "eventTime" : "processingTime" };
  }
}

function defaultEvictor(assigner: WindowAssignerSpec): EvictorSpec | undefined {
  if (assigner.kind !== "count" || assigner.slide === undefined) return undefined;
  return { kind: "count", keep: assigner.size, after: false };
}

type ResultFunction = (key: any, window: any, value: any) => any;

/** A stream cut into windows. Without `trigger`, that of the assigner's time. */
export class WindowedStream<out T, K, W extends Window> {
  readonly #graph: GraphBuilder;
  readonly #origins: readonly Origin[];
  readonly #windowing: Windowing;

  constructor(graph: GraphBuilder, origins: readonly Origin[], windowing: Windowing) {
    this.#graph = graph;
    this.#origins = origins;
    this.#windowing = windowing;
  }

  /** When windows fire; takes the place of the assigner's own trigger. */
  trigger(trigger: Trigger<T, W>): WindowedStream<T, K, W> {
    return this.#with({ trigger: trigger.spec });
  }

  /** Which records leave a window when it fires. It then keeps them all, so nothing is folded as it comes. */
  evictor(evictor: Evictor<T>): WindowedStream<T, K, W> {
    return this.#with({ evictor: evictor.spec });
  }

  /** Keeps a window for so long after the watermark passed its end; each late record in that time fires it again. Default 0. */
  allowedLateness(lateness: Duration): WindowedStream<T, K, W> {
    return this.#with({ allowedLateness: lateness });
  }

  /** Where records go that come later than allowed; without it they are counted and dropped. */
  sideOutputLate(tag: Receives<T>): WindowedStream<T, K, W> {
    return this.#with({ lateTag: tag.id });
  }

  /** Rolls a window's values into one as they come; `result` makes of it what is emitted. */
  reduce(uid: string, reduce: (a: T, b: T) => T): DataStream<T>;
  reduce<R>(uid: string, reduce: (a: T, b: T) => T, result: (key: K, window: W, value: T) => R): DataStream<R>;
  reduce(uid: string, reduce: (a: T, b: T) => T, result?: ResultFunction): DataStream<any> {
    return this.#append(uid, { kind: "reduce", reduce }, resultOf(result));
  }

  /** Aggregates a window's values as they come; a function or a window function makes of the result what is emitted. */
  aggregate<A, R>(uid: string, aggregator: Aggregator<T, A, R>): DataStream<R>;
  aggregate<A, V, R>(uid: string, aggregator: Aggregator<T, A, V>, result: (key: K, window: W, value: V) => R): DataStream<R>;
  aggregate<A, V, R, const S extends StateSpec = None, const WS extends StateSpec = None>(
    uid: string,
    aggregator: Aggregator<T, A, V>,
    fn: WindowFunction<K, V, R, W, S, WS>,
  ): DataStream<R>;
  aggregate(uid: string, aggregator: Aggregator<T, any, any>, result?: ResultFunction | AnyWindowFunction): DataStream<any> {
    return this.#append(uid, { kind: "aggregate", aggregator }, resultOf(result));
  }

  /** All values of a window at once, when it fires. */
  apply<R>(uid: string, fn: (key: K, window: W, values: readonly T[]) => Iterable<R>): DataStream<R> {
    return this.#append(uid, { kind: "list" }, { kind: "apply", apply: fn });
  }

  /** All values of a window when it fires, with state per key and per window. */
  process<R, const S extends StateSpec = None, const WS extends StateSpec = None>(
    uid: string,
    fn: WindowFunction<K, T, R, W, S, WS>,
  ): DataStream<R> {
    return this.#append(uid, { kind: "list" }, resultOf(fn));
  }

  #with(change: Partial<Windowing>): WindowedStream<T, K, W> {
    return new WindowedStream(this.#graph, this.#origins, { ...this.#windowing, ...change });
  }

  #append(uid: string, contents: WindowContents, result: WindowResult): DataStream<any> {
    const { trigger, lateTag } = this.#windowing;
    if (trigger === undefined) throw invalid("a global window never fires by itself: give it a trigger", { operator: uid });
    const spec: WindowSpec = { kind: "window", ...this.#windowing, trigger, contents, result };
    const declared = result.kind === "process" ? (result.fn.sideOutputs ?? []).map((tag) => tag.id) : [];
    return this.#graph.addOperator(uid, spec, this.#origins, lateTag === undefined ? declared : [lateTag, ...declared]);
  }
}

type AnyWindowFunction = WindowFunction<any, any, any, any, any, any>;

function resultOf(result: ResultFunction | AnyWindowFunction | undefined): WindowResult {
  if (result === undefined) return { kind: "value" };
  return typeof result === "function" ? { kind: "result", result } : { kind: "process", fn: result };
}
