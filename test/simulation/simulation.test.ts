/** The simulation over seeds with all rules on, and its own determinism. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { commonFaults, faultNames, noCounts, noFaults } from "../../runtime/testing/simulation/fault-mix.ts";
import { drawSettings } from "../../runtime/testing/simulation/settings.ts";
import { simulateSeed } from "../../runtime/testing/simulation/simulate.ts";
import { topologies, topologyNames } from "../../runtime/testing/simulation/topologies.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { exampleNames, exampleScenario } from "./example-topologies.ts";

test("exactly once, and consistent snapshots, under the common fault mix", async () => {
  const counts = noCounts();
  const seen = { checkpoints: 0, generations: 0, payloads: 0, pages: 0 };
  for (let seed = 1; seed <= 100; seed++) {
    const result = await simulateSeed(seed);
    assert.equal(result.failure, undefined, `seed ${seed}: ${result.failure?.message}\n${result.trace.slice(-20).join("\n")}`);
    for (const fault of faultNames) counts[fault] += result.faults[fault];
    seen.checkpoints += result.checkpoints;
    seen.generations += result.generations;
    seen.payloads += result.stored.payloads;
    seen.pages += result.stored.pages;
  }
  for (const fault of faultNames) assert.ok(counts[fault] > 40, `too few faults of kind ${fault}: ${counts[fault]}`);
  assert.ok(seen.checkpoints > 200 && seen.generations > 150, JSON.stringify(seen));
  assert.ok(seen.payloads > 1_000 && seen.pages > 1_000, JSON.stringify(seen));
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

test("the first 800 seeds have every block, of one to four stages, and sources that are keyed already", () => {
  const seen = new Set<string>();
  const keyed = { alone: 0, parallel: 0 };
  for (let seed = 1; seed <= 800; seed++) {
    const { topology, parallelism } = drawSettings(new SeededRandom(seed), undefined);
    if (topology.keyedSource === true) keyed[parallelism === 1 ? "alone" : "parallel"]++;
    if (!topology.name.startsWith("generated")) seen.add(topology.name);
    else for (const block of topology.name.replaceAll(/[()]/g, "").split(/[,:;] /)) seen.add(block.replace(/ (-?\d|as ).*/, ""));
  }
  const windows = ["tumbling", "sliding", "cumulating", "session", "dynamic session", "days", "weeks", "together"];
  const steps = [
    "collect",
    "unseen",
    "paired",
    "within",
    "ruled",
    "parted",
    "padded",
    "twice",
    "kept",
    "global",
    "rebalanced",
    "apart",
  ];
  const unkeyed = ["told", "once", "sides map", "sides flatMap", "sides process"];
  const tables = [
    "list",
    "table",
    "totals",
    "own",
    "threes",
    "fours",
    "all at last",
    "upserts",
    "changes",
    "reread",
    "gathered",
    "delayed",
    "retracted",
    "retracted again",
  ];
  const byClock = [
    ...["tumbling", "sliding", "session", "dynamic", "days"].map((name) => `clock ${name}`),
    ...["tumbling", "session", "continuous", "all"].map((name) => `clock alone ${name}`),
  ];
  const kinds = ["tumbling", "cumulating", "session", "dynamic session"];
  const loose = [
    ...["timed", "tight", "generated loosely"],
    ...kinds.flatMap((kind) => ["at its end", "continually"].map((way) => `loose ${kind} ${way}`)),
    ...["tumbling", "cumulating"].flatMap((kind) => ["timed out", "put off"].map((way) => `loose ${kind} ${way}`)),
  ];
  const whole = topologies.map(({ name }) => name);
  for (const block of [...windows, ...steps, ...unkeyed, ...tables, ...byClock, ...loose, ...whole, "a+b+c"])
    assert.ok(seen.has(block), block);
  assert.ok(keyed.alone > 10 && keyed.parallel > 10, JSON.stringify(keyed));
});
