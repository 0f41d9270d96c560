/**
 * Where records go that the mapping gives up: one invocation record for each batch that is discarded. SQS and SNS get what identifies
 * the records, S3 gets the event too.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
 */
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { randomUuid } from "../random-uuid.ts";
import type { StreamRecord } from "./source-stream.ts";

/** A destination, as a callback: what really takes the message is the caller's. Rejecting is a failed delivery. */
export type OnFailureDestination =
  | { readonly kind: "sqs" | "sns"; send(message: string): Promise<void> }
  | { readonly kind: "s3"; put(key: string, body: string): Promise<void> };

/** Records that the mapping gave up, all of one shard. */
export interface Discard {
  readonly shardId: string;
  readonly condition: "RetryAttemptsExhausted" | "RecordAgeExceeded";
  readonly first: Pick<StreamRecord, "sequenceNumber" | "arrivedAt">;
  readonly last: Pick<StreamRecord, "sequenceNumber" | "arrivedAt">;
  /** 0: a window's last invocation was given up, and with it the window's state; first and last are the window's. */
  readonly count: number;
  /** How often the function was invoked with them. */
  readonly invokeCount: number;
  /** Of the last invocation: false after a partial response, undefined without any. */
  readonly hasFunctionError: boolean | undefined;
  /** The event, as JSON. */
  readonly payload: string;
}

export interface InvocationRecordContext {
  readonly mappingId: string;
  readonly functionArn: string;
  readonly streamArn: string;
  readonly random: SeededRandom;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Sends a discarded batch's invocation record. Rejects when the destination does. */
export function deliverDiscard(
  destination: OnFailureDestination,
  discard: Discard,
  context: InvocationRecordContext,
): Promise<void> {
  const record = invocationRecord(discard, context);
  if (destination.kind !== "s3") return destination.send(JSON.stringify(record));
  return destination.put(objectKey(discard, context), JSON.stringify({ ...record, payload: discard.payload }));
}

function invocationRecord(discard: Discard, { functionArn, streamArn, random, now }: InvocationRecordContext) {
  const functionError = discard.hasFunctionError === true ? { functionError: "Unhandled" } : {};
  return {
    requestContext: {
      requestId: randomUuid(random),
      functionArn,
      condition: discard.condition,
      approximateInvokeCount: discard.invokeCount,
    },
    // Records that were never sent to the function had no response.
    ...(discard.hasFunctionError === undefined
      ? {}
      : { responseContext: { statusCode: 200, executedVersion: "$LATEST", ...functionError } }),
    version: "1.0",
    timestamp: new Date(now).toISOString(),
    KinesisBatchInfo: {
      shardId: discard.shardId,
      startSequenceNumber: discard.first.sequenceNumber,
      endSequenceNumber: discard.last.sequenceNumber,
      approximateArrivalOfFirstRecord: new Date(discard.first.arrivedAt).toISOString(),
      approximateArrivalOfLastRecord: new Date(discard.last.arrivedAt).toISOString(),
      batchSize: discard.count,
      streamArn,
    },
  };
}

/** aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random UUID>, in UTC. */
function objectKey({ shardId }: Discard, { mappingId, random, now }: InvocationRecordContext): string {
  const time = new Date(now).toISOString();
  const day = time.slice(0, 10).replaceAll("-", "/");
  return `aws/lambda/${mappingId}/${shardId}/${day}/${time.slice(0, 19).replaceAll(":", ".")}-${randomUuid(random)}`;
}
