/**
 * The bytes before a record that say which schema of a registry it was written with.
 *
 * confluent: a zero byte, the schema's id (4 bytes, big-endian), the record.
 * glue: a byte 3, a byte for the compression (0: none, 5: zlib), the UUID of the schema's version (16 bytes), the record.
 *
 * Sources: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop (Wire format);
 * https://github.com/awslabs/aws-glue-schema-registry (AWSSchemaRegistryConstants)
 */
import { deflateSync, inflateSync } from "node:zlib";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { Rejection } from "./format.ts";

export type SchemaFraming = "confluent" | "glue";

const confluentBytes = 5;
const glueBytes = 18;
const glueVersion = 3;
const uncompressed = 0;
const zlib = 5;
/** What a record may come to when it is decompressed: as much as a record of Kinesis ever has. */
const inflatedBytesMax = 10 << 20;

/** The id that the bytes name; undefined: they do not begin as this framing does. */
export function schemaIdOf(bytes: Uint8Array, framing: SchemaFraming): string | undefined {
  if (framing === "confluent")
    return bytes.length >= confluentBytes && bytes[0] === 0 ? String(viewOf(bytes).readUInt32BE(1)) : undefined;
  const isGlue = bytes.length >= glueBytes && bytes[0] === glueVersion && (bytes[1] === uncompressed || bytes[1] === zlib);
  return isGlue ? uuidOf(viewOf(bytes).toString("hex", 2, glueBytes)) : undefined;
}

/** The record behind the bytes that name its schema. Throws `Rejection`. */
export function withoutFrame(bytes: Uint8Array, framing: SchemaFraming): Buffer {
  if (schemaIdOf(bytes, framing) === undefined)
    throw new Rejection(`no schema id of the ${framing} registry stands before the record`);
  if (framing === "confluent") return viewOf(bytes).subarray(confluentBytes);
  const body = viewOf(bytes).subarray(glueBytes);
  if (bytes[1] === uncompressed) return body;
  try {
    return inflateSync(body, { maxOutputLength: inflatedBytesMax });
  } catch (error) {
    throw new Rejection(`the record cannot be decompressed: ${messageOf(error)}`);
  }
}

/** A record with the bytes before it that name its schema. Throws `invalid` for an id that cannot be. */
export function withFrame(body: Uint8Array, framing: SchemaFraming, schemaId: string, compress = false): Buffer {
  if (framing === "confluent") {
    const id = Number(schemaId);
    if (!/^\d{1,10}$/.test(schemaId) || id > 0xffff_ffff)
      throw new MillraceError("invalid", `the id of a schema is a whole number: ${schemaId}`);
    const header = Buffer.alloc(confluentBytes);
    header.writeUInt32BE(id, 1);
    return Buffer.concat([header, body]);
  }
  const uuid = schemaId.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/i.test(uuid)) throw new MillraceError("invalid", `the id of a schema's version is a UUID: ${schemaId}`);
  const header = Buffer.from([glueVersion, compress ? zlib : uncompressed]);
  return Buffer.concat([header, Buffer.from(uuid, "hex"), compress ? deflateSync(body) : body]);
}

function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
