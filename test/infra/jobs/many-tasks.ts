/** A keyed stage of 64 tasks. */
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  dynamodb,
  json,
  kinesis,
  seconds,
  tumbling,
  type,
} from "../../../runtime/index.ts";

interface Click {
  readonly user: string;
  readonly at: number;
}

export default defineJob(
  "many-tasks",
  (job) => {
    job
      .source("clicks", kinesis({ stream: "clicks", format: json(type<Click>()), startFrom: new Date("2026-01-02T03:04:05Z") }), {
        timestamps: ({ at }) => at,
        watermarks: boundedOutOfOrderness(seconds(1)),
      })
      .keyBy(({ user }) => user)
      .window(tumbling(seconds(10)))
      .aggregate("per-user", count(), (user, { start }, clicks) => ({ user, start, clicks }))
      .sinkTo("rows", dynamodb({ table: "rows", key: ["user", "start"] }));
  },
  { parallelism: 64 },
);
