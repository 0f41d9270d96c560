/** Puts the records of a Firehose sink: PutRecordBatch within its limits. */
import type { Delivery, MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { awsError } from "./aws-error.ts";
import { deliveryOf, sendBatch } from "./batch-channel.ts";
import type { LoadedFirehose } from "./lazy-clients.ts";

export class FirehoseChannel implements MessageChannel {
  readonly name: string;
  readonly order = "none";
  readonly limits = { messages: 500, bytes: 4 << 20, atOnce: 4 };
  readonly #stream: string;
  readonly #load: () => Promise<LoadedFirehose>;

  constructor(stream: string, load: () => Promise<LoadedFirehose>) {
    this.name = `delivery stream ${stream}`;
    this.#stream = stream;
    this.#load = load;
  }

  sizeOf({ body }: OutgoingMessage): number {
    return body.length;
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const what = `putting records to ${this.name}`;
    return sendBatch(messages, what, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.PutRecordBatchCommand({
        DeliveryStreamName: this.#stream,
        Records: messages.map(({ body }) => ({ Data: body })),
      });
      const { RequestResponses = [] } = await client.send(command, { abortSignal: signal });
      return messages.map((_, n): Delivery => {
        const { RecordId, ErrorCode, ErrorMessage = "" } = RequestResponses[n] ?? {};
        if (RecordId !== undefined && RecordId !== "") return { outcome: "delivered" };
        if (ErrorCode === undefined) return { outcome: "again", reason: "the answer does not tell of it" };
        // Firehose says of no record that it will never take it.
        return deliveryOf({ code: ErrorCode, message: ErrorMessage, isFinal: false }, what);
      });
    });
  }

  async check(): Promise<void> {
    const { sdk, client } = await this.#load();
    try {
      await client.send(new sdk.DescribeDeliveryStreamCommand({ DeliveryStreamName: this.#stream }));
    } catch (error) {
      throw awsError(error, `look at ${this.name}`);
    }
  }
}
