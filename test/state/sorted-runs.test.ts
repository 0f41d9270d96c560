import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Key } from "../../runtime/api/key.ts";
import { ByteReader } from "../../runtime/base/byte-reader.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { type BlobName, id } from "../../runtime/base/ids.ts";
import { canonicalKey, readCanonicalKey } from "../../runtime/state/key.ts";
import { SortBuffer } from "../../runtime/state/sort-buffer.ts";
import { type SortedRun, SortedRuns } from "../../runtime/state/sorted-runs.ts";

interface One {
  readonly key: Key;
  readonly at: number;
  readonly n: number;
}

const part = fc.oneof(
  fc.constantFrom("a", "b", "zoë", ""),
  fc.integer({ min: -2, max: 2 }),
  fc.constantFrom(1n, -1n, true, false),
);
const key: fc.Arbitrary<Key> = fc.oneof(part, fc.array(part, { minLength: 1, maxLength: 2 }));
const records = fc
  .array(fc.record({ key, at: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(NaN)) }), { maxLength: 60 })
  .map((list) => list.map((one, n): One => ({ ...one, n })));

/** A run in an object of its own for each so many records. */
function write(all: readonly One[], perRun: number, blobs: Map<BlobName, Uint8Array>): SortedRun[] {
  const runs: SortedRun[] = [];
  const buffer = new SortBuffer();
  for (let from = 0; from < all.length; from += perRun) {
    for (const { key, at, n } of all.slice(from, from + perRun)) buffer.add(key, at, n % 2, n);
    const writer = new ByteWriter();
    buffer.takeInto(writer);
    const blob = id<BlobName>(`run-${from}`);
    blobs.set(blob, writer.take());
    runs.push({ blob, offset: 0, length: writer.length });
  }
  return runs;
}

function feed(merged: SortedRuns, blobs: ReadonlyMap<BlobName, Uint8Array>): void {
  for (const { range, supply } of merged.wanted)
    supply((blobs.get(range.blob) as Uint8Array).subarray(range.offset, range.offset + range.length));
}

describe("sorted runs", () => {
  test("merge into what a stable sort by key, then timestamp, gives, also when gone on with from where they stood", () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9 }), (all, perRun, restartEvery) => {
        const blobs = new Map<BlobName, Uint8Array>();
        let merged = new SortedRuns(write(all, perRun, blobs));
        const taken: number[] = [];
        while (!merged.done) {
          feed(merged, blobs);
          const { key: found, keyBytes, timestamp, input, value } = merged.take();
          const { key: given, at } = all[value as number] as One;
          assert.deepEqual([found, timestamp, input], [given, at, (value as number) % 2]);
          assert.deepEqual(Buffer.from(keyBytes), Buffer.from(canonicalKey(given)));
          taken.push(value as number);
          if (taken.length % restartEvery === 0) merged = new SortedRuns(merged.progress());
        }
        const time = ({ at }: One) => (Number.isNaN(at) ? -1 : at);
        const sorted = [...all].sort((a, b) => Buffer.compare(canonicalKey(a.key), canonicalKey(b.key)) || time(a) - time(b));
        assert.deepEqual(
          taken,
          sorted.map(({ n }) => n),
        );
      }),
    );
  });

  test("a record longer than what is read at once is read whole", () => {
    const buffer = new SortBuffer();
    const long = "x".repeat(5 << 20);
    buffer.add("a", 1, 0, long);
    buffer.add("a", 2, 0, "short");
    const writer = new ByteWriter();
    buffer.takeInto(writer);
    const blob = id<BlobName>("long");
    const blobs = new Map([[blob, writer.take()]]);
    const merged = new SortedRuns([{ blob, offset: 0, length: writer.length }]);
    const values: unknown[] = [];
    while (!merged.done) {
      while (merged.wanted.length > 0) feed(merged, blobs);
      values.push(merged.take().value);
    }
    assert.deepEqual(values, [long, "short"]);
  });

  test("one that is cut off is corrupt", () => {
    const buffer = new SortBuffer();
    buffer.add("a", 1, 0, "value");
    const writer = new ByteWriter();
    buffer.takeInto(writer);
    const blob = id<BlobName>("cut");
    const merged = new SortedRuns([{ blob, offset: 0, length: writer.length - 1 }]);
    assert.throws(() => feed(merged, new Map([[blob, writer.take()]])) ?? merged.wanted, { kind: "corrupt" });
  });

  test("one that is damaged is corrupt", () => {
    const buffer = new SortBuffer();
    buffer.add("a", 1, 0, "value");
    const writer = new ByteWriter();
    buffer.takeInto(writer);
    const blob = id<BlobName>("damaged");
    for (let at = 0; at < writer.length; at++) {
      const bytes = writer.take();
      bytes[at] = (bytes[at] as number) ^ 0x40;
      const merged = new SortedRuns([{ blob, offset: 0, length: bytes.length }]);
      const read = () => {
        feed(merged, new Map([[blob, bytes]]));
        return [merged.wanted, merged.take()];
      };
      assert.throws(read, { kind: "corrupt" }, `byte ${at}`);
    }
  });

  test("a value that cannot be stored leaves the buffer as it was; a mark takes back what came after it", () => {
    const buffer = new SortBuffer();
    buffer.add("a", 1, 0, "kept");
    const mark = buffer.mark();
    assert.throws(() => buffer.add("b", 2, 0, { f: () => 1 }), { kind: "invalid" });
    buffer.add("c", 3, 0, "taken back");
    buffer.rollback(mark);
    buffer.add("d", 0, 1, "kept too");
    const writer = new ByteWriter();
    buffer.takeInto(writer);
    const blob = id<BlobName>("b");
    const merged = new SortedRuns([{ blob, offset: 0, length: writer.length }]);
    feed(merged, new Map([[blob, writer.take()]]));
    assert.deepEqual([merged.take().value, merged.take().value, merged.done], ["kept", "kept too", true]);
  });

  test("keys come back from their canonical encoding", () => {
    fc.assert(fc.property(key, (one) => assert.deepEqual(readCanonicalKey(new ByteReader(canonicalKey(one))), one)));
  });
});
