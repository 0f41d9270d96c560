/** Shards: parallelization, resharding, starting positions, checkpoints, states. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isKind } from "../../../runtime/base/errors.ts";
import { type MappingSettings, shardEnd } from "../../../emulator/event-source-mapping/index.ts";
import { makeRig, putNumbers, type Rig } from "./rig.ts";

const first = "shardId-000000000000";

describe("a parallelization factor", () => {
  const keys = Array.from({ length: 20 }, (_, n) => `key ${n}`);
  const keyOf = (event: any) => event.Records.map((record: any) => record.kinesis.partitionKey);

  test("has so many batches of a shard under way, each key in one of them at most, in order", async () => {
    let running = 0;
    let mostRunning = 0;
    const open = new Set<string>();
    const seen = new Map<string, string[]>();
    const rig = makeRig({
      settings: { parallelizationFactor: 4, batchSize: 5 },
      handler: async (event) => {
        mostRunning = Math.max(mostRunning, ++running);
        for (const key of new Set<string>(keyOf(event))) {
          assert.ok(!open.has(key), key);
          open.add(key);
        }
        await rig.clock.sleep(500 + event.Records.length * 100);
        for (const key of keyOf(event)) open.delete(key);
        running--;
        for (const record of event.Records) {
          const numbers = seen.get(record.kinesis.partitionKey) ?? [];
          seen.set(record.kinesis.partitionKey, [...numbers, record.kinesis.sequenceNumber]);
        }
      },
    });
    const put = new Map<string, string[]>();
    for (let n = 0; n < 200; n++) {
      const key = keys[(n * 7) % keys.length]!;
      put.set(key, [...(put.get(key) ?? []), rig.stream.put(key, "x").sequenceNumber]);
    }
    await rig.clock.advance(120_000);
    assert.equal(mostRunning, 4);
    assert.deepEqual(new Map([...seen].sort()), new Map([...put].sort()));
    await rig.stop();
  });

  test("a key that fails does not hold up the others; the checkpoint waits for it", async () => {
    const rig = makeRig({
      settings: { parallelizationFactor: 10, batchSize: 1 },
      handler: (event) => {
        if (keyOf(event).includes("key 0") && rig.seconds() < 60) throw new Error("poison");
      },
    });
    const numbers = keys.map((key) => rig.stream.put(key, key).sequenceNumber);
    await rig.clock.advance(50_000);
    const delivered = new Set(rig.delivered().flat());
    assert.ok(delivered.size >= 15, String(delivered.size));
    assert.equal(rig.mapping.checkpoints.get(first), undefined);
    await rig.clock.advance(120_000);
    assert.equal(rig.mapping.checkpoints.get(first), numbers.at(-1));
    await rig.stop();
  });
});

describe("resharding", () => {
  const shardsCalled = (rig: Rig) => rig.calls.map(({ event }) => event.Records[0].eventID.split(":")[0]);

  test("children are found and read to the end, after a split and a merge", async () => {
    const rig = makeRig();
    const data = putNumbers(rig.stream, 3);
    const [left, right] = rig.stream.split(first) as [string, string];
    for (let n = 0; n < 20; n++) rig.stream.put(`key ${n}`, `split ${n}`);
    const merged = rig.stream.merge(left, right);
    rig.stream.put("key", "merged");
    await rig.clock.advance(60_000);
    const all = new Set(rig.delivered().flat());
    assert.equal(all.size, 3 + 20 + 1);
    assert.ok(data.every((text) => all.has(text)));
    const { checkpoints } = rig.mapping;
    assert.deepEqual(
      [first, left, right].map((shard) => checkpoints.get(shard)),
      [shardEnd, shardEnd, shardEnd],
    );
    assert.notEqual(checkpoints.get(merged), shardEnd);
    await rig.stop();
  });

  test("children may be read before their parent has ended", async () => {
    const rig = makeRig({ settings: { batchSize: 1 }, handler: () => rig.clock.sleep(5_000) });
    putNumbers(rig.stream, 3);
    rig.stream.split(first);
    putNumbers(rig.stream, 3, 3);
    await rig.clock.advance(60_000);
    const delivered = rig.delivered().flat();
    assert.ok(delivered.indexOf("3") < delivered.indexOf("2"), delivered.join());
    await rig.stop();
  });

  test("with shardOrder parentsFirst a child waits until all its parents have ended", async () => {
    const rig = makeRig({
      shards: 2,
      shardOrder: "parentsFirst",
      settings: { batchSize: 5 },
      handler: () => rig.clock.sleep(5_000),
    });
    for (let n = 0; n < 40; n++) rig.stream.put(`key ${n}`, String(n));
    const merged = rig.stream.merge(first, "shardId-000000000001");
    rig.stream.put("key", "merged");
    await rig.clock.advance(300_000);
    const called = shardsCalled(rig);
    assert.equal(called.indexOf(merged), called.length - 1);
    assert.equal(rig.delivered().flat().length, 41);
    await rig.stop();
  });

  test("a shard that expired before it was read to its end has ended, and its children go on", async () => {
    const retentionMs = 3_600_000;
    const rig = makeRig({
      retentionMs,
      shardOrder: "parentsFirst",
      settings: { batchSize: 1 },
      handler: (event) => {
        if (event.Records[0].eventID.startsWith(first)) throw new Error("stuck");
      },
    });
    // More than is read ahead.
    putNumbers(rig.stream, 15_000);
    await rig.clock.advance(1_000);
    rig.stream.split(first);
    await rig.clock.advance(retentionMs + 60_000);
    rig.stream.put("key", "child");
    await rig.clock.advance(60_000);
    assert.equal(rig.mapping.checkpoints.get(first), shardEnd);
    assert.deepEqual(rig.delivered().at(-1), ["child"]);
    await rig.stop();
  });

  test("a stuck parent does not keep its children from being found", async () => {
    const rig = makeRig({
      handler: (event) => {
        if (event.Records[0].eventID.startsWith(first)) throw new Error("stuck");
      },
    });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(5_000);
    rig.stream.split(first);
    rig.stream.put("key", "child");
    await rig.clock.advance(30_000);
    assert.ok(rig.delivered().flat().includes("child"));
    await rig.stop();
  });
});

describe("the starting position", () => {
  /** Three records 10 s apart before the mapping is made, one after. */
  async function run(settings: Partial<MappingSettings>, transitionMs = 0): Promise<readonly string[]> {
    const rig = makeRig({ enabled: false, settings, timings: { transitionMs } });
    for (const data of ["a", "b", "c"]) {
      rig.stream.put("key", data);
      await rig.clock.advance(10_000);
    }
    rig.mapping.enable();
    await rig.clock.advance(1_000);
    rig.stream.put("key", "d");
    await rig.clock.advance(transitionMs + 10_000);
    rig.stream.put("key", "e");
    await rig.clock.advance(10_000);
    await rig.stop();
    return rig.delivered().flat();
  }

  test("TRIM_HORIZON: all that is there", async () => {
    assert.deepEqual(await run({ startingPosition: "TRIM_HORIZON" }), ["a", "b", "c", "d", "e"]);
  });

  test("LATEST: what is new", async () => {
    assert.deepEqual(await run({ startingPosition: "LATEST" }), ["d", "e"]);
  });

  test("AT_TIMESTAMP: what arrived then or later", async () => {
    const startingPositionTimestamp = Date.UTC(2026, 0, 1) / 1000 + 10;
    assert.deepEqual(await run({ startingPosition: "AT_TIMESTAMP", startingPositionTimestamp }), ["b", "c", "d", "e"]);
  });

  test("LATEST misses what comes while polling is not under way yet, the others do not", async () => {
    assert.deepEqual(await run({ startingPosition: "LATEST" }, 60_000), ["e"]);
    assert.deepEqual(await run({ startingPosition: "TRIM_HORIZON" }, 60_000), ["a", "b", "c", "d", "e"]);
  });

  test("LATEST reads shards that appear later from their start", async () => {
    const rig = makeRig({ settings: { startingPosition: "LATEST" } });
    await rig.clock.advance(2_000);
    rig.stream.split(first);
    rig.stream.put("key", "a");
    await rig.clock.advance(30_000);
    assert.deepEqual(rig.delivered(), [["a"]]);
    await rig.stop();
  });
});

describe("states", () => {
  test("a mapping is creating, then enabled; disabled it polls nothing and goes on from its checkpoint", async () => {
    const rig = makeRig({ timings: { transitionMs: 30_000 }, settings: { batchSize: 2 } });
    assert.equal(rig.mapping.state, "Creating");
    assert.equal(rig.mapping.lastProcessingResult, "No records processed");
    putNumbers(rig.stream, 4);
    await rig.clock.advance(31_000);
    assert.equal(rig.mapping.state, "Enabled");
    assert.equal(rig.mapping.lastProcessingResult, "OK");
    await rig.clock.until(rig.mapping.disable());
    assert.equal(rig.mapping.state, "Disabled");
    putNumbers(rig.stream, 2, 4);
    await rig.clock.advance(60_000);
    assert.equal(rig.calls.length, 2);
    rig.mapping.enable();
    assert.equal(rig.mapping.state, "Enabling");
    await rig.clock.advance(60_000);
    assert.deepEqual(rig.delivered().flat(), ["0", "1", "2", "3", "4", "5"]);
    await rig.stop();
    assert.equal(rig.mapping.state, "Deleted");
    assert.throws(() => rig.mapping.enable(), /the mapping is deleted/);
  });

  test("disabling waits for the invocation under way, whose success counts", async () => {
    const rig = makeRig({ settings: { batchSize: 1 }, handler: () => rig.clock.sleep(20_000) });
    putNumbers(rig.stream, 2);
    await rig.clock.advance(5_000);
    const disabled = rig.mapping.disable();
    assert.equal(rig.mapping.state, "Disabling");
    await rig.clock.until(disabled);
    assert.equal(rig.seconds(), 20);
    rig.mapping.enable();
    await rig.clock.advance(30_000);
    assert.deepEqual(rig.delivered(), [["0"], ["1"]]);
    await rig.stop();
  });

  test("an update goes on with the new settings where the old ones stopped", async () => {
    const rig = makeRig({ settings: { batchSize: 1 } });
    putNumbers(rig.stream, 2);
    await rig.clock.advance(1_000);
    await rig.clock.until(rig.mapping.update({ batchSize: 10 }));
    putNumbers(rig.stream, 3, 2);
    await rig.clock.advance(2_000);
    assert.deepEqual(rig.delivered(), [["0"], ["1"], ["2", "3", "4"]]);
    await assert.rejects(rig.mapping.update({ batchSize: 0 }), (error) => isKind(error, "invalid"));
    assert.equal(rig.mapping.state, "Enabled");
    await rig.stop();
  });

  test("another mapping with the checkpoints of one goes on after it", async () => {
    const one = makeRig();
    putNumbers(one.stream, 3);
    await one.clock.advance(2_000);
    await one.stop();
    const checkpoints = new Map(one.mapping.checkpoints);
    const other = makeRig({ checkpoints });
    putNumbers(other.stream, 5);
    await other.clock.advance(2_000);
    assert.deepEqual(other.delivered(), [["3", "4"]]);
    await other.stop();
  });

  test("a stream that cannot be read is a problem that passes", async () => {
    const rig = makeRig();
    const listShards = rig.stream.listShards.bind(rig.stream);
    rig.stream.listShards = () => (rig.seconds() < 30 ? Promise.reject(new Error("no such stream")) : listShards());
    await rig.clock.advance(10_000);
    assert.equal(rig.mapping.lastProcessingResult, "PROBLEM: no such stream");
    putNumbers(rig.stream, 1);
    await rig.clock.advance(60_000);
    assert.deepEqual(rig.delivered(), [["0"]]);
    await rig.stop();
  });

  test("a stream that refuses whoever asks on the stroke of ten seconds, as its others do, is read all the same", async () => {
    const rig = makeRig();
    const listShards = rig.stream.listShards.bind(rig.stream);
    rig.stream.listShards = () => (rig.seconds() % 10 === 0 ? Promise.reject(new Error("rate exceeded")) : listShards());
    putNumbers(rig.stream, 1);
    await rig.clock.advance(60_000);
    assert.deepEqual(rig.delivered(), [["0"]]);
    await rig.stop();
  });
});

test("settings outside AWS's ranges are refused with the name", () => {
  const refused: readonly [Partial<MappingSettings>, RegExp][] = [
    [{ batchSize: 0 }, /batchSize .* from 1 to 10000: 0/],
    [{ batchSize: 10_001 }, /batchSize/],
    [{ maximumBatchingWindowInSeconds: 301 }, /maximumBatchingWindowInSeconds .* from 0 to 300/],
    [{ maximumBatchingWindowInSeconds: 0.5 }, /maximumBatchingWindowInSeconds/],
    [{ maximumRetryAttempts: -2 }, /maximumRetryAttempts .* from -1 to 10000/],
    [{ maximumRetryAttempts: 10_001 }, /maximumRetryAttempts/],
    [{ maximumRecordAgeInSeconds: 59 }, /maximumRecordAgeInSeconds .* from 60 to 604800/],
    [{ maximumRecordAgeInSeconds: 604_801 }, /maximumRecordAgeInSeconds/],
    [{ parallelizationFactor: 11 }, /parallelizationFactor .* from 1 to 10/],
    [{ tumblingWindowInSeconds: 901 }, /tumblingWindowInSeconds .* from 0 to 900/],
    [{ startingPosition: "AT_TIMESTAMP" }, /startingPositionTimestamp/],
    [{ startingPositionTimestamp: 1 }, /startingPositionTimestamp/],
    [{ startingPosition: "NOW" as any }, /startingPosition/],
  ];
  for (const [settings, message] of refused) assert.throws(() => makeRig({ settings }), message);
});

describe("the faults", () => {
  test("duplicates: batches come twice, and what comes of the second changes nothing", async () => {
    const rig = makeRig({ faults: { duplicateChance: 0.5 }, settings: { batchSize: 2 } });
    const numbers = putNumbers(rig.stream, 40);
    await rig.clock.advance(60_000);
    const delivered = rig.delivered().flat();
    assert.deepEqual([...new Set(delivered)], numbers);
    assert.ok(delivered.length > 50 && delivered.length < 70, String(delivered.length));
    await rig.stop();
  });

  test("going back: records that were delivered come again, in other batches, in order", async () => {
    const rig = makeRig({ faults: { goBackChance: 0.3, goBackRecordsMax: 5 }, settings: { batchSize: 3 } });
    const numbers = putNumbers(rig.stream, 60);
    await rig.clock.advance(60_000);
    const delivered = rig.delivered().flat();
    assert.deepEqual([...new Set(delivered)], numbers);
    const jumps = delivered.slice(1).map((data, n) => Number(data) - Number(delivered[n]));
    assert.ok(jumps.some((jump) => jump < 0));
    assert.ok(jumps.every((jump) => jump === 1 || (jump <= 0 && jump >= -5)));
    await rig.stop();
  });
});
