/**
 * One sample of each stored format: what it holds, how it is written and how it is read. Read by the tests of stored formats and by
 * those of mutated bytes; `record.ts` keeps the bytes of a new version.
 */
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { decodeValue, encodeValue } from "../../runtime/base/message-pack.ts";
import { id, type BlobName, type ChannelId, type TaskId } from "../../runtime/base/ids.ts";
import { decodePage } from "../../runtime/driver/page-codec.ts";
import { decodeJobRecord, encodeJobRecord, type JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { readIndex, readLocal, readReferences, SegmentWriter } from "../../runtime/snapshots/segment.ts";
import { type Commit, decodeCommit, encodeCommit } from "../../runtime/state/commit.ts";
import type { TaskIndex } from "../../runtime/state/state-index.ts";
import {
  type Element,
  readElement,
  writeRecord,
  writeWatermark,
  writeStatus,
  writeBarrier,
  writeEnd,
} from "../../runtime/streaming/element.ts";
import { readFrame, takeFrame, writeFrameHeader } from "../../runtime/streaming/frame.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { crc32 } from "node:zlib";

export interface Sample {
  readonly name: string;
  /** What `decode` gives for the bytes of any version. */
  readonly value: unknown;
  readonly encode: () => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
  /** Where the format's version stands; undefined: inside. */
  readonly versionAt?: number;
  /** Of a format that is a checksum and what it guards: makes it right, so that what is behind it can be seen to be careful too. */
  readonly reseal?: (bytes: Uint8Array) => Uint8Array;
}

const task = (name: string) => id<TaskId>(name);

const everything = {
  text: "häß𝄞",
  empty: "",
  long: "x".repeat(300),
  numbers: [0, -0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, -1, -32, -33, -(2 ** 31), 2 ** 53, 0.1, NaN, Infinity],
  bigints: [0n, -1n, 2n ** 100n],
  nothing: undefined,
  none: null,
  yes: true,
  no: false,
  date: new Date(1_700_000_000_000),
  bytes: new Uint8Array([0, 1, 255]),
  map: new Map<unknown, unknown>([
    [1, "one"],
    ["1", new Map([[null, undefined]])],
  ]),
  set: new Set<unknown>(["a", 1n, new Set()]),
  deep: [[[[[{ a: { b: { c: [] } } }]]]]],
};
Object.defineProperty(everything, "__proto__", { value: "own", enumerable: true, configurable: true, writable: true });

const header = { job: "job", generation: 3, deployment: 7, channel: id<ChannelId>("g3.a~0>g3.b~1"), seq: 42 };
const elements: readonly Element[] = [
  { kind: "record", edge: 0, key: "key", timestamp: 1_700_000_000_000, value: { n: 1 } },
  { kind: "record", edge: 1, key: undefined, timestamp: -5, value: [1, 2] },
  { kind: "record", edge: 1, key: ["a", 1n, true], timestamp: NaN, value: null },
  { kind: "watermark", edge: 0, at: 999 },
  { kind: "watermark", edge: 0, at: Infinity },
  { kind: "status", edge: 1, active: false },
  { kind: "status", edge: 1, active: true },
  { kind: "barrier", barrier: { checkpoint: 9, savepoint: true, stop: false, declined: false } },
  { kind: "end", successors: [{ task: task("g3.a~2"), parents: [task("g3.a~0"), task("g3.a~1")] }] },
];

/** Barriers as they came later: one of a stop. */
const barriers: readonly Element[] = [
  { kind: "barrier", barrier: { checkpoint: 10, savepoint: true, stop: true, declined: false } },
  { kind: "barrier", barrier: { checkpoint: 11, savepoint: false, stop: true, declined: true } },
];

function encodeFrame(list: readonly Element[]): Uint8Array {
  const writer = new ByteWriter();
  writeFrameHeader(writer, header);
  for (const element of list) {
    if (element.kind === "record") writeRecord(writer, element.edge, element.key, element.timestamp, element.value);
    else if (element.kind === "watermark") writeWatermark(writer, element.edge, element.at);
    else if (element.kind === "status") writeStatus(writer, element.edge, element.active);
    else if (element.kind === "barrier") writeBarrier(writer, element.barrier);
    else writeEnd(writer, element.successors);
  }
  return takeFrame(writer);
}

/** The bytes with the checksum at `at` made right for what follows it. */
function resealed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Buffer.from(bytes);
  if (copy.length >= at + 4) copy.writeUInt32LE(crc32(copy.subarray(at + 4)), at);
  return copy;
}

function decodeFrame(bytes: Uint8Array): unknown {
  const { elements: reader, ...rest } = readFrame(bytes);
  const list: unknown[] = [];
  while (!reader.done) list.push(readElement(reader));
  return { ...rest, elements: list };
}

const commit = {
  generation: 2,
  deployment: 1,
  task: "g2.stage~0",
  seq: 12,
  attempt: "e1.12",
  by: "mapping",
  done: 11,
  progress: {
    sources: new Map([
      [
        "in",
        {
          shards: new Map([["shard-0", { position: "123", readUpTo: 900, ended: false, parents: [] }]]),
          watermarks: { watermark: 5, shards: [] },
        },
      ],
    ]),
    inbox: "77",
    channels: new Map([["g2.a~0>g2.stage~0", { expected: 4, status: "live", parents: ["g2.a~9"] }]]),
    sent: new Map([["g2.stage~0>g2.b~0", 3]]),
    valves: new Map([["op", { watermark: "-inf", inputs: undefined }]]),
    alignment: { last: 3, current: { checkpoint: 4, savepoint: false, arrived: ["g2.a~0>g2.stage~0"] } },
    sinks: new Map([["out", { open: "part-1" }]]),
    now: 1_000,
    ended: false,
    successors: [],
    versionOffset: 0,
    totals: { records: 10, deadLetters: 1, lateDropped: 2 },
  },
  held: { added: [new Uint8Array([1, 2, 3])], released: [0] },
  rows: [{ operator: "op", schema: "count:value:0", bytes: Buffer.from([1, 2, 3]) }],
  effects: [
    { effect: "send", channel: "g2.stage~0>g2.b~0", frames: [new Uint8Array([9])] },
    { effect: "sink", operator: "out", n: 1, payload: new Uint8Array([8]) },
    { effect: "deadLetter", operator: "op", reason: "no", shard: "s", position: "1", bytes: new Uint8Array([7]) },
    { effect: "acknowledge", checkpoint: 4, index: { blob: "segments/x", offset: 1, length: 2 }, declined: false },
    { effect: "ended", index: undefined },
    { effect: "wakeAt", at: 5, by: 6 },
  ],
  base: { seq: 12, index: { blob: "segments/x", offset: 1, length: 2 }, local: { blob: "segments/x", offset: 3, length: 4 } },
} as unknown as Commit;

/** Of a job that is being stopped, as it came later. */
const commitOfStop: Commit = {
  ...commit,
  progress: {
    ...commit.progress,
    alignment: {
      last: 9,
      rests: true,
      current: { checkpoint: 10, savepoint: true, stop: true, arrived: [id<ChannelId>("g2.a~0>g2.stage~0")] },
    },
  },
};

const segmentName = id<BlobName>("segments/g2.stage~0/000000000012-e1.12");

function sampleIndex(range: { blob: BlobName; offset: number; length: number }, checksum: number): TaskIndex {
  const entry = {
    version: 12,
    sizeBytes: range.length,
    earliestEventTimer: 5_000,
    earliestProcessingTimer: Infinity,
    cleanAt: Infinity,
  };
  return {
    operators: new Map([
      [
        "op",
        new SparseTable([
          [
            3,
            {
              keyGroup: 3,
              ...entry,
              parts: [{ kind: "segment" as const, schema: "count:value:0", rows: 2, ...range, checksum }],
            },
          ],
          [
            70,
            {
              keyGroup: 70,
              ...entry,
              earliestEventTimer: -Infinity,
              earliestProcessingTimer: -7,
              cleanAt: 9_000,
              parts: [
                { kind: "page" as const, schema: "count:value:0", rows: 1, writer: task("g1.stage~0") },
                {
                  kind: "segment" as const,
                  schema: "",
                  rows: 0,
                  ...range,
                  blob: id<BlobName>("segments/old"),
                  checksum: 1,
                },
              ],
            },
          ],
        ]),
      ],
      ["empty", new SparseTable()],
    ]),
    segments: new Map([
      [segmentName, 100],
      [id<BlobName>("segments/old"), 50],
    ]),
  };
}

function segment() {
  const writer = new SegmentWriter(segmentName);
  const offset = writer.pageBytes;
  writer.rows.out.raw(new Uint8Array([1, 2, 3, 4]));
  const index = sampleIndex({ blob: segmentName, offset, length: 4 }, writer.checksum(offset));
  return { index, ...writer.finish(index, { held: [new Uint8Array([5, 6])] }, "fingerprint") };
}

/** A segment as a tool reads it that knows the ranges. */
function decodeSegment(bytes: Uint8Array): unknown {
  const { index, local } = segment().ranges;
  const block = bytes.subarray(index.offset, index.offset + index.length);
  const held = readLocal(bytes.subarray(local.offset, local.offset + local.length));
  return { index: readIndex(block), references: readReferences(block), held: held.held.map((frame) => [...frame]) };
}

const acknowledgement = {
  task: "g2.stage~0",
  stage: "stage",
  checkpoint: 4,
  declined: false,
  range: fullRange,
  lastSeq: 12,
  index: { blob: "segments/x", offset: 1, length: 2 },
  sources: commit.progress.sources,
  valves: new Map([["op", { watermark: "-inf", inputs: [] }]]),
  ended: false,
  successors: [],
  now: 1_000,
  totals: { records: 10, deadLetters: 1, lateDropped: 2 },
};

const manifest = {
  version: 1,
  job: "job",
  generation: 2,
  checkpoint: 4,
  kind: "savepoint",
  fingerprint: "0123456789abcdef",
  deployment: 1,
  keyGroups: 128,
  takenAt: 1_700_000_000_000,
  operators: [{ uid: "op", kind: "keyedProcess", hash: "murmur3", states: [{ name: "count", kind: "value", version: 0 }] }],
  tasks: [acknowledgement],
  totals: { records: 17, deadLetters: 1, lateDropped: 3 },
} as unknown as Manifest;

const record = {
  version: 1,
  job: "job",
  fingerprint: "0123456789abcdef",
  operators: manifest.operators,
  generation: 2,
  deployment: 1,
  phase: "stopping",
  savepoint: "manifests/000000000004",
  order: "order-1",
  wanted: { savepoint: true, after: 4 },
  manifest: "manifests/000000000004",
  keyGroups: 128,
  topology: [
    {
      stage: "stage",
      generation: 2,
      kind: "keyed",
      tasks: [{ task: "g2.stage~0", range: fullRange }],
      roots: new Map([["in", [{ shard: "shard-0", range: fullRange }]]]),
    },
  ],
  pending: { checkpoint: 5, savepoint: true, stop: true, since: 9 },
  lastCheckpoint: 5,
  triggeredAt: 9,
  completed: "manifests/000000000004",
  completedAt: 8,
  retained: [{ manifest: "manifests/000000000004", savepoint: true }],
  superseded: ["manifests/000000000003"],
  since: 3,
  failures: 1,
  replaces: [],
  former: [],
  totals: { records: 7, deadLetters: 0, lateDropped: 1 },
} as unknown as JobRecord;

/** As driver/page-codec.ts writes it; the rows are opaque here. */
function encodePage(): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(1);
  writer.u32(0);
  writer.string("count:value:0");
  writer.raw(new Uint8Array([1, 2, 3]));
  writer.buffer.writeUInt32LE(crc32(writer.buffer.subarray(5, writer.length)), 1);
  return writer.take();
}

export const samples: readonly Sample[] = [
  { name: "value", value: everything, encode: () => encodeValue(everything), decode: decodeValue },
  {
    name: "frame",
    value: { ...header, elements },
    encode: () => encodeFrame(elements),
    decode: decodeFrame,
    versionAt: 1,
    reseal: (bytes) => resealed(bytes, 2),
  },
  { name: "frame-of-stop", value: { ...header, elements: barriers }, encode: () => encodeFrame(barriers), decode: decodeFrame },
  { name: "commit", value: commit, encode: () => encodeCommit(commit), decode: decodeCommit, versionAt: 5 },
  { name: "commit-of-stop", value: commitOfStop, encode: () => encodeCommit(commitOfStop), decode: decodeCommit },
  {
    name: "segment",
    value: { index: segment().index, references: [segmentName, "segments/old"], held: [[5, 6]] },
    encode: () => segment().bytes,
    decode: decodeSegment,
  },
  {
    name: "page",
    value: { schema: "count:value:0", bytes: [1, 2, 3] },
    encode: encodePage,
    decode: (bytes) => {
      const page = decodePage(bytes);
      return { schema: page.schema, bytes: [...page.bytes] };
    },
    versionAt: 0,
  },
  { name: "manifest", value: manifest, encode: () => encodeManifest(manifest), decode: decodeManifest },
  {
    name: "job-record",
    value: record,
    encode: () => encodeJobRecord(record),
    decode: decodeJobRecord,
    reseal: (bytes) => resealed(bytes, 0),
  },
];
