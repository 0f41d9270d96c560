/**
 * The ports of one job's state on AWS: DynamoDB, S3 and Kinesis. The counterpart of `openLocal` and `openMemory`; its sources are
 * aws-sources.ts, its sinks aws-sinks.ts.
 *
 * W1 A table, a bucket and an account's streams serve many jobs: all names of a job begin with its own (names.ts).
 * W2 Nothing is created here: tables, buckets and the streams of sources are the deployment's.
 */
import type { Clock } from "../../ports/clock.ts";
import type { Journal } from "../../ports/journal.ts";
import type { Pages } from "../../ports/pages.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { defaultRingSize } from "../limits.ts";
import { type AwsClients, awsClients } from "./aws-clients.ts";
import type { Pace } from "./back-off.ts";
import { DynamoJournal } from "./dynamo-journal.ts";
import { DynamoPages } from "./dynamo-pages.ts";
import { DynamoTable } from "./dynamo-table.ts";
import { KinesisLog } from "./kinesis-log.ts";
import { streamName } from "./names.ts";
import { S3Blobs } from "./s3-blobs.ts";
import { checkIdentity } from "./state-table.ts";

export interface AwsOptions {
  readonly job: string;
  /** The DynamoDB table of journals and pages. */
  readonly table: string;
  readonly bucket: string;
  /** Its `remainingMs` bounds how long throttled requests are tried again. */
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default: made by the SDK's own settings. */
  readonly clients?: AwsClients;
  /** Slots per task's ring, default 128. Fixed when the job is first run. */
  readonly ringSize?: number;
  /** Of inbox streams; default 1 MiB. */
  readonly maxRecordBytes?: number;
  /** The name in Kinesis of an inbox stream; default `<job>-<stream>`. */
  readonly inboxName?: (stream: string) => string;
  /** No restore changes the shards of inboxes: a frame in a shard that was made by a change is lost, and that is loud. Default true. */
  readonly fixedInboxes?: boolean;
  /** From 0 to below 1, for jitter; default Math.random. */
  readonly random?: () => number;
}

export interface AwsPorts {
  readonly log: KinesisLog;
  readonly journal: Journal;
  readonly pages: Pages;
  readonly blobs: S3Blobs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * How entries are best stored here (PayloadOptions): up to 9 KB in the journal, since a PUT to S3 costs as much as 8 KB written to
 * DynamoDB and the pointer one more; compressed as soon as it can save one of the units that are billed.
 */
export const awsPayload = { inlineBytesMax: 9 * 1024, compressFromBytes: 900 } as const;

/**
 * Opens the ports and checks that the job's state is of this format. Throws `invalid` for a table or region that is not there
 * or may not be used, and for state of another format or ring size; `unavailable` when AWS does not answer.
 */
export async function openAws(options: AwsOptions): Promise<AwsPorts> {
  const { job, clock, telemetry } = options;
  const { dynamodb, s3, kinesis } = options.clients ?? awsClients();
  const pace: Pace = { clock, random: options.random ?? Math.random };
  const table = (part: string) => new DynamoTable(dynamodb, options.table, part, telemetry, pace);
  const ringSize = options.ringSize ?? defaultRingSize;
  await checkIdentity(table("identity"), { job, ringSize });
  const nameOf = options.inboxName ?? ((stream) => streamName(job, stream));
  const records = options.maxRecordBytes === undefined ? {} : { maxRecordBytes: options.maxRecordBytes };
  return {
    log: new KinesisLog(kinesis, telemetry, pace, { nameOf, fixedShards: options.fixedInboxes ?? true, ...records }),
    journal: new DynamoJournal(table("journal"), job, ringSize),
    pages: new DynamoPages(table("pages"), job),
    blobs: new S3Blobs(s3, options.bucket, job, telemetry, pace),
    clock,
    telemetry,
  };
}
