/**
 * What a job author imports: the words to write a job with, and nothing of the engine that runs it.
 *
 * I1 Importing this module touches no network, no disk and no clock: connectors are declarations here.
 */

// Job
export { defineJob } from "./api/define-job.ts";
export type { Job } from "./api/job.ts";
export type { JobBuilder, SourceOptions } from "./api/job-builder.ts";
export type { CheckpointOptions, JobOptions, OperatorOptions, RecordMeta } from "./api/graph.ts";
export type { ParameterValues } from "./api/parameters.ts";

// Streams
export type { DataStream, TimestampOptions } from "./api/data-stream.ts";
export type { SourceStream } from "./api/source-stream.ts";
export type { Change, ChangelogStream } from "./api/changelog-stream.ts";
export type { KeyedStream } from "./api/keyed-stream.ts";
export type { BroadcastStream } from "./api/broadcast-stream.ts";
export type {
  BroadcastConnectedDataStream,
  BroadcastConnectedStream,
  ConnectedStreams,
  KeyedConnectedStreams,
} from "./api/connected-streams.ts";
export type { WindowedStream } from "./api/windowed-stream.ts";
export type { Key } from "./api/key.ts";

// Lengths of time
export { days, hours, millis, minutes, seconds, type Duration } from "./api/duration.ts";

// Time and windows
export { boundedOutOfOrderness, customWatermarks, monotonous } from "./api/watermarks.ts";
export type { WatermarkGenerator, WatermarkStrategy } from "./api/watermarks.ts";
export { calendarDays, calendarWeeks, countWindow, cumulating, globalWindow, session, sliding, tumbling } from "./api/windows.ts";
export type { CalendarOptions, TimeWindow, WeekStart, Window, WindowAssigner, WindowOptions, WindowTime } from "./api/windows.ts";
export { triggers } from "./api/triggers.ts";
export type { CustomTrigger, TimeOutOptions, Trigger, TriggerContext, TriggerResult } from "./api/triggers.ts";
export { evictors } from "./api/evictors.ts";
export type { Evictor, EvictorOptions } from "./api/evictors.ts";

// Functions
export { keyedProcess, outputTag, type } from "./api/functions.ts";
export { firstOfKey, type FirstOfKeyOptions } from "./api/first-of-key.ts";
export type {
  Aggregator,
  Context,
  KeyedContext,
  KeyedProcessFunction,
  OutputTag,
  ProcessContext,
  ProcessFunction,
  Receives,
  Schema,
  TimerContext,
  Timers,
  Type,
  WindowContext,
  WindowFunction,
} from "./api/functions.ts";
export type {
  BroadcastProcessFunction,
  BroadcastSpec,
  CoProcessFunction,
  KeyedBroadcastProcessFunction,
  KeyedCoProcessFunction,
  ReadonlyBroadcast,
} from "./api/co-functions.ts";
export { average, combine, count, max, min, sum } from "./api/aggregators.ts";

// State
export { aggregating, list, map, reducing, value } from "./api/state.ts";
export { evenSplitList, unionList } from "./api/operator-scoped-state.ts";
export type {
  OperatorStateDescriptor,
  OperatorStateOptions,
  OperatorStates,
  OperatorStateSpec,
} from "./api/operator-scoped-state.ts";
export type {
  FoldingState,
  ListState,
  MapState,
  ReadonlyMapState,
  StateDescriptor,
  StateOptions,
  States,
  StateSpec,
  Ttl,
  ValueState,
} from "./api/state.ts";

// Sources and sinks: the types, then one line per connector's declaration
export type { DecodeTarget, Mode, Sink, Source } from "./api/connector.ts";
export { files, type FilesOptions } from "./connectors/files/files.ts";
export { fileSink, type FileSinkOptions } from "./connectors/files/file-sink.ts";
export { kinesis, type KinesisOptions } from "./connectors/kinesis/kinesis.ts";
export { generator, type GeneratorOptions } from "./connectors/generator/generator.ts";
export { dynamodb, type DynamodbOptions } from "./connectors/dynamodb/dynamodb.ts";
export { dynamodbStream, type DynamodbStreamOptions } from "./connectors/dynamodb/dynamodb-stream.ts";
export { kinesisSink, type KinesisSinkOptions } from "./connectors/kinesis/kinesis-sink.ts";
export type { PartitionBy, PartitionValue, TimePartition } from "./connectors/files/partition.ts";
export { s3, type S3Options } from "./connectors/s3/s3.ts";
export { s3Objects, type S3ObjectsOptions } from "./connectors/s3/s3-objects.ts";
export { kafka, type KafkaOptions } from "./connectors/kafka/kafka.ts";
export { sqs, type SqsMessage, type SqsOptions } from "./connectors/sqs/sqs.ts";
export { eventBridge, type BusEvent, type EventBridgeOptions } from "./connectors/event-bridge/event-bridge.ts";
export { hybrid } from "./connectors/hybrid/hybrid.ts";
export { sqsSink, type SqsSinkOptions } from "./connectors/sqs/sqs-sink.ts";
export { snsSink, type SnsSinkOptions } from "./connectors/sns/sns-sink.ts";
export { eventBridgeSink, type EventBridgeSinkOptions } from "./connectors/event-bridge/event-bridge-sink.ts";
export { firehoseSink, type FirehoseSinkOptions } from "./connectors/firehose/firehose-sink.ts";
export { lambdaSink, type LambdaSinkOptions } from "./connectors/lambda/lambda-sink.ts";
export { httpSink, type HttpSinkOptions } from "./connectors/http/http-sink.ts";
export { consoleSink } from "./connectors/console/console-sink.ts";
export { customSink } from "./connectors/custom/custom-sink.ts";
export type { CustomRestore, CustomRow, CustomSinkFunctions } from "./connectors/custom/custom-sink.ts";
export { json, type JsonOptions, ndjson } from "./connectors/formats/json.ts";
export { csv, type CsvOptions } from "./connectors/formats/csv.ts";
export { parquet, type ParquetOptions } from "./connectors/formats/parquet.ts";
export type { ParquetColumnType } from "./connectors/formats/parquet-column.ts";
export { accessLog, type AccessLogEntry } from "./connectors/formats/access-log.ts";
export { type ChangeFormatOptions, debezium, type DebeziumOptions } from "./connectors/formats/debezium.ts";
export { framed } from "./connectors/formats/framed.ts";
export { dynamodbChanges, type DynamodbChangesOptions } from "./connectors/formats/dynamodb-changes.ts";
export { type Encoded, type Format, type FormatOfMany, Rejection } from "./connectors/formats/format.ts";

// The plan, and errors
export { planJob } from "./plan/plan-job.ts";
export { explain } from "./plan/explain.ts";
export { explainJson, type ExplainedJob } from "./plan/explain-json.ts";
export type { JobGraph } from "./plan/job-graph.ts";
export { isKind, MillraceError, type ErrorKind } from "./base/errors.ts";
