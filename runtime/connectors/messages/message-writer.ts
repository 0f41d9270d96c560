/**
 * The pure half of sinks that push: a row becomes a message, the messages of a commit its payloads.
 *
 * M1 What the receiver would never take (too large, no text) is refused here: its row goes to the dead letters, and no commit holds what can
 *    never be delivered.
 */
import type { SinkWriter } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { encodeMessages, type Message, messageAgain } from "./message.ts";

/** Makes the message of a row. Throws `invalid` for a row that has none. */
export type ToMessage = (value: any, timestamp: number | undefined) => Message;

const messagesPerPayload = 5_000;
const bytesPerPayload = 4 << 20;

export class MessageWriter implements SinkWriter<any> {
  readonly #toMessage: ToMessage;
  #messages: Message[] = [];
  #bytes = 0;
  #payloads: Uint8Array[] = [];

  constructor(toMessage: ToMessage) {
    this.#toMessage = toMessage;
  }

  add(value: unknown, timestamp: number | undefined): void {
    this.#take(this.#toMessage(value, timestamp));
  }

  addAgain(message: Uint8Array): void {
    this.#take(messageAgain(message));
  }

  #take(message: Message): void {
    const sizeBytes = message.body.length;
    if (this.#messages.length >= messagesPerPayload || this.#bytes + sizeBytes > bytesPerPayload) this.#pack();
    this.#messages.push(message);
    this.#bytes += sizeBytes;
  }

  flush(): readonly Uint8Array[] {
    this.#pack();
    const payloads = this.#payloads;
    this.#payloads = [];
    return payloads;
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {
    this.#messages = [];
    this.#bytes = 0;
    this.#payloads = [];
  }

  #pack(): void {
    if (this.#messages.length > 0) this.#payloads.push(encodeMessages(this.#messages));
    this.#messages = [];
    this.#bytes = 0;
  }
}

/** Throws `invalid` for a message above what the receiver takes. `what`: how it is called. */
export function checkSize(sizeBytes: number, sizeBytesMax: number, what: string): void {
  if (sizeBytes <= sizeBytesMax) return;
  throw new MillraceError("invalid", `${what} is above the limit of ${sizeBytesMax} bytes: ${sizeBytes} bytes`);
}
