/**
 * The event that a function gets: KinesisStreamEvent, and KinesisTimeWindowEvent with tumbling windows, as JSON of a known size.
 *
 * Source: the examples in https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html and …/services-kinesis-windows.html
 */
import type { StreamRecord } from "./source-stream.ts";

/** The largest payload of an invocation, which cuts a batch. */
export const payloadBytesMax = 6 * 1024 * 1024;

/** What stands in every record of an event. */
export interface EventIdentity {
  readonly streamArn: string;
  readonly region: string;
  /** The function's execution role. */
  readonly roleArn: string;
}

/** What a windowed event has beside its records. */
export interface WindowPart {
  /** Epoch milliseconds. */
  readonly start: number;
  readonly end: number;
  /** JSON. */
  readonly state: string;
  readonly shardId: string;
  readonly isFinal: boolean;
  readonly isTerminatedEarly: boolean;
}

/** One record of an event, as JSON. */
export function eventRecord({ streamArn, region, roleArn }: EventIdentity, shardId: string, record: StreamRecord): string {
  const { data } = record;
  return JSON.stringify({
    kinesis: {
      kinesisSchemaVersion: "1.0",
      partitionKey: record.partitionKey,
      sequenceNumber: record.sequenceNumber,
      data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
      approximateArrivalTimestamp: record.arrivedAt / 1000,
    },
    eventSource: "aws:kinesis",
    eventVersion: "1.0",
    eventID: `${shardId}:${record.sequenceNumber}`,
    eventName: "aws:kinesis:record",
    invokeIdentityArn: roleArn,
    awsRegion: region,
    eventSourceARN: streamArn,
  });
}

/** The whole event. `records`: from `eventRecord`. */
export function kinesisEvent(records: readonly string[], streamArn: string, window?: WindowPart): string {
  return `{"Records":[${records.join(",")}]${windowText(streamArn, window)}}`;
}

/** The bytes of an event without its records; a record adds its own and one for a comma. */
export function eventOverheadBytes(streamArn: string, window?: WindowPart): number {
  return Buffer.byteLength(kinesisEvent([], streamArn, window));
}

function windowText(streamArn: string, window: WindowPart | undefined): string {
  if (window === undefined) return "";
  const { start, end, state, shardId, isFinal, isTerminatedEarly } = window;
  const span = JSON.stringify({ start: toTheSecond(start), end: toTheSecond(end) });
  const rest = {
    shardId,
    eventSourceARN: streamArn,
    isFinalInvokeForWindow: isFinal,
    isWindowTerminatedEarly: isTerminatedEarly,
  };
  return `,"window":${span},"state":${state},${JSON.stringify(rest).slice(1, -1)}`;
}

function toTheSecond(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}
