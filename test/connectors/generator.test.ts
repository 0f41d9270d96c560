import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { isKind } from "../../runtime/base/errors.ts";
import { type Position, type ShardId, id } from "../../runtime/base/ids.ts";
import { generator, type GeneratorOptions } from "../../runtime/connectors/generator/generator.ts";
import { SeededRandom } from "../../runtime/connectors/generator/seeded-random.ts";
import { type After, decode, Decoded, open } from "./support.ts";

const next = (index: number, random: () => number) => ({ index, x: random(), y: random() });
const limit = { records: 100, bytes: 1000 };

async function valuesOf(options: Partial<GeneratorOptions<any>>, records = 7): Promise<any[]> {
  const source = generator({ seed: 1, next, ...options });
  const reader = open(source);
  const decoded = new Decoded();
  for (const shard of await reader.shards(source.name)) {
    let after: After | undefined = "horizon";
    while (after !== undefined) {
      const result: Awaited<ReturnType<typeof reader.read>> = await reader.read(source.name, shard.id, after, {
        records,
        bytes: 1000,
      });
      for (const record of result.records) source.decode(record, decoded);
      after = result.next;
    }
  }
  return decoded.values as any[];
}

suite("generator", () => {
  test("values depend on seed and index alone, however they are read and sharded", async () => {
    const values = await valuesOf({ count: 100 });
    assert.deepEqual(
      values.map(({ index }) => index),
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.deepEqual(await valuesOf({ count: 100 }, 1), values);
    const sharded = await valuesOf({ count: 100, shards: 3 });
    assert.deepEqual(
      sharded.slice(0, 3).map(({ index }) => index),
      [0, 3, 6],
    );
    assert.deepEqual(
      sharded.toSorted((a, b) => a.index - b.index),
      values,
    );
    assert.notDeepEqual(await valuesOf({ count: 100, seed: 2 }), values);
    assert.deepEqual([await valuesOf({ count: 0 }), (await valuesOf({ count: 2, shards: 5 })).length], [[], 2]);
  });
  test("reading on from any position gives what comes after it", async () => {
    const source = generator({ seed: 1, count: 50, shards: 4, next });
    const reader = open(source);
    const shard = id<ShardId>("generator-2");
    const { records } = await reader.read(source.name, shard, "horizon", limit);
    assert.deepEqual(
      records.map((record) => record.text),
      ["2", "6", "10", "14", "18", "22", "26", "30", "34", "38", "42", "46"],
    );
    for (const [i, { position }] of records.entries()) {
      const rest = await reader.read(source.name, shard, id<Position>(position), limit);
      assert.deepEqual(
        rest.records.map((record) => record.position),
        records.slice(i + 1).map((record) => record.position),
      );
      assert.equal(rest.next, undefined);
    }
  });
  test("a rate hands out what is due by the clock, and says that nothing more is there", async () => {
    let now = 5_000;
    const source = generator({ seed: 1, next, shards: 2, ratePerSecond: 10 });
    const reader = open(source, { clock: { now: () => now } });
    let after: After = "horizon";
    const counts: number[] = [];
    for (const at of [5_000, 5_100, 5_199, 5_200, 6_000]) {
      now = at;
      const result = await reader.read(source.name, id<ShardId>("generator-1"), after, limit);
      counts.push(result.records.length);
      assert.equal(result.behindMs, 0);
      assert.ok(result.records.every((record) => record.arrivalTime === at));
      after = result.next!;
    }
    assert.deepEqual(counts, [1, 0, 0, 1, 4]);
    const again = await reader.read(source.name, id<ShardId>("generator-1"), "horizon", limit);
    assert.equal(again.records.length, 6);
  });
  test("limits hold", async () => {
    const source = generator({ seed: 1, next });
    const reader = open(source);
    const byBytes = await reader.read(source.name, id<ShardId>("generator-0"), "horizon", { records: 100, bytes: 15 });
    assert.deepEqual([byBytes.records.length, byBytes.behindMs], [12, 1]);
    const tiny = await reader.read(source.name, id<ShardId>("generator-0"), id<Position>("1000"), { records: 100, bytes: 1 });
    assert.deepEqual(
      tiny.records.map((record) => record.text),
      ["1000"],
    );
  });
  test("a next() that throws is a rejection, and its record names the index", () => {
    const failing = generator({
      seed: 1,
      next: (index) => {
        if (index === 1) throw new Error("odd");
        return index;
      },
    });
    const { values, rejections } = decode(failing, { text: "0" }, { bytes: Buffer.from("1") }, { text: "2" });
    assert.deepEqual([values, rejections], [[0, 2], ["the generator's next() threw: odd"]]);
  });
  test("refuses to go on behind its end: it made more when the job began", async () => {
    const read = (count: number, after: string) =>
      open(generator({ seed: 1, next, count })).read("generator", id<ShardId>("generator-0"), id<Position>(after), limit);
    assert.deepEqual(await read(5, "5"), { records: [], next: undefined, behindMs: 0, gap: false });
    await assert.rejects(read(5, "6"), (error) => isKind(error, "invalid") && error.message.endsWith("anew: 5, read to 6"));
  });

  test("refuses what makes no sense, and streams and shards that do not exist", async () => {
    for (const wrong of [{ seed: NaN }, { count: -1 }, { count: 1.5 }, { shards: 0 }, { ratePerSecond: 0 }]) {
      assert.throws(
        () => generator({ seed: 1, next, ...wrong }),
        (error) => isKind(error, "invalid"),
      );
    }
    const reader = open(generator({ seed: 1, next }));
    await assert.rejects(reader.shards("other"), (error) => isKind(error, "invalid"));
    await assert.rejects(reader.read("generator", id<ShardId>("x"), "horizon", limit), (error) => isKind(error, "invalid"));
  });
});

suite("seeded random", () => {
  test("is in [0, 1), even over indexes and within one, and differs between neighbours", () => {
    const random = new SeededRandom(7);
    const across: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      random.restart(i);
      across.push(random.next());
    }
    const within = Array.from({ length: 20_000 }, random.next);
    for (const numbers of [across, within]) {
      assert.ok(numbers.every((x) => x >= 0 && x < 1));
      assert.equal(new Set(numbers).size, numbers.length);
      const buckets = new Array<number>(20).fill(0);
      for (const x of numbers) buckets[Math.floor(x * 20)]!++;
      const chiSquare = buckets.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
      assert.ok(chiSquare < 50, `chi square ${chiSquare} with 19 degrees of freedom`);
    }
    const pairs = across.slice(1).map((x, i) => (x - 0.5) * (across[i]! - 0.5));
    assert.ok(Math.abs(pairs.reduce((a, b) => a + b) / pairs.length) < 0.003, "neighbouring indexes are not correlated");
  });
  test("the same for the same seed and index, beyond 32 bits too", () => {
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeNat(), (seed, index) => {
        const draw = (s: number, i: number) => {
          const random = new SeededRandom(s);
          random.restart(i);
          return [random.next(), random.next()];
        };
        assert.deepEqual(draw(seed, index), draw(seed, index));
        assert.notDeepEqual(
          draw(seed, index),
          draw(seed, index + 2 ** 32 <= Number.MAX_SAFE_INTEGER ? index + 2 ** 32 : index - 2 ** 32),
        );
        assert.notDeepEqual(draw(seed, index), draw(seed + 1, index));
      }),
    );
  });
});
