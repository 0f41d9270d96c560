/** The job whose month is counted: events per key and minute, from Kinesis to objects in S3. */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  type Job,
  type JobBuilder,
  type WatermarkStrategy,
  json,
  kinesis,
  minutes,
  ndjson,
  s3,
  seconds,
  tumbling,
  type,
} from "../../runtime/index.ts";
import type { Event } from "../counts/events.ts";

/** `idleness`: a shard that brings nothing for a minute is not waited for, so the task asks to be rung when it may be idle. */
export function countJob(idleness: boolean): Job {
  const watermarks = boundedOutOfOrderness(seconds(5));
  return defineJob("count", (job) => declare(job, idleness ? watermarks.withIdleness(minutes(1)) : watermarks));
}

function declare(job: JobBuilder, watermarks: WatermarkStrategy<Event>): void {
  job
    .source("events", kinesis({ stream: "events", format: json(type<Event>()) }), {
      timestamps: (event) => event.at,
      watermarks,
    })
    .keyBy((event) => event.key)
    .window(tumbling(minutes(1)))
    .aggregate("per-minute", count(), (key, window, n) => ({ key, start: window.start, n }))
    .sinkTo("counts", s3({ bucket: "counts", format: ndjson() }));
}
