/** How a mapping polls and gathers batches. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { makeRig, putNumbers } from "./rig.ts";

const mib = 1024 * 1024;

describe("batches", () => {
  test("have at most the batch size", async () => {
    const rig = makeRig({ settings: { batchSize: 4 } });
    putNumbers(rig.stream, 10);
    await rig.clock.advance(1_000);
    assert.deepEqual(
      rig.calls.map(({ data }) => data.length),
      [4, 4, 2],
    );
    assert.deepEqual(rig.delivered().flat(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    await rig.stop();
  });

  test("have 100 records by default", async () => {
    const rig = makeRig();
    putNumbers(rig.stream, 150);
    await rig.clock.advance(1_000);
    assert.deepEqual(
      rig.calls.map(({ data }) => data.length),
      [100, 50],
    );
    await rig.stop();
  });

  test("are sent as soon as records are there, without a window", async () => {
    const rig = makeRig();
    await rig.clock.advance(500);
    rig.stream.put("key", "a");
    await rig.clock.advance(10_000);
    assert.deepEqual(rig.delivered(), [["a"]]);
    assert.equal(rig.seconds(rig.calls[0]!.at), 1);
    await rig.stop();
  });

  test("wait for the batching window to pass", async () => {
    const rig = makeRig({ settings: { maximumBatchingWindowInSeconds: 20 } });
    await rig.clock.advance(4_500);
    for (let second = 5; second <= 40; second++) {
      rig.stream.put("key", String(second));
      await rig.clock.advance(1_000);
    }
    // Read at 5 s, so sent at 25 s with all that was read until then; the next window opens there.
    assert.deepEqual(
      rig.calls.map(({ at, data }) => [rig.seconds(at), data[0], data.at(-1)]),
      [[25, "5", "25"]],
    );
    await rig.clock.advance(10_000);
    assert.deepEqual(rig.calls.map(({ at, data }) => [rig.seconds(at), data[0], data.at(-1)]).slice(1), [[45, "26", "40"]]);
    await rig.stop();
  });

  test("do not wait for a window when they are full", async () => {
    const rig = makeRig({ settings: { batchSize: 3, maximumBatchingWindowInSeconds: 300 } });
    putNumbers(rig.stream, 7);
    await rig.clock.advance(10_000);
    assert.deepEqual(rig.delivered(), [
      ["0", "1", "2"],
      ["3", "4", "5"],
    ]);
    await rig.clock.advance(290_000);
    assert.deepEqual(rig.delivered().at(-1), ["6"]);
    await rig.stop();
  });

  test("the next window opens when the invocation ends", async () => {
    const rig = makeRig({ settings: { maximumBatchingWindowInSeconds: 10 }, handler: () => rig.clock.sleep(30_000) });
    rig.stream.put("key", "a");
    await rig.clock.advance(15_000);
    rig.stream.put("key", "b");
    await rig.clock.advance(60_000);
    // 10 s window, 30 s invocation, 10 s window.
    assert.deepEqual(
      rig.calls.map(({ at }) => rig.seconds(at)),
      [10, 50],
    );
    await rig.stop();
  });

  test("are cut where the event would exceed 6 MB, as JSON with base64", async () => {
    const rig = makeRig({ settings: { maximumBatchingWindowInSeconds: 300, batchSize: 10_000 } });
    const data = "x".repeat(mib);
    for (let n = 0; n < 9; n++) rig.stream.put("key", data);
    await rig.clock.advance(5_000);
    const sizes = rig.events.flatMap((event) => (event.kind === "invoked" ? [event.payloadBytes] : []));
    assert.deepEqual(
      rig.calls.map(({ data }) => data.length),
      [4, 4],
    );
    const oneRecord = sizes[0]! / 4;
    for (const bytes of sizes) assert.ok(bytes <= 6 * mib && bytes + oneRecord > 6 * mib, String(bytes));
    await rig.stop();
  });

  test("reach 6 MB to the byte", async () => {
    const sizeOf = async (lastBytes: number) => {
      const rig = makeRig({ settings: { maximumBatchingWindowInSeconds: 300 } });
      for (let n = 0; n < 4; n++) rig.stream.put("key", "x".repeat(mib));
      rig.stream.put("key", "x".repeat(lastBytes));
      await rig.clock.advance(400_000);
      const sizes = rig.events.flatMap((event) => (event.kind === "invoked" ? [event.payloadBytes] : []));
      await rig.stop();
      return { sizes, records: rig.calls.map(({ data }) => data.length) };
    };
    const { sizes } = await sizeOf(3);
    const room = 6 * mib - sizes[0]!;
    const fits = await sizeOf(3 + Math.floor(room / 4) * 3);
    assert.deepEqual(fits.records, [5]);
    assert.ok(6 * mib - fits.sizes[0]! < 4, String(fits.sizes[0]));
    assert.deepEqual((await sizeOf(3 + Math.floor(room / 4) * 3 + 3)).records, [4, 1]);
  });
});

describe("polling", () => {
  test("is once a second for each shard while nothing is there", async () => {
    const rig = makeRig({ shards: 3 });
    let reads = 0;
    const getRecords = rig.stream.getRecords.bind(rig.stream);
    rig.stream.getRecords = (iterator, limit) => {
      reads++;
      return getRecords(iterator, limit);
    };
    await rig.clock.advance(60_000);
    assert.equal(reads, 3 * 61);
    await rig.stop();
  });

  test("goes on at once while more is there, at most five times a second", async () => {
    const rig = makeRig({ settings: { batchSize: 10_000 } });
    putNumbers(rig.stream, 30_000);
    await rig.clock.advance(900);
    assert.deepEqual(
      rig.calls.map(({ at, data }) => [rig.seconds(at), data.length]),
      [
        [0, 10_000],
        [0.2, 10_000],
        [0.4, 10_000],
      ],
    );
    await rig.stop();
  });

  test("goes on after the last record when an iterator expired", async () => {
    let isSlow = true;
    const rig = makeRig({
      settings: { batchSize: 10_000 },
      pool: { timeoutMs: 900_000 },
      handler: () => (isSlow ? rig.clock.sleep(400_000) : undefined),
    });
    let iterators = 0;
    const getIterator = rig.stream.getIterator.bind(rig.stream);
    rig.stream.getIterator = (shardId, from) => {
      iterators++;
      return getIterator(shardId, from);
    };
    // More than is read ahead, so that the iterator lies unused for longer than it lives.
    const numbers = putNumbers(rig.stream, 45_000);
    await rig.clock.advance(500_000);
    isSlow = false;
    await rig.clock.advance(2_000_000);
    assert.deepEqual(rig.delivered().flat(), numbers);
    assert.ok(iterators > 1, String(iterators));
    await rig.stop();
  });

  test("one batch of a shard is under way at a time, shards do not wait for each other", async () => {
    const rig = makeRig({ shards: 2, settings: { batchSize: 1 }, handler: () => rig.clock.sleep(10_000) });
    for (let n = 0; n < 8; n++) rig.stream.put(`key ${n}`, String(n));
    await rig.clock.advance(35_000);
    const shardOf = (event: any) => event.Records[0].eventID.split(":")[0] as string;
    const shards = [...new Set(rig.calls.map(({ event }) => shardOf(event)))];
    assert.equal(shards.length, 2);
    for (const shard of shards) {
      const times = rig.calls.filter(({ event }) => shardOf(event) === shard).map(({ at }) => rig.seconds(at));
      assert.deepEqual(times, [0, 10, 20, 30].slice(0, times.length));
    }
    await rig.stop();
  });
});
