/**
 * What SQS and SNS share: batches of entries by number, their answers, the attributes of a message, and the order that FIFO keeps.
 *
 * Q1 To a FIFO queue or topic a message goes when the one before it in its group is there: a batch keeps no order where it refuses some.
 */
import type { MessageAttributeValue } from "@aws-sdk/client-sqs";
import { MillraceError } from "../../base/errors.ts";
import type { Delivery } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { deliveryOf } from "./batch-channel.ts";

/** How the services answer a batch. Entries have their number among the messages as `Id`. */
export interface BatchAnswer {
  readonly Successful?: readonly { readonly Id?: string | undefined }[] | undefined;
  readonly Failed?:
    | readonly {
        readonly Id?: string | undefined;
        readonly Code?: string | undefined;
        readonly Message?: string | undefined;
        readonly SenderFault?: boolean | undefined;
      }[]
    | undefined;
}

/** What became of each message. What the answer does not tell of is to be sent again. Throws as `deliveryOf`. */
export function deliveriesOf(
  messages: readonly OutgoingMessage[],
  { Successful = [], Failed = [] }: BatchAnswer,
  what: string,
): readonly Delivery[] {
  const taken = new Set(Successful.map(({ Id }) => Id));
  const failed = new Map(Failed.map((failure) => [failure.Id, failure]));
  return messages.map((_, n) => {
    if (taken.has(String(n))) return deliveryOf(undefined, what);
    const failure = failed.get(String(n));
    if (failure === undefined) return { outcome: "again", reason: "the answer does not tell of it" };
    const { Code = "", Message = "", SenderFault = false } = failure;
    return deliveryOf({ code: Code, message: Message, isFinal: SenderFault }, what);
  });
}

/** The order that a queue or topic keeps. Throws `invalid` for a FIFO one that messages have no groups for. */
export function orderOf(kind: "queue" | "topic", name: string, { grouped }: { readonly grouped: boolean }): "none" | "groups" {
  if (!name.endsWith(".fifo")) return "none";
  if (!grouped) throw new MillraceError("invalid", `a FIFO ${kind} needs groups, give the sink a messageGroup: ${name}`);
  return "groups";
}

/** The author's attributes, and the message's id where it is wanted. */
export function attributesOf(
  { id, fields }: OutgoingMessage,
  { idAttribute }: { readonly idAttribute: string | null },
): Readonly<Record<string, string>> | undefined {
  const attributes = (fields as { readonly attributes?: Readonly<Record<string, string>> } | undefined)?.attributes;
  return idAttribute === null ? attributes : { ...attributes, [idAttribute]: id };
}

/** Attributes as both services take them. */
export function textAttributes(attributes: Readonly<Record<string, string>>): Record<string, MessageAttributeValue> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: "String", StringValue: value }]),
  );
}
