import type { Source } from "./connector.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import type { RecordMeta } from "./graph.ts";
import { invalid } from "./invalid.ts";
import type { KeyPart } from "./key.ts";
import { resolveParameter, type ParameterOf, type ParameterValues } from "./parameters.ts";
import type { SourceStream } from "./source-stream.ts";
import type { WatermarkStrategy } from "./watermarks.ts";

export interface SourceOptions<T> {
  /** A record's event time, epoch ms; default: the source's own (arrival time on Kinesis). */
  timestamps?: (value: T, meta: RecordMeta) => number;
  /** Default: none, and event-time windows are refused. */
  watermarks?: WatermarkStrategy<T>;
}

/** What `defineJob` hands to the author: where streams begin. */
export class JobBuilder {
  readonly #graph: GraphBuilder;
  readonly #given: ParameterValues;
  readonly #parameters = new Map<string, KeyPart>();

  constructor(graph: GraphBuilder, given: ParameterValues) {
    this.#graph = graph;
    this.#given = given;
  }

  /** Reads `source`; the uid names its positions for ever. */
  source<T>(uid: string, source: Source<T>, options: SourceOptions<T> = {}): SourceStream<T> {
    const { timestamps, watermarks } = options;
    return this.#graph.addSource(uid, { kind: "source", source, timestamps, watermarks: watermarks?.spec });
  }

  /** A value set at deployment or on the command line (Flink's application properties); part of the plan, not of its fingerprint. */
  param<T extends KeyPart>(name: string, fallback: T): ParameterOf<T> {
    const given = Object.hasOwn(this.#given, name) ? this.#given[name] : undefined;
    const value = resolveParameter(name, given, fallback);
    this.#parameters.set(name, value);
    return value;
  }

  /** Every parameter that was asked for, with its value. Throws `invalid` when a value was given for one that was not. */
  parameters(): ReadonlyMap<string, KeyPart> {
    const known = [...this.#parameters.keys()];
    for (const parameter of Object.keys(this.#given))
      if (known.length === 0) throw invalid("the job asks for no parameters while it is defined", { parameter });
      else if (!known.includes(parameter)) throw invalid("the job does not ask for this parameter", { parameter, known });
    return this.#parameters;
  }
}
