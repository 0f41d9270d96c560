/** A queue of SQS as a sink, standard or FIFO: the declaration and its pure half. The runtime half is adapters/aws/sqs-channel.ts. */
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { checkWritesRecords, encodeRecord, type Format, formatOptions } from "../formats/format.ts";
import { type Message, messageIdLengthMax } from "../messages/message.ts";
import { checkSize, MessageWriter } from "../messages/message-writer.ts";
import { attributesSize, checkAttributes, checkId, checkText } from "../messages/text.ts";
import type { SqsMessageFields, SqsSettings } from "./sqs-settings.ts";

export interface SqsSinkOptions<T> {
  /** The queue's logical name: a deployment binds it to a URL, an ARN or a name; else it is the queue's own name. */
  readonly queue: string;
  /** What a message holds: text. */
  readonly format: Format<T>;
  /**
   * Of a FIFO queue, which needs it: messages of one group are received in their order. Of a standard queue: the tenant whose messages do not
   * hold up those of others. 1 to 128 ASCII characters without spaces.
   */
  readonly messageGroup?: (value: T) => string;
  /**
   * Of a FIFO queue: what is received once within 5 minutes; the same form. Default: a name of the message's commit and its place there, the
   * same whenever it is sent again after a crash. A name of the row's own, such as its key and its window, is the same after a restore too.
   */
  readonly deduplicationId?: (value: T) => string;
  /** Message attributes, of text. */
  readonly attributes?: (value: T) => Readonly<Record<string, string>> | undefined;
  /** Until a message can be received, 0 to 900; of standard queues. Default: the queue's. */
  readonly delaySeconds?: number;
  /** The attribute that has the message's id, for receivers that leave out what they have; null: none. Default "millrace-id". */
  readonly idAttribute?: string | null;
  /** What the queue takes with attributes: 1 MiB (default), or less where it was set so. */
  readonly maxMessageBytes?: number;
}

const maxMessageBytesMax = 1_048_576;
const attributesMax = 10;
const delaySecondsMax = 900;

/**
 * Messages of a queue. At least once: those of a commit whose effects were not seen to finish are sent again, with the same ids; a FIFO queue
 * leaves out what it had within 5 minutes. Throws `invalid` for options that cannot be.
 */
export function sqsSink<T>(options: SqsSinkOptions<T>): Sink<T> {
  const { queue, format, delaySeconds, idAttribute = "millrace-id", maxMessageBytes = maxMessageBytesMax } = options;
  if (queue === "") throw new MillraceError("invalid", "an SQS sink needs the name of a queue");
  checkWritesRecords(format, "an SQS sink");
  if (!(maxMessageBytes >= 1 && maxMessageBytes <= maxMessageBytesMax))
    throw new MillraceError("invalid", `maxMessageBytes is a number from 1 to ${maxMessageBytesMax}: ${maxMessageBytes}`);
  if (delaySeconds !== undefined && !(Number.isInteger(delaySeconds) && delaySeconds >= 0 && delaySeconds <= delaySecondsMax))
    throw new MillraceError("invalid", `delaySeconds is a whole number from 0 to ${delaySecondsMax}: ${delaySeconds}`);
  if (idAttribute !== null) checkAttributes({ [idAttribute]: "id" }, 1);
  const settings: SqsSettings = { queue, delaySeconds, idAttribute, grouped: options.messageGroup !== undefined };
  const toMessage = messageOf({ ...options, idAttribute, maxMessageBytes });
  return {
    kind: "sqs",
    name: queue,
    guarantee: "atLeastOnce",
    options: { ...settings, format: formatOptions(format) },
    createWriter: () => new MessageWriter(toMessage),
  };
}

function messageOf({
  format,
  messageGroup,
  deduplicationId,
  attributes: attributesOf,
  idAttribute,
  maxMessageBytes,
}: SqsSinkOptions<any> & Pick<Required<SqsSinkOptions<any>>, "idAttribute" | "maxMessageBytes">): (value: unknown) => Message {
  const idBytes = idAttribute === null ? 0 : attributesSize({ [idAttribute]: "x".repeat(messageIdLengthMax) });
  const countMax = attributesMax - (idAttribute === null ? 0 : 1);
  return (value) => {
    const body = encodeRecord(format, value);
    checkText(body, "a message of SQS");
    const attributes = checkAttributes(attributesOf?.(value), countMax);
    checkSize(body.length + attributesSize(attributes) + idBytes, maxMessageBytes, "a message of SQS with its attributes");
    const fields: SqsMessageFields | undefined = attributes && { attributes };
    return {
      body,
      group: messageGroup && checkId(messageGroup(value), "a message group"),
      id: deduplicationId && checkId(deduplicationId(value), "a deduplication id"),
      fields,
    };
  };
}
