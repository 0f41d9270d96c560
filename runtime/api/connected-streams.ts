/**
 * Two streams side by side, for an operator that keeps them apart: the left is its input 0, the right its input 1.
 *
 * C1 The watermark of what they are connected by is the lower of both sides'.
 */
import type { BroadcastStream } from "./broadcast-stream.ts";
import type {
  BroadcastProcessFunction,
  BroadcastSpec,
  CoProcessFunction,
  KeyedBroadcastProcessFunction,
  KeyedCoProcessFunction,
} from "./co-functions.ts";
import type { DataStream } from "./data-stream.ts";
import { tagsOf } from "./functions.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import type { Key } from "./key.ts";
import type { None } from "./keyed-stream.ts";
import type { OperatorStateSpec } from "./operator-scoped-state.ts";
import type { Origin } from "./origin.ts";
import type { StateSpec } from "./state.ts";

/** What two streams are made of. */
export interface Sides {
  readonly left: readonly Origin[];
  readonly right: readonly Origin[];
}

/** Two streams without keys. */
export class ConnectedStreams<out A, out B> {
  readonly #graph: GraphBuilder;
  readonly #sides: Sides;

  constructor(graph: GraphBuilder, sides: Sides) {
    this.#graph = graph;
    this.#sides = sides;
  }

  /** One result for each value of either side (Flink's CoMapFunction). */
  map<R>(uid: string, left: (value: A) => R, right: (value: B) => R): DataStream<R> {
    return this.#graph.addTwoInputOperator(uid, { kind: "coMap", left, right }, this.#sides);
  }

  /** Any number of results for each value of either side (Flink's CoFlatMapFunction). */
  flatMap<R>(uid: string, left: (value: A) => Iterable<R>, right: (value: B) => Iterable<R>): DataStream<R> {
    return this.#graph.addTwoInputOperator(uid, { kind: "coFlatMap", left, right }, this.#sides);
  }

  /**
   * A function that may look at time and write side outputs. Its state is that of its task (`operatorState`); state by key needs keys on
   * both sides.
   */
  process<R, const S extends OperatorStateSpec = None>(uid: string, fn: CoProcessFunction<A, B, R, S>): DataStream<R> {
    return this.#graph.addTwoInputOperator(uid, { kind: "coProcess", fn }, this.#sides, tagsOf(fn));
  }
}

/** Two streams with keys of one kind: records of equal keys meet in one task. */
export class KeyedConnectedStreams<K extends Key, out A, out B> {
  readonly #graph: GraphBuilder;
  readonly #sides: Sides;

  constructor(graph: GraphBuilder, sides: Sides) {
    this.#graph = graph;
    this.#sides = sides;
  }

  /** A function with state and timers of the current key, which both sides share. */
  process<R, const S extends StateSpec = None>(uid: string, fn: KeyedCoProcessFunction<K, A, B, R, S>): DataStream<R> {
    return this.#graph.addTwoInputOperator(uid, { kind: "keyedCoProcess", fn }, this.#sides, tagsOf(fn));
  }
}

/** A stream with keys beside one that every task sees the whole of. */
export class BroadcastConnectedStream<K extends Key, out T, out B, G extends BroadcastSpec> {
  readonly #graph: GraphBuilder;
  readonly #left: readonly Origin[];
  readonly #broadcast: BroadcastStream<B, G>;

  constructor(graph: GraphBuilder, left: readonly Origin[], broadcast: BroadcastStream<B, G>) {
    this.#graph = graph;
    this.#left = left;
    this.#broadcast = broadcast;
  }

  /** A function with the key's state and timers, which reads what the broadcast side has written. */
  process<R, const S extends StateSpec = None>(uid: string, fn: KeyedBroadcastProcessFunction<K, T, B, R, S, G>): DataStream<R> {
    const { uid: broadcast, states: broadcastStates, origins: right } = this.#broadcast;
    const spec = { kind: "keyedBroadcastProcess", fn, broadcast, broadcastStates } as const;
    return this.#graph.addTwoInputOperator(uid, spec, { left: this.#left, right }, tagsOf(fn));
  }
}

/** A stream without keys beside one that every task sees the whole of. */
export class BroadcastConnectedDataStream<out T, out B, G extends BroadcastSpec> {
  readonly #graph: GraphBuilder;
  readonly #left: readonly Origin[];
  readonly #broadcast: BroadcastStream<B, G>;

  constructor(graph: GraphBuilder, left: readonly Origin[], broadcast: BroadcastStream<B, G>) {
    this.#graph = graph;
    this.#left = left;
    this.#broadcast = broadcast;
  }

  /** A function that reads what the broadcast side has written, and has no state beside it. */
  process<R>(uid: string, fn: BroadcastProcessFunction<T, B, R, G>): DataStream<R> {
    const { uid: broadcast, states: broadcastStates, origins: right } = this.#broadcast;
    const spec = { kind: "broadcastProcess", fn, broadcast, broadcastStates } as const;
    return this.#graph.addTwoInputOperator(uid, spec, { left: this.#left, right }, tagsOf(fn));
  }
}
