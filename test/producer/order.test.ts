/** Whatever goes wrong: every event is in the stream or was refused to its caller, and events of one key are in their order. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { VirtualClock } from "../../emulator/virtual-clock.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { Producer } from "../../producer/producer.ts";
import { type Chances, SimulatedStream } from "./simulated-stream.ts";

const chance = (most: number) => fc.double({ min: 0, max: most, noNaN: true });
const chances: fc.Arbitrary<Chances> = fc.record({
  refused: chance(0.5),
  lostBefore: chance(0.3),
  lostAfter: chance(0.3),
  late: chance(0.2),
  staleListing: chance(0.5),
  noListing: chance(0.3),
});
const scenario = fc.record({
  seed: fc.nat(),
  shards: fc.integer({ min: 1, max: 6 }),
  keys: fc.integer({ min: 1, max: 40 }),
  events: fc.integer({ min: 1, max: 400 }),
  resharding: fc.integer({ min: 0, max: 8 }),
  recordBytes: fc.constantFrom(1024, 4096, 256_000),
  giveUpAfterMs: fc.constantFrom(2_000, 120_000),
  chances,
});

suite("a producer", () => {
  test("loses no event and keeps the order of each key, through splits, merges, throttling and lost answers", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const clock = new VirtualClock();
        const random = new SeededRandom(given.seed);
        const stream = new SimulatedStream(clock, random, given.shards, given.chances);
        const { recordBytes, giveUpAfterMs } = given;
        const producer = new Producer<string>(
          { stream: "events", recordBytes, giveUpAfterMs },
          { stream, clock, random: () => random.next() },
        );
        const outcomes: { key: string; text: string; settled: number; shard: string | undefined }[] = [];
        const work = async () => {
          for (let n = 0; n < given.events; n++) {
            if (random.chance(given.resharding / given.events)) await stream.reshard();
            if (random.chance(0.1)) await clock.sleep(random.int(300));
            if (random.chance(0.01)) void producer.flush();
            const key = `key-${random.int(given.keys)}`;
            const outcome = {
              key,
              text: `${n}`.padEnd(random.int(200), "."),
              settled: 0,
              shard: undefined as string | undefined,
            };
            outcomes.push(outcome);
            producer.put({ key, bytes: Buffer.from(outcome.text) }).then(
              ({ shardId }) => {
                outcome.settled++;
                outcome.shard = shardId;
              },
              (error) => {
                assert.ok(isKind(error, "unavailable"), String(error));
                outcome.settled++;
              },
            );
          }
          await producer.close();
        };
        await clock.until(work());
        // Late requests take their effect.
        await clock.advance(60_000);
        assert.ok(outcomes.every(({ settled }) => settled === 1));
        assert.equal(producer.heldBytes, 0);
        const put = outcomes.filter(({ shard }) => shard !== undefined);
        assert.deepEqual([producer.counts.events, producer.counts.failed], [put.length, outcomes.length - put.length]);
        const read = await stream.read();
        for (const key of new Set(outcomes.map((outcome) => outcome.key))) {
          const there = read.get(key) ?? [];
          const known = put.filter((outcome) => outcome.key === key);
          const isKnown = new Set(known.map(({ text }) => text));
          const first = [...new Set(there.map(({ text }) => text))].filter((text) => isKnown.has(text));
          assert.deepEqual(first, [...isKnown]);
          for (const { text, shard } of known)
            assert.ok(
              there.some((event) => event.text === text && event.shard === shard),
              `${text} is in ${shard}`,
            );
        }
      }),
      { numRuns: 150 },
    );
  });
});
