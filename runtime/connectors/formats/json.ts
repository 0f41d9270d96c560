/** JSON, one value per record; in files one per line. */
import { MillraceError, messageOf } from "../../base/errors.ts";
import { Rejection, type Encoded, type Format } from "./format.ts";
import { type SchemaOrType, validator } from "./schema.ts";
import { utf8Text } from "./utf8.ts";

/** JSON values, checked by the schema if there is one. Bytes that are not UTF-8 are rejected. */
export function json<T = unknown>(schema?: SchemaOrType<T>): Format<T> {
  return jsonFormat("json", schema);
}

/** The same as `json()`, under the name that files of one JSON value per line go by. */
export function ndjson<T = unknown>(schema?: SchemaOrType<T>): Format<T> {
  return jsonFormat("ndjson", schema);
}

function jsonFormat<T>(name: string, schema: SchemaOrType<T> | undefined): Format<T> {
  const check = validator(schema);
  return {
    name,
    extension: "ndjson",
    framing: { kind: "lines" },
    header: false,
    decode: check === undefined ? parse : (encoded) => check(parse(encoded)),
    encode: encodeJsonLine,
  };
}

function parse(encoded: Encoded): any {
  const text = encoded.text ?? utf8Text(encoded.bytes);
  if (text === undefined) throw new Rejection("not valid UTF-8");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Rejection(`not valid JSON: ${messageOf(error)}`);
  }
}

/** A value as a line of JSON. Throws `invalid` for what JSON has no words for. */
export function encodeJsonLine(value: unknown): Uint8Array {
  return Buffer.from(`${stringify(value)}\n`);
}

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new MillraceError("invalid", `cannot write a value as JSON: convert it before the sink: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (text !== undefined) return text;
  throw new MillraceError("invalid", `cannot write a value as JSON: convert it before the sink: ${typeof value}`);
}
