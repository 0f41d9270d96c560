/**
 * Keys: what is a valid one, when two are the same, and their place in the hash space.
 *
 * K1 Two keys are the same exactly when their canonical encodings are: 1, 1n, "1" and [1] differ, -0 is 0.
 * K2 The hash is of the canonical encoding, so it never depends on where or when it is computed.
 */
import { createHash } from "node:crypto";
import type { Key, KeyPart } from "../api/key.ts";
import { type ByteReader, corrupt } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { MillraceError } from "../base/errors.ts";
import type { KeyGroup } from "../base/ids.ts";
import { murmur3 } from "./murmur3.ts";

export const keyBytesMax = 16_384;

const scratch = new ByteWriter(256);

/** Why `key` cannot be one, or undefined. A key without problem can be hashed. */
export function keyProblem(key: unknown): string | undefined {
  if (!Array.isArray(key)) return scalarProblem(key) ?? (sizeBound(key) > keyBytesMax ? sizeProblem(key as Key) : undefined);
  if (key.length === 0) return "key is an empty tuple";
  let bound = tupleBytes;
  for (const part of key) {
    const problem = Array.isArray(part) ? "key has a tuple inside a tuple" : scalarProblem(part);
    if (problem !== undefined) return problem;
    bound += sizeBound(part);
  }
  return bound > keyBytesMax ? sizeProblem(key as unknown as Key) : undefined;
}

function scalarProblem(key: unknown): string | undefined {
  if (typeof key === "string" || typeof key === "bigint" || typeof key === "boolean") return undefined;
  if (typeof key === "number") return Number.isNaN(key) ? "key is NaN" : undefined;
  return `key is ${key === null ? "null" : `of type ${typeof key}`}: keys are text, numbers, booleans or tuples of them`;
}

/** What the canonical encoding of a text or tuple needs beside its parts, at most. */
const tupleBytes = 9;
const longBigint = 1n << 256n;

/** At least the bytes of a scalar's canonical encoding, without encoding it. */
function sizeBound(key: unknown): number {
  if (typeof key === "string") return tupleBytes + 3 * key.length;
  return typeof key === "bigint" && (key > longBigint || key < -longBigint) ? Infinity : 100;
}

function sizeProblem(key: Key): string | undefined {
  const size = canonicalKey(key).length;
  return size > keyBytesMax ? `key of ${size} bytes is over ${keyBytesMax} bytes` : undefined;
}

/** What a `Map` finds a tuple by: text that is the same exactly for the same tuples. */
export function tupleIdentity(key: readonly unknown[]): string {
  let identity = "";
  for (const part of key) {
    const text = typeof part === "number" ? String(part === 0 ? 0 : part) : String(part);
    identity += `${(typeof part)[0] === "b" ? (typeof part).slice(0, 2) : (typeof part)[0]}${text.length}:${text}`;
  }
  return identity;
}

const tupleTag = 6;
const unpairedTag = 7;

function writeText(writer: ByteWriter, key: string): void {
  writer.u8(1);
  writer.string(key);
}

/** Half of a surrogate pair has no UTF-8: by its code units, such a text differs from all others. */
function writeUnpaired(writer: ByteWriter, key: string): void {
  writer.u8(unpairedTag);
  writer.uint(2 * key.length);
  writer.utf16(key);
}

/** Writes the canonical encoding of a valid key. */
function writeCanonical(writer: ByteWriter, key: unknown): void {
  switch (typeof key) {
    case "string":
      return key.isWellFormed() ? writeText(writer, key) : writeUnpaired(writer, key);
    case "number":
      writer.u8(2);
      return writer.f64(key === 0 ? 0 : key);
    case "bigint":
      writer.u8(3);
      return writer.string(String(key));
    case "boolean":
      writer.u8(key ? 5 : 4);
      return;
    default: {
      const parts = key as readonly unknown[];
      writer.u8(tupleTag);
      writer.uint(parts.length);
      for (const part of parts) writeCanonical(writer, part);
    }
  }
}

/** The canonical encoding of a valid key. */
export function canonicalKey(key: Key): Uint8Array {
  scratch.clear();
  writeCanonical(scratch, key);
  return scratch.take();
}

/** The key of a canonical encoding. Throws `corrupt` for what no key is encoded as. */
export function readCanonicalKey(reader: ByteReader): Key {
  const tag = reader.u8();
  if (tag !== tupleTag) return readPart(reader, tag);
  const length = reader.count();
  if (length === 0) throw corrupt("a canonical key is an empty tuple");
  return Array.from({ length }, () => readPart(reader, reader.u8()));
}

function readPart(reader: ByteReader, tag: number): KeyPart {
  switch (tag) {
    case 1:
      return reader.string();
    case 2:
      return readNumber(reader.f64());
    case 3:
      return readBigint(reader.string());
    case 4:
    case 5:
      return tag === 5;
    case unpairedTag:
      return readUnpaired(reader);
    default:
      throw corrupt(`not a canonical key: tag ${tag}`);
  }
}

function readUnpaired(reader: ByteReader): string {
  const text = reader.utf16(reader.count());
  if (text.isWellFormed()) throw corrupt("a canonical key has two forms");
  return text;
}

function readNumber(number: number): number {
  if (Number.isNaN(number) || Object.is(number, -0)) throw corrupt("a canonical key is NaN or -0");
  return number;
}

function readBigint(digits: string): bigint {
  if (!/^(?:0|-?[1-9]\d*)$/.test(digits)) throw corrupt("a canonical key is no bigint");
  return BigInt(digits);
}

/** How a stage places keys in the 128-bit hash space. */
export type KeyHashing = "murmur3" | "md5";

/** The top 32 bits of a valid key's hash key. Throws `invalid` when the key is over 16 KiB. */
export function hashOf(key: Key, hashing: KeyHashing): number {
  if (hashing === "md5") return Number(hashKeyOf(key, hashing) >> 96n);
  scratch.clear();
  writeCanonical(scratch, key);
  if (scratch.length > keyBytesMax)
    throw new MillraceError("invalid", `key of ${scratch.length} bytes is over ${keyBytesMax} bytes`);
  return murmur3(scratch.buffer, 0, scratch.length);
}

/** The whole 128-bit hash key: murmur3 in the top bits, or MD5 of the text as Kinesis hashes a partition key. */
export function hashKeyOf(key: Key, hashing: KeyHashing): bigint {
  if (hashing === "murmur3") return BigInt(hashOf(key, hashing)) << 96n;
  return BigInt(`0x${createHash("md5").update(String(key)).digest("hex")}`);
}

/** The key group of a hash: its top bits. `keyGroups` is a power of two. */
export function keyGroupOf(hash: number, keyGroups: number): KeyGroup {
  return keyGroups === 1 ? 0 : hash >>> (32 - Math.log2(keyGroups));
}

/** A key in a message. */
export function showKey(key: Key): string {
  return JSON.stringify(key, (_name, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));
}
