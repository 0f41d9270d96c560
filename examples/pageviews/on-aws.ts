/**
 * The page views job as it runs on AWS, or in the emulated cloud: views come from a stream, results go to two tables, what came too late to
 * a bucket. All names are logical: a deployment binds them to its own.
 */
import { dynamodb, type Duration, type Job, json, kinesis, minutes, ndjson, s3, seconds } from "../../runtime/index.ts";
import { pageviews, type Session, type ViewsPerMinute } from "./job.ts";
import { pageViewSchema } from "./page-view.ts";

export interface PageviewsOnAwsOptions {
  /** Default "pageviews". */
  readonly name?: string;
  readonly parallelism: number;
  /** Default a minute. */
  readonly checkpointInterval?: Duration;
  /** Checkpoints that are kept; default 3. */
  readonly retained?: number;
  /** A shard that brings nothing for so long holds the others up no more; default: it does. */
  readonly idleAfter?: Duration;
}

export function pageviewsOnAws({ checkpointInterval = minutes(1), ...options }: PageviewsOnAwsOptions): Job {
  return pageviews({
    ...options,
    checkpointInterval,
    source: kinesis({ stream: "page-views", format: json(pageViewSchema) }),
    sinks: {
      views: dynamodb<ViewsPerMinute>({ table: "views-per-minute", key: ["page", "start"] }),
      sessions: dynamodb<Session>({ table: "sessions", key: ["user", "start"] }),
      lateForMinute: s3({ bucket: "late-views", prefix: "for-minute/", format: ndjson() }),
      lateForSession: s3({ bucket: "late-views", prefix: "for-session/", format: ndjson() }),
    },
    bound: seconds(60),
  });
}

export default pageviewsOnAws({ parallelism: 1, idleAfter: minutes(1) });
