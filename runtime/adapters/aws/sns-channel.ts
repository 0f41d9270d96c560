/** Publishes the messages of an SNS sink: PublishBatch within its limits. Order in groups as in message-entries.ts. */
import type { PublishBatchRequestEntry } from "@aws-sdk/client-sns";
import type { Delivery, MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { attributesSize } from "../../connectors/messages/text.ts";
import type { SnsMessageFields, SnsSettings } from "../../connectors/sns/sns-settings.ts";
import { awsError } from "./aws-error.ts";
import { sendBatch } from "./batch-channel.ts";
import { attributesOf, deliveriesOf, orderOf, textAttributes } from "./message-entries.ts";
import type { LoadedSns } from "./lazy-clients.ts";

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
    this.order = orderOf("topic", topic, settings);
  }

  sizeOf(message: OutgoingMessage): number {
    return message.body.length + attributesSize(attributesOf(message, this.#settings));
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const what = `publishing to ${this.name}`;
    return sendBatch(messages, what, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.PublishBatchCommand({
        TopicArn: await this.#arnOf(),
        PublishBatchRequestEntries: messages.map((message, n) => this.#entryOf(message, n)),
      });
      return deliveriesOf(messages, await client.send(command, { abortSignal: signal }), what);
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
    const attributes = attributesOf(message, this.#settings);
    return {
      Id: String(n),
      Message: Buffer.from(message.body).toString(),
      ...(subject !== undefined && { Subject: subject }),
      ...(attributes !== undefined && { MessageAttributes: textAttributes(attributes) }),
      ...(message.group !== undefined && { MessageGroupId: message.group }),
      ...(this.order === "groups" && { MessageDeduplicationId: message.id }),
    };
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
