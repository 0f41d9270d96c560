/**
 * The event source mapping between what rings and a task function, with the settings that the engine counts on.
 *
 * M1 (L4) Nothing is ever given up or passed over: unlimited retries and age, no batch of one shard beside another, no start at LATEST. What
 *    is set otherwise, by whatever way, fails the synthesis.
 *
 * Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html, …/services-ddb-params.html,
 * …/services-sqs-parameters.html, …/msk-esm-parameters.html, …/self-managed-kafka-esm-parameters.html
 */
import { type Duration, Stack } from "aws-cdk-lib";
import { CfnEventSourceMapping } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { queueExecutions } from "../functions/executions.ts";
import type { Bell } from "./connector.ts";
import type { JobFunction } from "./job-function.ts";
import { clusterProperties } from "./kafka-topic.ts";
import { isForLocalstack } from "./localstack.ts";
import { refusalsOf } from "./refusals.ts";

export interface JobMappingProps {
  readonly function: JobFunction;
  readonly bell: Bell;
  readonly batchSize: number;
  readonly batchWindow: Duration;
}

type Properties = Omit<ConstructorParameters<typeof CfnEventSourceMapping>[2], "functionName">;

/** −1: without end. */
const unlimited = -1;
/** Of a FIFO queue, and of another whose messages are not gathered for a second. */
const unwindowedMessages = 10;

export class JobMapping extends Construct {
  readonly mapping: CfnEventSourceMapping;

  constructor(
    scope: Construct,
    id: string,
    { function: { function: target, role }, bell, batchSize, batchWindow }: JobMappingProps,
  ) {
    super(scope, id);
    this.mapping = new CfnEventSourceMapping(this, "Mapping", {
      functionName: target.functionName,
      ...sourceOf(bell, batchSize, batchWindow.toSeconds()),
      // Of Kafka there are some only with pollers of one's own.
      ...(bell.kind !== "kafka" && !isForLocalstack(this) && { metricsConfig: { metrics: ["EventCount"] } }),
    });
    // The mapping is refused while its function may not read the stream.
    this.mapping.node.addDependency(role);
    this.node.addValidation({ validate: () => refusalsOf(bell.kind, propertiesOf(this.mapping)) });
  }
}

function sourceOf(bell: Bell, batchSize: number, window: number): Properties {
  const batches = { batchSize, maximumBatchingWindowInSeconds: window };
  switch (bell.kind) {
    case "stream":
      return { ...ofShards, ...batches, eventSourceArn: bell.stream.streamArn, ...startOf(bell.startAt) };
    case "table":
      return { ...ofShards, ...batches, eventSourceArn: bell.streamArn, ...startOf(undefined) };
    case "queue": {
      const { queueArn, fifo } = bell.queue;
      const isGathered = !fifo && window > 0;
      return {
        eventSourceArn: queueArn,
        batchSize: isGathered ? batchSize : Math.min(batchSize, unwindowedMessages),
        ...(isGathered && { maximumBatchingWindowInSeconds: window }),
        functionResponseTypes: ["ReportBatchItemFailures"],
        // All of a queue write to one journal, one after the other.
        scalingConfig: { maximumConcurrency: queueExecutions },
      };
    }
    case "kafka":
      return {
        ...batches,
        ...clusterProperties(bell.topic, bell.consumerGroup),
        topics: [bell.topicName],
        ...startOf(undefined),
      };
  }
}

const ofShards = {
  maximumRetryAttempts: unlimited,
  maximumRecordAgeInSeconds: unlimited,
  parallelizationFactor: 1,
  bisectBatchOnFunctionError: false,
  functionResponseTypes: ["ReportBatchItemFailures"],
};

function startOf(startAt: Date | undefined): Pick<Properties, "startingPosition" | "startingPositionTimestamp"> {
  if (startAt === undefined) return { startingPosition: "TRIM_HORIZON" };
  return { startingPosition: "AT_TIMESTAMP", startingPositionTimestamp: startAt.getTime() / 1000 };
}

/** As they will stand in the template, with all that was overridden. */
function propertiesOf(mapping: CfnEventSourceMapping): Record<string, unknown> {
  const template = Stack.of(mapping).resolve(mapping._toCloudFormation()) as {
    readonly Resources: Readonly<Record<string, { readonly Properties?: Record<string, unknown> }>>;
  };
  return Object.values(template.Resources)[0]?.Properties ?? {};
}
