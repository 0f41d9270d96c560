/**
 * JSON, one value per record; in files one per line.
 *
 * J1 Integers are exact: a number where it holds what stands there, else a `bigint` where these are asked for, else the record is rejected.
 */
import { MillraceError, messageOf } from "../../base/errors.ts";
import { Rejection, type Encoded, type Format } from "./format.ts";
import { type Longs, mayHaveLongIntegers, parseExactly, stringifyExactly } from "./long-integers.ts";
import { type SchemaOrType, validator } from "./schema.ts";
import { utf8Text } from "./utf8.ts";

export interface JsonOptions {
  /**
   * What integers are read as that a number does not hold exactly, as ids of 64 bits may be. "number" (default) rejects their records;
   * "bigint" reads such an integer as one, and writes every `bigint` as an integer.
   */
  readonly longs?: Longs;
}

/** JSON values, checked by the schema if there is one. Bytes that are not UTF-8 are rejected. Throws `invalid` for options that cannot be. */
export function json<T = unknown>(schema?: SchemaOrType<T>, options?: JsonOptions): Format<T> {
  return jsonFormat("json", schema, options);
}

/** The same as `json()`, under the name that files of one JSON value per line go by. */
export function ndjson<T = unknown>(schema?: SchemaOrType<T>, options?: JsonOptions): Format<T> {
  return jsonFormat("ndjson", schema, options);
}

function jsonFormat<T>(name: string, schema: SchemaOrType<T> | undefined, { longs = "number" }: JsonOptions = {}): Format<T> {
  if (longs !== "number" && longs !== "bigint")
    throw new MillraceError("invalid", `longs is "number" or "bigint": ${String(longs)}`);
  const check = validator(schema);
  const parse = (encoded: Encoded): any => parseText(textOf(encoded), longs);
  return {
    name,
    extension: "ndjson",
    framing: { kind: "lines" },
    header: false,
    decode: check === undefined ? parse : (encoded) => check(parse(encoded)),
    encode: longs === "bigint" ? (value) => encodeWith(stringifyExactly, value) : encodeJsonLine,
  };
}

function textOf({ text, bytes }: Encoded): string {
  const found = text ?? utf8Text(bytes);
  if (found === undefined) throw new Rejection("not valid UTF-8");
  return found;
}

function parseText(text: string, longs: Longs): unknown {
  try {
    return mayHaveLongIntegers(text) ? parseExactly(text, longs) : JSON.parse(text);
  } catch (error) {
    if (error instanceof Rejection) throw error;
    throw new Rejection(`not valid JSON: ${messageOf(error)}`);
  }
}

/** A value as a line of JSON. Throws `invalid` for what JSON has no words for. */
export function encodeJsonLine(value: unknown): Uint8Array {
  return encodeWith(JSON.stringify, value);
}

function encodeWith(stringify: (value: unknown) => string | undefined, value: unknown): Uint8Array {
  return Buffer.from(`${textOfValue(stringify, value)}\n`);
}

function textOfValue(stringify: (value: unknown) => string | undefined, value: unknown): string {
  let text: string | undefined;
  try {
    text = stringify(value);
  } catch (cause) {
    throw new MillraceError("invalid", `cannot write a value as JSON: convert it before the sink: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (text !== undefined) return text;
  throw new MillraceError("invalid", `cannot write a value as JSON: convert it before the sink: ${typeof value}`);
}
