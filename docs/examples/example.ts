/**
 * What the examples of docs/semantics.md have around them: their sources and their sink. In the page's diagrams the records are put in and
 * looked at by hand; `node cli/main.ts run docs/examples/tumbling.ts` reads `in.ndjson`.
 */
import {
  boundedOutOfOrderness,
  consoleSink,
  type DataStream,
  defineJob,
  files,
  hours,
  type Job,
  type JobOptions,
  ndjson,
  type SourceStream,
  type WatermarkStrategy,
} from "../../runtime/index.ts";

/** What the sources have. */
export interface Event {
  readonly key: string;
  /** Event time, epoch ms. */
  readonly at: number;
  readonly n?: number;
}

export interface ExampleOptions extends JobOptions {
  /** Default: an hour behind, so that in the diagrams watermarks come only where they stand. */
  readonly watermarks?: WatermarkStrategy<Event>;
}

/** A job from the source `in` to the sink `out`. */
export function example(build: (events: SourceStream<Event>) => DataStream<unknown>, options: ExampleOptions = {}): Job {
  return jobOf(["in"], ([events]) => build(events as SourceStream<Event>), options);
}

/** A job from the sources `a` and `b` to the sink `out`. */
export function exampleOfTwo(
  build: (a: SourceStream<Event>, b: SourceStream<Event>) => DataStream<unknown>,
  options: ExampleOptions = {},
): Job {
  return jobOf(["a", "b"], ([a, b]) => build(a as SourceStream<Event>, b as SourceStream<Event>), options);
}

function jobOf(
  names: readonly string[],
  build: (sources: readonly SourceStream<Event>[]) => DataStream<unknown>,
  { watermarks = boundedOutOfOrderness(hours(1)), ...options }: ExampleOptions,
): Job {
  return defineJob(
    "example",
    (job) => {
      const sources = names.map((name) =>
        job.source(name, files<Event>({ paths: `${name}.ndjson`, format: ndjson() }), { timestamps: ({ at }) => at, watermarks }),
      );
      build(sources).sinkTo("out", consoleSink());
    },
    options,
  );
}
