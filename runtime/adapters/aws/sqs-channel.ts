/**
 * Sends the messages of an SQS sink: SendMessageBatch within its limits.
 *
 * Q1 To a FIFO queue a message goes when the one before it in its group is there: a batch keeps no order where it refuses some.
 */
import type { MessageAttributeValue, SendMessageBatchRequestEntry } from "@aws-sdk/client-sqs";
import { MillraceError } from "../../base/errors.ts";
import type { Delivery, MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { attributesSize } from "../../connectors/messages/text.ts";
import type { SqsMessageFields, SqsSettings } from "../../connectors/sqs/sqs-settings.ts";
import { awsError } from "./aws-error.ts";
import { deliveryOf, sendBatch } from "./batch-channel.ts";
import type { LoadedSqs } from "./lazy-clients.ts";

export class SqsChannel implements MessageChannel {
  readonly name: string;
  readonly order: "none" | "groups";
  readonly limits = { messages: 10, bytes: 1 << 20, atOnce: 8 };
  readonly #queue: string;
  readonly #settings: SqsSettings;
  readonly #load: () => Promise<LoadedSqs>;
  #url: string | undefined;

  /** `queue`: its URL, ARN or name. Throws `invalid` for a FIFO queue that messages have no groups for. */
  constructor(queue: string, settings: SqsSettings, load: () => Promise<LoadedSqs>) {
    this.name = `queue ${queue}`;
    this.#queue = queue;
    this.#settings = settings;
    this.#load = load;
    this.order = queue.endsWith(".fifo") ? "groups" : "none";
    if (this.order === "groups" && !settings.grouped)
      throw new MillraceError("invalid", `a FIFO queue needs groups, give the sink a messageGroup: ${queue}`);
    if (this.order === "groups" && settings.delaySeconds !== undefined)
      throw new MillraceError("invalid", `messages of a FIFO queue have no delay of their own, leave out delaySeconds: ${queue}`);
  }

  sizeOf(message: OutgoingMessage): number {
    return message.body.length + attributesSize(this.#attributesOf(message));
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const what = `sending to ${this.name}`;
    return sendBatch(messages, what, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.SendMessageBatchCommand({
        QueueUrl: await this.#urlOf(),
        Entries: messages.map((message, n) => this.#entryOf(message, n)),
      });
      const { Successful = [], Failed = [] } = await client.send(command, { abortSignal: signal });
      const taken = new Set(Successful.map(({ Id }) => Id));
      const failed = new Map(Failed.map((failure) => [failure.Id, failure]));
      return messages.map((_, n): Delivery => {
        const { Code = "", Message = "", SenderFault = false } = failed.get(String(n)) ?? {};
        if (!taken.has(String(n)) && !failed.has(String(n)))
          return { outcome: "again", reason: "the answer does not tell of it" };
        return deliveryOf(taken.has(String(n)) ? undefined : { code: Code, message: Message, isFinal: SenderFault }, what);
      });
    });
  }

  async check(): Promise<void> {
    const { sdk, client } = await this.#load();
    try {
      const QueueUrl = await this.#urlOf();
      await client.send(new sdk.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] }));
    } catch (error) {
      throw awsError(error, `look at ${this.name}`);
    }
  }

  #entryOf(message: OutgoingMessage, n: number): SendMessageBatchRequestEntry {
    const { delaySeconds } = this.#settings;
    const attributes = this.#attributesOf(message);
    return {
      Id: String(n),
      MessageBody: Buffer.from(message.body).toString(),
      ...(attributes !== undefined && { MessageAttributes: textAttributes(attributes) }),
      ...(message.group !== undefined && { MessageGroupId: message.group }),
      ...(this.order === "groups" && { MessageDeduplicationId: message.id }),
      ...(delaySeconds !== undefined && { DelaySeconds: delaySeconds }),
    };
  }

  #attributesOf({ id, fields }: OutgoingMessage): Readonly<Record<string, string>> | undefined {
    const { idAttribute } = this.#settings;
    const attributes = (fields as SqsMessageFields | undefined)?.attributes;
    return idAttribute === null ? attributes : { ...attributes, [idAttribute]: id };
  }

  async #urlOf(): Promise<string> {
    if (this.#url !== undefined) return this.#url;
    if (/^https?:/.test(this.#queue)) return (this.#url = this.#queue);
    const { sdk, client } = await this.#load();
    const [, , , , account, name] = this.#queue.startsWith("arn:") ? this.#queue.split(":") : [];
    const { QueueUrl } = await client.send(
      new sdk.GetQueueUrlCommand({ QueueName: name ?? this.#queue, ...(account && { QueueOwnerAWSAccountId: account }) }),
    );
    return (this.#url = QueueUrl!);
  }
}

export function textAttributes(attributes: Readonly<Record<string, string>>): Record<string, MessageAttributeValue> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: "String", StringValue: value }]),
  );
}
