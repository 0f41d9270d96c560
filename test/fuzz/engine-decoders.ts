/** What the engine has written somewhere and reads again. */
import assert from "node:assert/strict";
import { crc32, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import type { Key } from "../../runtime/api/key.ts";
import { ByteReader } from "../../runtime/base/byte-reader.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { id, type BlobName } from "../../runtime/base/ids.ts";
import { decodeValue, encodeValue, writeValue } from "../../runtime/base/message-pack.ts";
import { decodeSaid } from "../../runtime/driver/acknowledgements.ts";
import { decodeReport } from "../../runtime/driver/align-sources.ts";
import { decodeAttempts } from "../../runtime/driver/attempt-log.ts";
import { decodeDeliveries } from "../../runtime/driver/delivery-log.ts";
import { decodeEntry, payloadOf } from "../../runtime/driver/journal-entry.ts";
import { decodeLease } from "../../runtime/driver/lease.ts";
import { decodePage } from "../../runtime/driver/page-codec.ts";
import { decodeWakeUp } from "../../runtime/driver/wake-ups.ts";
import { decodeRequest, encodeRequest } from "../../runtime/snapshots/checkpoint-request.ts";
import { decodeRecordEntry, encodeJobRecord, encodeRecordPointer, type JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { readIndex, readLocal, readReferences, SegmentWriter } from "../../runtime/snapshots/segment.ts";
import { type Commit, decodeCommit, encodeCommit } from "../../runtime/state/commit.ts";
import { canonicalKey, readCanonicalKey } from "../../runtime/state/key.ts";
import type { TaskIndex } from "../../runtime/state/state-index.ts";
import { samples } from "../formats/samples.ts";
import type { Decoder } from "./decoder.ts";
import { mutatedJson, mutatedValue } from "./mutations.ts";
import { rowDecoders } from "./row-decoders.ts";

function sample(name: string) {
  return samples.find((one) => one.name === name)!;
}

const scalar = fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.bigInt(), fc.boolean());
const keys: fc.Arbitrary<Key> = fc.oneof(scalar, fc.array(scalar, { minLength: 1, maxLength: 3 })) as fc.Arbitrary<Key>;
const values = fc.oneof(
  fc.constant(sample("value").value),
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: false, maxDepth: 4 }),
);

/** The value itself, or one that is nearly as it should be. */
function nearly(value: unknown): fc.Arbitrary<unknown> {
  return fc.oneof(fc.constant(value), mutatedValue(fc.constant(value)));
}

/** A small record that is stored as a value alone. */
function stored(name: string, whole: readonly unknown[], decode: (bytes: Uint8Array) => unknown): Decoder {
  return { name, valid: fc.oneof(...whole.map(nearly)).map(encodeValue), decode, encode: encodeValue };
}

/** The checksum at `at` made right for what follows it. */
function resealed(bytes: Uint8Array, at: number, seed = 0): Uint8Array {
  const copy = Buffer.from(bytes);
  if (copy.length >= at + 4) copy.writeUInt32LE(crc32(copy.subarray(at + 4), seed), at);
  return copy;
}

// ---- commits ----

const commit = sample("commit").value as Commit;

/** As `encodeCommit` writes it, of a value that need not be a commit. */
function encodeAnyCommit(value: unknown): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(0);
  writer.u32(0);
  writer.u8(1);
  writeValue(writer, value);
  writer.uint(0);
  return writer.take();
}

const commitOfStop = sample("commit-of-stop").value as Commit;
const commits = fc.oneof(
  fc.constant(encodeCommit(commit)),
  ...[commit, commitOfStop].map((value) => nearly({ ...value, rows: undefined }).map(encodeAnyCommit)),
);

/** As a task takes up an entry that another has written. */
function useCommit({ progress, held, effects, rows, base, ...rest }: Commit): unknown {
  for (const { shards } of progress.sources.values())
    for (const { position, parents } of shards.values()) void [position.at(0), ...parents];
  for (const { parents, expected } of progress.channels.values()) void [expected + 1, ...parents];
  for (const { task, parents } of progress.successors) void [task.at(0), ...parents];
  for (const bytes of progress.watermarks?.waiting.values() ?? []) void bytes.subarray(0);
  void [progress.alignment.current?.arrived.length, progress.totals.records + 1, ...held.released];
  for (const bytes of held.added) void bytes.length;
  for (const effect of effects) {
    if (effect.effect === "send") for (const frame of effect.frames) void frame.subarray(0);
    else if (effect.effect === "sink") void effect.payload.subarray(0);
    else if (effect.effect === "deadLetter") void [effect.bytes.subarray(0), effect.reason.at(0)];
  }
  for (const { bytes } of rows) void bytes.subarray(0);
  void [base?.index?.blob.at(0), base?.local?.offset];
  return { progress, held, effects, rows, base, ...rest };
}

const formPlain = 0;
const formCompressed = 1;
const formObject = 2;
const headBytes = 5;

function entryOf(form: number, contents: Uint8Array): Uint8Array {
  return resealEntry(Buffer.concat([Buffer.from([form, 0, 0, 0, 0]), contents]));
}

function resealEntry(bytes: Uint8Array): Uint8Array {
  return resealed(bytes, 1, bytes[0]);
}

const entries = fc.oneof(
  commits.map((bytes) => entryOf(formPlain, bytes.subarray(headBytes))),
  commits.map((bytes) => entryOf(formCompressed, zstdCompressSync(bytes))),
  fc.constant(entryOf(formObject, Buffer.from("payloads/g1.a~0/000000000001-e1"))),
);

// ---- segments ----

interface Segment {
  readonly index: TaskIndex;
  readonly references: readonly BlobName[];
}

const segment = sample("segment");
const segmentName = id<BlobName>("segments/g2.stage~0/000000000012-e1.12");

/** The blocks of a segment that holds nothing but them. */
function blocks(index: TaskIndex, held: readonly Uint8Array[]): { readonly index: Uint8Array; readonly local: Uint8Array } {
  const { bytes, ranges } = new SegmentWriter(segmentName).finish(index, { held }, "fingerprint");
  const part = ({ offset, length }: { offset: number; length: number }) => bytes.subarray(offset, offset + length);
  return { index: part(ranges.index), local: part(ranges.local) };
}

const { index: sampleIndex } = segment.value as Segment;

// ---- manifests ----

const manifest = sample("manifest").value as Manifest;
const tombstone = { version: 1, checkpoint: 4, abandoned: "it took too long" } as const;
const manifestJson: unknown = JSON.parse(Buffer.from(encodeManifest(manifest)).toString());
const acknowledgement = manifest.tasks[0];

export const engineDecoders: readonly Decoder[] = [
  { name: "value", valid: values.map(encodeValue), decode: decodeValue, encode: encodeValue },
  {
    name: "canonical key",
    valid: keys.map(canonicalKey),
    decode: (bytes) => readCanonicalKey(new ByteReader(bytes)),
    encode: canonicalKey,
  },
  {
    name: "frame",
    valid: fc.constantFrom(sample("frame").encode(), sample("frame-of-stop").encode()),
    decode: sample("frame").decode,
    reseal: (bytes) => resealed(bytes, 2),
  },
  { name: "commit", valid: commits, decode: (bytes) => useCommit(decodeCommit(bytes)), encode: encodeCommit },
  {
    name: "journal entry",
    valid: entries,
    decode: (bytes) => {
      const name = payloadOf(bytes);
      return name === undefined ? useCommit(decodeEntry(bytes)) : name;
    },
    reseal: resealEntry,
  },
  ...rowDecoders,
  {
    name: "index",
    valid: fc.constant(blocks(sampleIndex, []).index),
    decode: (bytes) => {
      assert.ok(readReferences(bytes).length >= 0);
      return readIndex(bytes);
    },
    reseal: (bytes) => resealed(bytes, 0),
    encode: (index: TaskIndex) => blocks(index, []).index,
    // Names that nothing refers to are not written again.
    essence: ({ operators }: TaskIndex) => [...operators].map(([uid, entries]) => [uid, entries.values()]),
  },
  {
    name: "held frames",
    valid: fc.array(fc.uint8Array({ maxLength: 20 })).map((held) => blocks(sampleIndex, held).local),
    decode: (bytes) => readLocal(bytes).held.map((frame) => Buffer.from(frame)),
    reseal: (bytes) => resealed(bytes, 0),
    encode: (held: readonly Uint8Array[]) => blocks(sampleIndex, held).local,
  },
  {
    name: "page",
    valid: fc.constant(sample("page").encode()),
    decode: (bytes) => {
      const page = decodePage(bytes);
      return { ...page, bytes: Buffer.from(page.bytes) };
    },
    reseal: (bytes) => resealed(bytes, 1),
  },
  {
    name: "manifest",
    valid: fc.oneof(
      fc.constantFrom(encodeManifest(manifest), encodeManifest(tombstone)),
      mutatedJson(fc.constantFrom(manifestJson, tombstone)).map((json) => Buffer.from(JSON.stringify(json) ?? "")),
      nearly(manifest).map((value) => encodeManifest(value as Manifest)),
    ),
    decode: decodeManifest,
    encode: encodeManifest,
  },
  {
    name: "job record",
    valid: fc.oneof(
      nearly(sample("job-record").value).map((record) => encodeJobRecord(record as JobRecord)),
      fc.constant(encodeRecordPointer(id<BlobName>("job/000000000001-c1"))),
    ),
    decode: decodeRecordEntry,
    reseal: (bytes) => resealed(bytes, 0),
    encode: (record: JobRecord | BlobName) =>
      typeof record === "string" ? encodeRecordPointer(record) : encodeJobRecord(record),
  },
  stored("acknowledgement", [acknowledgement, "acknowledgements/g2.stage~0/000000000012-e1.12-part"], decodeSaid),
  stored("checkpoint request", [{ savepoint: true, stop: false }], (bytes) => {
    const request = decodeRequest(bytes);
    assert.deepEqual(decodeRequest(encodeRequest(request)), request);
    return request;
  }),
  stored("wake-up", [[5, 6]], decodeWakeUp),
  stored(
    "alignment report",
    [
      { group: "g", at: 5 },
      { group: "g", at: undefined },
    ],
    decodeReport,
  ),
  stored("lease", [{ by: "c1", until: 5, forMs: 6 }], decodeLease),
  stored(
    "attempts",
    [
      {
        at: "5",
        deaths: 1,
        worker: { by: "e1", bell: "frames", until: 9 },
        suspect: { records: 4, safe: 1, units: 1, name: "record a 1", alone: 1 },
        killers: [{ n: 1, name: "record a 1", times: 2 }],
      },
      { at: "5", deaths: 0, worker: undefined, suspect: undefined, killers: [] },
    ],
    decodeAttempts,
  ),
  stored("deliveries", [{ ids: ["m1", "m2"], until: 9 }], decodeDeliveries),
];
