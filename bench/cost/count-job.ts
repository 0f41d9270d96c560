/** The job whose month is counted: events per key and minute, from Kinesis to objects in S3. */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
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

export const countJob = defineJob("count", (job) => {
  job
    .source("events", kinesis({ stream: "events", format: json(type<Event>()) }), {
      timestamps: (event) => event.at,
      watermarks: boundedOutOfOrderness(seconds(5)),
    })
    .keyBy((event) => event.key)
    .window(tumbling(minutes(1)))
    .aggregate("per-minute", count(), (key, window, n) => ({ key, start: window.start, n }))
    .sinkTo("counts", s3({ bucket: "counts", format: ndjson() }));
});
