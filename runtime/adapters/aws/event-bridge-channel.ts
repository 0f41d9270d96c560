/** Puts the events of an EventBridge sink: PutEvents within its limits. A bus keeps no order. */
import type { PutEventsRequestEntry } from "@aws-sdk/client-eventbridge";
import { eventSize, type EventBridgeSettings, type EventFields } from "../../connectors/event-bridge/event-bridge-settings.ts";
import type { Delivery, MessageChannel } from "../../connectors/messages/message-target.ts";
import type { OutgoingMessage } from "../../connectors/messages/message.ts";
import { awsError } from "./aws-error.ts";
import { deliveryOf, sendBatch } from "./batch-channel.ts";
import type { LoadedEventBridge } from "./lazy-clients.ts";

/** The whole request stays below 1 MB. */
const requestBytesMax = 1_000_000 - 1;

export class EventBridgeChannel implements MessageChannel {
  readonly name: string;
  readonly order = "none";
  readonly limits = { messages: 10, bytes: requestBytesMax, atOnce: 8 };
  readonly #bus: string;
  readonly #settings: EventBridgeSettings;
  readonly #load: () => Promise<LoadedEventBridge>;

  /** `bus`: its name or ARN. */
  constructor(bus: string, settings: EventBridgeSettings, load: () => Promise<LoadedEventBridge>) {
    this.name = `event bus ${bus}`;
    this.#bus = bus;
    this.#settings = settings;
    this.#load = load;
  }

  sizeOf(message: OutgoingMessage): number {
    return eventSize(this.#settings.source, this.#detailOf(message), message.fields as EventFields);
  }

  async send(messages: readonly OutgoingMessage[], { signal }: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    const what = `putting events on ${this.name}`;
    return sendBatch(messages, what, async () => {
      const { sdk, client } = await this.#load();
      const command = new sdk.PutEventsCommand({ Entries: messages.map((message) => this.#entryOf(message)) });
      const { Entries = [] } = await client.send(command, { abortSignal: signal });
      return messages.map((_, n): Delivery => {
        const { EventId, ErrorCode, ErrorMessage = "" } = Entries[n] ?? {};
        if (EventId === undefined && ErrorCode === undefined)
          return { outcome: "again", reason: "the answer does not tell of it" };
        return deliveryOf(ErrorCode === undefined ? undefined : { code: ErrorCode, message: ErrorMessage, isFinal: true }, what);
      });
    });
  }

  async check(): Promise<void> {
    const { sdk, client } = await this.#load();
    try {
      await client.send(new sdk.DescribeEventBusCommand({ Name: this.#bus }));
    } catch (error) {
      throw awsError(error, `look at ${this.name}`);
    }
  }

  #entryOf(message: OutgoingMessage): PutEventsRequestEntry {
    const { detailType, resources, time } = message.fields as EventFields;
    return {
      EventBusName: this.#bus,
      Source: this.#settings.source,
      DetailType: detailType,
      Detail: this.#detailOf(message).toString(),
      ...(resources !== undefined && { Resources: [...resources] }),
      ...(time !== undefined && { Time: new Date(time) }),
    };
  }

  /** The row's JSON with the id as its first field. */
  #detailOf({ body, id }: OutgoingMessage): Buffer {
    const { idField } = this.#settings;
    if (idField === null) return Buffer.from(body);
    const first = `{${JSON.stringify(idField)}:${JSON.stringify(id)}`;
    const rest = body[1] === 0x7d ? body.subarray(1) : Buffer.concat([Buffer.from(","), body.subarray(1)]);
    return Buffer.concat([Buffer.from(first), rest]);
  }
}
