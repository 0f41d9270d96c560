/** What applications write and jobs read: formats, and what producers pack records into. A record is values or a rejection. */
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { glueRegistry } from "../../runtime/adapters/aws/glue.ts";
import type { SourceRecord, WriterSchema } from "../../runtime/api/connector.ts";
import { id, type Position } from "../../runtime/base/ids.ts";
import { eventBridge } from "../../runtime/connectors/event-bridge/event-bridge.ts";
import { RecordCutter } from "../../runtime/connectors/files/record-cutter.ts";
import { accessLog } from "../../runtime/connectors/formats/access-log.ts";
import { avro, confluentRegistry } from "../../runtime/connectors/formats/avro.ts";
import { csv } from "../../runtime/connectors/formats/csv.ts";
import { debezium } from "../../runtime/connectors/formats/debezium.ts";
import { dynamodbChanges } from "../../runtime/connectors/formats/dynamodb-changes.ts";
import {
  encodeRecord,
  type Format,
  type FormatOfMany,
  type Framing,
  Rejection,
} from "../../runtime/connectors/formats/format.ts";
import { framed } from "../../runtime/connectors/formats/framed.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { protobuf } from "../../runtime/connectors/formats/protobuf.ts";
import { readAggregate } from "../../runtime/connectors/kinesis/kpl.ts";
import { placeOf, unpack } from "../../runtime/connectors/kinesis/unpack.ts";
import { sqs } from "../../runtime/connectors/sqs/sqs.ts";
import { fullRange, splitEvenly } from "../../runtime/streaming/hash-range.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";
import { aggregateOf, messageOf, type Put, sealed } from "../connectors/aggregate.ts";
import { decode } from "../connectors/support.ts";
import type { Decoder } from "./decoder.ts";
import { mutatedJson } from "./mutations.ts";

const isRejection = (error: unknown) => error instanceof Rejection && error.reason.length > 0;

/** As sources read records of the format. */
function formatDecoder(
  name: string,
  format: Format<any> | FormatOfMany<any>,
  valid: fc.Arbitrary<Uint8Array>,
  { header, schema, ...rest }: Pick<SourceRecord, "header" | "schema"> & Partial<Decoder> = {},
): Decoder {
  return {
    name,
    valid,
    decode: (bytes) => {
      const encoded = { bytes, header, schema };
      return "decodeAll" in format ? format.decodeAll(encoded) : format.decode(encoded);
    },
    refuses: isRejection,
    ...(format.readOnly === undefined && { encode: (value: unknown) => encodeRecord(format, value) }),
    ...rest,
  };
}

// ---- JSON, and what is written as JSON ----

const deep = 50_000;
/** Nested deeper than any stack. */
const deepJson = fc.constantFrom(
  "[".repeat(deep) + "]".repeat(deep),
  `${'{"a":'.repeat(deep)}1${"}".repeat(deep)}`,
  `{"op":"c","after":${'{"a":'.repeat(deep)}1${"}".repeat(deep)}}`,
  `{"eventName":"INSERT","dynamodb":{"NewImage":{"a":${'{"L":['.repeat(deep)}{"S":"x"}${"]}".repeat(deep)}}}}`,
  `{"id":"1","source":"s","detail-type":"d","time":"2026-01-01T00:00:00Z","detail":${"[".repeat(deep)}${"]".repeat(deep)}}`,
);

function jsonBytes(...whole: readonly unknown[]): fc.Arbitrary<Uint8Array> {
  const value = fc.oneof(fc.constantFrom(...whole), mutatedJson(fc.constantFrom(...whole)), fc.jsonValue());
  const text = fc.oneof(
    { weight: 30, arbitrary: value.map((each) => JSON.stringify(each) ?? "") },
    { weight: 1, arbitrary: deepJson },
  );
  return text.map((each) => Buffer.from(each));
}

/** JSON has no -0 to write, and no infinity. */
const asJson = (value: unknown) => {
  try {
    return JSON.stringify(value);
  } catch {
    return '"nested too deep to be written"';
  }
};

const row = { id: 7, name: "a", tags: ["x", null], price: 1.5 };
const change = { op: "u", before: { id: 1 }, after: row, source: { ts_ms: 1 } };
const item = {
  a: { N: "1" },
  b: { S: "x" },
  c: { B: "AAE=" },
  d: { L: [{ BOOL: true }, { NULL: true }] },
  e: { M: { f: { NS: ["1"] } } },
};
const tableChange = {
  eventName: "MODIFY",
  dynamodb: { Keys: { a: { N: "1" } }, NewImage: item, OldImage: { ...item, g: { SS: ["s"] } } },
};
const busEvent = { id: "1", source: "shop", "detail-type": "sold", time: "2026-01-01T00:00:00Z", detail: row };

// ---- text ----

const csvLine = fc
  .array(fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", "é", " ") }), { minLength: 3, maxLength: 3 })
  .map((fields) => Buffer.from(fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(",")));
const logLines = [
  '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326',
  '::1 - - [01/Jan/2026:00:00:00 +0000] "-" 408 - "-" "curl/8 \\"x\\""',
  `a - ${"b ".repeat(100)} [01/Jan/2026:00:00:00 +0000] "${"GET ".repeat(200)}" 200 1 "${"\\\\".repeat(300)}" "${'\\"'.repeat(300)}`,
];

// ---- Avro ----

const avroSchema = {
  ...{ type: "record", name: "any" },
  fields: [
    { name: "items", type: { type: "array", items: ["null", "string", { type: "map", values: "double" }] } },
    { name: "next", type: ["null", "any"] },
    { name: "n", type: "int" },
    { name: "empty", type: { type: "array", items: "null" } },
    { name: "fixed", type: { type: "fixed", name: "two", size: 2 } },
    { name: "suit", type: { type: "enum", name: "suit", symbols: ["HEARTS", "SPADES"] } },
    { name: "bytes", type: "bytes" },
  ],
};
const avroValue = fc.letrec<{ any: object }>((tie) => ({
  any: fc.record({
    items: fc.array(
      fc.oneof(
        fc.constant(null),
        fc.string(),
        fc.dictionary(
          fc.string().filter((key) => key !== "__proto__"),
          fc.double(),
        ),
      ),
    ),
    next: fc.option(tie("any") as fc.Arbitrary<object>, { maxDepth: 4 }),
    n: fc.integer(),
    empty: fc.array(fc.constant(null)),
    fixed: fc.uint8Array({ minLength: 2, maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
    suit: fc.constantFrom("HEARTS", "SPADES"),
    bytes: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
  }),
})).any;
const plainAvro = avro<any>({ schema: avroSchema });
const avroBytes = avroValue.map((value) => plainAvro.encode(value));

const confluent = confluentRegistry({ url: "http://registry.invalid" });
const writtenBy: WriterSchema = { id: "17", definition: JSON.stringify(avroSchema), references: [] };
const confluentHeader = Buffer.from([0, 0, 0, 0, 17]);
const uuid = "11111111-2222-3333-4444-555555555555";
const glueHeader = (compression: number) => Buffer.from(`03${compression === 0 ? "00" : "05"}${uuid.replaceAll("-", "")}`, "hex");
const inGlue = (bytes: fc.Arbitrary<Uint8Array>) =>
  fc.oneof(
    bytes.map((body) => Buffer.concat([glueHeader(0), body])),
    bytes.map((body) => Buffer.concat([glueHeader(5), deflateSync(body)])),
  );

// ---- Protocol Buffers ----

const protobufSchema = `
syntax = "proto3";
package shop.v1;
message View {
  enum Kind { UNKNOWN = 0; PAGE = 1; }
  message Tag { string name = 1; }
  string user_id = 1;
  int64 at = 2;
  optional int32 page = 3;
  Kind kind = 4;
  repeated int32 numbers = 5;
  map<string, uint64> counts = 6;
  Tag tag = 7;
  bytes raw = 8;
  View parent = 10;
  repeated bool flags = 11;
  map<int64, View> views = 12;
  double ratio = 13;
}`;
const message = "shop.v1.View";
const plainProtobuf = protobuf<any>({ schema: protobufSchema, message });
const protobufBytes = fc
  .record({
    user_id: fc.string(),
    at: fc.maxSafeInteger(),
    numbers: fc.array(fc.integer()),
    counts: fc.dictionary(fc.string(), fc.nat()),
    tag: fc.record({ name: fc.string() }),
    raw: fc.uint8Array(),
    parent: fc.record({ user_id: fc.string(), flags: fc.array(fc.boolean()) }),
    ratio: fc.double(),
  })
  .map((value) => plainProtobuf.encode(value));

// ---- records of the Kinesis Producer Library ----

const puts: fc.Arbitrary<Put[]> = fc.array(
  fc.record({
    partitionKey: fc.string({ unit: "grapheme" }),
    explicitHashKey: fc.option(fc.bigInt({ min: 0n, max: fullRange.to }), { nil: undefined }),
    data: fc.uint8Array({ maxLength: 50 }),
  }),
  { minLength: 1, maxLength: 8 },
);

const magicBytes = 4;
const digestBytes = 16;

/** The digest made right for the message between it and the magic bytes. */
function resealAggregate(bytes: Uint8Array): Uint8Array {
  if (bytes.length < magicBytes + digestBytes) return bytes;
  return sealed(bytes.subarray(magicBytes, bytes.length - digestBytes));
}

/** P1: each record of a pack has a position of its own, in order, the last one all nines. */
function unpackOf(bytes: Uint8Array): unknown {
  const position = "49590338271490256608559692538361571095921575989136588898";
  const packed: SourceRecord = { position, partitionKey: "a", arrivalTime: 7, bytes };
  const ranges = [fullRange, ...splitEvenly(3)].map((range) => unpack([packed], range));
  for (const { records } of ranges) {
    const places = records.map((record) => id<Position>(record.position));
    for (const [n, place] of places.entries()) {
      assert.equal(placeOf(place).sequenceNumber, position);
      assert.equal(placeOf(place).complete, n === places.length - 1);
      if (n > 0) assert.ok(comparePositions(places[n - 1]!, place) < 0);
    }
  }
  const [whole, ...parts] = ranges.map(({ records }) => records.length);
  if (readAggregate(bytes).kind === "aggregate")
    assert.equal(
      parts.reduce((sum, part) => sum + part, 0),
      whole,
    );
  return ranges;
}

// ---- files ----

/** Cuts bytes that come in pieces, and looks that none is lost: all but line ends and marks are in a record. */
function cut(framing: Framing, bytes: Uint8Array): unknown {
  const cutOf = (piece: number) => {
    const cutter = new RecordCutter(framing, 40, undefined, 0);
    const records: SourceRecord[] = [];
    for (let at = 0; at <= bytes.length; at += piece) {
      cutter.put(Buffer.concat([cutter.rest, bytes.subarray(at, at + piece)]), 0);
      if (at + piece > bytes.length) cutter.end(undefined);
      while (cutter.take(records, { records: 3, bytes: 100 }));
    }
    return records.map(({ position, bytes: contents, rejected }) => [position, Buffer.from(contents).toString("hex"), rejected]);
  };
  const whole = cutOf(bytes.length + 1);
  assert.deepEqual(cutOf(7), whole);
  return whole;
}

const textBytes = fc.oneof(
  csvLine.map((line) => Buffer.from(`${line.toString()}\r\n${line.toString()}`)),
  fc.string({ unit: fc.constantFrom("a", "\n", "\r", '"', "é", "QUI=\n") }).map((text) => Buffer.from(text)),
  fc.constant(Buffer.from("\ufeffa,b\n1,2\n")),
);

/** A source's own decoding: it accepts and rejects. */
function sourceDecoder(name: string, source: Parameters<typeof decode>[0], valid: fc.Arbitrary<Uint8Array>): Decoder {
  return {
    name,
    valid,
    decode: (bytes) => {
      const { values, rejections } = decode(source, { bytes });
      assert.equal(values.length + rejections.length, 1);
      return values;
    },
  };
}

export const formatDecoders: readonly Decoder[] = [
  formatDecoder("json", json(), jsonBytes(row, [row], "text"), {
    essence: asJson,
    encode: (value) => Buffer.from(asJson(value)),
  }),
  formatDecoder("csv", csv(undefined, { columns: ["a", "b", "c"] }), csvLine),
  formatDecoder("csv with a header", csv(), csvLine, { header: 'a,"b ""x""",c' }),
  {
    ...formatDecoder("csv of a header", csv(), csvLine),
    decode: (header) => csv().decode({ bytes: Buffer.from("1,2,3"), header: Buffer.from(header).toString() }),
  },
  formatDecoder(
    "access log",
    accessLog(),
    fc.constantFrom(...logLines).map((line) => Buffer.from(line)),
  ),
  formatDecoder("avro", plainAvro, avroBytes),
  formatDecoder(
    "avro of another schema",
    avro({ schema: { ...avroSchema, fields: avroSchema.fields.slice(1, 3) }, writerSchema: avroSchema }),
    avroBytes,
  ),
  formatDecoder(
    "avro behind an id of Confluent's",
    avro({ registry: confluent }),
    avroBytes.map((body) => Buffer.concat([confluentHeader, body])),
    { schema: writtenBy },
  ),
  formatDecoder("avro behind an id of Glue's", avro({ registry: glueRegistry() }), inGlue(avroBytes), {
    schema: { ...writtenBy, id: uuid },
  }),
  {
    ...formatDecoder("schema of avro", avro({ registry: confluent }), jsonBytes(avroSchema)),
    decode: (definition) =>
      avro({ registry: confluent }).decode({
        bytes: Buffer.concat([confluentHeader, Buffer.alloc(40)]),
        schema: { ...writtenBy, definition: Buffer.from(definition).toString() },
      }),
  },
  formatDecoder("protobuf", plainProtobuf, protobufBytes),
  formatDecoder(
    "protobuf behind an id of Confluent's",
    protobuf({ schema: protobufSchema, message, registry: confluent }),
    protobufBytes.map((body) => Buffer.concat([confluentHeader, Buffer.from([0]), body])),
    { schema: { ...writtenBy, definition: protobufSchema } },
  ),
  formatDecoder(
    "protobuf behind an id of Glue's",
    protobuf({ schema: protobufSchema, message, registry: glueRegistry() }),
    inGlue(protobufBytes.map((body) => Buffer.concat([Buffer.from([0]), body]))),
    { schema: { ...writtenBy, id: uuid, definition: protobufSchema } },
  ),
  formatDecoder("json behind an id of Glue's", framed(json(), "glue"), inGlue(jsonBytes(row))),
  formatDecoder("debezium", debezium({ mode: "retract" }), jsonBytes(change, { payload: change, schema: {} })),
  formatDecoder(
    "debezium of an upsert stream",
    debezium({ mode: "upsert" }),
    jsonBytes(change, { ...change, op: "d", after: null }),
  ),
  formatDecoder("dynamodb changes", dynamodbChanges({ mode: "retract" }), jsonBytes(tableChange)),
  formatDecoder(
    "dynamodb changes of an upsert stream",
    dynamodbChanges({ mode: "upsert" }),
    jsonBytes(tableChange, { ...tableChange, eventName: "REMOVE" }),
  ),
  sourceDecoder("event of EventBridge", eventBridge({ queue: "q", format: json() }), jsonBytes(busEvent)),
  sourceDecoder("message of a queue", sqs({ queue: "q", format: json() }), jsonBytes(row)),
  {
    name: "aggregate of the KPL",
    valid: puts.map(aggregateOf),
    decode: unpackOf,
    reseal: resealAggregate,
  },
  {
    name: "message of the KPL",
    valid: puts.map(messageOf),
    decode: (bytes) => {
      const aggregate = readAggregate(sealed(bytes));
      assert.notEqual(aggregate.kind, "plain");
      return aggregate.kind === "aggregate" ? aggregate.records.map((record) => ({ ...record, data: record.bytes })) : [];
    },
    // Broken ones hold nothing.
    encode: (records: readonly Put[]) => messageOf(records),
    essence: (records: readonly Put[]) =>
      records.map(({ partitionKey, explicitHashKey, data }) => [partitionKey, explicitHashKey, Buffer.from(data)]),
  },
  { name: "lines of a file", valid: textBytes, decode: (bytes) => cut({ kind: "lines" }, bytes) },
  { name: "csv records of a file", valid: textBytes, decode: (bytes) => cut({ kind: "csv", separator: "," }, bytes) },
  { name: "base64 lines of a file", valid: textBytes, decode: (bytes) => cut({ kind: "base64Lines" }, bytes) },
];
