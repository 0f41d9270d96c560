/**
 * Counts of events by key and ten seconds of event time, and every break in the row of numbers that each key's events carry: what is lost,
 * doubled or overtaken shows. In three shapes: one task for all shards, tasks behind an exchange, a task per shard.
 */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  type Job,
  json,
  kinesis,
  millis,
  ndjson,
  s3,
  type Schema,
  seconds,
  tumbling,
  type,
  value,
} from "../../../runtime/index.ts";
import type { ScenarioJobOptions } from "../scenario.ts";
import { type Event, windowMs } from "./events.ts";

export type Shape = "oneTask" | "exchange" | "taskPerShard";

export const eventSchema: Schema<Event> = {
  "~standard": {
    version: 1,
    vendor: "events",
    validate: (given) => {
      const { key, n, at } = given as Partial<Event>;
      const isEvent = typeof key === "string" && typeof n === "number" && typeof at === "number";
      return isEvent ? { value: { key, n, at } } : { issues: [{ message: "expected key, n and at" }] };
    },
  },
};

export function eventsJob(options: ScenarioJobOptions & { readonly shape: Shape }): Job {
  const { shape, parallelism, checkpointInterval, retained } = options;
  return defineJob(
    "events",
    (job) => {
      const events = job.source("events", kinesis({ stream: "events", format: json(eventSchema) }), {
        timestamps: ({ at }) => at,
        watermarks: boundedOutOfOrderness(seconds(1)),
      });
      const keyed = shape === "taskPerShard" ? events.assumeKeyed(({ key }) => key) : events.keyBy(({ key }) => key);
      keyed
        .process("row", {
          output: type<{ readonly key: string; readonly after: number; readonly n: number }>(),
          state: { last: value<number>() },
          onRecord: ({ n }, ctx) => {
            const { key, state } = ctx;
            const after = state.last.get() ?? 0;
            if (n !== after + 1) ctx.emit({ key, after, n });
            state.last.set(n);
          },
        })
        .sinkTo("breaks", s3({ bucket: "results", prefix: "breaks/", format: ndjson() }));
      keyed
        .window(tumbling(millis(windowMs)))
        .aggregate("counts", count(), (key, { start }, n) => ({ key, start, n }))
        .sinkTo("counted", s3({ bucket: "results", prefix: "counts/", format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: millis(checkpointInterval), retained } },
  );
}
