/**
 * Avro (https://avro.apache.org), by the library avsc: the package `millrace/avro`, apart from the rest since a job that does not use it
 * should not carry the library.
 *
 * A record is the bytes of one value in Avro's binary encoding, alone or behind the id of a schema in a registry. It is decoded by the schema
 * that it was written with, and brought into the form of the job's by Avro's rules of schema resolution: fields that are new have their
 * defaults, fields that are gone are left out, names may have aliases, numbers may have become wider. A symbol that the job's enum lacks is
 * the enum's default, else its record is rejected: others of the same schema are read.
 *
 * Values: records and maps are objects, enums text, bytes and fixed `Uint8Array`. A union's value stands for itself where that is
 * unambiguous, else as `{ type: value }`. Logical types are what they are written as: a date is a number of days.
 */
import avsc, { type Schema as AvroSchema, type Type, type types } from "avsc";
import type { WriterSchema } from "../../api/connector.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import type { RegistryDeclaration } from "../registry/record-schemas.ts";
import { avroBounds } from "./avro-bounds.ts";
import { type Encoded, type Format, Rejection } from "./format.ts";
import { schemaIdOf, type SchemaFraming, withFrame, withoutFrame } from "./schema-frame.ts";
import { type SchemaOrType, validator } from "./schema.ts";

export { confluentRegistry, type ConfluentRegistryOptions } from "../registry/confluent.ts";

export interface AvroOptions<T> {
  /** The form that values are to have: an Avro schema, as an object or as its JSON. Needed without a registry; default: the writer's own. */
  readonly schema?: object | string;
  /** What records were written with, where that is another schema and no registry has it. Default: `schema`. */
  readonly writerSchema?: object | string;
  /** Where the schemas are that records name. */
  readonly registry?: RegistryDeclaration;
  /** For writing with a registry: the id that `schema` has there. */
  readonly schemaId?: string | number;
  /** What a `long` is read as. "number" (default) rejects what a number cannot hold exactly; "bigint" needs no limit. */
  readonly longs?: "number" | "bigint";
  /** Checks values beyond their form. */
  readonly check?: SchemaOrType<T>;
}

/** What decodes values that were written with one schema. */
type Read = (body: Buffer) => unknown;

/** Schemas that are kept ready for decoding. */
const readsMax = 1_000;

/** Avro values, one per record. Throws `invalid` for schemas that are none, or that do not fit each other. */
export function avro<T = unknown>(options: AvroOptions<T>): Format<T> {
  const { schema, writerSchema, registry, longs = "number" } = options;
  if (schema === undefined && registry === undefined)
    throw new MillraceError("invalid", "avro needs a schema, or the registry that has those of its records");
  if (registry !== undefined && writerSchema !== undefined)
    throw new MillraceError("invalid", "with a registry, records name what they were written with: leave writerSchema out");
  if (longs !== "number" && longs !== "bigint")
    throw new MillraceError("invalid", `longs is "number" or "bigint": ${String(longs)}`);
  const reader = schema === undefined ? undefined : ours(() => parseSchema(schema, [], longs));
  const check = validator(options.check);
  const read =
    registry === undefined
      ? readPlain(ours(() => readerOf(parseSchema(writerSchema ?? schema!, [], longs), reader!)))
      : readFramed(registry.kind, reader, longs);
  return {
    name: "avro",
    extension: "avro.b64",
    framing: { kind: "base64Lines" },
    header: false,
    decode: check === undefined ? (encoded) => read(encoded) as T : (encoded) => check(read(encoded)),
    encode: encoderOf(options, reader),
    readOnly: readOnlyOf(options),
    schemas: registry && { registry, idOf: (bytes) => schemaIdOf(bytes, registry.kind) },
  };
}

function readPlain(read: Read): (encoded: Encoded) => unknown {
  return ({ bytes }) => read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

function readFramed(framing: SchemaFraming, reader: Type | undefined, longs: "number" | "bigint"): (encoded: Encoded) => unknown {
  const reads = new Map<string, Read>();
  return ({ bytes, schema }) => {
    const body = withoutFrame(bytes, framing);
    if (schema === undefined) throw new Rejection("the record's schema was not fetched: its source does not use a registry");
    let read = reads.get(schema.id);
    if (read === undefined) {
      read = readWritten(schema, reader, longs);
      if (reads.size >= readsMax) reads.delete(reads.keys().next().value!);
      reads.set(schema.id, read);
    }
    return read(body);
  };
}

/** A schema that cannot be read rejects all its records. */
function readWritten(schema: WriterSchema, reader: Type | undefined, longs: "number" | "bigint"): Read {
  try {
    const writer = parseSchema(schema.definition, schema.references, longs);
    return readerOf(writer, reader ?? writer);
  } catch (error) {
    const reason = `schema ${schema.id} cannot be read as the job's: ${messageOf(error)}`;
    return () => {
      throw new Rejection(reason);
    };
  }
}

/** Throws when the schemas do not fit. */
function readerOf(writer: Type, reader: Type): Read {
  const isWithin = avroBounds(writer);
  const resolver = writer.equals(reader) ? undefined : resolverOf(writer, reader);
  return (body) => {
    isWithin(body);
    try {
      return reader.fromBuffer(body, resolver);
    } catch (error) {
      throw new Rejection(`not a record of its schema: ${messageOf(error)}`);
    }
  };
}

/** Types match by their full names, else by what stands behind the last point, as the specification has it (Schema Resolution). */
function resolverOf(writer: Type, reader: Type) {
  try {
    return reader.createResolver(writer);
  } catch {
    return reader.createResolver(writer, { ignoreNamespaces: true });
  }
}

/** Throws what the library throws. */
function parseSchema(schema: object | string, references: WriterSchema["references"], longs: "number" | "bigint"): Type {
  const registry: Record<string, Type> = {};
  // Once in a schema, names of types stand for what they were first.
  const typeHook = (part: unknown, opts: unknown) => openEnum(part, opts) ?? (longs === "bigint" ? bigLongs(part) : undefined);
  const options = { registry, omitRecordMethods: true, typeHook };
  for (const { definition } of references) avsc.Type.forSchema(jsonOf(definition) as AvroSchema, options);
  return avsc.Type.forSchema((typeof schema === "string" ? jsonOf(schema) : schema) as AvroSchema, options);
}

/** A schema may be the bare name of a type. */
function jsonOf(text: string): unknown {
  const trimmed = text.trim();
  return /^[A-Za-z_]/.test(trimmed) ? trimmed : JSON.parse(trimmed);
}

function openEnum(schema: unknown, opts: unknown): Type | undefined {
  return (schema as { type?: unknown } | null)?.type === "enum" ? new OpenEnum(schema as never, opts as never) : undefined;
}

/** What the library does not say of its types: how one is read as another. */
interface Resolving {
  _update(
    resolver: { symbols?: readonly string[]; _read?: (tap: { readLong(): number }) => string },
    type: Type,
    opts: object,
  ): void;
}

/**
 * An enum as the specification has it: that two enums fit is decided by their names, and what a symbol is read as by the symbol. The
 * library refuses a schema for symbols that may never come.
 */
class OpenEnum extends (avsc.types.EnumType as unknown as new (schema: never, opts: never) => types.EnumType & Resolving) {
  override _update(resolver: Parameters<Resolving["_update"]>[0], type: Type, opts: object): void {
    if (type.typeName !== "enum") return;
    const { symbols } = type as types.EnumType;
    const own = new Set(this.symbols);
    const known = symbols.filter((symbol) => own.has(symbol));
    super._update(resolver, Object.create(type, { symbols: { value: known } }) as Type, opts);
    // Their names do not fit.
    if (resolver._read === undefined) return;
    const { default: otherwise } = this as unknown as { readonly default?: string };
    resolver._read = (tap) => {
      const symbol = symbols[tap.readLong()]!;
      const read = own.has(symbol) ? symbol : otherwise;
      if (read === undefined) throw new Error(`enum ${this.name} has no ${symbol}, nor a default`);
      return read;
    };
  }
}

function bigLongs(schema: unknown): Type | undefined {
  const isLong = schema === "long" || (schema as { type?: unknown } | null)?.type === "long";
  return isLong ? bigLong : undefined;
}

const bigLong = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: (value: number | string) => BigInt(value),
  toJSON: (value: bigint) => Number(value),
  isValid: (value: unknown) => typeof value === "bigint" && BigInt.asIntN(64, value) === value,
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
}) as unknown as Type;

// ---- writing ----

function encoderOf<T>({ registry, schemaId }: AvroOptions<T>, type: Type | undefined): (value: T) => Uint8Array {
  return (value) => {
    let body: Buffer;
    try {
      body = type!.toBuffer(value);
    } catch (cause) {
      throw new MillraceError("invalid", `cannot write a value as Avro: ${messageOf(cause)}`, { cause });
    }
    return registry === undefined ? body : withFrame(body, registry.kind, String(schemaId));
  };
}

function readOnlyOf({ schema, writerSchema, registry, schemaId }: AvroOptions<any>): string | undefined {
  if (schema === undefined) return "give avro() the schema to write";
  if (writerSchema !== undefined) return "values are written with `schema`: leave writerSchema out";
  return registry !== undefined && schemaId === undefined
    ? "give avro() the schemaId that its schema has in the registry"
    : undefined;
}

function ours<R>(work: () => R): R {
  try {
    return work();
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError("invalid", `avro: ${messageOf(error)}`, { cause: error });
  }
}
