/**
 * Changes of a table as Debezium captures them from a database's log: each record an envelope {op, before, after, source, ts_ms}, bare or as
 * the payload of one with its schema.
 *
 * D1 A record is the changes of one row: of a retract stream, an update is -U and +U; of an upsert stream, +U alone.
 * D2 What takes no row back or adds one (truncate, message, heartbeat) cannot stand in a changelog: it is rejected, not passed over. Only the
 *    tombstone that follows each delete, a record without bytes, says nothing new and is no change.
 * D3 Where the database does not log a large value that an update left as it was, Debezium writes a text in its place. That is no row's value:
 *    such a row is rejected.
 *
 * Source: https://debezium.io/documentation/reference/stable/connectors/postgresql.html (Data change events)
 */
import type { Change } from "../../api/changelog-stream.ts";
import { MillraceError } from "../../base/errors.ts";
import { type Encoded, type Format, type FormatOfMany, Rejection } from "./format.ts";
import { json } from "./json.ts";
import { onlyOne } from "./only-one.ts";
import { type SchemaOrType, validator } from "./schema.ts";

export interface ChangeFormatOptions<T> {
  /**
   * "upsert": the key says which row; deletes may have nothing but the key. "retract": -U and -D have the whole row as it was, which the
   * database must be told to log (of PostgreSQL, REPLICA IDENTITY FULL; of DynamoDB, NEW_AND_OLD_IMAGES).
   */
  readonly mode: "upsert" | "retract";
  /** Checks each row. Of an upsert stream, rows of deletes are not checked: they may be keys alone. */
  readonly schema?: SchemaOrType<T>;
}

export interface DebeziumOptions<T> extends ChangeFormatOptions<T> {
  /** How envelopes are written. Default: JSON; `avro({ registry })` for Avro. */
  readonly format?: Format<any>;
}

/** What an envelope may hold, as far as it is used. */
interface Envelope {
  readonly op?: unknown;
  readonly before?: unknown;
  readonly after?: unknown;
}

const readOnly = "envelopes of changes are only read: write json()";

/** For `asChangelog`. Throws `invalid` for options that cannot be. */
export function debezium<T>({ mode, schema, format = json() }: DebeziumOptions<T>): FormatOfMany<Change<T>> {
  checkMode(mode);
  const changesOf = rowChanges(
    mode,
    schema,
    "the database does not log rows as they were (of PostgreSQL: REPLICA IDENTITY FULL)",
  );
  const decodeAll = (encoded: Encoded): readonly Change<T>[] => {
    // Kafka's tombstone.
    if (encoded.bytes.length === 0) return [];
    const { op, before, after } = envelopeOf(format.decode(encoded));
    switch (op) {
      case "c":
      case "r":
        return changesOf("insert", undefined, after);
      case "u":
        checkLogged(after);
        return changesOf("update", before, after);
      case "d":
        return changesOf("delete", before, undefined);
      default:
        throw new Rejection(`Debezium's operation ${describe(op)} is no change of a row`);
    }
  };
  const { name, extension, framing, header, schemas } = format;
  return {
    ...{ name: `debezium(${name})`, extension, framing, header, schemas, readOnly },
    ...{ decodeAll, decode: onlyOne(decodeAll) },
    encode: () => {
      throw new MillraceError("invalid", readOnly);
    },
  };
}

const unlogged = "__debezium_unavailable_value";
const unloggedForms = new Set([unlogged, Buffer.from(unlogged).toString("base64")]);

/** D3. In bytes, in base64 and as the only element of an array it stands too. */
function checkLogged(row: unknown): void {
  if (!isRecord(row)) return;
  for (const [column, value] of Object.entries(row)) {
    const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
    const text = one instanceof Uint8Array && one.length === unlogged.length ? Buffer.from(one).toString("latin1") : one;
    if (typeof text === "string" && unloggedForms.has(text))
      throw new Rejection(
        `the database does not log what an update leaves as it was (of PostgreSQL: REPLICA IDENTITY FULL): column ${column}`,
      );
  }
}

/** With a schema, the envelope is its payload. */
function envelopeOf(value: unknown): Envelope {
  if (!isRecord(value)) throw new Rejection("not an envelope of Debezium: it is not an object");
  const inner = "payload" in value && !("op" in value) ? value.payload : value;
  if (!isRecord(inner) || !("op" in inner)) throw new Rejection("not an envelope of Debezium: it has no op");
  return inner;
}

/** The changes that rows before and after make. */
export type RowChanges<T> = (what: "insert" | "update" | "delete", before: unknown, after: unknown) => readonly Change<T>[];

/** `advice`: why there may be no row as it was. */
export function rowChanges<T>(mode: "upsert" | "retract", schema: SchemaOrType<T> | undefined, advice: string): RowChanges<T> {
  const check = validator(schema) ?? ((value: unknown) => value as T);
  const rowOf = (row: unknown, what: string): T => {
    if (isRecord(row)) return check(row);
    throw new Rejection(`${what} has no row${row === null || row === undefined ? `: ${advice}` : `, but ${describe(row)}`}`);
  };
  return (what, before, after) => {
    if (what === "insert") return [{ kind: "+I", value: rowOf(after, "an insert") }];
    if (what === "delete") {
      if (mode === "upsert" && isRecord(before)) return [{ kind: "-D", value: before as T }];
      return [{ kind: "-D", value: rowOf(before, "a delete") }];
    }
    const updated = { kind: "+U", value: rowOf(after, "an update") } as const;
    return mode === "upsert" ? [updated] : [{ kind: "-U", value: rowOf(before, "what an update takes back") }, updated];
  };
}

export function checkMode(mode: unknown): void {
  if (mode !== "upsert" && mode !== "retract")
    throw new MillraceError("invalid", `the mode of changes is "upsert" or "retract": ${String(mode)}`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 20)) : typeof value;
}
