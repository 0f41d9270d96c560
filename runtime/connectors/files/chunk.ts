/**
 * A stretch of a file in memory, and the records that lie in it.
 *
 * A record is three offsets and its chunk; position, bytes and text are worked out when asked for, so a record that is only
 * decoded costs little more than its decoding. Bytes and text keep the chunk alive for as long as they are held.
 */
import { isAscii } from "node:buffer";
import type { SourceRecord } from "../../api/connector.ts";
import { utf8Text } from "../formats/utf8.ts";

export class Chunk {
  readonly bytes: Buffer;
  /** Where the chunk begins in the decompressed data. */
  readonly base: number;
  /** Epoch ms. */
  readonly arrivalTime: number;
  /** Of the shard. */
  readonly header: string | undefined;
  /** The whole chunk as text where every byte is one character: records are then slices of it. */
  readonly ascii: string | undefined;

  constructor(bytes: Buffer, base: number, arrivalTime: number, header: string | undefined) {
    this.bytes = bytes;
    this.base = base;
    this.arrivalTime = arrivalTime;
    this.header = header;
    this.ascii = isAscii(bytes) ? bytes.toString("latin1") : undefined;
  }
}

/** A record within its chunk: [start, end) without the line end, after which the data goes on at `next`. */
export class ChunkRecord implements SourceRecord {
  readonly #chunk: Chunk;
  readonly #start: number;
  readonly #end: number;
  readonly #next: number;

  constructor(chunk: Chunk, start: number, end: number, next: number) {
    this.#chunk = chunk;
    this.#start = start;
    this.#end = end;
    this.#next = next;
  }
  get position(): string {
    return String(this.#chunk.base + this.#next);
  }
  get bytes(): Uint8Array {
    return this.#chunk.bytes.subarray(this.#start, this.#end);
  }
  /** Undefined when the bytes are not valid UTF-8. */
  get text(): string | undefined {
    const { ascii, bytes } = this.#chunk;
    return ascii === undefined ? utf8Text(bytes, this.#start, this.#end) : ascii.slice(this.#start, this.#end);
  }
  get partitionKey(): string {
    return "";
  }
  get arrivalTime(): number {
    return this.#chunk.arrivalTime;
  }
  get header(): string | undefined {
    return this.#chunk.header;
  }
}
