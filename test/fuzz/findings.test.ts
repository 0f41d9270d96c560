/** What fuzzing has found, each by the smallest bytes that show it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32, gzipSync, zstdCompressSync } from "node:zlib";
import { parseLetter } from "../../cli/dead-letters.ts";
import { checkSettings, type MappingSettings } from "../../emulator/event-source-mapping/settings.ts";
import { decodeCbor } from "../../emulator/kinesis/cbor.ts";
import { answerOf } from "../../runtime/adapters/aws/lambda-caller.ts";
import { decodeListing } from "../../runtime/adapters/aws/object-listing.ts";
import { pageOf } from "../../runtime/adapters/aws/s3-bucket.ts";
import { ByteReader } from "../../runtime/base/byte-reader.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { decodeValue } from "../../runtime/base/message-pack.ts";
import { eventBridge } from "../../runtime/connectors/event-bridge/event-bridge.ts";
import { decodePartOperation } from "../../runtime/connectors/files/part-operation.ts";
import { avro } from "../../runtime/connectors/formats/avro.ts";
import { Rejection } from "../../runtime/connectors/formats/format.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { readSchemaAnswer } from "../../runtime/connectors/registry/confluent-schemas.ts";
import { decodeRecords } from "../../runtime/connectors/kinesis/kinesis-sink.ts";
import { decodeRedrive, parseRedrive } from "../../runtime/connectors/redriven-source.ts";
import { decodeSaid } from "../../runtime/driver/acknowledgements.ts";
import { decodeEntry, payloadOf } from "../../runtime/driver/journal-entry.ts";
import { decodeWakeUp } from "../../runtime/driver/wake-ups.ts";
import { decodeRequest } from "../../runtime/snapshots/checkpoint-request.ts";
import { decodeJobRecord, encodeJobRecord, type JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { decodeCommit, encodeCommit, type Commit } from "../../runtime/state/commit.ts";
import { readCanonicalKey } from "../../runtime/state/key.ts";
import { decode } from "../connectors/support.ts";
import { samples } from "../formats/samples.ts";

const sample = <T>(name: string) => samples.find((one) => one.name === name)!.value as T;
const corrupt = (message: RegExp) => ({ kind: "corrupt", message });
const bytes = (...parts: readonly (number | string | Uint8Array)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part))));
const readKey = (...parts: readonly (number | string | Uint8Array)[]) => readCanonicalKey(new ByteReader(bytes(...parts)));

describe("a canonical key that", () => {
  test("is no bigint", () => assert.throws(() => readKey(3, 1, "x"), corrupt(/no bigint/)));
  test("is written otherwise than keys are", () => {
    assert.throws(() => readKey(3, 2, "-0"), corrupt(/no bigint/));
    assert.throws(() => readKey(2, encodeValue(-0).subarray(1)), corrupt(/NaN or -0/));
    assert.throws(() => readKey(6, 0), corrupt(/empty tuple/));
  });
  test("is tuples in tuples, deeper than any stack", () => {
    const nested = Buffer.alloc(200_000, Buffer.from([6, 1]));
    assert.throws(() => readKey(nested), corrupt(/tag 6/));
  });
});

test("a value with something behind it", () => assert.throws(() => decodeValue(bytes(1, 2)), corrupt(/1 bytes stand behind/)));

describe("a manifest", () => {
  const read = (value: unknown) => decodeManifest(Buffer.from(JSON.stringify(value)));
  test("with bytes that say that they are long", () => {
    assert.throws(() => read({ version: 1, $x: { $bytes: { length: 4_000_000_000 } } }), corrupt(/not JSON/));
  });
  test("that is nothing but a version", () =>
    assert.throws(() => read({ version: 1 }), corrupt(/of its form: \.job is undefined/)));
  test("of which a task has no range", () => {
    const manifest = sample<Manifest>("manifest");
    const [task] = manifest.tasks;
    const given = { ...manifest, tasks: [task, { ...task, range: 5 }] } as unknown as Manifest;
    assert.throws(() => decodeManifest(encodeManifest(given)), corrupt(/\.tasks\[1\]\.range is 5/));
  });
});

describe("plain data that is whole and not what it should be", () => {
  test("a commit", () => {
    const commit = sample<Commit>("commit");
    const effects = [{ effect: "send", channel: "c", frames: ["text"] }] as unknown as Commit["effects"];
    assert.throws(() => decodeCommit(encodeCommit({ ...commit, effects })), corrupt(/\.effects\[0\]\.frames\[0\] is "text"/));
    const progress = { ...commit.progress, sources: new Map([["in", 5]]) } as unknown as Commit["progress"];
    assert.throws(() => decodeCommit(encodeCommit({ ...commit, progress })), corrupt(/\.sources\.get\("in"\) is 5/));
  });
  test("a job record", () => {
    const record = { ...sample<JobRecord>("job-record"), phase: "dancing" } as unknown as JobRecord;
    assert.throws(() => decodeJobRecord(encodeJobRecord(record)), corrupt(/\.phase is "dancing"/));
  });
  test("messages", () => {
    assert.throws(() => decodeSaid(encodeValue({ task: "g1.a~0" })), corrupt(/an acknowledgement is not of its form/));
    assert.throws(() => decodeRequest(encodeValue(null)), corrupt(/a request is not of its form: it is null/));
    assert.throws(() => decodeWakeUp(encodeValue([5])), corrupt(/a wake-up/));
  });
  test("what sinks are to write", () => {
    assert.throws(() => decodeRecords(encodeValue([["key", "text"]])), corrupt(/\[0\]\[1\] is "text"/));
    assert.throws(() => decodePartOperation(Buffer.from('{"op":"write","part":5}\n')), corrupt(/not a payload/));
  });
  test("dead letters", () => {
    assert.throws(() => decodeRedrive(Buffer.from("{\n")), corrupt(/not JSON/));
    assert.throws(() => decodeRedrive(Buffer.from('{"id":"a"}\n')), corrupt(/\.at is undefined/));
    assert.throws(() => parseLetter("null", "g1-a-1.ndjson", 3), corrupt(/line 3 of g1-a-1\.ndjson/));
  });
});

test("an entry that comes to more than it may when it is decompressed", () => {
  const contents = zstdCompressSync(Buffer.alloc((64 << 20) + 1));
  const entry = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), contents]);
  entry.writeUInt32LE(crc32(contents, 1), 1);
  assert.equal(payloadOf(entry), undefined);
  assert.throws(() => decodeEntry(entry), corrupt(/cannot be decompressed/));
});

test("an object's name that is not what it was made of", () => {
  assert.equal(parseRedrive("redrive/%zz/000001"), undefined);
});

test("an event of EventBridge whose detail is nested deeper than any stack", () => {
  const detail = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
  const text = `{"id":"1","source":"s","detail-type":"d","time":"2026-01-01T00:00:00Z","detail":${detail}}`;
  const { values, rejections } = decode(eventBridge({ queue: "q", format: json() }), { bytes: Buffer.from(text) });
  assert.deepEqual(values, []);
  assert.match(rejections.join(), /detail of the event cannot be read/);
});

test("an int of Avro's that has more than 32 bits", () => {
  const read = (hex: string) => avro({ schema: '"int"' }).decode({ bytes: Buffer.from(hex, "hex") });
  assert.equal(read("ffffffff0f"), -(2 ** 31));
  assert.throws(
    () => read("8080808010"),
    (error) => error instanceof Rejection && /more than 32 bits: 2147483648/.test(error.reason),
  );
});

describe("a service's answer", () => {
  test("that names schemas which are none", () => {
    const read = () => readSchemaAnswer(JSON.stringify({ schema: "x", references: [null] }), "http://registry");
    assert.throws(read, { kind: "invalid", message: /no schema registry/ });
  });
  test("of a function that says what failed in no words", () => {
    const read = () => answerOf("f", "Unhandled", Buffer.from(JSON.stringify({ errorType: 5, errorMessage: [] })));
    assert.throws(read, { kind: "unavailable", message: /it says nothing/ });
  });
  test("of a function that is no JSON", () => {
    assert.throws(() => answerOf("f", undefined, Buffer.from("<html>")), { kind: "invalid", message: /no JSON/ });
  });
  test("of S3 that there is more, and not from where", () => {
    const again = { kind: "unavailable", message: /does not go on/ };
    assert.throws(() => pageOf({ IsTruncated: true }, undefined), again);
    assert.throws(() => pageOf({ IsTruncated: true, Contents: [{ Key: "a" }] }, "a"), again);
  });
  test("that was kept as the listing of a source, and is none", () => {
    for (const value of [null, { bucket: "b", prefix: "p" }, { version: 1, bucket: "b", prefix: "p", objects: [["a"]] }])
      assert.throws(() => decodeListing("name", gzipSync(JSON.stringify(value)), "b", "p"), corrupt(/not of its form/));
  });
});

describe("what the emulators are asked", () => {
  const refused = { name: "KinesisError", type: "SerializationException" };
  test("in CBOR whose parts are of another kind, or whose names are no text", () => {
    for (const cbor of [bytes(0x5f, 0x01, 0xff), bytes(0x7f, 0xa0, 0xff), bytes(0xa1, 0xa1, 0x61, "x", 0x01, 0x02)])
      assert.throws(() => decodeCbor(cbor, 1000), refused);
  });
  test("by filters that are no list, or no patterns", () => {
    for (const filters of [true, [null], [{ pattern: 5 }]]) {
      const settings = { startingPosition: "LATEST", filterCriteria: { filters } } as unknown as MappingSettings;
      assert.throws(() => checkSettings(settings), { kind: "invalid" });
    }
  });
});
