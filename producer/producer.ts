/**
 * Puts many small events into a Kinesis stream, packed as the Kinesis Producer Library packs them: a job's Kinesis source, the Kinesis
 * Client Library and Amazon's deaggregation modules read them one by one.
 *
 * Owns what a caller may rely on: what is refused at once, how much may wait, when it is over. Does not own how events get there (sender.ts).
 *
 * B1 An event is settled once: `put` resolves with its place in the stream, or rejects for this event alone. Nothing is dropped in silence.
 * B2 At least once: an event whose request got no answer is put again. Events of one key are in the order of their `put`, each at its first
 *    occurrence; one that was rejected is missing from it, or, where its outcome is not known, at any later place.
 * B3 What waits takes at most `bufferBytes`, and one event more.
 */
import type { KinesisClient } from "@aws-sdk/client-kinesis";
import { SystemClock } from "../runtime/adapters/local/system-clock.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { checkWritesRecords, encodeRecord, type Format } from "../runtime/connectors/formats/format.ts";
import { json } from "../runtime/connectors/formats/json.ts";
import type { Clock } from "../runtime/ports/clock.ts";
import type { Event, Placement } from "./event.ts";
import { kinesisClient, KinesisStream } from "./kinesis-stream.ts";
import { type ProducerCounts, Sender } from "./sender.ts";
import { hashOf } from "./shard-map.ts";
import type { Stream } from "./stream.ts";

export interface ProducerOptions<T> {
  /** The stream's name in Kinesis. */
  readonly stream: string;
  /** What a `value` is written as. Default: JSON. */
  readonly format?: Format<T>;
  /** How long an event waits for others to share its record with, ms. Default 100. */
  readonly lingerMs?: number;
  /** How large a record grows, with its key: 1 KB to 1 MiB. Default 256,000, which are ten put units. A single event may be larger. */
  readonly recordBytes?: number;
  /** How much may wait, 1 MiB or more. Default 64 MiB. */
  readonly bufferBytes?: number;
  /** How long an event is tried to be put before its `put` rejects, ms. Default 2 minutes. */
  readonly giveUpAfterMs?: number;
  /** Default: made by the SDK's own settings, and destroyed by `close`. */
  readonly client?: KinesisClient;
}

/** An event: its key, and a value to be written in the producer's format, or bytes as they are. */
export type ProducerEvent<T> =
  | { readonly key: string; readonly value: T; readonly bytes?: undefined }
  | { readonly key: string; readonly bytes: Uint8Array; readonly value?: undefined };

/** What takes the place of what a producer finds by itself: for tests. */
export interface ProducerParts {
  readonly stream: Stream;
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly random: () => number;
}

const keyLengthMax = 256;
const eventBytesMax = 1 << 20;
const recordBytesMin = 1024;
const bufferBytesMin = 1 << 20;
/** What an event takes beside its key and bytes, about. */
const overheadBytes = 256;

/** Opens a producer; asks AWS for nothing yet. Throws `invalid` for options that cannot be. */
export function openProducer<T = unknown>(options: ProducerOptions<T>): Producer<T> {
  const client = options.client ?? kinesisClient();
  const stream = new KinesisStream(options.stream, client);
  const close = () => (options.client === undefined ? client.destroy() : undefined);
  return new Producer(options, { stream, clock: new SystemClock(), random: Math.random }, close);
}

export class Producer<T> {
  readonly #options: Required<Omit<ProducerOptions<T>, "client">>;
  readonly #sender: Sender;
  readonly #clock: ProducerParts["clock"];
  readonly #onClose: () => void;
  #heldBytes = 0;
  /** Those who wait for room, first come first. */
  #waiting: (() => void)[] = [];
  /** One of them was, and has not put yet. */
  #hasBeenLetIn = false;
  #isTurnEnding = false;
  #isClosed = false;

  /** `onClose` is called when all is settled. Throws `invalid` for options that cannot be. */
  constructor(options: ProducerOptions<T>, { stream, clock, random }: ProducerParts, onClose: () => void = () => {}) {
    this.#options = checkOptions(options);
    this.#clock = clock;
    this.#onClose = onClose;
    const onSettled = ({ heldBytes }: Event) => this.#release(heldBytes);
    this.#sender = new Sender({ stream, clock, random, recordBytesMax: this.#options.recordBytes, onSettled });
  }

  /**
   * Puts an event into the stream; resolves with its place there. Need not be awaited one by one: events of one key keep their order.
   * Rejects for this event alone: `invalid` for one that can never be put, `unavailable` when it was given up or too much waits already
   * (`ready` says when there is room).
   */
  put(event: ProducerEvent<T>): Promise<Placement> {
    return new Promise((resolve, reject) => {
      const { key } = event;
      const bytes = this.#bytesOf(event);
      const heldBytes = bytes.length + key.length + overheadBytes;
      this.#checkRoom();
      this.#heldBytes += heldBytes;
      const { lingerMs, giveUpAfterMs } = this.#options;
      const now = this.#clock.now();
      this.#sender.take({
        ...{ key, hash: hashOf(key), bytes, heldBytes, resolve, reject },
        ...{ dueAt: now + lingerMs, expiresAt: now + giveUpAfterMs, epoch: this.#sender.epoch },
      });
      this.#letInNext();
    });
  }

  /**
   * Resolves when there is room for another event: whoever puts without awaiting each, awaits this before, and puts at once. Of several who wait
   * each has his turn.
   */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#letIn();
    });
  }

  /** Puts at once what waits. Resolves when all that was put before is settled; what failed has rejected its own `put`. */
  flush(): Promise<void> {
    return this.#sender.flush();
  }

  /** Takes no more events, flushes, and lets go of what it holds. */
  async close(): Promise<void> {
    const isFirst = !this.#isClosed;
    this.#isClosed = true;
    await this.flush();
    if (!isFirst) return;
    this.#sender.stop();
    this.#onClose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get counts(): Readonly<ProducerCounts> {
    return this.#sender.counts;
  }

  /** Bytes that wait to be settled. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  #bytesOf({ key, value, bytes }: ProducerEvent<T>): Uint8Array {
    if (this.#isClosed) throw new MillraceError("invalid", `the producer is closed: ${this.#options.stream}`);
    if (typeof key !== "string" || key === "" || lengthOf(key) > keyLengthMax)
      throw new MillraceError("invalid", `a key is text of 1 to ${keyLengthMax} characters: ${describe(key)}`);
    if (bytes !== undefined && !(bytes instanceof Uint8Array))
      throw new MillraceError("invalid", `bytes are a Uint8Array: ${typeof bytes}`);
    // The caller may use its own bytes for something else afterwards.
    const encoded = bytes === undefined ? encodeRecord(this.#options.format, value as T) : Buffer.from(bytes);
    const sizeBytes = encoded.length + Buffer.byteLength(key);
    if (sizeBytes <= eventBytesMax) return encoded;
    throw new MillraceError(
      "invalid",
      `an event with its key is above the limit of ${eventBytesMax} bytes: ${describe(key)}, ${sizeBytes} bytes`,
    );
  }

  #checkRoom(): void {
    if (this.#hasRoom()) return;
    const message = "too much waits to be put: await ready() before the next, or put less";
    throw new MillraceError("unavailable", `${message}: ${this.#options.stream}, ${this.#heldBytes} bytes`);
  }

  #hasRoom(): boolean {
    return this.#heldBytes < this.#options.bufferBytes;
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#letIn();
  }

  /** All at once would find room for a few: who is let in puts before the next is, or has thought better of it in this turn. */
  #letIn(): void {
    if (this.#hasBeenLetIn || this.#waiting.length === 0 || !this.#hasRoom()) return;
    this.#hasBeenLetIn = true;
    this.#waiting.shift()!();
    if (this.#isTurnEnding) return;
    this.#isTurnEnding = true;
    setImmediate(() => {
      this.#isTurnEnding = false;
      this.#letInNext();
    });
  }

  #letInNext(): void {
    this.#hasBeenLetIn = false;
    this.#letIn();
  }
}

function checkOptions<T>(options: ProducerOptions<T>): Required<Omit<ProducerOptions<T>, "client">> {
  const { stream, format = json() as Format<any> } = options;
  const { lingerMs = 100, recordBytes = 256_000, bufferBytes = 64 << 20, giveUpAfterMs = 120_000 } = options;
  if (typeof stream !== "string" || stream === "") throw new MillraceError("invalid", "a producer needs the name of a stream");
  checkWritesRecords(format, "a producer");
  checkNumber("lingerMs", lingerMs, 0, Infinity);
  checkNumber("recordBytes", recordBytes, recordBytesMin, eventBytesMax);
  checkNumber("bufferBytes", bufferBytes, bufferBytesMin, Infinity);
  checkNumber("giveUpAfterMs", giveUpAfterMs, 1, Infinity);
  return { stream, format, lingerMs, recordBytes, bufferBytes, giveUpAfterMs };
}

function checkNumber(name: string, value: number, least: number, most: number): void {
  if (typeof value === "number" && value >= least && value <= most) return;
  const range = most === Infinity ? `from ${least} on` : `from ${least} to ${most}`;
  throw new MillraceError("invalid", `${name} is a number ${range}: ${value}`);
}

/** In characters, as Kinesis counts them. */
function lengthOf(key: string): number {
  return key.length <= keyLengthMax ? key.length : [...key].length;
}

function describe(key: unknown): string {
  return typeof key === "string" ? `text of ${key.length}: ${JSON.stringify(key.slice(0, 40))}` : typeof key;
}
