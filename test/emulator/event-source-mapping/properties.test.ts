/**
 * Whatever the settings and whatever goes wrong: each record of a shard is delivered with success or sent to the destination, in order,
 * never skipped (M1), and a seed replays its run (M3).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shardEnd } from "../../../emulator/event-source-mapping/index.ts";
import { SeededRandom } from "../../../runtime/base/seeded-random.ts";
import { makeRig, type Rig, sequenceNumbersOf } from "./rig.ts";

interface World {
  readonly seed: number;
  readonly batchSize: number;
  readonly batchingWindow: number;
  readonly factor: number;
  readonly retries: number;
  readonly age: number;
  readonly bisects: boolean;
  readonly reports: boolean;
  readonly tumblingWindow: number;
  readonly isFiltered: boolean;
  readonly failureChance: number;
  readonly poisonChance: number;
  readonly duplicateChance: number;
  readonly goBackChance: number;
  readonly joinsDiscards: boolean;
  readonly reservedConcurrency: number;
  readonly coldStartChance: number;
  readonly shardOrder: "parentsFirst" | "anyOrder";
  readonly interruptions: number;
}

const worlds: fc.Arbitrary<World> = fc.record({
  seed: fc.nat(),
  batchSize: fc.constantFrom(1, 2, 5, 100),
  batchingWindow: fc.constantFrom(0, 0, 3),
  factor: fc.constantFrom(1, 1, 2, 4),
  retries: fc.constantFrom(-1, 0, 1, 3),
  age: fc.constantFrom(-1, -1, 60, 300),
  bisects: fc.boolean(),
  reports: fc.boolean(),
  tumblingWindow: fc.constantFrom(0, 0, 30),
  isFiltered: fc.boolean(),
  failureChance: fc.constantFrom(0, 0.1, 0.4),
  poisonChance: fc.constantFrom(0, 0.05),
  duplicateChance: fc.constantFrom(0, 0.2),
  goBackChance: fc.constantFrom(0, 0.2),
  joinsDiscards: fc.boolean(),
  reservedConcurrency: fc.constantFrom(1, 3, 100),
  coldStartChance: fc.constantFrom(0, 0.2),
  shardOrder: fc.constantFrom("parentsFirst", "anyOrder"),
  interruptions: fc.constantFrom(0, 0, 2),
});

interface Put {
  readonly shardId: string;
  readonly key: string;
  readonly sequenceNumber: string;
  readonly isKept: boolean;
}

/** What a world made: records as they were put, and what became of them. */
interface Outcome {
  readonly put: readonly Put[];
  readonly rig: Rig;
  /** Sequence numbers that the function took, in the order in which it took them first. */
  readonly taken: readonly string[];
  readonly discarded: ReadonlySet<string>;
}

async function run(world: World): Promise<Outcome> {
  const random = new SeededRandom(world.seed);
  const poison = new Set<string>();
  const taken: string[] = [];
  const discarded = new Set<string>();
  const keep = (_key: string, body: string) => {
    const { payload, KinesisBatchInfo } = JSON.parse(body);
    const numbers = sequenceNumbersOf(JSON.parse(payload));
    assert.equal(numbers.length, KinesisBatchInfo.batchSize);
    for (const number of numbers) discarded.add(number);
    return Promise.resolve();
  };
  let isCalm = false;
  const rig: Rig = makeRig({
    shards: 2,
    seed: world.seed,
    shardOrder: world.shardOrder,
    onFailure: { kind: "s3", put: keep },
    faults: { duplicateChance: world.duplicateChance, goBackChance: world.goBackChance, joinsDiscards: world.joinsDiscards },
    settings: {
      batchSize: world.batchSize,
      maximumBatchingWindowInSeconds: world.batchingWindow,
      maximumRetryAttempts: world.retries,
      maximumRecordAgeInSeconds: world.age,
      bisectBatchOnFunctionError: world.bisects,
      functionResponseTypes: world.reports ? ["ReportBatchItemFailures"] : [],
      ...(world.tumblingWindow > 0 ? { tumblingWindowInSeconds: world.tumblingWindow } : { parallelizationFactor: world.factor }),
      ...(world.isFiltered ? { filterCriteria: { filters: [{ pattern: '{"data":{"kept":[true]}}' }] } } : {}),
    },
    pool: {
      seed: world.seed,
      timeoutMs: 3_000,
      zombieMsMax: 10_000,
      reservedConcurrency: world.reservedConcurrency,
      coldStartChance: world.coldStartChance,
      recycleChance: world.coldStartChance,
    },
    handler: async (event) => {
      const mode = random.next();
      const fails = !isCalm && random.chance(world.failureChance);
      await rig.clock.sleep(mode * 500);
      const numbers = sequenceNumbersOf(event);
      const bad = numbers.findIndex((number) => poison.has(number) && !isCalm);
      const state = world.tumblingWindow > 0 ? { state: {} } : {};
      if (bad < 0 && !fails) {
        taken.push(...numbers);
        return { ...state, batchItemFailures: [] };
      }
      if (world.reports && mode < 0.5 && numbers.length > 0) {
        const at = bad < 0 ? random.int(numbers.length) : bad;
        taken.push(...numbers.slice(0, at));
        return { ...state, batchItemFailures: [{ itemIdentifier: numbers[at] }] };
      }
      if (mode > 0.9) await rig.clock.sleep(5_000);
      throw new Error("failed");
    },
  });
  const put: Put[] = [];
  const open = ["shardId-000000000000", "shardId-000000000001"];
  for (let step = 0; step < 30; step++) {
    for (let n = random.int(6); n > 0; n--) {
      const key = `key ${random.int(12)}`;
      const isKept = !world.isFiltered || random.chance(0.7);
      const where = rig.stream.put(key, JSON.stringify({ n: put.length, kept: isKept }));
      if (random.chance(world.poisonChance)) poison.add(where.sequenceNumber);
      put.push({ key, isKept, ...where });
    }
    if (step === 10) open.splice(0, 1, ...rig.stream.split(open[0]!));
    if (step === 20) open.splice(0, 2, rig.stream.merge(open[0]!, open[1]!));
    if (random.int(30) < world.interruptions) {
      await rig.clock.until(rig.mapping.disable());
      rig.mapping.enable();
    }
    await rig.clock.advance(random.int(3_000));
  }
  await rig.clock.advance(30_000);
  isCalm = true;
  await rig.clock.advance(15 * 60_000);
  await rig.stop();
  return { put, rig, taken, discarded };
}

function check(world: World, { put, rig, taken, discarded }: Outcome): void {
  const kept = put.filter(({ isKept }) => isKept);
  const takenOnce = [...new Set(taken)];
  const known = new Set(takenOnce);
  const lost = kept.filter(({ sequenceNumber }) => !known.has(sequenceNumber) && !discarded.has(sequenceNumber));
  assert.deepEqual(lost, [], "neither taken nor discarded");
  const unwanted = put.filter(({ isKept, sequenceNumber }) => !isKept && known.has(sequenceNumber));
  assert.deepEqual(unwanted, [], "filtered out and delivered");
  // First deliveries are in the order of the shard, or of the key within it. What was discarded may still be delivered when the mapping
  // goes back, and what the first delivery left undone may be taken by a duplicate, which comes at any time.
  if (world.duplicateChance === 0) {
    const laneOf = ({ shardId, key }: Put) => (world.factor > 1 ? `${shardId} ${key}` : shardId);
    for (const lane of new Set(kept.map(laneOf))) {
      const inOrder = kept.filter((record) => laneOf(record) === lane).map(({ sequenceNumber }) => sequenceNumber);
      const expected = inOrder.filter((number) => known.has(number) && !discarded.has(number));
      const mine = new Set(expected);
      assert.deepEqual(
        takenOnce.filter((number) => mine.has(number)),
        expected,
        lane,
      );
    }
  }
  // Every checkpoint is at the end.
  for (const shardId of new Set(put.map((record) => record.shardId))) {
    const last = put.filter((record) => record.shardId === shardId).at(-1)!.sequenceNumber;
    const at = rig.mapping.checkpoints.get(shardId);
    assert.ok(at === last || at === shardEnd, `${shardId}: ${at}, of ${last}`);
  }
}

test("every record is delivered in order or sent to the destination, never skipped", async () => {
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => check(world, await run(world))),
    { numRuns: 60 },
  );
});

test("a seed replays its run, call by call", async () => {
  const told = ({ rig }: Outcome) => rig.calls.map(({ at, event, data }) => [at, data, event.Records.length]);
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => assert.deepEqual(told(await run(world)), told(await run(world)))),
    { numRuns: 8 },
  );
});
