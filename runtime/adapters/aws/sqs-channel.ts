/** Sends the messages of an SQS sink: SendMessageBatch within its limits. Order in groups as in message-entries.ts. */
import type { SendMessageBatchRequestEntry } from "@aws-sdk/client-sqs";
import { MillraceError } from "../../base/errors.ts";
import type { Delivery, MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { attributesSize } from "../../connectors/messages/text.ts";
import type { SqsSettings } from "../../connectors/sqs/sqs-settings.ts";
import { awsError } from "./aws-error.ts";
import { sendBatch } from "./batch-channel.ts";
import { attributesOf, deliveriesOf, orderOf, textAttributes } from "./message-entries.ts";
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
    this.order = orderOf("queue", queue, settings);
    if (this.order === "groups" && settings.delaySeconds !== undefined)
      throw new MillraceError("invalid", `messages of a FIFO queue have no delay of their own, leave out delaySeconds: ${queue}`);
  }

  sizeOf(message: OutgoingMessage): number {
    return message.body.length + attributesSize(attributesOf(message, this.#settings));
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const what = `sending to ${this.name}`;
    return sendBatch(messages, what, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.SendMessageBatchCommand({
        QueueUrl: await this.#urlOf(),
        Entries: messages.map((message, n) => this.#entryOf(message, n)),
      });
      return deliveriesOf(messages, await client.send(command, { abortSignal: signal }), what);
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
    const attributes = attributesOf(message, this.#settings);
    return {
      Id: String(n),
      MessageBody: Buffer.from(message.body).toString(),
      ...(attributes !== undefined && { MessageAttributes: textAttributes(attributes) }),
      ...(message.group !== undefined && { MessageGroupId: message.group }),
      ...(this.order === "groups" && { MessageDeduplicationId: message.id }),
      ...(delaySeconds !== undefined && { DelaySeconds: delaySeconds }),
    };
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
