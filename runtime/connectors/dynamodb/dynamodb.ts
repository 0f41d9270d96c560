/**
 * A table of DynamoDB as a sink: the declaration and its pure half. The runtime half is adapters/aws/dynamo-sink.ts.
 *
 * U1 Of several changes of a row in one commit the last one counts, so a payload has each row once.
 * U2 What cannot be stored (a key that is missing, a value without a type, an item above the limit) is refused here: its row goes to the
 *    dead letters, and no commit holds what can never be written.
 */
import type { ChangeKind, Mode, Sink, SinkWriter, SinkWriterContext } from "../../api/connector.ts";
import { days, type Duration } from "../../api/duration.ts";
import type { Key, KeyPart } from "../../api/key.ts";
import { MillraceError } from "../../base/errors.ts";
import { decodeValue, encodeValue } from "../../base/message-pack.ts";
import * as is from "../../base/shape.ts";
import { attributesBytes, itemBytesMax, toAttributes } from "./attribute.ts";

export interface DynamodbOptions<T> {
  /** The table's logical name: a deployment binds it, else it is the table's own. */
  readonly table: string;
  /** The fields that are the table's keys: its partition key, and its sort key if it has one. */
  readonly key: readonly (keyof T & string)[];
  /** The attribute under which the sink keeps the row's version, a map; default "_millrace". */
  readonly versionAttribute?: string;
  /** The table's time-to-live attribute, if deleted rows shall go some time: set on them alone. */
  readonly expiresAttribute?: string;
  /** How long a deleted row is kept as a tombstone where `expiresAttribute` is set; longer than any process lives. Default 7 days. */
  readonly keepDeleted?: Duration;
}

/** What the runtime half must know: a DynamoDB sink's `options`. */
export interface DynamodbSettings {
  readonly table: string;
  readonly key: readonly string[];
  readonly versionAttribute: string;
  readonly expiresAttribute: string | undefined;
  readonly keepDeletedMs: number;
}

/** A row as it stands in a payload. */
export interface TableRow {
  /** The row as it shall be; of one that is deleted, its keys alone. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly deleted: boolean;
  /** It is said to be new: most likely there is none. */
  readonly isNew: boolean;
}

export interface TablePayload {
  /** Processing time of the commit, epoch ms. */
  readonly at: number;
  readonly rows: readonly TableRow[];
}

/** So many rows at once, at most. */
const rowsPerPayload = 500;
/** What the version takes at most, beside the names of the task and the operator. */
const versionBytes = 256;
const partitionKeyBytesMax = 2048;
const sortKeyBytesMax = 1024;

/**
 * Rows of a table, the last write of a key counts; changelogs with deletes too. Every row carries the version of the commit that wrote it
 * and is written over an older one alone, so it is written exactly once in effect, whatever is repeated. A deleted row stays, marked, as a
 * tombstone: readers leave out items with `<versionAttribute>.d`. Throws `invalid` for options that cannot be.
 */
export function dynamodb<T>(options: DynamodbOptions<T>): Sink<T, Mode> {
  const { table, key, versionAttribute = "_millrace", expiresAttribute, keepDeleted = days(7) } = options;
  const fields: readonly string[] = key;
  if (table === "") throw new MillraceError("invalid", "a DynamoDB sink needs the name of a table");
  if (fields.length < 1 || fields.length > 2 || fields.includes("") || fields[0] === fields[1])
    throw new MillraceError("invalid", `the key of a table is one field, or two: ${fields.join(", ")}`);
  const own = [versionAttribute, ...(expiresAttribute === undefined ? [] : [expiresAttribute])];
  if (own.includes("") || new Set([...own, ...fields]).size < own.length + fields.length)
    throw new MillraceError("invalid", `the sink's own attributes have names of their own: ${own.join(", ")}`);
  if (!(keepDeleted > 0)) throw new MillraceError("invalid", `keepDeleted is a positive length of time: ${keepDeleted}`);
  const settings: DynamodbSettings = { table, key: fields, versionAttribute, expiresAttribute, keepDeletedMs: keepDeleted };
  return {
    kind: "dynamodb",
    name: table,
    guarantee: "exactlyOnce",
    options: { ...settings },
    accepts: ["append", "upsert", "retract"],
    key: (value: Record<string, KeyPart>): Key =>
      fields.length === 1 ? value[fields[0]!]! : fields.map((field) => value[field]!),
    createWriter: (context) => new TableWriter(settings, own, context),
  };
}

const payloadShape = is.object({
  at: is.time,
  rows: is.listOf(is.object({ values: is.object({}), deleted: is.flag, isNew: is.flag })),
});

/** The rows of a payload. Throws `corrupt`. */
export function decodeTablePayload(payload: Uint8Array): TablePayload {
  const rows = decodeValue(payload);
  is.checkShape("a payload of a DynamoDB sink", rows, payloadShape);
  return rows as TablePayload;
}

class TableWriter implements SinkWriter<Readonly<Record<string, unknown>>> {
  readonly #settings: DynamodbSettings;
  /** Names that no row may have. */
  readonly #own: readonly string[];
  readonly #context: SinkWriterContext;
  #rows = new Map<string, TableRow>();

  constructor(settings: DynamodbSettings, own: readonly string[], context: SinkWriterContext) {
    this.#settings = settings;
    this.#own = own;
    this.#context = context;
  }

  add(value: Readonly<Record<string, unknown>>, _timestamp: number | undefined, change: ChangeKind): void {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new MillraceError("invalid", `a row of a table is an object with named fields: ${typeof value}`);
    const keys = this.#keysOf(value);
    const deleted = change === "-D" || change === "-U";
    if (!deleted) this.#check(value);
    const name = JSON.stringify(Object.values(keys).map((part) => [typeof part === "string", String(part)]));
    const isNew = this.#rows.get(name)?.isNew ?? change === "+I";
    this.#rows.set(name, { values: deleted ? keys : value, deleted, isNew });
  }

  flush(): readonly Uint8Array[] {
    const rows = [...this.#rows.values()];
    this.#rows = new Map();
    const payloads: Uint8Array[] = [];
    for (let from = 0; from < rows.length; from += rowsPerPayload) {
      const payload: TablePayload = { at: this.#context.now(), rows: rows.slice(from, from + rowsPerPayload) };
      payloads.push(encodeValue(payload));
    }
    return payloads;
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {
    this.#rows = new Map();
  }

  #keysOf(value: Readonly<Record<string, unknown>>): Record<string, KeyPart> {
    const { key } = this.#settings;
    return Object.fromEntries(key.map((field, n) => [field, checkKey(field, value[field], n === 0)]));
  }

  #check(value: Readonly<Record<string, unknown>>): void {
    const own = this.#own.find((name) => value[name] !== undefined);
    if (own !== undefined)
      throw new MillraceError("invalid", `a row has a field of the sink's own name, choose another versionAttribute: ${own}`);
    const { task, operator } = this.#context;
    const names = Buffer.byteLength(this.#settings.versionAttribute) + 2 * Buffer.byteLength(task) + Buffer.byteLength(operator);
    const sizeBytes = attributesBytes(toAttributes(value, "")) + versionBytes + names;
    if (sizeBytes <= itemBytesMax) return;
    throw new MillraceError(
      "invalid",
      `a row of a table may have ${itemBytesMax} bytes: ${this.#settings.table}, ${sizeBytes} bytes`,
    );
  }
}

function checkKey(field: string, value: unknown, isPartition: boolean): KeyPart {
  if (typeof value === "number" || typeof value === "bigint") {
    toAttributes({ [field]: value }, "");
    return value;
  }
  const sizeBytesMax = isPartition ? partitionKeyBytesMax : sortKeyBytesMax;
  if (typeof value === "string" && value !== "" && Buffer.byteLength(value) <= sizeBytesMax) return value;
  const message = `a key of a table is a number or text of 1 to ${sizeBytesMax} bytes`;
  throw new MillraceError(
    "invalid",
    `${message}: ${field} is ${typeof value === "string" ? `${value.length} long` : typeof value}`,
  );
}
