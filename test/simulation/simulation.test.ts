/** The simulation over seeds with all rules on, and its own determinism. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { commonFaults, faultNames, noCounts, noFaults } from "../../runtime/testing/simulation/fault-mix.ts";
import { simulateSeed } from "../../runtime/testing/simulation/simulate.ts";
import { drawTopology, topologies, topologyNames } from "../../runtime/testing/simulation/topologies.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { exampleNames, exampleScenario } from "./example-topologies.ts";

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

for (const name of [...topologyNames, ...exampleNames])
  test(`the same seed twice is the same run: ${name}`, async () => {
    const run = async () => {
      const { hash, failure } = await simulateSeed(8, { topology: name, scenario: exampleScenario(name, undefined) });
      return [hash, failure?.message];
    };
    const first = await run();
    assert.deepEqual(await run(), first);
    assert.equal(first[1], undefined);
  });

test("what is generated has every block, and one to four stages", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 400; seed++) {
    const { name } = drawTopology(new SeededRandom(seed), "generated");
    for (const block of name.replaceAll(/[()]/g, "").split(/[,:;] /)) seen.add(block.split(" ")[0]!);
  }
  const blocks = ["tumbling", "sliding", "cumulating", "session", "dynamic", "days", "together", "collect", "unseen", "parted"];
  const others = ["padded", "twice", "kept", "global", "rebalanced", "list", "table", "totals", "own", "threes", "all", "a+b+c"];
  for (const block of [...blocks, ...others]) assert.ok(seen.has(block), block);
});
