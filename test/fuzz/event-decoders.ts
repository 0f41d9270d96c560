/** What functions are invoked with, what sinks' effects hold, names of objects: JSON, values and texts that others may have made. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBrought } from "../../functions/brought-events.ts";
import { decodeCommand, decodePoke, pokeOf, readSettings, variable } from "../../functions/contract.ts";
import { decodeCustomResource } from "../../functions/custom-resource.ts";
import { decodeBatch } from "../../functions/kinesis-event.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import { decodeRows } from "../../runtime/connectors/custom/custom-sink.ts";
import { deadLetterNaming, deadLetterObject } from "../../runtime/connectors/dead-letter-object.ts";
import { decodeTablePayload } from "../../runtime/connectors/dynamodb/dynamodb.ts";
import { parsePartFileName, partFileName } from "../../runtime/connectors/files/part-name.ts";
import { decodePartOperation, encodePartOperation } from "../../runtime/connectors/files/part-operation.ts";
import { unpack } from "../../runtime/connectors/kinesis/unpack.ts";
import { decodeRecords } from "../../runtime/connectors/kinesis/kinesis-sink.ts";
import { encodeMessages, type OutgoingMessage, outgoingMessages } from "../../runtime/connectors/messages/message.ts";
import { decodeRedrive, encodeRedrive, parseRedrive, redriveName } from "../../runtime/connectors/redriven-source.ts";
import { decodeGiven, encodeGiven } from "../../runtime/snapshots/given-letters.ts";
import { parseObjectName } from "../../runtime/snapshots/names.ts";
import { parseSchema, schemaText } from "../../runtime/state/schema.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { parseLetter } from "../../cli/dead-letters.ts";
import { aggregateOf } from "../connectors/aggregate.ts";
import { type Decoder, refusesAs } from "./decoder.ts";
import { mutatedJson, mutatedValue } from "./mutations.ts";

/** Nobody is handed what is no JSON. */
function eventDecoder(name: string, decode: (event: unknown) => unknown, ...whole: readonly unknown[]): Decoder {
  const event = fc.oneof(fc.constantFrom(...whole), mutatedJson(fc.constantFrom(...whole)), fc.jsonValue());
  const refusesEvent = refusesAs("invalid");
  return {
    name,
    valid: event.map((each) => Buffer.from(JSON.stringify(each) ?? "null")),
    decode: (bytes) => decode(JSON.parse(Buffer.from(bytes).toString())),
    refuses: (error) => error instanceof SyntaxError || refusesEvent(error),
  };
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const aggregate = aggregateOf([
  { partitionKey: "a", data: Buffer.from("1") },
  { partitionKey: "b", data: Buffer.from("2") },
]);

function kinesisEntry(sequenceNumber: string, data: Uint8Array) {
  return {
    eventSource: "aws:kinesis",
    eventSourceARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/views",
    eventID: `shardId-000000000000:${sequenceNumber}`,
    kinesis: { sequenceNumber, partitionKey: "a", approximateArrivalTimestamp: 1_700_000_000.123, data: base64(data) },
  };
}
const kinesisEvent = {
  Records: [kinesisEntry("495903382714902566", Buffer.from("{}")), kinesisEntry("495903382714902567", aggregate)],
};

const tableEvent = {
  Records: [
    {
      eventSource: "aws:dynamodb",
      eventSourceARN: "arn:aws:dynamodb:eu-west-1:123456789012:table/views/stream/2026-01-01T00:00:00.000",
      eventName: "INSERT",
      dynamodb: { SequenceNumber: "111", NewImage: { a: { S: "b" } } },
    },
  ],
};
const queueEvent = {
  Records: [
    {
      eventSource: "aws:sqs",
      eventSourceARN: "arn:aws:sqs:eu-west-1:123456789012:views",
      messageId: "1",
      body: "{}",
      attributes: { SentTimestamp: "1700000000000" },
    },
  ],
};
const kafkaRecord = { topic: "views", partition: 0, offset: 5, timestamp: 1_700_000_000_000, key: "YQ==", value: "e30=" };
const kafkaEvent = { eventSource: "aws:kafka", records: { "views-0": [kafkaRecord, { ...kafkaRecord, offset: 6, key: null }] } };

/** A value that is stored as such, by its own reader. */
function payload(name: string, decode: (bytes: Uint8Array) => unknown, ...whole: readonly unknown[]): Decoder {
  const value = fc.oneof(fc.constantFrom(...whole), mutatedValue(fc.constantFrom(...whole)));
  return { name, valid: value.map(encodeValue), decode, encode: encodeValue };
}

function textDecoder(name: string, decode: (text: string) => unknown, ...whole: readonly string[]): Decoder {
  return {
    name,
    valid: fc.constantFrom(...whole).map((text) => Buffer.from(text)),
    decode: (bytes) => decode(Buffer.from(bytes).toString()),
  };
}

const letter = { id: "g1-a-1.ndjson:1", at: 5, bytes: base64(Buffer.from("x")) };
const sentLetter = {
  ...{ id: "g1-a-1.ndjson:1", generation: 1, task: id<TaskId>("g1.a~0"), seq: 3 },
  ...{ to: "count", input: 0 as const, key: "oWE=", timestamp: null, bytes: "AQ==" },
};
const effect = { operator: id<OperatorUid>("out"), generation: 1, task: id<TaskId>("g1.a~0"), seq: 3, n: 0 };
const deadLetters = deadLetterObject({
  ...{ generation: 1, task: id<TaskId>("g1.a~0"), seq: 3 },
  letters: [
    { reason: "no", operator: id<OperatorUid>("op"), shard: "s", position: "1", bytes: Buffer.from("text") },
    { reason: "no", operator: id<OperatorUid>("op"), shard: "s", position: "2", bytes: Uint8Array.of(255) },
  ],
});
const settings: Readonly<Record<string, string>> = {
  [variable.stateTable]: "table",
  [variable.stateBucket]: "bucket",
  [variable.deployment]: "3",
  [variable.inboxes]: '{"stage":["inbox"]}',
};

export const eventDecoders: readonly Decoder[] = [
  eventDecoder(
    "event of Kinesis",
    (event) => {
      const batch = decodeBatch(event);
      return batch === undefined ? undefined : unpack(batch.records, fullRange);
    },
    kinesisEvent,
  ),
  eventDecoder("event of another source", decodeBrought, tableEvent, queueEvent, kafkaEvent),
  eventDecoder("poke", decodePoke, pokeOf([id<TaskId>("g1.a~0")])),
  eventDecoder(
    "command",
    decodeCommand,
    { version: 1, kind: "look" },
    { version: 1, kind: "restore", id: "o", manifest: "manifests/1" },
  ),
  eventDecoder("request of CloudFormation", decodeCustomResource, {
    ...{ RequestType: "Update", ResponseURL: "https://s3.invalid", StackId: "s", RequestId: "r", LogicalResourceId: "l" },
    ...{ PhysicalResourceId: "p", ResourceProperties: { a: "b" }, OldResourceProperties: {} },
  }),
  {
    ...textDecoder("settings", (text) => readSettings({ ...settings, [variable.bindings]: text }), '{"a":"b"}'),
    refuses: refusesAs("invalid"),
  },
  payload("payload of a Kinesis sink", decodeRecords, [["a", Buffer.from("x")]]),
  payload("payload of a DynamoDB sink", decodeTablePayload, { at: 5, rows: [{ values: { a: 1 }, deleted: false, isNew: true }] }),
  payload("payload of a custom sink", decodeRows, [
    ["+I", 5, { a: 1 }],
    ["-D", undefined, null],
  ]),
  {
    ...payload("payload of a sink of messages", (bytes) => outgoingMessages("job", { ...effect, payload: bytes }), [
      [Buffer.from("x"), "group", null, { topic: "t" }],
      [Buffer.from("y"), null, "id", null],
    ]),
    encode: encodeMessages,
    essence: (messages: readonly OutgoingMessage[]) =>
      messages.map(({ body, group, fields }) => [Buffer.from(body), group, fields]),
  },
  {
    name: "payload of a file sink",
    valid: fc
      .oneof(
        fc.constant({ op: "write", part: ".a.part", file: "a", offset: 5 }),
        fc.constant({ op: "publish", folder: "b", part: ".a.part", file: "a", length: 9, crc32: 7, offset: 5 }),
      )
      .chain((head) => fc.oneof(fc.constant(head), mutatedJson(fc.constant(head))))
      .map((head) => Buffer.concat([Buffer.from(`${JSON.stringify(head) ?? ""}\n`), Buffer.from("bytes")])),
    decode: (bytes) => {
      const operation = decodePartOperation(bytes);
      return { ...operation, bytes: Buffer.from(operation.bytes) };
    },
    encode: encodePartOperation,
  },
  {
    name: "dead letters that are given back",
    valid: fc
      .oneof(fc.constant(letter), mutatedJson(fc.constant(letter)))
      .map((each) => Buffer.from(`${JSON.stringify(each)}\n`)),
    decode: decodeRedrive,
    encode: encodeRedrive,
  },
  {
    name: "dead letters that were given back behind an exchange",
    valid: fc
      .oneof(fc.constant(sentLetter), mutatedJson(fc.constant(sentLetter)))
      .map((each) => Buffer.from(`${JSON.stringify(each)}\n`)),
    decode: decodeGiven,
    encode: encodeGiven,
  },
  {
    name: "dead letters",
    valid: fc.constant(deadLetters.bytes),
    decode: (bytes) => {
      const lines = Buffer.from(bytes).toString().split("\n");
      return lines.flatMap((line, n) => (line === "" ? [] : [parseLetter(line, "name", n)]));
    },
  },
  textDecoder(
    "names",
    (text) => {
      const part = parsePartFileName(deadLetterNaming, text);
      if (part !== undefined) assert.equal(partFileName(deadLetterNaming, part), text);
      const redrive = parseRedrive(text);
      if (redrive !== undefined) assert.ok(redriveName(redrive.source, redrive.n).startsWith("redrive/"));
      return [part, redrive, parseObjectName(text)];
    },
    deadLetters.name,
    "redrive/clicks%20a/000001",
    "segments/g2.stage~0/000000000012-e1.12",
  ),
  textDecoder("schema", (text) => schemaText(parseSchema(text)), "count:value:0,seen:map:3:ttl"),
];
