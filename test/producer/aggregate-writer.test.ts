import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { AggregateWriter } from "../../runtime/connectors/kinesis/aggregate-writer.ts";
import { readAggregate } from "../../runtime/connectors/kinesis/kpl.ts";

const records = fc.array(
  fc.tuple(
    fc.oneof(fc.constantFrom("a", "b", "ä€"), fc.string({ minLength: 1, unit: "grapheme" })),
    fc.uint8Array({ maxLength: 300 }),
  ),
  { minLength: 1, maxLength: 300 },
);

suite("a written aggregate", () => {
  test("is read as what was added, and is as long as was said at each step", () => {
    fc.assert(
      fc.property(records, (added) => {
        const writer = new AggregateWriter();
        for (const [n, [key, bytes]] of added.entries()) {
          const expected = writer.sizeBytes + writer.growthOf(key, bytes);
          writer.add(key, bytes);
          assert.equal(writer.sizeBytes, expected);
          if (n % 50 === 0) assert.equal(writer.toBytes().length, expected);
        }
        const bytes = writer.toBytes();
        assert.equal(bytes.length, writer.sizeBytes);
        const read = readAggregate(bytes);
        assert.ok(read.kind === "aggregate");
        assert.deepEqual(
          read.records.map((record) => [record.partitionKey, Uint8Array.from(record.bytes)]),
          added.map(([key, data]) => [Buffer.from(key).toString(), data]),
        );
      }),
    );
  });
  test("has lengths and places of several bytes", () => {
    const writer = new AggregateWriter();
    const big = new Uint8Array(20_000).fill(7);
    for (let n = 0; n < 200; n++) writer.add(`key-${n}`, n === 150 ? big : Uint8Array.of(n));
    const read = readAggregate(writer.toBytes());
    assert.ok(read.kind === "aggregate");
    assert.deepEqual([read.records[150]!.bytes.length, read.records[199]!.partitionKey], [20_000, "key-199"]);
  });
});
