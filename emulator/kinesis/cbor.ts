/**
 * CBOR (RFC 8949) as far as AWS's protocols use it: maps with text keys, lists, text, bytes, numbers, truth values, null, times.
 *
 * Times are tag 1. Their unit differs: seconds in Smithy's RPC v2, milliseconds in x-amz-cbor-1.1, so the caller says which.
 */
import { KinesisError } from "./kinesis-error.ts";

/** How many of a time's units make a second. */
export type UnitsPerSecond = 1 | 1000;

const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
const indefinite = 31;
const breakByte = 0xff;
const timeTag = 1;

/** Members that are undefined are left out. */
export function encodeCbor(value: unknown, unitsPerSecond: UnitsPerSecond): Buffer {
  const parts: Buffer[] = [];
  write(parts, value, unitsPerSecond);
  return Buffer.concat(parts);
}

function write(parts: Buffer[], value: unknown, units: UnitsPerSecond): void {
  if (value === null || value === undefined) parts.push(Buffer.of(0xf6));
  else if (typeof value === "boolean") parts.push(Buffer.of(value ? 0xf5 : 0xf4));
  else if (typeof value === "number") parts.push(encodeNumber(value));
  else if (typeof value === "string") pushSized(parts, major.text, Buffer.from(value));
  else if (value instanceof Uint8Array) pushSized(parts, major.bytes, Buffer.from(value.buffer, value.byteOffset, value.length));
  else if (value instanceof Date) writeTime(parts, value, units);
  else if (Array.isArray(value)) {
    parts.push(head(major.list, value.length));
    for (const entry of value) write(parts, entry, units);
  } else {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    parts.push(head(major.map, members.length));
    for (const [name, member] of members) {
      pushSized(parts, major.text, Buffer.from(name));
      write(parts, member, units);
    }
  }
}

function writeTime(parts: Buffer[], time: Date, units: UnitsPerSecond): void {
  parts.push(head(major.tag, timeTag), units === 1000 ? encodeNumber(time.getTime()) : encodeDouble(time.getTime() / 1000));
}

function pushSized(parts: Buffer[], kind: number, bytes: Buffer): void {
  parts.push(head(kind, bytes.length), bytes);
}

function encodeNumber(value: number): Buffer {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return encodeDouble(value);
  return value >= 0 ? head(major.unsigned, value) : head(major.negative, -1 - value);
}

function encodeDouble(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xfb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function head(kind: number, argument: number): Buffer {
  const top = kind << 5;
  if (argument < 24) return Buffer.of(top | argument);
  if (argument < 0x100) return Buffer.of(top | 24, argument);
  if (argument < 0x1_0000) return Buffer.of(top | 25, argument >> 8, argument & 0xff);
  if (argument < 0x1_0000_0000) {
    const bytes = Buffer.alloc(5);
    bytes[0] = top | 26;
    bytes.writeUInt32BE(argument, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = top | 27;
  bytes.writeBigUInt64BE(BigInt(argument), 1);
  return bytes;
}

/** Throws SerializationException for bytes that are no CBOR, or CBOR that AWS's protocols do not use. */
export function decodeCbor(bytes: Buffer, unitsPerSecond: UnitsPerSecond): unknown {
  try {
    const reader = new Reader(bytes, unitsPerSecond);
    const value = reader.value();
    if (reader.atEnd()) return value;
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof KinesisError)) throw error;
  }
  throw new KinesisError("SerializationException", `not the CBOR of one value: ${bytes.length} bytes`);
}

class Reader {
  readonly #bytes: Buffer;
  readonly #units: UnitsPerSecond;
  #at = 0;

  constructor(bytes: Buffer, units: UnitsPerSecond) {
    this.#bytes = bytes;
    this.#units = units;
  }

  atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(): unknown {
    const first = this.#bytes.readUInt8(this.#at++);
    const [kind, low] = [first >> 5, first & 0x1f];
    switch (kind) {
      case major.unsigned:
        return this.#argument(low);
      case major.negative:
        return -1 - this.#argument(low);
      case major.bytes:
        return low === indefinite ? Buffer.concat(this.#chunks(major.bytes)) : this.#take(this.#argument(low));
      case major.text:
        return (low === indefinite ? Buffer.concat(this.#chunks(major.text)) : this.#take(this.#argument(low))).toString();
      case major.list:
        return low === indefinite ? this.#untilBreak() : this.#times(this.#argument(low), () => this.value());
      case major.map:
        return this.#map(low);
      case major.tag:
        return this.#tagged(this.#argument(low));
      default:
        return this.#simple(low);
    }
  }

  #map(low: number): Record<string, unknown> {
    const members =
      low === indefinite
        ? pairs(this.#untilBreak())
        : (this.#times(this.#argument(low), () => [this.value(), this.value()]) as unknown[][]);
    if (members.some(([name]) => typeof name !== "string")) throw new RangeError("a member's name is no text");
    return Object.fromEntries(members as [string, unknown][]);
  }

  #tagged(tag: number): unknown {
    const value = this.value();
    return tag === timeTag && typeof value === "number" ? new Date(Math.round((value * 1000) / this.#units)) : value;
  }

  #simple(low: number): unknown {
    if (low === 20 || low === 21) return low === 21;
    if (low === 22 || low === 23) return null;
    if (low === 25) return halfFloat(this.#take(2).readUInt16BE());
    if (low === 26) return this.#take(4).readFloatBE();
    if (low === 27) return this.#take(8).readDoubleBE();
    throw new KinesisError("SerializationException", `CBOR value of an unknown kind: ${low}`);
  }

  #argument(low: number): number {
    if (low < 24) return low;
    if (low === 24) return this.#take(1).readUInt8();
    if (low === 25) return this.#take(2).readUInt16BE();
    if (low === 26) return this.#take(4).readUInt32BE();
    if (low === 27) return Number(this.#take(8).readBigUInt64BE());
    throw new KinesisError("SerializationException", `CBOR head of an unknown kind: ${low}`);
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError(`bytes end before the value does: ${length} more, at ${this.#at}`);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #times(count: number, read: () => unknown): unknown[] {
    if (count > this.#bytes.length) throw new RangeError(`more entries than bytes: ${count}`);
    return Array.from({ length: count }, read);
  }

  /** The parts of text or bytes of which nobody knew the length: each of the same kind. */
  #chunks(kind: number): Buffer[] {
    const chunks: Buffer[] = [];
    while (this.#bytes.readUInt8(this.#at) !== breakByte) {
      const first = this.#bytes.readUInt8(this.#at++);
      if (first >> 5 !== kind) throw new RangeError(`a part of another kind: ${first}`);
      chunks.push(this.#take(this.#argument(first & 0x1f)));
    }
    this.#at += 1;
    return chunks;
  }

  #untilBreak(): unknown[] {
    const values: unknown[] = [];
    while (this.#bytes.readUInt8(this.#at) !== breakByte) values.push(this.value());
    this.#at += 1;
    return values;
  }
}

function pairs(values: readonly unknown[]): unknown[][] {
  return Array.from({ length: values.length >> 1 }, (_, n) => [values[2 * n], values[2 * n + 1]]);
}

function halfFloat(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
