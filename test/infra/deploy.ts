/** Synthesises a job in a stack of its own, as an author's app does. */
import { App, Duration, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { AttributeType, StreamViewType, Table } from "aws-cdk-lib/aws-dynamodb";
import { EventBus } from "aws-cdk-lib/aws-events";
import { DeliveryStream } from "aws-cdk-lib/aws-kinesisfirehose";
import { Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { Topic } from "aws-cdk-lib/aws-sns";
import { Queue, type QueueProps } from "aws-cdk-lib/aws-sqs";
import { type IStream, Stream, StreamMode, type StreamProps } from "aws-cdk-lib/aws-kinesis";
import { Bucket } from "aws-cdk-lib/aws-s3";
import { VALIDATE_AGAINST_DEFAULT_RULES } from "aws-cdk-lib/cx-api";
import { join } from "node:path";
import { deploymentContext, StreamJob, type StreamJobProps } from "../../infra/index.ts";

export const root = join(import.meta.dirname, "..", "..");

export function jobFile(name: string): string {
  return join(import.meta.dirname, "jobs", `${name}.ts`);
}

export const pageviewsFile = join(root, "examples", "pageviews", "on-aws.ts");
export const wideFile = join(root, "examples", "pageviews", "on-aws-wide.ts");

/** Assets are bundled, to be named by their hash, and not written. */
const context = { "aws:cdk:bundling-stacks": [], [deploymentContext]: 7, "@aws-cdk/aws-iam:minimizePolicies": true };

/**
 * CDK's own rules for templates are asked where what they find ends the synthesis (cdk.json says so). Elsewhere it is told as a warning that
 * nobody reads, and takes half of the synthesis' time.
 */
export const unvalidated = { builtinCloudFormationValidation: false } as const;

/** What jobs read and write. */
export class Surroundings extends Stack {
  stream(id: string, props: StreamProps = { streamMode: StreamMode.PROVISIONED, shardCount: 4 }): IStream {
    return new Stream(this, id, props);
  }

  table(id: string): Table {
    return new Table(this, id, { partitionKey: { name: "user", type: AttributeType.STRING } });
  }

  bucket(id: string): Bucket {
    return new Bucket(this, id);
  }

  queue(id: string, props: QueueProps = {}): Queue {
    return new Queue(this, id, { visibilityTimeout: Duration.minutes(7), ...props });
  }
}

export type MakeProps = (stack: Surroundings) => Omit<StreamJobProps, "entry"> & { readonly [prop: string]: unknown };

export interface Deployed {
  readonly app: App;
  readonly stack: Surroundings;
  readonly job: StreamJob;
  readonly template: Template;
  resources(type: string): Readonly<Record<string, Resource>>;
}

export interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, any>>;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly DependsOn?: readonly string[];
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

export function deploy(entry: string, props: MakeProps, extra: Readonly<Record<string, unknown>> = {}): Deployed {
  const validated = extra[VALIDATE_AGAINST_DEFAULT_RULES] === true;
  const app = new App({ context: { ...context, ...extra }, ...(!validated && unvalidated) });
  const stack = new Surroundings(app, "Jobs");
  const job = new StreamJob(stack, "Job", { entry, ...props(stack) } as StreamJobProps);
  let template: Template | undefined;
  const synthesised = () => (template ??= Template.fromStack(stack));
  return {
    app,
    stack,
    job,
    get template() {
      return synthesised();
    },
    resources: (type) => synthesised().findResources(type) as Record<string, Resource>,
  };
}

export const bindPageviews: MakeProps = (stack) => ({
  streams: { "page-views": stack.stream("Views") },
  tables: { "views-per-minute": stack.table("ViewsPerMinute"), sessions: stack.table("Sessions") },
  buckets: { "late-views": stack.bucket("Late") },
});

export const bindManyTasks: MakeProps = (stack) => ({
  streams: { clicks: stack.stream("Clicks") },
  tables: { rows: stack.table("Rows") },
});

/** What a job of many connectors is bound to on one machine. */
export const bindEmulated = (stack: Surroundings, hook: string, tasks: QueueProps = {}) => ({
  streams: { rows: stack.stream("Rows"), copy: stack.stream("Copy") },
  buckets: { archive: stack.bucket("Archive"), lake: stack.bucket("Lake") },
  tables: {
    table: new Table(stack, "Table", {
      partitionKey: { name: "key", type: AttributeType.STRING },
      sortKey: { name: "n", type: AttributeType.NUMBER },
    }),
    items: new Table(stack, "Items", {
      partitionKey: { name: "id", type: AttributeType.STRING },
      stream: StreamViewType.NEW_AND_OLD_IMAGES,
    }),
  },
  queues: { tasks: stack.queue("Tasks", tasks), jobs: stack.queue("Jobs", { fifo: true }) },
  events: { orders: { eventPattern: { source: ["shop.orders"] } } },
  topics: { news: new Topic(stack, "News") },
  eventBuses: { bus: new EventBus(stack, "Bus") },
  functions: {
    callee: new Function(stack, "Callee", {
      runtime: Runtime.NODEJS_24_X,
      handler: "index.handler",
      code: Code.fromAsset(join(import.meta.dirname, "callee")),
    }),
  },
  endpoints: { hook },
});

export const mskArn = "arn:aws:kafka:us-east-1:000000000000:cluster/records/0a1b2c3d-1";

/** And what it is bound to on AWS. */
export const bindMany = (stack: Surroundings) => {
  const emulated = bindEmulated(stack, "https://hook.example/rows");
  return {
    ...emulated,
    deliveryStreams: { delivery: DeliveryStream.fromDeliveryStreamName(stack, "Delivery", "delivery") },
    kafkaTopics: { records: { clusterArn: mskArn } },
  };
};
