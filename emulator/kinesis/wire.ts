/**
 * The protocols that Kinesis' callers speak, apart from HTTP's version: which operation a request names, how its body is read and
 * the answer's written.
 *
 * | protocol | operation stands in | body | times in |
 * |---|---|---|---|
 * | AWS JSON 1.1 (most SDKs, the AWS CLI) | header x-amz-target | JSON, blobs as base64 | seconds |
 * | AWS CBOR 1.1 (SDKs for Java) | header x-amz-target | CBOR | milliseconds |
 * | Smithy RPC v2 CBOR | path | CBOR | seconds |
 */
import { decodeCbor, encodeCbor, type UnitsPerSecond } from "./cbor.ts";
import { KinesisError } from "./kinesis-error.ts";

export interface Wire {
  readonly contentType: string;
  /** Sent with every answer, beside the content type. */
  readonly headers: Readonly<Record<string, string>>;
  decode(body: Buffer): unknown;
  encode(value: unknown): Buffer;
  /** How an error's type is written. */
  errorType(type: string): string;
}

const target = /^Kinesis_20131202\.(\w+)$/;
const path = /^\/service\/Kinesis_20131202\/operation\/(\w+)$/;

export const jsonWire: Wire = {
  contentType: "application/x-amz-json-1.1",
  headers: {},
  decode: decodeJson,
  encode: (value) => Buffer.from(JSON.stringify(jsonOf(value))),
  errorType: (type) => type,
};

const amzCborWire = cborWire("application/x-amz-cbor-1.1", 1000, {}, (type) => type);
const rpcCborWire = cborWire(
  "application/cbor",
  1,
  { "smithy-protocol": "rpc-v2-cbor" },
  (type) => `com.amazonaws.kinesis#${type}`,
);

/** Names of request headers in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The protocol of a request, and the operation that it names; undefined when it names none of Kinesis. */
export function recogniseWire(url: string, headers: Headers): { readonly wire: Wire; readonly operation: string | undefined } {
  const [, byPath] = path.exec(url) ?? [];
  if (byPath !== undefined) return { wire: rpcCborWire, operation: byPath };
  const [, byTarget] = target.exec(String(headers["x-amz-target"] ?? "")) ?? [];
  const isCbor = String(headers["content-type"] ?? "").startsWith(amzCborWire.contentType);
  return { wire: isCbor ? amzCborWire : jsonWire, operation: byTarget };
}

function cborWire(
  contentType: string,
  units: UnitsPerSecond,
  headers: Wire["headers"],
  errorType: (type: string) => string,
): Wire {
  return {
    contentType,
    headers,
    decode: (body) => (body.length === 0 ? {} : decodeCbor(body, units)),
    encode: (value) => encodeCbor(value, units),
    errorType,
  };
}

function decodeJson(body: Buffer): unknown {
  try {
    return body.length === 0 ? {} : JSON.parse(body.toString());
  } catch (error) {
    throw new KinesisError("SerializationException", `not JSON: ${body.length} bytes, ${(error as Error).message}`);
  }
}

/** Blobs as base64, times as seconds. */
function jsonOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64");
  if (value instanceof Date) return value.getTime() / 1000;
  if (Array.isArray(value)) return value.map(jsonOf);
  const members: Record<string, unknown> = {};
  for (const name in value) members[name] = jsonOf((value as Record<string, unknown>)[name]);
  return members;
}
