/** Creates the streams, tables and buckets of a topology on its emulated services, as a deployment does: what is there stays. */
import { setTimeout } from "node:timers/promises";
import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  IncreaseStreamRetentionPeriodCommand,
  KinesisClient,
  UpdateMaxRecordSizeCommand,
} from "@aws-sdk/client-kinesis";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { messageOf, MillraceError } from "../../runtime/base/errors.ts";
import { defaultBus } from "../events/start-events.ts";
import { createTable } from "./create-table.ts";
import type { CheckedTopology } from "./read-topology.ts";
import type { Services } from "./services.ts";
import type { StreamResource } from "./topology.ts";

export interface ServiceClients {
  readonly kinesis: KinesisClient;
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
}

/** What any key is good for: nobody checks it here. */
export const fakeCredentials = { accessKeyId: "emulated", secretAccessKey: "emulated" } as const;

export function serviceClients(endpoints: Record<keyof ServiceClients, string>, region: string): ServiceClients {
  const shared = (endpoint: string): Pick<DynamoDBClientConfig, "endpoint" | "region" | "credentials" | "requestHandler"> => ({
    endpoint,
    region,
    credentials: fakeCredentials,
    requestHandler: new NodeHttpHandler(),
  });
  return {
    kinesis: new KinesisClient(shared(endpoints.kinesis)),
    dynamodb: new DynamoDBClient(shared(endpoints.dynamodb)),
    s3: new S3Client({ ...shared(endpoints.s3), forcePathStyle: true }),
  };
}

/** Throws `invalid` for what the service refuses. */
export async function createResources(topology: CheckedTopology, clients: ServiceClients): Promise<void> {
  await Promise.all([
    ...Object.entries(topology.streams).map(([name, stream]) => createStream(clients.kinesis, name, stream)),
    ...Object.entries(topology.tables).map(([name, table]) =>
      unlessThere(`table ${name}`, ["ResourceInUseException"], () => createTable(clients.dynamodb, name, table)),
    ),
    ...topology.buckets.map((bucket) => createBucket(clients.s3, bucket)),
  ]);
}

/** The queues, topics, buses and rules, which are in this process. */
export function createMessaging(
  { queues, topics, eventBuses, rules }: CheckedTopology,
  { messaging, events }: Pick<Services, "messaging" | "events">,
): void {
  for (const [name, { maximumMessageSize, contentBasedDeduplication, visibilityTimeout }] of Object.entries(queues))
    messaging.createQueue(name, {
      ...(visibilityTimeout !== undefined && { VisibilityTimeout: String(visibilityTimeout) }),
      ...(maximumMessageSize !== undefined && { MaximumMessageSize: String(maximumMessageSize) }),
      ...(contentBasedDeduplication === true && { ContentBasedDeduplication: "true" }),
    });
  for (const [name, topic] of Object.entries(topics)) {
    messaging.createTopic(name);
    for (const queue of topic.queues ?? []) messaging.subscribe(name, queue);
  }
  const inForce = Object.values(rules).filter(({ state }) => state !== "DISABLED");
  events.use(
    eventBuses,
    inForce.map(({ eventBusName = defaultBus, ...rule }) => ({ ...rule, eventBusName })),
  );
}

/** An object, in a bucket of the topology. */
export async function putObject(s3: S3Client, bucket: string, key: string, body: string): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
}

/** Kinesis makes a few streams a second, for all who ask. */
const refusedForNow = "LimitExceededException";
const againMs = 1_100;
const attemptsMax = 30;

async function createStream(kinesis: KinesisClient, StreamName: string, stream: StreamResource): Promise<void> {
  const { shardCount: ShardCount, retentionPeriodHours = 24, maxRecordSizeInKiB = 1024 } = stream;
  await unlessThere(`stream ${StreamName}`, ["ResourceInUseException"], () =>
    inTime(() => kinesis.send(new CreateStreamCommand({ StreamName, ShardCount }))),
  );
  const { StreamDescriptionSummary: found } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
  if ((found?.RetentionPeriodHours ?? 24) < retentionPeriodHours) {
    await kinesis.send(new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: retentionPeriodHours }));
  }
  if ((found?.MaxRecordSizeInKiB ?? 1024) !== maxRecordSizeInKiB) {
    await kinesis.send(new UpdateMaxRecordSizeCommand({ StreamARN: found?.StreamARN, MaxRecordSizeInKiB: maxRecordSizeInKiB }));
  }
}

/** Asks again where it is too soon, as CloudFormation does. */
async function inTime(create: () => Promise<unknown>): Promise<void> {
  for (let attempts = 1; ; attempts++) {
    try {
      await create();
      return;
    } catch (error) {
      if (!(error instanceof Error) || error.name !== refusedForNow || attempts === attemptsMax) throw error;
    }
    await setTimeout(againMs);
  }
}

async function createBucket(s3: S3Client, Bucket: string): Promise<void> {
  await unlessThere(`bucket ${Bucket}`, ["BucketAlreadyOwnedByYou", "BucketAlreadyExists"], () =>
    s3.send(new CreateBucketCommand({ Bucket })),
  );
}

async function unlessThere(what: string, names: readonly string[], create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (error instanceof Error && names.includes(error.name)) return;
    throw new MillraceError("invalid", `the ${what} cannot be created: ${messageOf(error)}`, { cause: error });
  }
}
