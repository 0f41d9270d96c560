/**
 * Values as MessagePack: the self-describing encoding of all state, keys and records in flight.
 *
 * Owns the mapping between JavaScript values and bytes. Beyond standard MessagePack extension types keep what it lacks:
 * undefined, bigint, Date, Map, Set and text with halves of surrogate pairs come back as what they were. Class instances come back as plain objects. Functions, symbols,
 * promises, cycles (depth over 100) are refused with `invalid`. Why our own: docs/decisions/value-encoding.md.
 */
import { ByteReader, corrupt } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { MillraceError } from "./errors.ts";
import { KnownNames } from "./known-names.ts";

const extension = { undefined: 0, bigint: 1, date: 2, map: 3, set: 4, text: 5 } as const;
const depthMax = 100;

/** Writes any storable value; throws `invalid` naming what cannot be stored. */
export function writeValue(writer: ByteWriter, value: unknown, depth = 0): void {
  // Asked one by one: a switch over the type's name compares names at each value.
  if (typeof value === "number") return writeNumber(writer, value);
  if (typeof value === "string") return writeString(writer, value);
  if (typeof value === "object") return value === null ? writer.u8(0xc0) : writeObject(writer, value, depth + 1);
  if (typeof value === "boolean") return writer.u8(value ? 0xc3 : 0xc2);
  if (typeof value === "bigint") return writeBigint(writer, value);
  if (value !== undefined) throw new MillraceError("invalid", `a ${typeof value} cannot be stored or sent: keep plain data`);
  writer.u8(0xd4);
  writer.u8(extension.undefined);
  writer.u8(0);
}

function writeNumber(writer: ByteWriter, n: number): void {
  if (n === n >> 0) {
    if (n >= 0) {
      if (n === 0 && Object.is(n, -0)) return writeFloat(writer, n);
      if (n < 0x80) return writer.u8(n);
      return writeUnsigned(writer, n);
    }
    if (n >= -32) return writer.u8(n & 0xff);
    writer.u8(0xd2);
    writer.reserve(4);
    writer.length = writer.buffer.writeInt32BE(n, writer.length);
    return;
  }
  writeFloat(writer, n);
}

function writeFloat(writer: ByteWriter, n: number): void {
  writer.u8(0xcb);
  writer.f64(n);
}

function writeUnsigned(writer: ByteWriter, n: number): void {
  writer.reserve(5);
  if (n < 0x100) {
    writer.u8(0xcc);
    return writer.u8(n);
  }
  if (n < 0x10000) {
    writer.u8(0xcd);
    writer.length = writer.buffer.writeUInt16BE(n, writer.length);
    return;
  }
  writer.u8(0xce);
  writer.length = writer.buffer.writeUInt32BE(n, writer.length);
}

function writeString(writer: ByteWriter, text: string): void {
  const units = text.length;
  if (units < 32) {
    writer.reserve(units + 1);
    const { buffer } = writer;
    let at = writer.length + 1;
    let i = 0;
    for (; i < units; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      buffer[at++] = unit;
    }
    if (i === units) {
      buffer[writer.length] = 0xa0 | units;
      writer.length = at;
      return;
    }
  }
  if (!text.isWellFormed()) return writeUtf16(writer, text);
  const size = Buffer.byteLength(text);
  writeHeader(writer, size, 0xa0, 32, 0xd9, 0xda, 0xdb);
  writer.utf8(text, size);
}

/** Half of a surrogate pair has no UTF-8: such text is kept by its code units. */
function writeUtf16(writer: ByteWriter, text: string): void {
  const body = openExtension(writer, extension.text);
  writer.utf16(text);
  closeExtension(writer, body);
}

/** A length in the shortest of MessagePack's forms; `u8` is 0 where the type has no 8-bit form. */
function writeHeader(writer: ByteWriter, n: number, fix: number, fixMax: number, u8: number, u16: number, u32: number): void {
  writer.reserve(5);
  if (n < fixMax) return writer.u8(fix | n);
  if (u8 !== 0 && n < 0x100) {
    writer.u8(u8);
    return writer.u8(n);
  }
  if (n < 0x10000) {
    writer.u8(u16);
    writer.length = writer.buffer.writeUInt16BE(n, writer.length);
    return;
  }
  writer.u8(u32);
  writer.length = writer.buffer.writeUInt32BE(n, writer.length);
}

function writeObject(writer: ByteWriter, value: object, depth: number): void {
  if (depth > depthMax)
    throw new MillraceError("invalid", `a value nested over ${depthMax} levels cannot be stored: is it cyclic?`);
  if (Array.isArray(value)) {
    writeHeader(writer, value.length, 0x90, 16, 0, 0xdc, 0xdd);
    for (let i = 0; i < value.length; i++) writeValue(writer, value[i], depth);
    return;
  }
  if (value instanceof Uint8Array) {
    writeHeader(writer, value.length, 0, 0, 0xc4, 0xc5, 0xc6);
    return writer.raw(value);
  }
  if (value instanceof Date) return writeDate(writer, value);
  if (value instanceof Map) return writeMap(writer, value, depth);
  if (value instanceof Set) return writeSet(writer, value, depth);
  if (ArrayBuffer.isView(value))
    throw new MillraceError("invalid", "typed arrays other than Uint8Array cannot be stored: use a plain array");
  if (value instanceof Promise)
    throw new MillraceError("invalid", "a promise cannot be stored or sent: functions are synchronous, keep what it waits for");
  const keys = Object.keys(value);
  writeHeader(writer, keys.length, 0x80, 16, 0, 0xde, 0xdf);
  for (const key of keys) {
    writeString(writer, key);
    writeValue(writer, (value as Record<string, unknown>)[key], depth);
  }
}

function writeBigint(writer: ByteWriter, value: bigint): void {
  const body = openExtension(writer, extension.bigint);
  const digits = String(value);
  writer.utf8(digits, digits.length);
  closeExtension(writer, body);
}

function writeDate(writer: ByteWriter, value: Date): void {
  const body = openExtension(writer, extension.date);
  writer.f64(value.getTime());
  closeExtension(writer, body);
}

function writeMap(writer: ByteWriter, map: ReadonlyMap<unknown, unknown>, depth: number): void {
  const body = openExtension(writer, extension.map);
  for (const [key, item] of map) {
    writeValue(writer, key, depth);
    writeValue(writer, item, depth);
  }
  closeExtension(writer, body);
}

function writeSet(writer: ByteWriter, set: ReadonlySet<unknown>, depth: number): void {
  const body = openExtension(writer, extension.set);
  for (const item of set) writeValue(writer, item, depth);
  closeExtension(writer, body);
}

/** Returns where the extension's body begins; its length is written when it is closed. */
function openExtension(writer: ByteWriter, type: number): number {
  writer.u8(0xc9);
  writer.u32(0);
  writer.u8(type);
  return writer.length;
}

function closeExtension(writer: ByteWriter, body: number): void {
  writer.buffer.writeUInt32BE(writer.length - body, body - 5);
}

/** Reads one value; throws `corrupt` on anything that `writeValue` could not have written. */
export function readValue(reader: ByteReader, depth = 0): unknown {
  const tag = reader.u8();
  if (tag < 0x80) return tag;
  if (tag >= 0xe0) return tag - 0x100;
  if (tag < 0x90) return readObject(reader, tag & 0x0f, depth + 1);
  if (tag < 0xa0) return readArray(reader, tag & 0x0f, depth + 1);
  if (tag < 0xc0) return reader.utf8(tag & 0x1f);
  switch (tag) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return copyOf(reader, reader.u8());
    case 0xc5:
      return copyOf(reader, u16(reader));
    case 0xc6:
      return copyOf(reader, u32(reader));
    case 0xc9:
      return readExtension(reader, depth + 1);
    case 0xcb:
      return reader.f64();
    case 0xcc:
      return reader.u8();
    case 0xcd:
      return u16(reader);
    case 0xce:
      return u32(reader);
    case 0xd2:
      return u32(reader) | 0;
    case 0xd4:
      if (reader.u8() !== extension.undefined) throw corrupt(`unknown short extension at ${reader.at}`);
      reader.u8();
      return undefined;
    case 0xd9:
      return reader.utf8(reader.u8());
    case 0xda:
      return reader.utf8(u16(reader));
    case 0xdb:
      return reader.utf8(u32(reader));
    case 0xdc:
      return readArray(reader, u16(reader), depth + 1);
    case 0xdd:
      return readArray(reader, u32(reader), depth + 1);
    case 0xde:
      return readObject(reader, u16(reader), depth + 1);
    case 0xdf:
      return readObject(reader, u32(reader), depth + 1);
    default:
      throw corrupt(`unknown value tag 0x${tag.toString(16)} at ${reader.at}`);
  }
}

function u16(reader: ByteReader): number {
  reader.need(2);
  const n = reader.buffer.readUInt16BE(reader.at);
  reader.at += 2;
  return n;
}

function u32(reader: ByteReader): number {
  reader.need(4);
  const n = reader.buffer.readUInt32BE(reader.at);
  reader.at += 4;
  return n;
}

function copyOf(reader: ByteReader, size: number): Uint8Array {
  return new Uint8Array(reader.raw(size));
}

function checkDepth(depth: number): void {
  if (depth > depthMax + 1) throw corrupt(`value nested over ${depthMax} levels`);
}

function readArray(reader: ByteReader, length: number, depth: number): unknown[] {
  checkDepth(depth);
  reader.need(length);
  const items: unknown[] = [];
  for (let i = 0; i < length; i++) items.push(readValue(reader, depth));
  return items;
}

function readObject(reader: ByteReader, size: number, depth: number): object {
  checkDepth(depth);
  reader.need(size * 2);
  const object: Record<string, unknown> = {};
  for (let i = 0; i < size; i++) {
    const key = readKey(reader, depth);
    const item = readValue(reader, depth);
    if (key === "__proto__")
      Object.defineProperty(object, key, { value: item, enumerable: true, configurable: true, writable: true });
    else object[key] = item;
  }
  return object;
}

/** Most members have short names that come again and again: each is made once. */
function readKey(reader: ByteReader, depth: number): string {
  const { buffer, at } = reader;
  const size = (buffer[at] as number) - 0xa0;
  if (size > 0 && size < 32 && at + size < reader.end) {
    const known = knownNames.find(buffer, at + 1, size);
    if (known !== undefined) {
      reader.at = at + 1 + size;
      return known;
    }
  }
  const key = readValue(reader, depth);
  if (typeof key !== "string") throw corrupt(`object key is not text at ${reader.at}`);
  if (size > 0 && size < 32) knownNames.remember(buffer, at + 1, size, key);
  return key;
}

const knownNames = new KnownNames();

function readExtension(reader: ByteReader, depth: number): unknown {
  checkDepth(depth);
  const size = u32(reader);
  const type = reader.u8();
  reader.need(size);
  const end = reader.at + size;
  const value = readExtensionBody(new ByteReader(reader.buffer, reader.at, end), type, depth);
  reader.at = end;
  return value;
}

function readExtensionBody(body: ByteReader, type: number, depth: number): unknown {
  switch (type) {
    case extension.bigint:
      return readBigint(body.utf8(body.remaining));
    case extension.date:
      return new Date(body.f64());
    case extension.text:
      return body.utf16(body.remaining);
    case extension.map: {
      const map = new Map<unknown, unknown>();
      while (!body.done) map.set(readValue(body, depth), readValue(body, depth));
      return map;
    }
    case extension.set: {
      const set = new Set<unknown>();
      while (!body.done) set.add(readValue(body, depth));
      return set;
    }
    default:
      throw corrupt(`unknown extension type ${type}`);
  }
}

function readBigint(digits: string): bigint {
  if (!/^-?\d+$/.test(digits)) throw corrupt("not a bigint");
  return BigInt(digits);
}

/** `value` in bytes of its own. */
export function encodeValue(value: unknown): Uint8Array {
  const writer = new ByteWriter(128);
  writeValue(writer, value);
  return writer.take();
}

/** The one value that `bytes` hold. Throws `corrupt` when something stands behind it. */
export function decodeValue(bytes: Uint8Array): unknown {
  const reader = new ByteReader(bytes);
  const value = readValue(reader);
  if (!reader.done) throw corrupt(`${reader.remaining} bytes stand behind a value`);
  return value;
}
