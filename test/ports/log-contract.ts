/**
 * What every log must hold, streams made and changed through `ProvisionedLog`.
 *
 * T1 The records of a shard have one order; positions grow along it, and a child's lie above its parents'.
 * T2 A record acknowledged can be read until it is trimmed; a reader that is not past the trim point sees a gap.
 * T3 A read gives at most what its limit allows, but one record if there is one; `next` is undefined only at a shard's end.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { KeyedRecordToAppend, ProvisionedLog } from "../../runtime/adapters/log-provisioning.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { Log, ReadResult } from "../../runtime/ports/log.ts";
import { fullRange, inRange } from "../../runtime/streaming/hash-range.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";
import { type AdapterMaker, bytesOf, textOf } from "./adapter-maker.ts";

/** The record size limit that the suite's logs are made with. */
export const contractMaxRecordBytes = 1000;

const everything = { records: 10_000, bytes: 10_000_000 };
const invalid = (error: unknown) => isKind(error, "invalid");
const record = (text: string, hashKey = 0n): KeyedRecordToAppend => ({ hashKey, bytes: bytesOf(text) });
const textsOf = ({ records }: ReadResult) => records.map(({ bytes }) => textOf(bytes));

async function withStream(make: AdapterMaker<ProvisionedLog>, shards = 1): Promise<ProvisionedLog> {
  const log = await make();
  assert.equal(await log.createStream("views", shards), "created");
  return log;
}

async function firstShard(log: Log): Promise<ShardId> {
  return (await log.shards("views"))[0]!.id;
}

async function appendAll(log: Log, texts: readonly string[], hashKey = 0n): Promise<void> {
  for (const text of texts) {
    const [result] = await log.append("views", [record(text, hashKey)]);
    assert.equal(result!.outcome, "appended");
  }
}

/** Reads on and on with a small limit, as a reader does; stops where nothing more is there. */
async function readOn(log: Log, shard: ShardId, from: Position | "horizon", records: number): Promise<readonly string[]> {
  const texts: string[] = [];
  let at: Position | "horizon" | undefined = from;
  while (at !== undefined) {
    const result: ReadResult = await log.read("views", shard, at, { records, bytes: 1_000_000 });
    if (result.records.length === 0) break;
    texts.push(...textsOf(result));
    at = result.next;
  }
  return texts;
}

export function logContract(name: string, make: AdapterMaker<ProvisionedLog>): void {
  describe(`${name}: log contract`, () => {
    it("creates a stream once, its shards sharing the hash space evenly", async () => {
      const log = await withStream(make, 4);
      const shards = await log.shards("views");
      assert.deepEqual(
        shards.map(({ range }) => range.from),
        [0n, 1n << 126n, 2n << 126n, 3n << 126n],
      );
      assert.equal(shards.at(-1)!.range.to, fullRange.to);
      assert.ok(shards.every((shard) => !shard.closed && shard.parents.length === 0));
      assert.equal(await log.createStream("views", 2), "exists");
      assert.equal((await log.shards("views")).length, 4);
      await assert.rejects(log.createStream("none", 0), invalid);
    });

    it("refuses streams and shards that do not exist", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await assert.rejects(log.shards("clicks"), invalid);
      await assert.rejects(log.append("clicks", [record("a")]), invalid);
      await assert.rejects(log.read("clicks", shard, "horizon", everything), invalid);
      await assert.rejects(log.read("views", id<ShardId>("none"), "horizon", everything), invalid);
      await assert.rejects(log.trim("views", id<ShardId>("none"), id<Position>("1")), invalid);
      await assert.rejects(log.splitShard("views", id<ShardId>("none")), invalid);
    });

    it("appends each record to the shard whose range holds its hash key", async () => {
      const log = await withStream(make, 4);
      const keys = [0n, (1n << 126n) - 1n, 1n << 126n, (1n << 127n) + 5n, fullRange.to];
      const results = await log.append(
        "views",
        keys.map((key) => record(String(key), key)),
      );
      const shards = await log.shards("views");
      for (const [n, key] of keys.entries()) {
        const expected = shards.find(({ range }) => inRange(range, key))!;
        const result = results[n]!;
        assert.deepEqual(result.outcome === "appended" && result.shard, expected.id);
        assert.ok(textsOf(await log.read("views", expected.id, "horizon", everything)).includes(String(key)));
      }
      assert.deepEqual(await log.append("views", []), []);
    });

    it("appends nothing of a call with an impossible hash key or a record above the size limit", async () => {
      const log = await withStream(make);
      const tooLarge = { hashKey: 0n, bytes: new Uint8Array(contractMaxRecordBytes + 1) };
      await assert.rejects(log.append("views", [record("a"), tooLarge]), invalid);
      await assert.rejects(log.append("views", [record("a"), record("b", fullRange.to + 1n)]), invalid);
      await assert.rejects(log.append("views", [record("a"), record("b", -1n)]), invalid);
      assert.deepEqual(await readOn(log, await firstShard(log), "horizon", 10), []);
      await log.append("views", [{ hashKey: 0n, bytes: new Uint8Array(contractMaxRecordBytes) }]);
    });

    it("keeps the order of appends, positions growing (T1)", async () => {
      const log = await withStream(make);
      const texts = Array.from({ length: 25 }, (_, n) => `record ${n}`);
      await appendAll(log, texts);
      const result = await log.read("views", await firstShard(log), "horizon", everything);
      assert.deepEqual(textsOf(result), texts);
      const positions = result.records.map(({ position }) => position);
      assert.ok(positions.every((position) => /^(0|[1-9]\d*)$/.test(position)));
      for (const [n, position] of positions.slice(1).entries()) assert.ok(comparePositions(positions[n]!, position) < 0);
    });

    it("gives records their partition key, or their hash key in decimal", async () => {
      const log = await withStream(make);
      await log.append("views", [{ hashKey: 7n, partitionKey: "user-1", bytes: bytesOf("a") }]);
      await log.append("views", [record("b", 12345678901234567890123n)]);
      const { records } = await log.read("views", await firstShard(log), "horizon", everything);
      assert.deepEqual(
        records.map(({ partitionKey }) => partitionKey),
        ["user-1", "12345678901234567890123"],
      );
      assert.ok(records.every(({ arrivalTime }) => Number.isFinite(arrivalTime)));
    });

    it("reads on from any position (T2)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      const texts = Array.from({ length: 12 }, (_, n) => `record ${n}`);
      await appendAll(log, texts);
      const { records } = await log.read("views", shard, "horizon", everything);
      for (const [n, { position }] of records.entries()) {
        const result = await log.read("views", shard, id<Position>(position), everything);
        assert.deepEqual(textsOf(result), texts.slice(n + 1));
        assert.equal(result.gap, false);
      }
    });

    it("waits at the end: no records, the same place, zero behind (T3)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      const empty = await log.read("views", shard, "horizon", everything);
      assert.deepEqual(empty, { records: [], next: "horizon", behindMs: 0, gap: false });
      await appendAll(log, ["a"]);
      const first = await log.read("views", shard, "horizon", everything);
      assert.equal(first.next, first.records[0]!.position);
      const again = await log.read("views", shard, first.next as Position, everything);
      assert.deepEqual(again, { records: [], next: first.next, behindMs: 0, gap: false });
    });

    it("holds to the limit of records and says when more is there (T3)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await appendAll(log, ["a", "b", "c"]);
      const two = await log.read("views", shard, "horizon", { records: 2, bytes: 1_000_000 });
      assert.deepEqual(textsOf(two), ["a", "b"]);
      assert.ok(two.behindMs > 0);
      const three = await log.read("views", shard, "horizon", { records: 3, bytes: 1_000_000 });
      assert.equal(three.behindMs, 0);
    });

    it("holds to the limit of bytes but always gives one record (T3)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await appendAll(log, ["aaaa", "bbbb", "cccc"]);
      const within = async (bytes: number) => textsOf(await log.read("views", shard, "horizon", { records: 10, bytes }));
      assert.deepEqual(await within(12), ["aaaa", "bbbb", "cccc"]);
      assert.deepEqual(await within(11), ["aaaa", "bbbb"]);
      assert.deepEqual(await within(8), ["aaaa", "bbbb"]);
      assert.deepEqual(await within(7), ["aaaa"]);
      assert.deepEqual(await within(1), ["aaaa"]);
      assert.deepEqual(await within(0), ["aaaa"]);
    });

    it("reads everything exactly once whatever the limits (T2, T3)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      const texts = Array.from({ length: 40 }, (_, n) => `${n}`.repeat(1 + (n % 7)));
      await appendAll(log, texts);
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 100 }), async (records, bytes) => {
          const read: string[] = [];
          let at: Position | "horizon" = "horizon";
          for (;;) {
            const result: ReadResult = await log.read("views", shard, at, { records, bytes });
            if (result.records.length === 0) break;
            read.push(...textsOf(result));
            at = result.next!;
          }
          assert.deepEqual(read, texts);
        }),
        { numRuns: 25 },
      );
    });

    it("splits a shard: the parent ends, its children go on above it (T1, T3)", async () => {
      const log = await withStream(make);
      const parent = await firstShard(log);
      await appendAll(log, ["before 1", "before 2"]);
      const [low, high] = await log.splitShard("views", parent, 1000n);
      const shards = await log.shards("views");
      assert.deepEqual(
        shards.map(({ id: shard, range, parents, closed }) => ({ shard, range, parents, closed })),
        [
          { shard: parent, range: fullRange, parents: [], closed: true },
          { shard: low, range: { from: 0n, to: 999n }, parents: [parent], closed: false },
          { shard: high, range: { from: 1000n, to: fullRange.to }, parents: [parent], closed: false },
        ],
      );
      await appendAll(log, ["low"], 999n);
      await appendAll(log, ["high"], 1000n);
      const old = await log.read("views", parent, "horizon", everything);
      assert.deepEqual(textsOf(old), ["before 1", "before 2"]);
      assert.equal(old.next, undefined);
      const child = await log.read("views", low, "horizon", everything);
      assert.deepEqual(textsOf(child), ["low"]);
      assert.ok(comparePositions(child.records[0]!.position, old.records[1]!.position) > 0);
      assert.deepEqual(await readOn(log, high, "horizon", 1), ["high"]);
    });

    it("ends a closed shard only when nothing is left to read (T3)", async () => {
      const log = await withStream(make);
      const parent = await firstShard(log);
      await appendAll(log, ["a", "b"]);
      await log.splitShard("views", parent);
      const first = await log.read("views", parent, "horizon", { records: 1, bytes: 100 });
      assert.equal(first.next, first.records[0]!.position);
      const second = await log.read("views", parent, first.next as Position, { records: 1, bytes: 100 });
      assert.deepEqual([textsOf(second), second.next], [["b"], undefined]);
      const after = await log.read("views", parent, id<Position>(second.records[0]!.position), everything);
      assert.deepEqual([after.records, after.next], [[], undefined]);
    });

    it("ends a shard that was closed without a record", async () => {
      const log = await withStream(make);
      const parent = await firstShard(log);
      const [low] = await log.splitShard("views", parent);
      assert.equal((await log.read("views", parent, "horizon", everything)).next, undefined);
      assert.equal((await log.read("views", low, "horizon", everything)).next, "horizon");
    });

    it("merges neighbouring shards into one with both as parents", async () => {
      const log = await withStream(make, 3);
      const [a, b, c] = (await log.shards("views")).map((shard) => shard.id);
      await appendAll(log, ["in a", "in a too"], 0n);
      await assert.rejects(log.mergeShards("views", a!, c!), invalid);
      const merged = await log.mergeShards("views", b!, a!);
      await assert.rejects(log.mergeShards("views", a!, b!), invalid);
      await assert.rejects(log.splitShard("views", a!), invalid);
      const shard = (await log.shards("views")).find((candidate) => candidate.id === merged)!;
      assert.deepEqual([...shard.parents].sort(), [a, b].sort());
      assert.equal(shard.range.from, 0n);
      await appendAll(log, ["merged"], 0n);
      const parentsLast = (await log.read("views", a!, "horizon", everything)).records.at(-1)!.position;
      const [first] = (await log.read("views", merged, "horizon", everything)).records;
      assert.equal(textOf(first!.bytes), "merged");
      assert.ok(comparePositions(first!.position, parentsLast) > 0);
    });

    it("refuses a split outside the shard's range", async () => {
      const log = await withStream(make, 2);
      const [low, high] = await log.shards("views");
      await assert.rejects(log.splitShard("views", low!.id, low!.range.from), invalid);
      await assert.rejects(log.splitShard("views", low!.id, high!.range.from), invalid);
      await log.splitShard("views", low!.id, low!.range.to);
    });

    it("covers the hash space exactly once, however shards are split and merged", async () => {
      const log = await withStream(make, 2);
      for (const step of [0, 3, 1, 4, 2]) {
        const open = (await log.shards("views")).filter((shard) => !shard.closed);
        await log.splitShard("views", open[step % open.length]!.id);
      }
      const byRange = async () =>
        (await log.shards("views")).filter((shard) => !shard.closed).sort((a, b) => (a.range.from < b.range.from ? -1 : 1));
      const open = await byRange();
      await log.mergeShards("views", open[2]!.id, open[3]!.id);
      const left = await byRange();
      assert.equal(left.length, 6);
      assert.equal(left[0]!.range.from, 0n);
      assert.equal(left.at(-1)!.range.to, fullRange.to);
      for (const [n, shard] of left.slice(1).entries()) assert.equal(shard.range.from, left[n]!.range.to + 1n);
    });

    it("shows a gap to a reader that has not passed the trim point (T2)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await appendAll(log, ["a", "b", "c", "d"]);
      const { records } = await log.read("views", shard, "horizon", everything);
      const [a, b, c] = records.map(({ position }) => id<Position>(position));
      await log.trim("views", shard, b!);
      const behind = await log.read("views", shard, a!, everything);
      assert.deepEqual([textsOf(behind), behind.gap], [["c", "d"], true]);
      const atPoint = await log.read("views", shard, b!, everything);
      assert.deepEqual([textsOf(atPoint), atPoint.gap], [["c", "d"], false]);
      const beyond = await log.read("views", shard, c!, everything);
      assert.deepEqual([textsOf(beyond), beyond.gap], [["d"], false]);
      const horizon = await log.read("views", shard, "horizon", everything);
      assert.deepEqual([textsOf(horizon), horizon.gap], [["c", "d"], false]);
    });

    it("keeps positions growing after everything was trimmed, and shows the gap then too (T1, T2)", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await appendAll(log, ["a", "b"]);
      const [first, last] = (await log.read("views", shard, "horizon", everything)).records;
      await log.trim("views", shard, id<Position>(last!.position));
      const empty = await log.read("views", shard, id<Position>(first!.position), everything);
      assert.deepEqual([empty.records, empty.gap, empty.behindMs], [[], true, 0]);
      await appendAll(log, ["c"]);
      const result = await log.read("views", shard, id<Position>(last!.position), everything);
      assert.deepEqual([textsOf(result), result.gap], [["c"], false]);
      assert.ok(comparePositions(result.records[0]!.position, last!.position) > 0);
    });

    it("trims again without harm, and never what lies beyond the shard's end", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await appendAll(log, ["a", "b", "c"]);
      const positions = (await log.read("views", shard, "horizon", everything)).records.map(({ position }) =>
        id<Position>(position),
      );
      await log.trim("views", shard, positions[1]!);
      await log.trim("views", shard, positions[0]!);
      assert.deepEqual(await readOn(log, shard, "horizon", 1), ["c"]);
      await log.trim("views", shard, id<Position>("1000000"));
      await appendAll(log, ["d"]);
      assert.deepEqual(await readOn(log, shard, positions[2]!, 1), ["d"]);
    });

    it("keeps streams apart", async () => {
      const log = await withStream(make);
      await log.createStream("clicks", 1);
      await appendAll(log, ["a view"]);
      await log.append("clicks", [record("a click")]);
      assert.deepEqual(await readOn(log, await firstShard(log), "horizon", 5), ["a view"]);
    });

    it("hands out bytes that belong to the caller", async () => {
      const log = await withStream(make);
      const shard = await firstShard(log);
      await appendAll(log, ["hello"]);
      (await log.read("views", shard, "horizon", everything)).records[0]!.bytes.fill(0);
      assert.deepEqual(await readOn(log, shard, "horizon", 1), ["hello"]);
    });
  });
}
