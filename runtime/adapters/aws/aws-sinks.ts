/** The runtime half of all sinks of a job on AWS: by operator, whatever its kind. The counterpart of connectors/local-sinks.ts. */
import type { Writable } from "node:stream";
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import type { OperatorUid } from "../../base/ids.ts";
import { bindingOf, type Bindings } from "../../connectors/bindings.ts";
import { ConsoleWriter } from "../../connectors/console/writer.ts";
import type { CustomSink } from "../../connectors/custom/custom-sink.ts";
import { CustomWriter } from "../../connectors/custom/writer.ts";
import type { DynamodbSettings } from "../../connectors/dynamodb/dynamodb.ts";
import type { FormattedSink } from "../../connectors/files/formatted-sink.ts";
import type { EventBridgeSettings } from "../../connectors/event-bridge/event-bridge-settings.ts";
import { HttpChannel } from "../../connectors/http/http-channel.ts";
import type { HttpSettings } from "../../connectors/http/http-settings.ts";
import type { HttpSink } from "../../connectors/http/http-sink.ts";
import type { LambdaSettings } from "../../connectors/lambda/lambda-settings.ts";
import { type MessageChannel, MessageTarget } from "../../connectors/messages/message-target.ts";
import type { S3Settings } from "../../connectors/s3/s3.ts";
import type { SinkTarget } from "../../connectors/sink-target.ts";
import { claimNames, type DeadLetterWriter, SinkTargets } from "../../connectors/sink-targets.ts";
import type { SnsSettings } from "../../connectors/sns/sns-settings.ts";
import type { SqsSettings } from "../../connectors/sqs/sqs-settings.ts";
import type { Restored } from "../../ports/sink-driver.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { oneName } from "./aws-sources.ts";
import { type AwsClients, awsClients } from "./aws-clients.ts";
import type { Pace } from "./back-off.ts";
import { type ChangedRow, DynamoSink } from "./dynamo-sink.ts";
import { EventBridgeChannel } from "./event-bridge-channel.ts";
import { FirehoseChannel } from "./firehose-channel.ts";
import { KinesisLog } from "./kinesis-log.ts";
import { KinesisSink } from "./kinesis-sink.ts";
import { LambdaChannel } from "./lambda-channel.ts";
import { type LazyClients, lazyClients } from "./lazy-clients.ts";
import { RowTable } from "./row-table.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { S3DeadLetters } from "./s3-dead-letters.ts";
import { S3Sink } from "./s3-sink.ts";
import { SnsChannel } from "./sns-channel.ts";
import { SqsChannel } from "./sqs-channel.ts";

export interface AwsSinksOptions {
  readonly job: string;
  readonly sinks: ReadonlyMap<OperatorUid, Sink<any, any>>;
  /** Logical names, or uids, to the names that the deployment gave; what is not bound has its own. */
  readonly bindings: Bindings;
  /** Where dead letters go, and the lists of what a restore could not take back. */
  readonly deadLetters: BucketPlace;
  readonly telemetry: Telemetry;
  /** Its `remainingMs` bounds how long throttled requests are tried again. */
  readonly pace: Pace;
  /** Default: made by the SDK's own settings. */
  readonly clients?: AwsClients;
  /** The same, of services that few jobs use. */
  readonly lazyClients?: Omit<LazyClients, "dynamodbStreams">;
  /** Where console sinks write; default: standard output, which Lambda takes for the log. */
  readonly console?: Writable;
}

/** A bucket by its name in S3, and what keys in it begin with: empty, or ending with "/". */
export interface BucketPlace {
  readonly bucket: string;
  readonly prefix: string;
}

export class AwsSinks extends SinkTargets {
  /** Asks AWS for nothing yet: `check` does. Throws `invalid` for a sink that is not written on AWS, and for two that would write the same objects. */
  constructor(options: AwsSinksOptions) {
    const clients = options.clients ?? awsClients();
    const { bucket, prefix } = options.deadLetters;
    const letters = new S3Bucket(clients.s3, bucket, options.telemetry, options.pace);
    const deadLetters = new S3DeadLetters(letters, prefix);
    super(createTargets(options, clients, letters, deadLetters), deadLetters);
  }
}

function createTargets(
  options: AwsSinksOptions,
  clients: AwsClients,
  letters: S3Bucket,
  deadLetters: DeadLetterWriter,
): ReadonlyMap<OperatorUid, SinkTarget> {
  const { job, pace, telemetry } = options;
  const lazy = options.lazyClients ?? lazyClients();
  const takenBy = new Map<string, OperatorUid>();
  let console: ConsoleWriter | undefined;
  const targetOf = (operator: OperatorUid, sink: Sink<any, any>): SinkTarget => {
    const bound = oneName(operator, bindingOf(options.bindings, operator, sink.name));
    const name = bound ?? sink.name;
    switch (sink.kind) {
      case "kinesis":
        return createKinesisSink(name, sink, options, clients);
      case "dynamodb":
        return createDynamoSink(operator, name, sink, options, clients, letters);
      case "s3": {
        const { prefix, extension, partitionBy } = sink.options as unknown as S3Settings;
        claimNames(takenBy, `${name}/${prefix}`, operator);
        const bucket = new S3Bucket(clients.s3, name, options.telemetry, options.pace);
        const { assemble } = (sink as FormattedSink<any>).format;
        return new S3Sink({ bucket, prefix, extension, partitioned: partitionBy !== undefined, assemble });
      }
      case "custom":
        return new CustomWriter(operator, (sink as CustomSink<any, any>).functions);
      case "console":
        return (console ??= new ConsoleWriter(options.console ?? process.stdout));
      default: {
        const channel = createChannel(bound, sink, lazy);
        if (channel === undefined) throw notOnAws(operator, sink);
        return new MessageTarget({ job, operator, channel, pace, telemetry, deadLetters });
      }
    }
  };
  return new Map([...options.sinks].map(([operator, sink]) => [operator, targetOf(operator, sink)]));
}

/** The way to what a push sink writes to; undefined for a sink of another kind. */
function createChannel(
  bound: string | undefined,
  sink: Sink<any, any>,
  lazy: Omit<LazyClients, "dynamodbStreams">,
): MessageChannel | undefined {
  const name = bound ?? sink.name;
  const settings: unknown = sink.options;
  switch (sink.kind) {
    case "sqs":
      return new SqsChannel(name, settings as SqsSettings, lazy.sqs);
    case "sns":
      return new SnsChannel(name, settings as SnsSettings, lazy.sns);
    case "eventBridge":
      return new EventBridgeChannel(name, settings as EventBridgeSettings, lazy.eventBridge);
    case "firehose":
      return new FirehoseChannel(name, lazy.firehose);
    case "lambda":
      return new LambdaChannel(name, settings as LambdaSettings, lazy.lambda);
    case "http": {
      const http = settings as HttpSettings;
      return new HttpChannel(bound ?? http.url, http, (sink as HttpSink<any>).functions);
    }
    default:
      return undefined;
  }
}

function createKinesisSink(
  stream: string,
  { options: { maxRecordBytes } }: Sink<any, any>,
  { telemetry, pace }: AwsSinksOptions,
  { kinesis }: AwsClients,
): KinesisSink {
  return new KinesisSink(new KinesisLog(kinesis, telemetry, pace, { maxRecordBytes: maxRecordBytes as number }), stream);
}

function createDynamoSink(
  operator: OperatorUid,
  table: string,
  sink: Sink<any, any>,
  { job, telemetry, pace, deadLetters }: AwsSinksOptions,
  { dynamodb }: AwsClients,
  letters: S3Bucket,
): DynamoSink {
  const keepList = async ({ generation }: Restored, rows: readonly ChangedRow[]) => {
    const key = `${deadLetters.prefix}restored/g${generation}-${encodeURIComponent(operator)}.ndjson`;
    await letters.put(key, Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join("")));
    return `s3://${letters.name}/${key}`;
  };
  const settings = sink.options as unknown as DynamodbSettings;
  return new DynamoSink({
    table: new RowTable(dynamodb, table, telemetry, pace),
    settings,
    job,
    operator,
    telemetry,
    keepList,
  });
}

function notOnAws(operator: OperatorUid, { kind }: Sink<any, any>): MillraceError {
  const message = `a sink of kind ${kind} is not written on AWS: use s3() or another there: ${operator}`;
  return new MillraceError("invalid", message, { context: { operator } });
}
