/** A topic of SNS as a sink, standard or FIFO: the declaration and its pure half. The runtime half is adapters/aws/sns-channel.ts. */
import type { Sink } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { checkWritesRecords, encodeRecord, type Format, formatOptions } from "../formats/format.ts";
import { type Message, messageIdLengthMax } from "../messages/message.ts";
import { checkSize, MessageWriter } from "../messages/message-writer.ts";
import { attributesSize, checkAttributes, checkId, checkText } from "../messages/text.ts";
import type { SnsMessageFields, SnsSettings } from "./sns-settings.ts";

export interface SnsSinkOptions<T> {
  /** The topic's logical name: a deployment binds it to an ARN; else it is the topic's own name, which is looked up. */
  readonly topic: string;
  /** What a message holds: text. */
  readonly format: Format<T>;
  /** The subject of e-mails: up to 99 characters of one line. */
  readonly subject?: (value: T) => string;
  /** Of a FIFO topic, which needs it: messages of one group are delivered in their order. 1 to 128 ASCII characters without spaces. */
  readonly messageGroup?: (value: T) => string;
  /** Of a FIFO topic: what is delivered once within 5 minutes. As `SqsSinkOptions.deduplicationId`. */
  readonly deduplicationId?: (value: T) => string;
  /** Message attributes, of text: what filter policies look at. */
  readonly attributes?: (value: T) => Readonly<Record<string, string>> | undefined;
  /** As `SqsSinkOptions.idAttribute`. */
  readonly idAttribute?: string | null;
  /** What the topic takes with attributes: 256 KiB (default), or what its MaximumMessageSize was set to, to 1 MiB. */
  readonly maxMessageBytes?: number;
}

const defaultMaxMessageBytes = 262_144;
const maxMessageBytesMax = 1_048_576;
const attributesMax = 10;
const subjectLengthMax = 99;

/** Messages of a topic. At least once, as `sqsSink`. Throws `invalid` for options that cannot be. */
export function snsSink<T>(options: SnsSinkOptions<T>): Sink<T> {
  const { topic, format, idAttribute = "millrace-id", maxMessageBytes = defaultMaxMessageBytes } = options;
  if (topic === "") throw new MillraceError("invalid", "an SNS sink needs the name of a topic");
  checkWritesRecords(format, "an SNS sink");
  if (!(maxMessageBytes >= 1 && maxMessageBytes <= maxMessageBytesMax))
    throw new MillraceError("invalid", `maxMessageBytes is a number from 1 to ${maxMessageBytesMax}: ${maxMessageBytes}`);
  if (idAttribute !== null) checkAttributes({ [idAttribute]: "id" }, 1);
  const settings: SnsSettings = { topic, idAttribute, maxMessageBytes, grouped: options.messageGroup !== undefined };
  const toMessage = messageOf({ ...options, idAttribute, maxMessageBytes });
  return {
    kind: "sns",
    name: topic,
    guarantee: "atLeastOnce",
    options: { ...settings, format: formatOptions(format) },
    createWriter: () => new MessageWriter(toMessage),
  };
}

function messageOf({
  format,
  subject: subjectOf,
  messageGroup,
  deduplicationId,
  attributes: attributesOf,
  idAttribute,
  maxMessageBytes,
}: SnsSinkOptions<any> & Pick<Required<SnsSinkOptions<any>>, "idAttribute" | "maxMessageBytes">): (value: unknown) => Message {
  const idBytes = idAttribute === null ? 0 : attributesSize({ [idAttribute]: "x".repeat(messageIdLengthMax) });
  const countMax = attributesMax - (idAttribute === null ? 0 : 1);
  return (value) => {
    const body = encodeRecord(format, value);
    checkText(body, "a message of SNS");
    const attributes = checkAttributes(attributesOf?.(value), countMax);
    const subject = subjectOf && checkSubject(subjectOf(value));
    const sizeBytes = body.length + attributesSize(attributes) + idBytes;
    checkSize(sizeBytes, maxMessageBytes, "a message of SNS with its attributes");
    const fields: SnsMessageFields | undefined =
      attributes || subject ? { ...(attributes && { attributes }), ...(subject && { subject }) } : undefined;
    return {
      body,
      group: messageGroup && checkId(messageGroup(value), "a message group"),
      id: deduplicationId && checkId(deduplicationId(value), "a deduplication id"),
      fields,
    };
  };
}

function checkSubject(subject: unknown): string {
  if (typeof subject === "string" && /^[\x21-\x7e][\x20-\x7e]*$/.test(subject) && subject.length <= subjectLengthMax)
    return subject;
  const given = typeof subject === "string" ? `text of ${subject.length}` : typeof subject;
  throw new MillraceError("invalid", `a subject is up to ${subjectLengthMax} ASCII characters of one line: ${given}`);
}
