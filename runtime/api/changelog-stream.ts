/** Streams that take results back. Inside, each element is a `Change`, so every operator on them is one on changes. */
import type { ChangeKind, Mode, Sink } from "./connector.ts";
import type { DataStream } from "./data-stream.ts";
import type { OperatorOptions } from "./graph.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import type { Key } from "./key.ts";

/** upsert: +I +U −D by key. retract: −U precedes each +U (Flink's RowKind). */
export interface Change<out T> {
  readonly kind: ChangeKind;
  readonly value: T;
}

/** A stream of changes of a table; `M` says of which kinds. */
export class ChangelogStream<out T, M extends Mode> {
  readonly #graph: GraphBuilder;
  readonly #changes: DataStream<Change<T>>;
  readonly #mode: M;

  constructor(graph: GraphBuilder, changes: DataStream<Change<T>>, mode: M) {
    this.#graph = graph;
    this.#changes = changes;
    this.#mode = mode;
  }

  /** The same function on what is added and what is taken back: it must be deterministic. */
  map<R>(uid: string, fn: (value: T) => R): ChangelogStream<R, M> {
    return this.#after(
      this.#changes.map(uid, ({ kind, value }) => ({ kind, value: fn(value) })),
      this.#mode,
    );
  }

  /** The rows that `keep` says yes to; of an upsert stream, an update that no longer passes is a delete. */
  filter(uid: string, keep: (value: T) => boolean): ChangelogStream<T, M> {
    if (this.#mode !== "upsert")
      return this.#after(
        this.#changes.filter(uid, ({ value }) => keep(value)),
        this.#mode,
      );
    const passed = ({ kind, value }: Change<T>): Change<T>[] => {
      if (kind === "-D" || keep(value)) return [{ kind, value }];
      return kind === "+U" ? [{ kind: "-D", value }] : [];
    };
    return this.#after(this.#changes.flatMap(uid, passed), this.#mode);
  }

  /** Drops what each update takes back, and brings the changes of one key to one task. */
  toUpserts<K extends Key>(uid: string, key: (value: T) => K): ChangelogStream<T, "upsert"> {
    const partitioning = { kind: "keyed", key: ({ value }: Change<T>) => key(value) } as const;
    const origins = this.#changes.origins.map((origin) => ({ ...origin, partitioning }));
    const keep = ({ kind }: Change<T>) => kind !== "-U";
    return this.#after(this.#graph.addOperator(uid, { kind: "filter", keep }, origins) as DataStream<Change<T>>, "upsert");
  }

  /** The changes themselves as records, for whatever a stream can do. */
  toChanges(uid: string): DataStream<Change<T>> {
    return this.#changes.map(uid, (change) => change);
  }

  /** As `DataStream.with`. */
  with(options: OperatorOptions): ChangelogStream<T, M> {
    this.#changes.with(options);
    return this;
  }

  /** Writes every change. Does not compile, and throws `invalid`, when the sink does not accept changes of this mode. */
  sinkTo(uid: string, sink: Sink<T, M>): void {
    this.#graph.addOperator(uid, { kind: "sink", sink, changelog: this.#mode }, this.#changes.origins);
  }

  #after<R, N extends Mode>(changes: DataStream<Change<R>>, mode: N): ChangelogStream<R, N> {
    return new ChangelogStream<R, N>(this.#graph, changes, mode);
  }
}
