/** Records that a producer has packed: whatever it packed comes out, in its order, each at a place of its own. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { id, type Position } from "../../runtime/base/ids.ts";
import { hashKeyOf, readAggregate } from "../../runtime/connectors/kinesis/kpl.ts";
import { placeOf, unpack } from "../../runtime/connectors/kinesis/unpack.ts";
import { fullRange, splitEvenly } from "../../runtime/streaming/hash-range.ts";
import { comparePositions } from "../../runtime/streaming/position.ts";
import { aggregateOf, messageOf, type Put, sealed } from "./aggregate.ts";

const puts = fc.array(
  fc.record({
    partitionKey: fc.string({ unit: "grapheme" }),
    explicitHashKey: fc.option(fc.bigInt({ min: 0n, max: fullRange.to }), { nil: undefined }),
    data: fc.uint8Array({ maxLength: 200 }),
  }),
  { minLength: 1, maxLength: 20 },
);

function recordAt(position: number, bytes: Uint8Array): SourceRecord {
  return { position: String(position), partitionKey: "a", arrivalTime: 7, bytes };
}

describe("an aggregated record", () => {
  test("holds what was put in", () => {
    fc.assert(
      fc.property(puts, (list) => {
        const found = readAggregate(aggregateOf(list));
        assert.equal(found.kind, "aggregate");
        const records = found.kind === "aggregate" ? found.records : [];
        assert.deepEqual(
          records.map(({ partitionKey, explicitHashKey, bytes }) => ({
            partitionKey,
            explicitHashKey,
            data: new Uint8Array(bytes),
          })),
          list.map(({ partitionKey, explicitHashKey, data }) => ({ partitionKey, explicitHashKey, data: new Uint8Array(data) })),
        );
      }),
    );
  });

  test("K1 that is damaged anywhere is a record as any other", () => {
    fc.assert(
      fc.property(puts, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, at, flip) => {
        const bytes = aggregateOf(list);
        const place = at % bytes.length;
        bytes[place] = (bytes[place] as number) ^ flip;
        assert.equal(readAggregate(bytes).kind, "plain");
      }),
    );
  });

  test("K1 that is cut off is a record as any other", () => {
    const bytes = aggregateOf([{ partitionKey: "a", data: new Uint8Array(40) }]);
    for (let length = 0; length < bytes.length; length++) assert.equal(readAggregate(bytes.subarray(0, length)).kind, "plain");
  });

  test("K2 whose message is damaged and whose digest fits it is taken in no part", () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (message) => {
        kinds.add(readAggregate(sealed(message)).kind);
      }),
    );
    assert.deepEqual([...kinds], ["broken"]);
    const message = messageOf([{ partitionKey: "a", data: new Uint8Array(4) }]);
    for (let length = 0; length < message.length; length++)
      assert.equal(readAggregate(sealed(message.subarray(0, length))).kind, "broken", `cut to ${length}`);
  });

  test("routes by the MD5 of the partition key unless it says otherwise", () => {
    const md5 = BigInt(`0x${createHash("md5").update("key").digest("hex")}`);
    const record = { partitionKey: "key", explicitHashKey: undefined, bytes: new Uint8Array() };
    assert.equal(hashKeyOf(record), md5);
    assert.equal(hashKeyOf({ ...record, explicitHashKey: 5n }), 5n);
  });
});

describe("records of a stream, unpacked", () => {
  const list = (count: number): Put[] =>
    Array.from({ length: count }, (_, n) => ({ partitionKey: `key ${n}`, data: Buffer.from(`value ${n}`) }));

  test("P1 are in order, each at a place that names the stream's record; only the last completes it", () => {
    const packed = [recordAt(98, Buffer.from("plain")), recordAt(99, aggregateOf(list(12))), recordAt(100, aggregateOf(list(1)))];
    // Positions of one shard have one length, as sequence numbers do.
    const padded = packed.map((record) => ({ ...record, position: `5${record.position.padStart(4, "0")}` }));
    const { records } = unpack(padded, fullRange);
    const positions = records.map(({ position }) => position);
    assert.equal(records.length, 14);
    assert.deepEqual(positions.toSorted(comparePositions), positions);
    assert.equal(new Set(positions).size, 14);
    const places = positions.map((position) => placeOf(id<Position>(position)));
    assert.deepEqual(
      places.flatMap(({ sequenceNumber, complete }) => (complete ? [sequenceNumber] : [])),
      ["50098", "50099", "50100"],
    );
    assert.deepEqual(new Set(places.slice(1, 13).map(({ sequenceNumber }) => sequenceNumber)), new Set(["50099"]));
    assert.deepEqual(
      records.map(({ bytes }) => Buffer.from(bytes).toString()),
      ["plain", ...list(12).map(({ data }) => Buffer.from(data).toString()), "value 0"],
    );
  });

  test("P3 belong to one shard each, however often they were sent", () => {
    const shards = splitEvenly(4);
    const packed = [recordAt(1, aggregateOf(list(50)))];
    const found = shards.map((range) => unpack(packed, range));
    const values = found.flatMap(({ records }) => records.map(({ bytes }) => Buffer.from(bytes).toString()));
    assert.deepEqual(
      values.toSorted(),
      list(50)
        .map(({ data }) => Buffer.from(data).toString())
        .toSorted(),
    );
    assert.deepEqual(
      found.map(({ records, foreign }) => records.length + foreign),
      [50, 50, 50, 50],
    );
    for (const { records } of found) assert.ok(placeOf(id<Position>(records.at(-1)!.position)).complete);
  });

  test("K2 a malformed one goes to the dead letters whole", () => {
    const bytes = sealed(Buffer.from("nonsense"));
    const { records } = unpack([recordAt(1, bytes)], fullRange);
    assert.equal(records.length, 1);
    assert.match(records[0]!.rejected!, /malformed/);
    assert.equal(records[0]!.bytes, bytes);
    const beyond = aggregateOf([{ partitionKey: "a", explicitHashKey: 1n << 128n, data: Buffer.from("x") }]);
    const halves = splitEvenly(2).map((range) => unpack([recordAt(1, beyond)], range));
    assert.deepEqual(
      halves.map(({ foreign }) => foreign),
      [0, 0],
    );
    for (const half of halves) assert.match(half.records[0]!.rejected!, /beyond the hash space/);
  });
});
