/** Aggregated records as the Kinesis Producer Library writes them: written here anew, from its format alone. */
import { createHash } from "node:crypto";

export interface Put {
  readonly partitionKey: string;
  readonly explicitHashKey?: bigint | undefined;
  readonly data: Uint8Array;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) + 128);
  }
}

function lengthDelimited(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

/** The message alone. */
export function messageOf(puts: readonly Put[]): Buffer {
  const keys = [...new Set(puts.map(({ partitionKey }) => partitionKey))];
  const hashKeys = [...new Set(puts.flatMap(({ explicitHashKey }) => explicitHashKey ?? []))];
  const records = puts.map(({ partitionKey, explicitHashKey, data }) =>
    Buffer.concat([
      number(1, keys.indexOf(partitionKey)),
      ...(explicitHashKey === undefined ? [] : [number(2, hashKeys.indexOf(explicitHashKey))]),
      lengthDelimited(3, data),
      lengthDelimited(4, lengthDelimited(1, Buffer.from("a tag"))),
    ]),
  );
  return Buffer.concat([
    ...keys.map((key) => lengthDelimited(1, Buffer.from(key))),
    ...hashKeys.map((key) => lengthDelimited(2, Buffer.from(String(key)))),
    ...records.map((record) => lengthDelimited(3, record)),
  ]);
}

/** With magic bytes and digest around it. */
export function sealed(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0xf3, 0x89, 0x9a, 0xc2]), message, createHash("md5").update(message).digest()]);
}

export function aggregateOf(puts: readonly Put[]): Buffer {
  return sealed(messageOf(puts));
}
