/**
 * Records that the Kinesis Producer Library has aggregated: many user records in one record of the stream.
 *
 * Four magic bytes, a protobuf message (AggregatedRecord), the MD5 of the message. Strict: a message is taken in whole or not at all.
 *
 * K1 What begins with the magic bytes by chance does not end in the right MD5: it is a record as any other, as to Amazon's own libraries.
 * K2 A message whose MD5 is right and whose content is not was made so by its producer: no part of it is guessed at, it goes to the
 *    dead letters whole.
 *
 * Source: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
 */
import { createHash } from "node:crypto";

/** One record as its producer put it in. */
export interface UserRecord {
  readonly partitionKey: string;
  /** Where it belongs in the hash space, when that is not its partition key's. */
  readonly explicitHashKey: bigint | undefined;
  readonly bytes: Uint8Array;
}

/** "plain": no aggregate. */
export type Aggregate =
  | { readonly kind: "plain" }
  | { readonly kind: "aggregate"; readonly records: readonly UserRecord[] }
  | { readonly kind: "broken"; readonly reason: string };

/** What an aggregate begins with. */
export const magic = [0xf3, 0x89, 0x9a, 0xc2] as const;
/** Of the MD5 that it ends with. */
export const digestBytes = 16;
const hashKeyMax = (1n << 128n) - 1n;
const plain: Aggregate = { kind: "plain" };

/** What a record of a stream holds. The user records share its memory. */
export function readAggregate(bytes: Uint8Array): Aggregate {
  if (!beginsAsAggregate(bytes)) return plain;
  const message = bytes.subarray(magic.length, bytes.length - digestBytes);
  const digest = createHash("md5").update(message).digest();
  if (digest.compare(bytes, bytes.length - digestBytes) !== 0) return plain;
  try {
    return { kind: "aggregate", records: readMessage(message) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { kind: "broken", reason: `an aggregated record of the Kinesis Producer Library is malformed: ${error.message}` };
  }
}

/** Whether a record may be an aggregate: only then is it worth while to ask where it belongs. */
export function beginsAsAggregate(bytes: Uint8Array): boolean {
  // Asked of every record: byte by byte, since a call out of JavaScript takes as long as all the rest of it.
  return (
    bytes[0] === magic[0] &&
    bytes[1] === magic[1] &&
    bytes[2] === magic[2] &&
    bytes[3] === magic[3] &&
    bytes.length >= magic.length + digestBytes
  );
}

/** The hash key by which a user record is routed: its own, or the MD5 of its partition key. */
export function hashKeyOf({ explicitHashKey, partitionKey }: UserRecord): bigint {
  return explicitHashKey ?? BigInt(`0x${createHash("md5").update(partitionKey, "utf8").digest("hex")}`);
}

class Malformed extends Error {}

/** Fields of a message, by their numbers; what lies behind a length is `bytes`, a number `number`. */
function* fieldsOf(
  message: Uint8Array,
): Generator<{ readonly field: number; readonly number: number; readonly bytes: Uint8Array | undefined }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= message.length) throw new Malformed("it ends within a number");
      const byte = message[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Malformed("a number has more than ten bytes");
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (tag % 8 === 0) yield { field, number: varint(), bytes: undefined };
    else if (tag % 8 === 2) {
      const length = varint();
      if (length > message.length - at) throw new Malformed(`field ${field} is longer than what is left`);
      yield { field, number: NaN, bytes: message.subarray(at, at + length) };
      at += length;
    } else throw new Malformed(`field ${field} is of wire type ${tag % 8}`);
  }
}

function readMessage(message: Uint8Array): readonly UserRecord[] {
  const partitionKeys: string[] = [];
  const hashKeys: bigint[] = [];
  const raw: Uint8Array[] = [];
  for (const { field, bytes } of fieldsOf(message)) {
    if (field < 1 || field > 3) continue;
    if (bytes === undefined) throw new Malformed(`field ${field} is a number`);
    if (field === 1) partitionKeys.push(utf8(bytes));
    else if (field === 2) hashKeys.push(readHashKey(utf8(bytes)));
    else raw.push(bytes);
  }
  if (raw.length === 0) throw new Malformed("it holds no records");
  return raw.map((record) => readRecord(record, partitionKeys, hashKeys));
}

function readRecord(message: Uint8Array, partitionKeys: readonly string[], hashKeys: readonly bigint[]): UserRecord {
  let partitionKey: string | undefined;
  let explicitHashKey: bigint | undefined;
  let data: Uint8Array | undefined;
  for (const { field, number, bytes } of fieldsOf(message)) {
    if (field === 1) partitionKey = entryOf(partitionKeys, number);
    else if (field === 2) explicitHashKey = entryOf(hashKeys, number);
    else if (field === 3 && bytes === undefined) throw new Malformed("a record's data is a number");
    else if (field === 3) data = bytes;
  }
  if (partitionKey === undefined) throw new Malformed("a record has no partition key");
  if (data === undefined) throw new Malformed("a record has no data");
  return { partitionKey, explicitHashKey, bytes: data };
}

function entryOf<T>(table: readonly T[], index: number): T {
  const entry = table[index];
  if (entry === undefined) throw new Malformed(`a record names entry ${index} of a table of ${table.length}`);
  return entry;
}

function readHashKey(text: string): bigint {
  if (!/^\d{1,39}$/.test(text)) throw new Malformed("a hash key is no number");
  const hashKey = BigInt(text);
  // It would belong to no shard, and be left out as what belongs to another.
  if (hashKey > hashKeyMax) throw new Malformed("a hash key is beyond the hash space");
  return hashKey;
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}
