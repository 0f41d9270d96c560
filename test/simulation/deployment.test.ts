/** The simulated deployment over seeds with all rules on, its own determinism, and that it notices rules that are switched off. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  deploymentFaultNames,
  noDeploymentFaultCounts,
  noDeploymentFaults,
} from "../../emulator/simulation/deployment-faults.ts";
import { actNames } from "../../emulator/simulation/deployment-world.ts";
import { simulateDeployment, type SimulateDeploymentOptions } from "../../emulator/simulation/simulate-deployment.ts";
import { deployedPageviews } from "./deployed-examples.ts";
import type { Rule } from "../../runtime/testing/simulation/rules.ts";

/**
 * Seeds in which much happens in little time: streams and changes of tables, a queue with messages that kill, timers that do, and letters that are
 * given back, of a job that is forked.
 */
const seeds: readonly (readonly [number, string?])[] = [
  [6],
  [7],
  [8],
  [25],
  [20],
  [28],
  [16, "queued"],
  [3, "redriven"],
  [5, "redriven"],
  [17, "alarms"],
];

/** What must come of the faults, and is counted where it shows. */
const consequences = [
  "clocksSkewed",
  "commandsDied",
  "coordinatorsDied",
  "objectsCollected",
  "putsTimedOut",
  "racesLost",
  "recordsKilled",
  "recordsThrew",
  "rescaled",
  "shardsMerged",
  "shardsSplit",
  "timersKilled",
];

test("exactly once through handlers, adapters and mappings, under the common fault mix", async () => {
  const counts = noDeploymentFaultCounts();
  const seen = { checkpoints: 0, generations: 0, timeouts: 0 };
  const acts = new Set<string>();
  const came = new Set<string>();
  for (const [seed, topology] of seeds) {
    const result = await simulateDeployment(seed, { topology });
    const last = result.trace.slice(-20).join("\n");
    assert.equal(result.failure, undefined, `seed ${seed} ${topology}: ${result.failure?.message}\n${last}`);
    for (const fault of deploymentFaultNames) counts[fault] += result.faults[fault];
    for (const count of ["checkpoints", "generations", "timeouts"] as const) seen[count] += result[count];
    for (const what of result.seen.keys()) came.add(what);
    if (topology === "queued") assert.ok(result.seen.has("recordsKilled"), "a queue's message kills");
    for (const [act, times] of Object.entries(result.acts)) if (times > 0) acts.add(act);
  }
  const rare = deploymentFaultNames.filter((fault) => counts[fault] === 0);
  assert.deepEqual(rare, []);
  assert.deepEqual([...came].sort(), consequences);
  const few = seeds.length;
  assert.ok(seen.checkpoints > few && seen.generations > few && seen.timeouts > few / 2, JSON.stringify(seen));
  assert.deepEqual(
    actNames.filter((act) => !acts.has(act)),
    [],
  );
});

test("without faults", async () => {
  for (let seed = 1; seed <= 2; seed++) {
    const { failure, trace } = await simulateDeployment(seed, { faults: noDeploymentFaults });
    assert.equal(failure, undefined, `seed ${seed}: ${failure?.message}\n${trace.slice(-20).join("\n")}`);
  }
});

test("lists of rows are pushed to queues at least once, and no more often than their names tell", async () => {
  for (const lists of ["queue", "fifoQueue"] as const) {
    const { failure, trace } = await simulateDeployment(7, { settings: { realSinks: true, lists } });
    assert.equal(failure, undefined, `${lists}: ${failure?.message}\n${trace.slice(-20).join("\n")}`);
  }
});

/** Two seeds whose job is forked, and one of a batch. */
for (const [seed, topology, mode] of [
  [6, "connected", "streaming"],
  [7, "connected", "streaming"],
  [3, "rolling", "batch"],
] as const)
  test(`objects that come later are nobody's input, and the job comes to its end: ${topology}, ${mode}`, async () => {
    const settings = { sources: "objects", reshardings: 0, staysOpen: false, mode } as const;
    const { failure, trace, acts } = await simulateDeployment(seed, { topology, settings });
    assert.equal(failure, undefined, `${failure?.message}\n${trace.slice(-20).join("\n")}`);
    assert.equal(acts.forked, mode === "batch" ? 0 : 1);
  });

test("a seed replays event for event, and another is another run", async () => {
  const hashes: string[] = [];
  for (const [seed, options] of [
    [6, { settings: { sources: "tables", realSinks: true, lists: "stream" } }],
    [6, { topology: "queued", settings: { operations: 1 } }],
    [7, { topology: "redriven" }],
  ] as const) {
    const runs = [];
    for (let n = 0; n < 2; n++) runs.push((await simulateDeployment(seed, options)).hash);
    assert.equal(runs[0], runs[1], `seed ${seed} of ${JSON.stringify(options)}`);
    hashes.push(runs[0]!);
  }
  assert.equal(new Set(hashes).size, hashes.length);
});

test("the page views example as it is deployed, and that its recount notices a rule that is switched off", async () => {
  const { failure, trace, seen } = await simulateDeployment(4, { topology: deployedPageviews });
  assert.equal(failure, undefined, `${failure?.message}\n${trace.slice(-20).join("\n")}`);
  assert.ok(seen.has("recordsKilled"));
  assert.ok((await simulateDeployment(3, { topology: deployedPageviews, without: "R4" })).failure);
  const { expect } = deployedPageviews;
  const wrong = {
    ...deployedPageviews,
    expect: (...[records, timers]: Parameters<typeof expect>) => expect(records.slice(1), timers),
  };
  assert.match(
    (await simulateDeployment(7, { topology: wrong, faults: noDeploymentFaults })).failure!.message,
    /C4: table views-out/,
  );
});

/** Those that the first seeds notice: the engine's simulation holds all of them to it (teeth.long.ts). */
const toothed: readonly Rule[] = ["R1", "R3", "R4", "R5", "L1", "L5", "L8", "rest"];

/** Where it shows at once. */
const where: Partial<Record<Rule, SimulateDeploymentOptions & { readonly firstSeed?: number }>> = {
  L1: { topology: "rolling", firstSeed: 10 },
  rest: { topology: "delayed", firstSeed: 28 },
  L5: { firstSeed: 2 },
  L8: { topology: "keyedSources", settings: { operations: 0, reshardings: 3 } },
};

for (const rule of toothed)
  test(`a deployment without ${rule} fails`, async () => {
    const { firstSeed = 1, ...options } = where[rule] ?? {};
    for (let seed = firstSeed; seed < firstSeed + 8; seed++) {
      const { failure } = await simulateDeployment(seed, { without: rule, ...options });
      if (failure !== undefined) return;
    }
    assert.fail(`${rule} can be left out without notice`);
  });
