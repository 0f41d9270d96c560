/**
 * Packs user records into one record of a stream, as the Kinesis Producer Library does; the counterpart of kpl.ts.
 *
 * A1 `sizeBytes` is exact at any time: whoever fills a record knows what fits before it is written.
 * A2 What `readAggregate` reads of it are the records that were added, in their order.
 */
import { createHash } from "node:crypto";
import { digestBytes, magic } from "./kpl.ts";

/** Tags of fields of lengths: <number> << 3 | 2; of numbers: <number> << 3. */
const keyTag = 0x0a;
const recordTag = 0x1a;
const keyIndexTag = 0x08;
const dataTag = 0x1a;

interface Added {
  readonly keyIndex: number;
  readonly bytes: Uint8Array;
}

export class AggregateWriter {
  readonly #keys = new Map<string, number>();
  readonly #records: Added[] = [];
  #sizeBytes = magic.length + digestBytes;

  /** Of the record with all that was added; without the partition key that it is put with. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** By how much it would grow. */
  growthOf(partitionKey: string, bytes: Uint8Array): number {
    const index = this.#keys.get(partitionKey);
    const record = sizeOfField(sizeOfRecord(index ?? this.#keys.size, bytes.length));
    return index === undefined ? record + sizeOfField(Buffer.byteLength(partitionKey)) : record;
  }

  add(partitionKey: string, bytes: Uint8Array): void {
    this.#sizeBytes += this.growthOf(partitionKey, bytes);
    let keyIndex = this.#keys.get(partitionKey);
    if (keyIndex === undefined) this.#keys.set(partitionKey, (keyIndex = this.#keys.size));
    this.#records.push({ keyIndex, bytes });
  }

  /** The record. */
  toBytes(): Uint8Array {
    const into = Buffer.allocUnsafe(this.#sizeBytes);
    into.set(magic);
    let at: number = magic.length;
    for (const key of this.#keys.keys()) {
      at = writeVarint(into, writeByte(into, at, keyTag), Buffer.byteLength(key));
      at += into.write(key, at, "utf8");
    }
    for (const { keyIndex, bytes } of this.#records) {
      at = writeVarint(into, writeByte(into, at, recordTag), sizeOfRecord(keyIndex, bytes.length));
      at = writeVarint(into, writeByte(into, at, keyIndexTag), keyIndex);
      at = writeVarint(into, writeByte(into, at, dataTag), bytes.length);
      into.set(bytes, at);
      at += bytes.length;
    }
    into.set(createHash("md5").update(into.subarray(magic.length, at)).digest(), at);
    return into;
  }
}

function sizeOfRecord(keyIndex: number, length: number): number {
  return 1 + sizeOfVarint(keyIndex) + sizeOfField(length);
}

function sizeOfField(length: number): number {
  return 1 + sizeOfVarint(length) + length;
}

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let left = value; left >= 128; left = Math.floor(left / 128)) size++;
  return size;
}

function writeByte(into: Uint8Array, at: number, byte: number): number {
  into[at] = byte;
  return at + 1;
}

function writeVarint(into: Uint8Array, from: number, value: number): number {
  let at = from;
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) into[at++] = (left % 128) | 128;
  into[at++] = left;
  return at;
}
