import { DataStream } from "./data-stream.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { KeyedStream } from "./keyed-stream.ts";
import { outputOf } from "./origin.ts";

/** What a source reads. */
export class SourceStream<out T> extends DataStream<T> {
  readonly #graph: GraphBuilder;
  readonly #uid: string;

  constructor(graph: GraphBuilder, uid: string) {
    super(graph, [outputOf(uid)]);
    this.#graph = graph;
    this.#uid = uid;
  }

  /**
   * Keyed without an exchange, one task per shard of the source. `key` must give the record's partition key; a record where it
   * does not goes to the dead letters.
   */
  assumeKeyed(key: (value: T) => string): KeyedStream<T, string> {
    return new KeyedStream(this.#graph, [{ ...outputOf(this.#uid), partitioning: { kind: "assumeKeyed", key } }]);
  }
}
