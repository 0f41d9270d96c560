/**
 * The batch that an event source mapping brings: records of one shard, in their order. Checked, since anybody with the permission may invoke
 * a function with anything.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
 */
import type { SourceRecord } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { id, type ShardId } from "../runtime/base/ids.ts";

export interface KinesisBatch {
  readonly stream: string;
  readonly shard: ShardId;
  readonly records: readonly SourceRecord[];
}

/** What is answered to the mapping: where it has to begin again. Nothing: all of the batch is done. */
export interface BatchResponse {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

export const allDone: BatchResponse = { batchItemFailures: [] };

/** The mapping brings the batch again from this record on. */
export function failedFrom(sequenceNumber: string): BatchResponse {
  return { batchItemFailures: [{ itemIdentifier: sequenceNumber }] };
}

/** The mapping brings all of these again. */
export function failedAll(identifiers: readonly string[]): BatchResponse {
  return { batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) };
}

/** Undefined: the event is no batch of records. Throws `invalid` for one that is not whole, or of something else than one shard of Kinesis. */
export function decodeBatch(event: unknown): KinesisBatch | undefined {
  const { Records: entries } = (event ?? {}) as { readonly Records?: unknown };
  if (!Array.isArray(entries)) return undefined;
  const first = entries[0] as Entry | undefined;
  if (first === undefined) throw invalid("it has no records");
  const { stream, shard } = originOf(first);
  const records = entries.map((entry: Entry) => {
    if (entry.eventSourceARN !== first.eventSourceARN || shardOf(entry) !== shard)
      throw invalid("its records are of several shards");
    return recordOf(entry);
  });
  return { stream, shard, records };
}

/** An entry of the event, as far as it is used; nothing is known of it yet. */
interface Entry {
  readonly eventSource?: unknown;
  readonly eventSourceARN?: unknown;
  readonly eventID?: unknown;
  readonly kinesis?: {
    readonly sequenceNumber?: unknown;
    readonly partitionKey?: unknown;
    readonly approximateArrivalTimestamp?: unknown;
    readonly data?: unknown;
  };
}

function originOf(entry: Entry): Pick<KinesisBatch, "stream" | "shard"> {
  const { eventSource, eventSourceARN } = entry;
  if (eventSource !== "aws:kinesis") throw invalid(`it is of ${String(eventSource)}, and not of aws:kinesis`);
  const [, stream] = /:stream\/([^/:]+)/.exec(String(eventSourceARN)) ?? [];
  if (stream === undefined) throw invalid(`this is no stream: ${String(eventSourceARN)}`);
  return { stream, shard: id<ShardId>(shardOf(entry)) };
}

/** An event's id is its shard's and its sequence number. */
function shardOf({ eventID }: Entry): string {
  const text = String(eventID);
  const at = text.indexOf(":");
  if (at < 1) throw invalid(`this is no id of an event: ${text}`);
  return text.slice(0, at);
}

function recordOf({ kinesis }: Entry): SourceRecord {
  const { sequenceNumber, partitionKey, approximateArrivalTimestamp: arrival, data } = kinesis ?? {};
  if (typeof sequenceNumber !== "string" || !/^\d+$/.test(sequenceNumber) || typeof data !== "string")
    throw invalid("a record has no sequence number or no data");
  return {
    position: sequenceNumber,
    partitionKey: typeof partitionKey === "string" ? partitionKey : "",
    // Seconds, with a fraction.
    arrivalTime: typeof arrival === "number" ? Math.round(arrival * 1_000) : 0,
    bytes: Buffer.from(data, "base64"),
  };
}

function invalid(why: string): MillraceError {
  return new MillraceError("invalid", `the event is no batch of a Kinesis stream: ${why}`);
}
