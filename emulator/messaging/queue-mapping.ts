/**
 * Lambda's mapping of a queue: receives messages, invokes the function with batches of them, and deletes what it did not name as failed.
 *
 * Q1 A message is deleted only after an answer that does not name it. All others come again when their visibility time-out has passed, also
 *    those of a batch that was throttled or failed as a whole.
 * Q2 No more batches are under way than `maximumConcurrency`.
 *
 * Sources: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, …/services-sqs-errorhandling.html, …/services-sqs-scaling.html
 */
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import type { MessageSource, ReceivedMessage } from "./start-messaging.ts";

/** Names, ranges and defaults are CreateEventSourceMapping's, in camel case. */
export interface QueueMappingSettings {
  /** Messages: 1 to 10,000, of a FIFO queue and without a window to 10; default 10. */
  readonly batchSize?: number;
  /** 0 to 300, whole; of FIFO queues none; default 0. */
  readonly maximumBatchingWindowInSeconds?: number;
  /** Default none: a batch then fails or succeeds as a whole. */
  readonly functionResponseTypes?: readonly "ReportBatchItemFailures"[];
  /** Batches at once, 2 to 1,000; default 5, with which pollers begin. */
  readonly maximumConcurrency?: number;
}

export interface QueueMappingEvent {
  readonly messages: number;
  /** That come again. */
  readonly failed: number;
  /** Undefined: the function has answered. */
  readonly why: string | undefined;
}

export interface QueueMappingOptions {
  readonly queue: MessageSource;
  readonly region: string;
  readonly invoker: FunctionInvoker;
  readonly settings: QueueMappingSettings;
  readonly clock: Clock;
  readonly onEvent?: (event: QueueMappingEvent) => void;
  /** Between two looks at an empty queue; default 200 ms. */
  readonly pollIntervalMs?: number;
}

const messagesPerReceive = 10;
const unwindowedMessages = 10;
const defaultConcurrency = 5;
const eventBytesMax = 6 << 20;

/** Throws `invalid` where AWS refuses to create the mapping. */
export function checkQueueMapping(queue: string, settings: QueueMappingSettings): void {
  const isFifo = queue.endsWith(".fifo");
  const window = whole("maximumBatchingWindowInSeconds", settings.maximumBatchingWindowInSeconds ?? 0, 0, isFifo ? 0 : 300);
  whole("batchSize", settings.batchSize ?? messagesPerReceive, 1, isFifo || window === 0 ? unwindowedMessages : 10_000);
  if (settings.maximumConcurrency !== undefined) whole("maximumConcurrency", settings.maximumConcurrency, 2, 1_000);
}

export class QueueMapping {
  readonly #options: QueueMappingOptions;
  readonly #stopping = new AbortController();
  readonly #pollers: readonly Promise<void>[];

  constructor(options: QueueMappingOptions) {
    this.#options = options;
    const { maximumConcurrency = defaultConcurrency } = options.settings;
    this.#pollers = Array.from({ length: maximumConcurrency }, () => this.#poll());
  }

  /** Batches under way come to their end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#pollers);
  }

  async #poll(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const batch = await this.#gather();
      if (batch.length > 0) await this.#hand(batch);
      else await this.#pause(this.#options.pollIntervalMs ?? 200);
    }
  }

  async #gather(): Promise<readonly ReceivedMessage[]> {
    const { queue, clock, settings } = this.#options;
    const { batchSize = messagesPerReceive, maximumBatchingWindowInSeconds: window = 0 } = settings;
    const batch: ReceivedMessage[] = [];
    let bytes = 0;
    let until = Infinity;
    while (batch.length < batchSize && bytes < eventBytesMax / 2 && !this.#stopping.signal.aborted) {
      const received = queue.receive(Math.min(messagesPerReceive, batchSize - batch.length));
      for (const message of received) bytes += message.body.length;
      batch.push(...received);
      if (batch.length === 0 || window === 0) break;
      until = Math.min(until, clock.now() + window * 1_000);
      if (clock.now() >= until) break;
      if (received.length === 0) await this.#pause(Math.min(50, until - clock.now()));
    }
    return batch;
  }

  async #hand(batch: readonly ReceivedMessage[]): Promise<void> {
    const { queue, onEvent } = this.#options;
    const answer = await this.#invoke(batch);
    const failed = new Set(answer.failed);
    for (const { messageId, receiptHandle } of batch) if (!failed.has(messageId)) queue.delete(receiptHandle);
    onEvent?.({ messages: batch.length, failed: failed.size, why: answer.why });
  }

  async #invoke(
    batch: readonly ReceivedMessage[],
  ): Promise<{ readonly failed: readonly string[]; readonly why: string | undefined }> {
    const { queue, region, invoker, settings } = this.#options;
    const all = batch.map(({ messageId }) => messageId);
    const place = { eventSource: "aws:sqs", eventSourceARN: queue.arn, awsRegion: region };
    const event = { Records: batch.map((message) => ({ ...message, ...place })) };
    try {
      const result = await invoker.invoke(Buffer.from(JSON.stringify(event)));
      if (result.outcome === "throttled") return { failed: all, why: "TooManyRequestsException" };
      const text = Buffer.from(result.payload).toString();
      if (result.outcome === "failed") return { failed: all, why: `${result.cause}: ${text}` };
      if (settings.functionResponseTypes?.includes("ReportBatchItemFailures") !== true) return { failed: [], why: undefined };
      return { failed: failuresIn(text, all), why: undefined };
    } catch (error) {
      return { failed: all, why: messageOf(error) };
    }
  }

  async #pause(ms: number): Promise<void> {
    await this.#options.clock.sleep(ms, this.#stopping.signal);
  }
}

/** Whose answer cannot be read, or names what is not of the batch, has failed as a whole. */
function failuresIn(text: string, all: readonly string[]): readonly string[] {
  if (text === "" || text === "null") return [];
  try {
    const { batchItemFailures = [] } = JSON.parse(text) as {
      readonly batchItemFailures?: readonly { itemIdentifier?: string }[];
    };
    const named = (batchItemFailures ?? []).map(({ itemIdentifier = "" }) => itemIdentifier);
    return named.every((id) => all.includes(id)) ? named : all;
  } catch {
    return all;
  }
}

function whole(name: keyof QueueMappingSettings, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new MillraceError("invalid", `${name} is a whole number from ${from} to ${to}: ${value}`);
}
