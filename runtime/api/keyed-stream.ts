import { BroadcastStream } from "./broadcast-stream.ts";
import type { BroadcastSpec } from "./co-functions.ts";
import { BroadcastConnectedStream, KeyedConnectedStreams } from "./connected-streams.ts";
import { ChangelogStream } from "./changelog-stream.ts";
import type { DataStream } from "./data-stream.ts";
import type { Duration } from "./duration.ts";
import { tagsOf, type Aggregator, type KeyedProcessFunction } from "./functions.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { invalid } from "./invalid.ts";
import type { Key } from "./key.ts";
import type { Origin } from "./origin.ts";
import { ttlOf, value, type StateOptions, type StateSpec, type Ttl } from "./state.ts";
import { WindowedStream, windowing } from "./windowed-stream.ts";
import type { Window, WindowAssigner } from "./windows.ts";

/** No state. */
export type None = Record<never, never>;

/** Elements of one key are handled in order, by one task. The key's state lives with the operator that comes next. */
export class KeyedStream<out T, K extends Key> {
  readonly #graph: GraphBuilder;
  readonly #origins: readonly Origin[];

  constructor(graph: GraphBuilder, origins: readonly Origin[]) {
    this.#graph = graph;
    this.#origins = origins;
  }

  /** A function with state and timers of the current key. */
  process<R, const S extends StateSpec = None>(uid: string, fn: KeyedProcessFunction<K, T, R, S>): DataStream<R> {
    return this.#graph.addOperator(uid, { kind: "keyedProcess", fn }, this.#origins, tagsOf(fn));
  }

  /** Rolls the key's values into one and gives the result after each (Flink's KeyedStream.reduce). */
  reduce(uid: string, reduce: (a: T, b: T) => T, options?: StateOptions<T>): DataStream<T> {
    return this.#graph.addOperator(uid, { kind: "reduce", reduce, state: value(options) }, this.#origins);
  }

  /**
   * Rolls the key's values into one result and gives its change after each (Flink's group aggregate). With `ttl`, a key that nothing
   * was added to for so long begins anew; what it gave is not taken back.
   */
  aggregate<A, R, O>(
    uid: string,
    aggregator: Aggregator<T, A, R>,
    result: (key: K, value: R) => O,
    options: { ttl?: Duration | Ttl } = {},
  ): ChangelogStream<O, "retract"> {
    const { version, migrate } = aggregator;
    const ttl = ttlOf(options.ttl);
    const state = { kind: "value", version: version ?? 0, migrate: migrate?.bind(aggregator), ttl } as const;
    const changes = this.#graph.addOperator(uid, { kind: "aggregate", aggregator, result, state }, this.#origins);
    return new ChangelogStream<O, "retract">(this.#graph, changes, "retract");
  }

  /** Groups the key's values by window. */
  window<W extends Window>(assigner: WindowAssigner<T, W>): WindowedStream<T, K, W> {
    return new WindowedStream(this.#graph, this.#origins, windowing(assigner.spec, true));
  }

  /**
   * This stream as the left side of one operator. The right side is another with keys of the same kind, or a stream that every task
   * sees the whole of. Throws `invalid` after `assumeKeyed`: both sides must come to the task of the key, which takes an exchange.
   */
  connect<B>(other: KeyedStream<B, K>): KeyedConnectedStreams<K, T, B>;
  connect<B, G extends BroadcastSpec>(other: BroadcastStream<B, G>): BroadcastConnectedStream<K, T, B, G>;
  connect<B, G extends BroadcastSpec>(
    other: KeyedStream<B, K> | BroadcastStream<B, G>,
  ): KeyedConnectedStreams<K, T, B> | BroadcastConnectedStream<K, T, B, G> {
    const right = other instanceof BroadcastStream ? other.origins : other.#origins;
    this.#checkConnectable(right, other instanceof BroadcastStream ? other.isOf(this.#graph) : other.#graph === this.#graph);
    if (other instanceof BroadcastStream) return new BroadcastConnectedStream(this.#graph, this.#origins, other);
    return new KeyedConnectedStreams(this.#graph, { left: this.#origins, right });
  }

  #checkConnectable(right: readonly Origin[], sameJob: boolean): void {
    const edges = [...this.#origins, ...right];
    const operator = edges.map(({ from }) => from);
    if (!sameJob) throw invalid("streams of two jobs cannot be connected", { operator });
    if (edges.some(({ partitioning }) => partitioning.kind === "assumeKeyed"))
      throw invalid("what is connected comes together by an exchange: use keyBy() instead of assumeKeyed()", { operator });
  }
}
