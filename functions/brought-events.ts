/**
 * What mappings of other sources than Kinesis bring: changes of a table, messages of a queue, records of topics. Checked, since anybody with
 * the permission may invoke a function with anything.
 *
 * Sources: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html, …/with-sqs.html, …/with-msk.html
 */
import type { SourceRecord } from "../runtime/api/connector.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { id, type ShardId } from "../runtime/base/ids.ts";
import { partitionShard } from "../runtime/connectors/kafka/kafka.ts";

/** Something has changed in a table. Which shard of its stream it is of is not told. */
export interface TableEvent {
  readonly kind: "table";
  readonly table: string;
  readonly first: string;
}

export interface QueueEvent {
  readonly kind: "queue";
  readonly queue: string;
  /** Without positions; their partition key is the message's id. */
  readonly messages: readonly SourceRecord[];
}

export interface TopicsEvent {
  readonly kind: "topics";
  readonly partitions: readonly { readonly topic: string; readonly shard: ShardId; readonly records: readonly SourceRecord[] }[];
}

/** Undefined: the event is none of these. Throws `invalid` for one that is not whole. */
export function decodeBrought(event: unknown): TableEvent | QueueEvent | TopicsEvent | undefined {
  const { Records, eventSource, records } = (event ?? {}) as BroughtEvent;
  if (eventSource === "aws:kafka" || eventSource === "SelfManagedKafka") return topicsOf(records);
  if (!Array.isArray(Records) || Records.length === 0) return undefined;
  const entries = Records as readonly Entry[];
  const { eventSource: of, eventSourceARN: arn } = entries[0]!;
  if (of !== "aws:dynamodb" && of !== "aws:sqs") return undefined;
  if (entries.some((entry) => entry.eventSource !== of || entry.eventSourceARN !== arn))
    throw invalid("its records are of several sources");
  return of === "aws:dynamodb" ? tableEvent(entries, String(arn)) : queueEvent(entries, String(arn));
}

interface BroughtEvent {
  readonly Records?: unknown;
  readonly eventSource?: unknown;
  readonly records?: unknown;
}

/** An entry, as far as it is used; nothing is known of it yet. */
interface Entry {
  readonly eventSource?: unknown;
  readonly eventSourceARN?: unknown;
  readonly dynamodb?: { readonly SequenceNumber?: unknown };
  readonly messageId?: unknown;
  readonly body?: unknown;
  readonly attributes?: {
    readonly SentTimestamp?: unknown;
    readonly ApproximateReceiveCount?: unknown;
    readonly MessageGroupId?: unknown;
  };
}

interface KafkaEntry {
  readonly topic?: unknown;
  readonly partition?: unknown;
  readonly offset?: unknown;
  readonly timestamp?: unknown;
  readonly key?: unknown;
  readonly value?: unknown;
}

function tableEvent([entry]: readonly Entry[], arn: string): TableEvent {
  const [, table] = /:table\/([^/:]+)\/stream\//.exec(arn) ?? [];
  if (table === undefined) throw invalid(`this is no stream of a table: ${arn}`);
  const first = entry?.dynamodb?.SequenceNumber;
  if (typeof first !== "string") throw invalid("a record has no sequence number");
  return { kind: "table", table, first };
}

function queueEvent(entries: readonly Entry[], arn: string): QueueEvent {
  const [, queue] = /^arn:[^:]+:sqs:[^:]*:[^:]*:([^:]+)$/.exec(arn) ?? [];
  if (queue === undefined) throw invalid(`this is no queue: ${arn}`);
  const messages = entries.map(({ messageId, body, attributes }): SourceRecord => {
    if (typeof messageId !== "string" || messageId === "" || typeof body !== "string")
      throw invalid("a message has no id or no body");
    const sentAt = Number(attributes?.SentTimestamp ?? 0);
    if (!Number.isSafeInteger(sentAt)) throw invalid(`this is no time: ${String(attributes?.SentTimestamp)}`);
    const delivery = { id: messageId, times: timesOf(attributes), group: groupOf(attributes) };
    return { position: "0", partitionKey: messageId, arrivalTime: sentAt, bytes: Buffer.from(body), text: body, delivery };
  });
  return { kind: "queue", queue, messages };
}

/** How often a message was received, about. */
function timesOf(attributes: Entry["attributes"]): number {
  const times = Number(attributes?.ApproximateReceiveCount ?? 1);
  if (Number.isSafeInteger(times) && times >= 0) return times;
  throw invalid(`this is no count: ${String(attributes?.ApproximateReceiveCount)}`);
}

/** Messages of one group keep their order in a FIFO queue. In a standard one groups are for fairness, and keeping the order does no harm. */
function groupOf(attributes: Entry["attributes"]): string | undefined {
  const group = attributes?.MessageGroupId;
  return typeof group === "string" ? group : undefined;
}

function topicsOf(records: unknown): TopicsEvent {
  if (typeof records !== "object" || records === null) throw invalid("it has no records");
  const partitions = Object.values(records as Record<string, unknown>).map((list) => {
    if (!Array.isArray(list) || list.length === 0) throw invalid("a partition has no records");
    const entries = list as readonly KafkaEntry[];
    const { topic, partition } = entries[0]!;
    if (typeof topic !== "string" || !Number.isSafeInteger(partition)) throw invalid("a record has no topic or no partition");
    const isOther = (entry: KafkaEntry) => entry.topic !== topic || entry.partition !== partition;
    if (entries.some(isOther)) throw invalid(`records of several partitions stand under one: ${topic}, ${String(partition)}`);
    return { topic, shard: id<ShardId>(partitionShard(partition as number)), records: entries.map(kafkaRecord) };
  });
  return { kind: "topics", partitions };
}

/** One without a value, which deletes in compacted topics, has no bytes. */
function kafkaRecord({ offset, timestamp, key, value }: KafkaEntry): SourceRecord {
  if (!Number.isSafeInteger(offset) || (offset as number) < 0) throw invalid(`this is no offset: ${String(offset)}`);
  const bytesOf = (text: unknown) => (typeof text === "string" ? Buffer.from(text, "base64") : Buffer.alloc(0));
  return {
    position: String(offset),
    partitionKey: bytesOf(key).toString(),
    arrivalTime: Number.isSafeInteger(timestamp) ? (timestamp as number) : 0,
    bytes: bytesOf(value),
  };
}

function invalid(why: string): MillraceError {
  return new MillraceError("invalid", `the event is not what a mapping brings: ${why}`);
}
