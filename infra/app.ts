/**
 * What `npx cdk deploy` deploys of this repository: the example jobs. Each has two stacks, so that what holds state is updated apart from
 * functions. The streams, tables and buckets that a job reads and writes are its surroundings, made here as an author's app would.
 */
import { join } from "node:path";
import { App, RemovalPolicy, Stack } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table } from "aws-cdk-lib/aws-dynamodb";
import { Stream, StreamMode } from "aws-cdk-lib/aws-kinesis";
import { BlockPublicAccess, Bucket, BucketEncryption } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { isForLocalstack } from "./localstack.ts";
import { StreamJob } from "./stream-job.ts";

const examples = join(import.meta.dirname, "..", "examples");

export class PageViewsData extends Stack {
  readonly views: Stream;
  readonly perMinute: Table;
  readonly sessions: Table;
  readonly late: Bucket;

  constructor(scope: Construct, id: string) {
    super(scope, id, { description: "What the page views job reads and writes, and its state" });
    this.views = new Stream(this, "Views", { streamMode: StreamMode.PROVISIONED, shardCount: 4 });
    this.perMinute = this.#table("ViewsPerMinute", "page");
    this.sessions = this.#table("Sessions", "user");
    this.late = new Bucket(this, "LateViews", {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
    });
  }

  #table(id: string, key: string): Table {
    return new Table(this, id, {
      partitionKey: { name: key, type: AttributeType.STRING },
      sortKey: { name: "start", type: AttributeType.NUMBER },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: !isForLocalstack(this) },
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}

/** A job over its data. */
export class PageViewsJob extends Stack {
  readonly job: StreamJob;

  constructor(scope: Construct, id: string, entry: string, data: PageViewsData) {
    super(scope, id, { description: "The page views job: functions, schedule, alarms" });
    this.job = new StreamJob(this, "PageViews", {
      entry: join(examples, "pageviews", entry),
      streams: { "page-views": data.views },
      tables: { "views-per-minute": data.perMinute, sessions: data.sessions },
      buckets: { "late-views": data.late },
      statefulScope: data,
    });
  }
}

/** The stacks of all examples. */
export function addExamples(app: App): void {
  new PageViewsJob(app, "PageViewsJob", "on-aws.ts", new PageViewsData(app, "PageViewsData"));
  new PageViewsJob(app, "PageViewsWideJob", "on-aws-wide.ts", new PageViewsData(app, "PageViewsWideData"));
}

if (import.meta.main) addExamples(new App());
