/**
 * Protocol Buffers (https://protobuf.dev), by the library protobufjs: the package `millrace/protobuf`, apart from the rest since a job that does
 * not use it should not carry the library.
 *
 * A record is the bytes of one message, alone or behind the id of a schema in a registry. It is decoded by the message that the job declares:
 * fields have numbers, so messages that were written with an older or a newer form of it are read by the same.
 *
 * Values are plain objects, fields by the names that the schema gives them: repeated fields are arrays and maps objects, both always there,
 * a map's keys as text;
 * enums the names of their values, or the number where it has no name; bytes `Uint8Array`. A field without presence has its default, one
 * with presence is undefined where the record does not have it.
 */
import protobufjs, { type Type } from "protobufjs";
import type { WriterSchema } from "../../api/connector.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import type { RegistryDeclaration } from "../registry/record-schemas.ts";
import { type Encoded, type Format, Rejection } from "./format.ts";
import { checkFits } from "./protobuf-fits.ts";
import { schemaIdOf, type SchemaFraming, withFrame, withoutFrame } from "./schema-frame.ts";
import { type SchemaOrType, validator } from "./schema.ts";

export { confluentRegistry, type ConfluentRegistryOptions } from "../registry/confluent.ts";

export interface ProtobufOptions<T> {
  /** The schema: its text in the Protobuf language, or a descriptor as JSON (an object with `nested`). */
  readonly schema: string | object;
  /** The full name of the records' message: "shop.v1.PageView". */
  readonly message: string;
  /** Schemas that the schema imports, by the names that it imports them by. Google's own well-known types are there. */
  readonly imports?: Readonly<Record<string, string | object>>;
  /** Where the schemas are that records name: records of other messages are rejected. */
  readonly registry?: RegistryDeclaration;
  /** Without a registry: what stands before each record, and is passed over. Default: nothing. */
  readonly framing?: SchemaFraming;
  /** For writing with a registry or framing: the id that `schema` has there. */
  readonly schemaId?: string | number;
  /** What 64-bit numbers are read as. "number" (default) rejects what a number cannot hold exactly; "bigint" needs no limit. */
  readonly longs?: "number" | "bigint";
  /** Checks values beyond their form. */
  readonly check?: SchemaOrType<T>;
}

const depthMax = 100;
const namesMax = 1_000;

/** Messages, one per record. Throws `invalid` for a schema that is none, or does not have the message. */
export function protobuf<T = unknown>(options: ProtobufOptions<T>): Format<T> {
  const { schema, message, imports = {}, registry, framing = registry?.kind, schemaId, longs = "number" } = options;
  if (longs !== "number" && longs !== "bigint")
    throw new MillraceError("invalid", `longs is "number" or "bigint": ${String(longs)}`);
  const type = ours(() => lookUp(parseSchema(schema, imports), message));
  const check = validator(options.check);
  const bodyOf =
    framing === undefined ? plainBody : framedBody(framing, registry === undefined ? undefined : messageNames(), type);
  const read = (encoded: Encoded) => decodeMessage(type, bodyOf(encoded), longs);
  return {
    name: "protobuf",
    extension: "pb.b64",
    framing: { kind: "base64Lines" },
    header: false,
    decode: check === undefined ? (encoded) => read(encoded) as T : (encoded) => check(read(encoded)),
    encode: (value) => encodeMessage(type, value, framing, schemaId),
    readOnly:
      framing !== undefined && schemaId === undefined
        ? "give protobuf() the schemaId that its schema has in the registry"
        : undefined,
    schemas: registry && { registry, idOf: (bytes) => schemaIdOf(bytes, registry.kind) },
  };
}

// ---- schemas ----

function parseSchema(schema: string | object, imports: NonNullable<ProtobufOptions<any>["imports"]>): protobufjs.Root {
  const root = new protobufjs.Root();
  const waiting: (string | object)[] = [schema];
  const seen = new Set<string>();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== "string") {
      root.addJSON((next as protobufjs.INamespace).nested ?? {});
      continue;
    }
    const { imports: named = [], weakImports = [] } = protobufjs.parse(next, root, { keepCase: true });
    for (const name of [...named, ...weakImports]) {
      if (seen.has(name)) continue;
      seen.add(name);
      const found = imports[name] ?? protobufjs.common.get(name);
      if (found === undefined || found === null) throw new Error(`it imports what is not given, name it in imports: ${name}`);
      waiting.push(found);
    }
  }
  root.resolveAll();
  return root;
}

function lookUp(root: protobufjs.Root, message: string): Type {
  const found = root.lookup(message.replace(/^\.?/, "."));
  if (found instanceof protobufjs.Type) return found;
  throw new Error(`the schema has no message of this name: ${message}`);
}

function ours<R>(work: () => R): R {
  try {
    return work();
  } catch (error) {
    throw new MillraceError("invalid", `protobuf: ${messageOf(error)}`, { cause: error });
  }
}

// ---- what stands before a record ----

function plainBody({ bytes }: Encoded): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

type NameOf = (schema: WriterSchema | undefined, path: readonly number[]) => string;

/** Confluent's serialiser says which message of the schema it is, Glue's too. */
function framedBody(framing: SchemaFraming, nameOf: NameOf | undefined, type: Type): (encoded: Encoded) => Buffer {
  const own = type.fullName.replace(/^\./, "");
  return ({ bytes, schema }) => {
    const framed = withoutFrame(bytes, framing);
    const { path, body } = framing === "confluent" ? readMessagePath(framed) : readMessageNumber(framed);
    if (nameOf === undefined) return body;
    // Glue numbers messages in an order of its own, which is not documented: nothing is looked up by it.
    if (framing === "glue") return body;
    const name = nameOf(schema, path);
    if (name !== own) throw new Rejection(`the record is a ${name}, and not a ${own}`);
    return body;
  };
}

/** The places of the message and of those that it is declared in, each a zigzag varint, behind their number; of the first, 0 alone. */
function readMessagePath(bytes: Buffer): { readonly path: readonly number[]; readonly body: Buffer } {
  const reader = new VarintReader(bytes);
  const count = reader.zigzag();
  if (count === 0) return { path: [0], body: reader.rest };
  if (count < 0 || count > depthMax) throw new Rejection(`the record names its message by ${count} places`);
  return { path: Array.from({ length: count }, () => reader.zigzag()), body: reader.rest };
}

function readMessageNumber(bytes: Buffer): { readonly path: readonly number[]; readonly body: Buffer } {
  const reader = new VarintReader(bytes);
  return { path: [reader.varint()], body: reader.rest };
}

class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Rejection("the record does not say which message it is");
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  get rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}

/** The name of the message at a place in a writer's schema. */
function messageNames(): NameOf {
  const known = new Map<string, string | Rejection>();
  return (schema, path) => {
    if (schema === undefined) throw new Rejection("the record's schema was not fetched: its source does not use a registry");
    const place = `${schema.id}/${path.join(".")}`;
    let name = known.get(place);
    if (name === undefined) {
      name = nameAt(schema, path);
      if (known.size >= namesMax) known.delete(known.keys().next().value!);
      known.set(place, name);
    }
    if (name instanceof Rejection) throw name;
    return name;
  };
}

function nameAt({ id, definition }: WriterSchema, path: readonly number[]): string | Rejection {
  try {
    const root = new protobufjs.Root();
    const { package: within } = protobufjs.parse(definition, root, { keepCase: true });
    let at: protobufjs.NamespaceBase = within === undefined ? root : (root.lookup(within) as protobufjs.NamespaceBase);
    for (const place of path) {
      const messages = at.nestedArray.filter((nested) => nested instanceof protobufjs.Type);
      const message = messages[place];
      if (message === undefined) return new Rejection(`schema ${id} has no message at ${path.join(".")}`);
      at = message;
    }
    return at.fullName.replace(/^\./, "");
  } catch (error) {
    return new Rejection(`schema ${id} cannot be read: ${messageOf(error)}`);
  }
}

// ---- values ----

function decodeMessage(type: Type, body: Buffer, longs: "number" | "bigint"): unknown {
  try {
    const reader = protobufjs.Reader.create(body);
    // What the job does not know is of no use to it, and takes memory.
    reader.discardUnknown = true;
    return plainMessage(type, type.decode(reader) as unknown as Record<string, unknown>, longs, 0);
  } catch (error) {
    if (error instanceof Rejection) throw error;
    throw new Rejection(`not a ${type.fullName.slice(1)}: ${messageOf(error)}`);
  }
}

function plainMessage(type: Type, message: Record<string, unknown>, longs: "number" | "bigint", depth: number): unknown {
  if (depth > depthMax) throw new Rejection(`nested over ${depthMax} levels`);
  const plain: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const value = message[field.name];
    const one = (each: unknown) => plainValue(field, each, longs, depth);
    if (field instanceof protobufjs.MapField)
      plain[field.name] = Object.fromEntries(Object.entries(value ?? {}).map(([key, each]) => [keyOf(field, key), one(each)]));
    else if (field.repeated) plain[field.name] = ((value ?? []) as readonly unknown[]).map(one);
    else if (hasValue(field, message)) plain[field.name] = one(value);
  }
  return plain;
}

/** The library keeps 64-bit keys as eight characters, one for each byte. */
function keyOf({ keyType }: protobufjs.MapField, key: string): string {
  if (!keyType.endsWith("64")) return key;
  const bytes = Buffer.from(key, "latin1");
  return String(keyType === "uint64" || keyType === "fixed64" ? bytes.readBigUInt64LE() : bytes.readBigInt64LE());
}

/** A message within has presence, whatever the syntax. */
function hasValue(field: protobufjs.Field, message: Record<string, unknown>): boolean {
  if (field.resolvedType instanceof protobufjs.Type) return message[field.name] !== null && message[field.name] !== undefined;
  return !field.hasPresence || Object.hasOwn(message, field.name);
}

function plainValue(field: protobufjs.Field, value: unknown, longs: "number" | "bigint", depth: number): unknown {
  const { resolvedType, name } = field;
  if (resolvedType instanceof protobufjs.Enum) return resolvedType.valuesById[value as number] ?? value;
  if (resolvedType instanceof protobufjs.Type)
    return plainMessage(resolvedType, value as Record<string, unknown>, longs, depth + 1);
  if (/64$/.test(field.type)) return plainLong(value, longs, name);
  if (field.type === "bytes") return Uint8Array.from(value as Iterable<number>);
  return value;
}

function plainLong(value: unknown, longs: "number" | "bigint", field: string): number | bigint {
  const exact = BigInt(String(value));
  if (longs === "bigint") return exact;
  const number = Number(exact);
  if (Number.isSafeInteger(number)) return number;
  throw new Rejection(`a number does not hold ${exact} exactly, read longs as "bigint": ${field}`);
}

function encodeMessage(
  type: Type,
  value: unknown,
  framing: SchemaFraming | undefined,
  schemaId: string | number | undefined,
): Uint8Array {
  let body: Uint8Array;
  try {
    checkFits(type, value);
    const message = type.fromObject(value as Record<string, unknown>);
    body = type.encode(message).finish();
  } catch (cause) {
    throw new MillraceError("invalid", `cannot write a value as a ${type.fullName.slice(1)}: ${messageOf(cause)}`, { cause });
  }
  if (framing === undefined) return body;
  return withFrame(Buffer.concat([placeOf(type, framing), body]), framing, String(schemaId));
}

/** As `readMessagePath` reads it. */
function placeOf(type: Type, framing: SchemaFraming): Buffer {
  const path: number[] = [];
  for (let at: protobufjs.ReflectionObject | null = type; at instanceof protobufjs.Type; at = at.parent)
    path.unshift(at.parent!.nestedArray.filter((nested) => nested instanceof protobufjs.Type).indexOf(at));
  if (framing === "glue") return Buffer.from(varintOf(path.length === 1 ? path[0]! : 0));
  if (path.length === 1 && path[0] === 0) return Buffer.of(0);
  return Buffer.from([path.length, ...path].flatMap((place) => varintOf(place * 2)));
}

function varintOf(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varintOf(Math.floor(value / 128))];
}
