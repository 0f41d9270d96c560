/** Small jobs for tests: their ends are the harness's, so source and sink are names alone. */
import type { Sink, Source } from "../../runtime/api/connector.ts";
import { boundedOutOfOrderness, defineJob, hours } from "../../runtime/index.ts";
import type { DataStream, Job, JobOptions, SourceStream, WatermarkStrategy } from "../../runtime/index.ts";
import type { OperatorStep } from "../../runtime/testing/index.ts";

export interface Event {
  readonly key: any;
  readonly at: number;
  readonly n?: number;
}

/** A source that only a harness can read. */
export function anySource<T>(name: string, bounded = false): Source<T> {
  return { kind: "test", name, bounded, options: {}, decode: () => assertHarness() };
}

/** A sink that only a harness can write. */
export function anySink(): Sink<any, "append" | "upsert" | "retract"> {
  return { kind: "test", name: "test", guarantee: "exactlyOnce", options: {}, createWriter: () => assertHarness() };
}

function assertHarness(): never {
  throw new Error("the harness takes the place of sources and sinks");
}

/** From the source "in" of events, with watermarks one hour behind: those of a test stand alone, to the sink "out". */
export function pipeline(
  build: (events: SourceStream<Event>) => DataStream<unknown>,
  options: JobOptions & { watermarks?: WatermarkStrategy<Event> } = {},
): Job {
  const { watermarks = boundedOutOfOrderness(hours(1)), ...jobOptions } = options;
  return defineJob(
    "pipeline",
    (job) => {
      const events = job.source("in", anySource<Event>("in", options.mode === "batch"), {
        timestamps: (event) => event.at,
        watermarks,
      });
      build(events).sinkTo("out", anySink());
    },
    jobOptions,
  );
}

/** Two sources "a" and "b", like `pipeline`. */
export function twoSources(
  build: (a: SourceStream<Event>, b: SourceStream<Event>) => DataStream<unknown>,
  options: JobOptions & { watermarks?: WatermarkStrategy<Event> } = {},
): Job {
  const { watermarks = boundedOutOfOrderness(hours(1)), ...jobOptions } = options;
  return defineJob(
    "two-sources",
    (job) => {
      const time = { timestamps: (event: Event) => event.at, watermarks };
      const bounded = options.mode === "batch";
      build(job.source("a", anySource<Event>("a", bounded), time), job.source("b", anySource<Event>("b", bounded), time)).sinkTo(
        "out",
        anySink(),
      );
    },
    jobOptions,
  );
}

/** Steps of the source "in": events, and numbers that are watermarks. */
export function steps(...list: readonly (Event | number | OperatorStep)[]): readonly OperatorStep[] {
  return list.map((item) => {
    if (typeof item === "number") return { source: "in", watermark: item };
    return "at" in item ? { source: "in", value: item } : item;
  });
}

/** An event. */
export function event(key: unknown, at: number, n?: number): Event {
  return n === undefined ? { key, at } : { key, at, n };
}
