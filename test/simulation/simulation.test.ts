/** The simulation over seeds with all rules on, and its own determinism. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { commonFaults, faultNames, noCounts, noFaults } from "../../runtime/testing/simulation/fault-mix.ts";
import { simulateSeed } from "../../runtime/testing/simulation/simulate.ts";
import { topologies } from "../../runtime/testing/simulation/topologies.ts";

test("exactly once, and consistent snapshots, under the common fault mix", async () => {
  const counts = noCounts();
  const seen = { checkpoints: 0, generations: 0 };
  for (let seed = 1; seed <= 100; seed++) {
    const result = await simulateSeed(seed);
    assert.equal(result.failure, undefined, `seed ${seed}: ${result.failure?.message}\n${result.trace.slice(-20).join("\n")}`);
    for (const fault of faultNames) counts[fault] += result.faults[fault];
    seen.checkpoints += result.checkpoints;
    seen.generations += result.generations;
  }
  for (const fault of faultNames) assert.ok(counts[fault] > 40, `too few faults of kind ${fault}: ${counts[fault]}`);
  assert.ok(seen.checkpoints > 200 && seen.generations > 150, JSON.stringify(seen));
});

test("turns whose time is over leave the rest to others", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const { failure, trace } = await simulateSeed(seed, { settings: { turnMs: 8 } });
    assert.equal(failure, undefined, `seed ${seed}: ${failure?.message}\n${trace.slice(-20).join("\n")}`);
  }
});

for (const { name } of topologies)
  test(`without faults: ${name}`, async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const { failure, trace } = await simulateSeed(seed, { topology: name, faults: noFaults });
      assert.equal(failure, undefined, `seed ${seed}: ${failure?.message}\n${trace.slice(-20).join("\n")}`);
    }
  });

test("a seed replays event for event, and another is another run", async () => {
  const runs = [];
  for (const seed of [3, 4, 3, 4]) runs.push((await simulateSeed(seed, { faults: commonFaults })).hash);
  const [a, b] = runs;
  assert.deepEqual(runs, [a, b, a, b]);
  assert.notEqual(a, b);
});
