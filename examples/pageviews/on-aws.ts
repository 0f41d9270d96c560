/** The page views job as it is deployed: from a stream, to tables and a bucket. infra/app.ts says which. */
import { dynamodb, json, kinesis, minutes, ndjson, s3, seconds } from "../../runtime/index.ts";
import { pageviews, type Session, type ViewsPerMinute } from "./job.ts";
import { pageViewSchema } from "./page-view.ts";

export function pageviewsOnAws(name: string, parallelism: number) {
  return pageviews({
    name,
    source: kinesis({ stream: "page-views", format: json(pageViewSchema) }),
    sinks: {
      views: dynamodb<ViewsPerMinute>({ table: "views-per-minute", key: ["page", "start"] }),
      sessions: dynamodb<Session>({ table: "sessions", key: ["user", "start"] }),
      lateForMinute: s3({ bucket: "late-views", prefix: "minute/", format: ndjson() }),
      lateForSession: s3({ bucket: "late-views", prefix: "session/", format: ndjson() }),
    },
    bound: seconds(30),
    idleAfter: minutes(1),
    parallelism,
    checkpointInterval: minutes(1),
  });
}

export default pageviewsOnAws("pageviews", 1);
