/**
 * Counts of events by key and ten seconds of event time, and the row of each key's numbers: every break in it, and of fragile keys every
 * step. The same as it should be, in two deployments that should not have been made.
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
  outputTag,
  s3,
  seconds,
  tumbling,
  type,
  value,
} from "../../../runtime/index.ts";
import { type Event, windowMs } from "../resharding/events.ts";
import { eventSchema } from "../resharding/job.ts";
import type { ScenarioJobOptions } from "../scenario.ts";
import { isFragile } from "./load.ts";

/** wrong: counts and state that are not so. breaks: throws on fragile keys. */
export type Mistake = "wrong" | "breaks";

export interface OperatedJobOptions extends ScenarioJobOptions {
  readonly name?: string;
  readonly mistake?: Mistake;
}

const late = outputTag<Event>("late");

export function operatedJob({ name = "operated", mistake, parallelism, checkpointInterval, retained }: OperatedJobOptions): Job {
  const wrong = mistake === "wrong";
  return defineJob(
    name,
    (job) => {
      const keyed = job
        .source("events", kinesis({ stream: "events", format: json(eventSchema) }), {
          timestamps: ({ at }) => at,
          watermarks: boundedOutOfOrderness(seconds(1)),
        })
        .map("checked", (event) => {
          if (mistake === "breaks" && isFragile(event.key)) throw new Error("broken");
          return event;
        })
        .keyBy(({ key }) => key);
      keyed
        .process("row", {
          output: type<{ readonly key: string; readonly after: number; readonly n: number }>(),
          state: { last: value<number>() },
          onRecord: ({ n }, ctx) => {
            const { key, state } = ctx;
            const after = state.last.get() ?? 0;
            if (n !== after + 1 || isFragile(key)) ctx.emit({ key, after, n });
            state.last.set(wrong && isFragile(key) ? -n : n);
          },
        })
        .sinkTo("rows", s3({ bucket: "results", prefix: `${name}/rows/`, format: ndjson() }));
      const counts = keyed
        .window(tumbling(millis(windowMs)))
        .sideOutputLate(late)
        .aggregate("counts", count(), (key, { start }, n) => ({ key, start, n: wrong ? -n : n }));
      counts.sinkTo("counted", s3({ bucket: "results", prefix: `${name}/counts/`, format: ndjson() }));
      counts.sideOutput(late).sinkTo("late", s3({ bucket: "results", prefix: `${name}/late/`, format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: millis(checkpointInterval), retained } },
  );
}
