/**
 * A queue of SQS in memory: standard, or FIFO by its name.
 *
 * Q1 What was received and is not deleted comes again when its visibility time-out has passed; of a standard queue sometimes before.
 * Q2 A FIFO queue brings a group's messages in their order, none while one before it is under way, and takes a message of the same
 *    deduplication id once within five minutes.
 *
 * Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
 */
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Clock } from "../clock.ts";
import type { MessageSource, ReceivedMessage } from "../messaging/start-messaging.ts";
import type { ServiceCalls } from "./service-calls.ts";

export interface SimulatedQueueOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly calls: ServiceCalls;
  readonly visibilityMs: number;
}

export interface MessageToSend {
  readonly body: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly group?: string | undefined;
  readonly deduplicationId?: string | undefined;
}

interface Waiting extends MessageToSend {
  readonly id: string;
  readonly sentAt: number;
  visibleAt: number;
  received: number;
}

const deduplicationMs = 5 * 60_000;

export class SimulatedQueue implements MessageSource {
  readonly arn: string;
  /** All that was ever taken, in its order. */
  readonly sent: MessageToSend[] = [];
  readonly #options: SimulatedQueueOptions;
  readonly #isFifo: boolean;
  readonly #waiting = new Map<string, Waiting>();
  /** By deduplication id: when it was taken last. */
  readonly #taken = new Map<string, number>();

  constructor(options: SimulatedQueueOptions) {
    this.#options = options;
    this.#isFifo = options.name.endsWith(".fifo");
    this.arn = `arn:aws:sqs:us-east-1:000000000000:${options.name}`;
  }

  /** Whether nothing is left to be received. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  send(message: MessageToSend): void {
    const { clock, name } = this.#options;
    const sentAt = clock.now();
    const { deduplicationId } = message;
    if (this.#isFifo && deduplicationId !== undefined) {
      const before = this.#taken.get(deduplicationId);
      if (before !== undefined && sentAt - before < deduplicationMs) return;
      this.#taken.set(deduplicationId, sentAt);
    }
    const id = `${name}-${this.sent.length}`;
    this.sent.push(message);
    this.#waiting.set(id, { ...message, id, sentAt, visibleAt: sentAt, received: 0 });
  }

  receive(countMax: number): readonly ReceivedMessage[] {
    const { clock, random, calls, visibilityMs } = this.#options;
    const now = clock.now();
    const found: Waiting[] = [];
    const held = new Set<string | undefined>();
    for (const message of this.#isFifo ? this.#waiting.values() : random.shuffled([...this.#waiting.values()])) {
      if (found.length === countMax) break;
      const isVisible = message.visibleAt <= now;
      if (isVisible && !(this.#isFifo && held.has(message.group))) found.push(message);
      else held.add(message.group);
    }
    return found.map((message) => {
      if (message.received++ > 0) calls.counts.redelivered++;
      if (this.#isFifo || !calls.happens("receivedTwice")) message.visibleAt = now + visibilityMs;
      return received(message);
    });
  }

  /** By a handle that is not the latest it may come to nothing. */
  delete(receiptHandle: string): void {
    const [, id, n] = /^(.*)#(\d+)$/.exec(receiptHandle)!;
    const message = this.#waiting.get(id!);
    if (message !== undefined && (message.received === Number(n) || this.#options.random.chance(0.5))) this.#waiting.delete(id!);
  }
}

function received({ id, body, sentAt, received: count, group }: Waiting): ReceivedMessage {
  return {
    messageId: id,
    receiptHandle: `${id}#${count}`,
    body,
    attributes: {
      SentTimestamp: String(sentAt),
      ApproximateReceiveCount: String(count),
      ...(group !== undefined && { MessageGroupId: group }),
    },
    messageAttributes: {},
    md5OfBody: "",
  };
}
