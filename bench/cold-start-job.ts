/** The job of cold-start.ts: page views per minute, from Kinesis to DynamoDB. */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  dynamodb,
  json,
  kinesis,
  minutes,
  seconds,
  tumbling,
  type,
} from "../runtime/index.ts";

interface View {
  readonly page: string;
  readonly at: number;
}

export default defineJob("cold-start", (job) => {
  job
    .source("views", kinesis({ stream: "page-views", format: json(type<View>()) }), {
      timestamps: (view) => view.at,
      watermarks: boundedOutOfOrderness(seconds(5)),
    })
    .keyBy((view) => view.page)
    .window(tumbling(minutes(1)))
    .aggregate("per-minute", count(), (page, { start }, views) => ({ page, start, views }))
    .sinkTo("table", dynamodb({ table: "views-per-minute", key: ["page", "start"] }));
});
