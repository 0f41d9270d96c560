/** What services answer, and what was written of it. */
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { answerOf } from "../../runtime/adapters/aws/lambda-caller.ts";
import { failedIds } from "../../runtime/adapters/aws/lambda-channel.ts";
import { decodeListing, encodeListing, type ObjectListing } from "../../runtime/adapters/aws/object-listing.ts";
import { pageOf } from "../../runtime/adapters/aws/s3-bucket.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { decodeValue, encodeValue } from "../../runtime/base/message-pack.ts";
import { definitionOf, readSchemaAnswer } from "../../runtime/connectors/registry/confluent-schemas.ts";
import { murmur3 } from "../../runtime/state/murmur3.ts";
import { recordHeaderBytes, SortBuffer } from "../../runtime/state/sort-buffer.ts";
import { type SortedRecord, SortedRuns } from "../../runtime/state/sorted-runs.ts";
import { id, type BlobName } from "../../runtime/base/ids.ts";
import { type Decoder, refusesAs } from "./decoder.ts";
import { mutatedJson } from "./mutations.ts";

const json = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "null");
const nearly = (...whole: readonly unknown[]) =>
  fc.oneof(fc.constantFrom(...whole), mutatedJson(fc.constantFrom(...whole)), fc.jsonValue());

// ---- sorted runs ----

const sorted = [
  ["b", 5, 0, { a: [1, "x"] }],
  ["a", 7, 1, null],
  ["a", NaN, 0, "y".repeat(300)],
] as const;

function runOf(records: readonly (readonly [key: string, time: number, input: number, value: unknown])[]): Uint8Array {
  const buffer = new SortBuffer();
  for (const [key, time, input, value] of records) buffer.add(key, time, input, value);
  const writer = new ByteWriter();
  buffer.takeInto(writer);
  return writer.take();
}

/** The bytes as the only run of a task. */
function mergeRun(bytes: Uint8Array): SortedRecord[] {
  const blob = id<BlobName>("runs/g1.a~0/000000000001-e1.1");
  const runs = new SortedRuns([{ blob, offset: 0, length: bytes.length }]);
  const records: SortedRecord[] = [];
  while (!runs.done) {
    for (const { range, supply } of runs.wanted) supply(bytes.subarray(range.offset, range.offset + range.length));
    if (runs.wanted.length === 0) records.push(runs.take());
  }
  return records;
}

/** The checksum of each record made right, for as long as there is one. */
function resealRun(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  for (let at = 0; at + recordHeaderBytes <= copy.length;) {
    const length = copy.readUInt32LE(at);
    const from = at + recordHeaderBytes;
    if (from + length > copy.length) break;
    copy.writeUInt32LE(murmur3(copy, from, length), at + 4);
    at = from + length;
  }
  return copy;
}

// ---- listings ----

const listing = {
  ...{ version: 1, bucket: "b", prefix: "p/" },
  objects: [
    ["p/1", 5, "e1", 1_700_000_000_000],
    ["p/2", 6, "e2", 1_700_000_000_001],
  ],
};

const page = {
  Contents: [
    { Key: "p/1", Size: 5, LastModified: new Date(5), ETag: "e1" },
    { Key: "p/2", Size: undefined, LastModified: undefined, ETag: undefined },
  ],
  IsTruncated: true,
};

/** As the SDK hands it out: each member of its type, or not there. */
const pages = fc.record(
  {
    Contents: fc.array(
      fc.record(
        { Key: fc.string(), Size: fc.nat(), LastModified: fc.date({ noInvalidDate: true }), ETag: fc.string() },
        { requiredKeys: [] },
      ),
      { maxLength: 4 },
    ),
    IsTruncated: fc.boolean(),
  },
  { requiredKeys: [] },
);

// ---- answers ----

const schemaAnswer = { schema: '{"type":"string"}', references: [{ name: "n", subject: "s", version: 2 }] };
const taken = { batchItemFailures: [{ itemIdentifier: "1" }, null] };
const thrown = { errorType: "Millrace.invalid", errorMessage: "no", trace: [] };

export const answerDecoders: readonly Decoder[] = [
  { name: "sorted run", valid: fc.constant(runOf(sorted)), decode: mergeRun, reseal: resealRun },
  {
    name: "listing of an S3 source",
    valid: fc.oneof(
      fc.constant(encodeListing(listing as never)),
      nearly(listing).map((value) => gzipSync(json(value))),
    ),
    decode: (bytes) => decodeListing("name", bytes, "b", "p/"),
    // Of another place than the source's.
    refuses: (error) => isKind(error, "corrupt") || isKind(error, "invalid"),
    encode: ({ objects }: ObjectListing) =>
      encodeListing({
        ...{ version: 1, bucket: "b", prefix: "p/" },
        objects: objects.map(({ key, sizeBytes, etag, writtenAt }) => [key, sizeBytes, etag, writtenAt] as const),
      }),
  },
  {
    name: "answer of S3 to a listing",
    valid: fc.oneof(fc.constant(page), pages).map(encodeValue),
    decode: (bytes) => {
      const answer = decodeValue(bytes) as Parameters<typeof pageOf>[0];
      for (const after of [undefined, "p/2", ""]) pageOf(answer, after);
    },
    // Bytes that are no value come from no SDK.
    refuses: (error) => isKind(error, "unavailable") || isKind(error, "corrupt") || error instanceof TypeError,
  },
  {
    name: "answer of a schema registry",
    valid: nearly(schemaAnswer, { schema: 5 }, { references: [null] }).map(json),
    decode: (bytes) => {
      const answer = readSchemaAnswer(Buffer.from(bytes).toString(), "http://registry");
      for (const { name, subject, version } of answer.references ?? [])
        void [String(name), encodeURIComponent(String(subject)), encodeURIComponent(String(version))];
      return definitionOf(answer, "5");
    },
    refuses: refusesAs("invalid"),
  },
  {
    name: "answer of a function",
    valid: nearly(null, { outcome: "done" }).map(json),
    decode: (bytes) => answerOf("f", undefined, bytes),
    refuses: refusesAs("invalid"),
  },
  {
    name: "error of a function",
    valid: nearly(thrown, { errorMessage: "Task timed out" }, null).map(json),
    decode: (bytes) => answerOf("f", "Unhandled", bytes),
    refuses: (error) => (["unavailable", "fenced", "invalid", "corrupt", "user"] as const).some((kind) => isKind(error, kind)),
  },
  {
    name: "answer of a function that was given messages",
    valid: nearly(taken, { batchItemFailures: 5 }).map(json),
    decode: (bytes) => failedIds(bytes),
  },
];
