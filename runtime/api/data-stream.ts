import type { Sink } from "./connector.ts";
import { BroadcastStream } from "./broadcast-stream.ts";
import { type Change, ChangelogStream } from "./changelog-stream.ts";
import type { BroadcastSpec } from "./co-functions.ts";
import { BroadcastConnectedDataStream, ConnectedStreams } from "./connected-streams.ts";
import type { OutputTag, ProcessFunction } from "./functions.ts";
import type { OperatorOptions, OperatorSpec, Partitioning } from "./graph.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { invalid } from "./invalid.ts";
import type { Key } from "./key.ts";
import { KeyedStream, type None } from "./keyed-stream.ts";
import type { OperatorStateSpec } from "./operator-scoped-state.ts";
import { outputOf, type Origin } from "./origin.ts";
import type { WatermarkStrategy } from "./watermarks.ts";
import { WindowedStream, windowing } from "./windowed-stream.ts";
import type { Window, WindowAssigner } from "./windows.ts";

export interface TimestampOptions<T> {
  /** A record's event time, epoch ms. `before`: the timestamp it comes with; undefined when it has none. */
  timestamps: (value: T, before: number | undefined) => number;
  watermarks: WatermarkStrategy<T>;
}

/** What all records of a stream without keys have for a key where one is needed. */
const onlyKey = (): Key => 0;

/**
 * A stream of records to which operators are appended. It is a list of outputs, so a union of streams is no operator.
 * The first argument of every operator is its uid: unique in the job, the name of its state for ever.
 */
export class DataStream<out T> {
  readonly #graph: GraphBuilder;
  readonly #origins: readonly Origin[];

  constructor(graph: GraphBuilder, origins: readonly Origin[]) {
    this.#graph = graph;
    this.#origins = origins;
  }

  /** The outputs that the stream is made of; for other kinds of streams over them. */
  get origins(): readonly Origin[] {
    return this.#origins;
  }

  /** One result for each value. */
  map<R>(uid: string, fn: (value: T) => R): DataStream<R> {
    return this.#append(uid, { kind: "map", fn });
  }

  /** The values that `keep` says yes to; a type guard narrows the stream. */
  filter<U extends T>(uid: string, is: (value: T) => value is U): DataStream<U>;
  filter(uid: string, keep: (value: T) => boolean): DataStream<T>;
  filter(uid: string, keep: (value: T) => boolean): DataStream<T> {
    return this.#append(uid, { kind: "filter", keep });
  }

  /** Any number of results for each value, in their order. */
  flatMap<R>(uid: string, fn: (value: T) => Iterable<R>): DataStream<R> {
    return this.#append(uid, { kind: "flatMap", fn });
  }

  /**
   * A function that may look at time and write side outputs. Its state is that of its task (`operatorState`); state by key needs
   * `keyBy`.
   */
  process<R, const S extends OperatorStateSpec = None>(uid: string, fn: ProcessFunction<T, R, S>): DataStream<R> {
    return this.#append(uid, { kind: "process", fn }, fn.sideOutputs);
  }

  /**
   * Gives records a timestamp and the stream a watermark of its own; those it had so far end here (Flink's
   * assignTimestampsAndWatermarks on a stream). One generator per task, over all that comes in.
   */
  assignTimestamps(uid: string, options: TimestampOptions<T>): DataStream<T> {
    const { timestamps, watermarks } = options;
    return this.#append(uid, { kind: "assignTimestamps", timestamps, watermarks: watermarks.spec });
  }

  /** All records of these streams, in no promised order among them. No operator. */
  union<U>(...others: readonly DataStream<U>[]): DataStream<T | U> {
    if (others.some((other) => other.#graph !== this.#graph))
      throw invalid("streams of two jobs cannot be united", this.#names());
    return new DataStream<T | U>(this.#graph, [...this.#origins, ...others.flatMap((other) => other.#origins)]);
  }

  /**
   * Reads a stream of changes as a changelog; `key` is what upserts and deletes refer to: changes of one key go to the same task, in order.
   * Of mode "upsert", what updates take back (-U) is left out.
   */
  asChangelog<V, M extends "upsert" | "retract", K extends Key>(
    this: DataStream<Change<V>>,
    uid: string,
    options: { readonly mode: M; readonly key: (value: V) => K },
  ): ChangelogStream<V, M> {
    const { mode, key } = options;
    const origins = this.#partitioned({ kind: "keyed", key: ({ value }: Change<V>) => key(value) });
    const keep = ({ kind }: Change<V>) => mode === "retract" || kind !== "-U";
    return new ChangelogStream<V, M>(this.#graph, this.#graph.addOperator(uid, { kind: "filter", keep }, origins), mode);
  }

  /** Records with equal keys go to the same task, in order. */
  keyBy<const K extends Key>(key: (value: T) => K): KeyedStream<T, K> {
    return new KeyedStream(this.#graph, this.#partitioned({ kind: "keyed", key }));
  }

  /** This stream as the left side of one operator. The right side is another, or a stream that every task sees the whole of. */
  connect<B>(other: DataStream<B>): ConnectedStreams<T, B>;
  connect<B, G extends BroadcastSpec>(other: BroadcastStream<B, G>): BroadcastConnectedDataStream<T, B, G>;
  connect<B, G extends BroadcastSpec>(
    other: DataStream<B> | BroadcastStream<B, G>,
  ): ConnectedStreams<T, B> | BroadcastConnectedDataStream<T, B, G> {
    const sameJob = other instanceof BroadcastStream ? other.isOf(this.#graph) : other.#graph === this.#graph;
    if (!sameJob) throw invalid("streams of two jobs cannot be connected", this.#names());
    if (other instanceof BroadcastStream) return new BroadcastConnectedDataStream(this.#graph, this.#origins, other);
    return new ConnectedStreams<T, B>(this.#graph, { left: this.#origins, right: other.#origins });
  }

  /** For `connect`: every task is given every record, and keeps of them what it wants in these states. */
  broadcast<const G extends BroadcastSpec>(uid: string, states: G): BroadcastStream<T, G> {
    return new BroadcastStream<T, G>(this.#graph, this.#origins, uid, states);
  }

  /** What the operator just added writes under `tag`. Throws `invalid` when it does not declare the tag. */
  sideOutput<O>(tag: OutputTag<O>): DataStream<O> {
    const from = this.#operator("sideOutput");
    const declared = this.#graph.node(from)?.sideOutputs ?? [];
    if (!declared.includes(tag.id))
      throw invalid("the operator does not declare this side output", { operator: from, tag: tag.id });
    return new DataStream<O>(this.#graph, [outputOf(from, tag.id)]);
  }

  /**
   * Options of the operator just added: the parallelism of its stage, and whether it may share a task with its neighbours
   * (`new`: not with those before it; `never`: with none). No effect in a job of parallelism 1, which is one task.
   */
  with(options: OperatorOptions): DataStream<T> {
    const operator = this.#operator("with");
    const { parallelism } = options;
    if (parallelism !== undefined && !(Number.isInteger(parallelism) && parallelism >= 1))
      throw invalid("parallelism must be a whole number of tasks, at least 1", { operator, parallelism });
    this.#graph.setOptions(operator, options);
    return this;
  }

  /** Writes every record to `sink`. */
  sinkTo(uid: string, sink: Sink<T, "append">): void {
    this.#append(uid, { kind: "sink", sink });
  }

  /** Spreads the records evenly over the tasks of what comes next. */
  rebalance(): DataStream<T> {
    return new DataStream(this.#graph, this.#partitioned({ kind: "rebalance" }));
  }

  /** Brings all records to one task: what comes next runs at parallelism 1. */
  global(): DataStream<T> {
    return new DataStream(this.#graph, this.#partitioned({ kind: "global" }));
  }

  /** Windows of the whole stream, whose key is null: they run in one task (Flink's windowAll). */
  windowAll<W extends Window>(assigner: WindowAssigner<T, W>): WindowedStream<T, null, W> {
    const origins = this.#partitioned({ kind: "global", key: onlyKey });
    return new WindowedStream(this.#graph, origins, windowing(assigner.spec, false));
  }

  #append(uid: string, spec: OperatorSpec, sideOutputs: readonly OutputTag<any>[] = []): DataStream<any> {
    const tags = sideOutputs.map((tag) => tag.id);
    return this.#graph.addOperator(uid, spec, this.#origins, tags);
  }

  #partitioned(partitioning: Partitioning): readonly Origin[] {
    return this.#origins.map((origin) => ({ ...origin, partitioning }));
  }

  /** The uid of the one operator whose main output this stream is. */
  #operator(method: string): string {
    const [origin, ...more] = this.#origins;
    if (origin && more.length === 0 && origin.tag === undefined && origin.partitioning.kind === "forward") return origin.from;
    throw invalid(
      `${method}() belongs right after an operator, not after a union, a side output, rebalance() or global()`,
      this.#names(),
    );
  }

  #names(): { operator: readonly string[] } {
    return { operator: this.#origins.map(({ from }) => from) };
  }
}
