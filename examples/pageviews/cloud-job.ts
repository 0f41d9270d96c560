/**
 * The page views job as it runs on AWS, or in the emulated cloud: views come from a Kinesis stream as objects of JSON, results go to two
 * tables of DynamoDB, what came too late to a bucket of S3. All names are logical: a deployment binds them to its own.
 */
import { dynamodb, type Duration, type Job, json, kinesis, minutes, ndjson, s3, seconds } from "../../runtime/index.ts";
import { pageviews, type PageviewsSinks } from "./job.ts";
import { pageViewSchema } from "./page-view.ts";

export interface CloudJobOptions {
  readonly parallelism: number;
  readonly checkpointInterval: Duration;
  /** Checkpoints that are kept; default 3. */
  readonly retained?: number;
}

export function pageviewsInCloud({ parallelism, checkpointInterval, retained = 3 }: CloudJobOptions): Job {
  const source = kinesis({ stream: "page-views", format: json(pageViewSchema) });
  const sinks: PageviewsSinks = {
    views: dynamodb({ table: "views-per-minute", key: ["page", "start"] }),
    sessions: dynamodb({ table: "sessions", key: ["user", "start"] }),
    lateForMinute: s3({ bucket: "late-views", prefix: "for-minute/", format: ndjson() }),
    lateForSession: s3({ bucket: "late-views", prefix: "for-session/", format: ndjson() }),
  };
  return pageviews({ source, bound: seconds(60), parallelism, checkpointInterval, retained, sinks });
}

export default pageviewsInCloud({ parallelism: 1, checkpointInterval: minutes(1) });
