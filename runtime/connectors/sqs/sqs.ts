/** An SQS queue as a source, through Lambda's mapping for queues: the declaration. On one machine it is bound to files. */
import type { Decoder, Source, SourceRecord } from "../../api/connector.ts";
import { crc32 } from "../../base/crc32.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BroughtReaderOptions } from "../brought/brought-reader.ts";
import { type Format, formatOptions, recordDecoder } from "../formats/format.ts";

export interface SqsOptions<T> {
  /** The queue's logical name: a deployment binds it, else it is the queue's own. */
  readonly queue: string;
  /** Of what a message's body holds: `json()`, … */
  readonly format: Format<T>;
}

/** A message of a queue. */
export interface SqsMessage<T> {
  /** The same each time that the message is delivered. */
  readonly id: string;
  readonly body: T;
  /** Epoch ms. */
  readonly sentAt: number;
}

/**
 * The messages of a queue, at least once, in no order but that of a FIFO queue's groups. A message is deleted only when what came of it is
 * committed and carried out; one that is delivered again is told by its id: `.keyBy(({ id }) => id).process("once", firstOfKey({ within }))`
 * lets each pass once. A message's arrival time is when it was sent. Throws `invalid` for options that cannot be.
 */
export function sqs<T>(options: SqsOptions<T>): Source<SqsMessage<T>> {
  const { queue, format } = options;
  const decode = recordDecoder(format);
  return queueSource("sqs", queue, format, (record, target) =>
    decode(record, {
      accept: (body) => target.accept({ id: messageId(record), body, sentAt: record.arrivalTime }),
      reject: (reason, bytes) => target.reject(reason, bytes),
    }),
  );
}

/** A source of what a queue brings. Throws `invalid`. */
export function queueSource<T>(kind: string, queue: string, format: Format<any>, decode: Decoder<T>): Source<T> {
  if (queue === "") throw new MillraceError("invalid", "a source of messages needs the name of a queue");
  if (format.header)
    throw new MillraceError(
      "invalid",
      `messages have no header line, declare the format with header: false: ${format.name}, ${queue}`,
    );
  return { kind, name: queue, bounded: false, options: { queue, format: formatOptions(format) }, decode };
}

/** What no queue brought, a line of a file that stands for it or a letter that was given back, has an id of its place, time and content. */
function messageId({ partitionKey, position, arrivalTime, bytes }: SourceRecord): string {
  return partitionKey === "" ? `${position}-${arrivalTime}-${crc32(bytes)}` : partitionKey;
}

/** Kinds of sources that queues bring. */
export const queueKinds: readonly string[] = ["sqs", "eventBridge"];

/** The one shard of a queue. */
export const queueShard = "queue";

/** How its reader is made. */
export function queueReading(uid: string): BroughtReaderOptions {
  return { uid, shards: [queueShard], gaps: "ignore", advice: "" };
}
