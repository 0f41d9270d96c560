/**
 * The event source mapping between a stream and a task function, with the settings that the engine counts on.
 *
 * M1 (L4) Nothing is ever given up or passed over: unlimited retries and age, no batch of one shard beside another, no start at LATEST. What
 *    is set otherwise, by whatever way, fails the synthesis.
 */
import { type Duration, Stack } from "aws-cdk-lib";
import type { IStream } from "aws-cdk-lib/aws-kinesis";
import { CfnEventSourceMapping } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import type { JobFunction } from "./job-function.ts";
import { isForLocalstack } from "./localstack.ts";
import { refusalsOf } from "./refusals.ts";

export interface JobMappingProps {
  readonly function: JobFunction;
  readonly stream: IStream;
  readonly batchSize: number;
  readonly batchWindow: Duration;
  /** Undefined: the oldest record that the stream has. */
  readonly startAt: Date | undefined;
}

/** −1: without end. */
const unlimited = -1;

export class JobMapping extends Construct {
  readonly mapping: CfnEventSourceMapping;

  constructor(
    scope: Construct,
    id: string,
    { function: { function: target, role }, stream, batchSize, batchWindow, startAt }: JobMappingProps,
  ) {
    super(scope, id);
    this.mapping = new CfnEventSourceMapping(this, "Mapping", {
      functionName: target.functionName,
      eventSourceArn: stream.streamArn,
      batchSize,
      maximumBatchingWindowInSeconds: batchWindow.toSeconds(),
      ...(startAt === undefined
        ? { startingPosition: "TRIM_HORIZON" }
        : { startingPosition: "AT_TIMESTAMP", startingPositionTimestamp: startAt.getTime() / 1000 }),
      maximumRetryAttempts: unlimited,
      maximumRecordAgeInSeconds: unlimited,
      parallelizationFactor: 1,
      bisectBatchOnFunctionError: false,
      functionResponseTypes: ["ReportBatchItemFailures"],
      ...(!isForLocalstack(this) && { metricsConfig: { metrics: ["EventCount"] } }),
    });
    // The mapping is refused while its function may not read the stream.
    this.mapping.node.addDependency(role);
    this.node.addValidation({ validate: () => refusalsOf(propertiesOf(this.mapping)) });
  }
}

/** As they will stand in the template, with all that was overridden. */
function propertiesOf(mapping: CfnEventSourceMapping): Record<string, unknown> {
  const template = Stack.of(mapping).resolve(mapping._toCloudFormation()) as {
    readonly Resources: Readonly<Record<string, { readonly Properties?: Record<string, unknown> }>>;
  };
  return Object.values(template.Resources)[0]?.Properties ?? {};
}
