/**
 * Publishes the messages of an SNS sink: PublishBatch within its limits.
 *
 * N1 To a FIFO topic a message goes when the one before it in its group is there: a batch keeps no order where it refuses some.
 */
import type { PublishBatchRequestEntry } from "@aws-sdk/client-sns";
import { MillraceError } from "../../base/errors.ts";
import type { Delivery, MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { attributesSize } from "../../connectors/messages/text.ts";
import type { SnsMessageFields, SnsSettings } from "../../connectors/sns/sns-settings.ts";
import { awsError } from "./aws-error.ts";
import { deliveryOf, sendBatch } from "./batch-channel.ts";
import type { LoadedSns } from "./lazy-clients.ts";
import { textAttributes } from "./sqs-channel.ts";

export class SnsChannel implements MessageChannel {
  readonly name: string;
  readonly order: "none" | "groups";
  readonly limits: MessageChannel["limits"];
  readonly #topic: string;
  readonly #settings: SnsSettings;
  readonly #load: () => Promise<LoadedSns>;
  #arn: string | undefined;

  /** `topic`: its ARN or name. Throws `invalid` for a FIFO topic that messages have no groups for. */
  constructor(topic: string, settings: SnsSettings, load: () => Promise<LoadedSns>) {
    this.name = `topic ${topic}`;
    this.#topic = topic;
    this.#settings = settings;
    this.#load = load;
    this.limits = { messages: 10, bytes: settings.maxMessageBytes, atOnce: 8 };
    this.order = topic.endsWith(".fifo") ? "groups" : "none";
    if (this.order === "groups" && !settings.grouped)
      throw new MillraceError("invalid", `a FIFO topic needs groups, give the sink a messageGroup: ${topic}`);
  }

  sizeOf(message: OutgoingMessage): number {
    return message.body.length + attributesSize(this.#attributesOf(message));
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const what = `publishing to ${this.name}`;
    return sendBatch(messages, what, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.PublishBatchCommand({
        TopicArn: await this.#arnOf(),
        PublishBatchRequestEntries: messages.map((message, n) => this.#entryOf(message, n)),
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
      await client.send(new sdk.GetTopicAttributesCommand({ TopicArn: await this.#arnOf() }));
    } catch (error) {
      throw awsError(error, `look at ${this.name}`);
    }
  }

  #entryOf(message: OutgoingMessage, n: number): PublishBatchRequestEntry {
    const { subject } = (message.fields ?? {}) as SnsMessageFields;
    const attributes = this.#attributesOf(message);
    return {
      Id: String(n),
      Message: Buffer.from(message.body).toString(),
      ...(subject !== undefined && { Subject: subject }),
      ...(attributes !== undefined && { MessageAttributes: textAttributes(attributes) }),
      ...(message.group !== undefined && { MessageGroupId: message.group }),
      ...(this.order === "groups" && { MessageDeduplicationId: message.id }),
    };
  }

  #attributesOf({ id, fields }: OutgoingMessage): Readonly<Record<string, string>> | undefined {
    const { idAttribute } = this.#settings;
    const attributes = (fields as SnsMessageFields | undefined)?.attributes;
    return idAttribute === null ? attributes : { ...attributes, [idAttribute]: id };
  }

  /** A name is looked for among the account's topics. */
  async #arnOf(): Promise<string> {
    if (this.#arn !== undefined) return this.#arn;
    if (this.#topic.startsWith("arn:")) return (this.#arn = this.#topic);
    const { sdk, client } = await this.#load();
    for (let NextToken: string | undefined; ;) {
      const page = await client.send(new sdk.ListTopicsCommand({ NextToken }));
      const found = page.Topics?.find(({ TopicArn }) => TopicArn?.endsWith(`:${this.#topic}`));
      if (found?.TopicArn !== undefined) return (this.#arn = found.TopicArn);
      NextToken = page.NextToken;
      if (NextToken === undefined) throw Object.assign(new Error("none of this name"), { name: "NotFoundException" });
    }
  }
}
