/** The simulated deployment over seeds with all rules on, its own determinism, and that it notices rules that are switched off. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  commonDeploymentFaults,
  deploymentFaultNames,
  noDeploymentFaultCounts,
  noDeploymentFaults,
} from "../../emulator/simulation/deployment-faults.ts";
import { simulateDeployment, type SimulateDeploymentOptions } from "../../emulator/simulation/simulate-deployment.ts";
import type { Rule } from "../../runtime/testing/simulation/rules.ts";

const seeds = 7;

test("exactly once through handlers, adapters and mappings, under the common fault mix", async () => {
  const counts = noDeploymentFaultCounts();
  const seen = { checkpoints: 0, generations: 0, timeouts: 0, forked: 0 };
  for (let seed = 1; seed <= seeds; seed++) {
    const result = await simulateDeployment(seed);
    assert.equal(result.failure, undefined, `seed ${seed}: ${result.failure?.message}\n${result.trace.slice(-20).join("\n")}`);
    for (const fault of deploymentFaultNames) counts[fault] += result.faults[fault];
    for (const count of ["checkpoints", "generations", "timeouts"] as const) seen[count] += result[count];
    seen.forked += result.acts.forked;
  }
  const rare = deploymentFaultNames.filter((fault) => counts[fault] === 0);
  assert.deepEqual(rare, []);
  assert.ok(
    seen.checkpoints > seeds && seen.generations > seeds && seen.timeouts > seeds / 2 && seen.forked > 1,
    JSON.stringify(seen),
  );
});

test("without faults", async () => {
  for (let seed = 1; seed <= 2; seed++) {
    const { failure, trace } = await simulateDeployment(seed, { faults: noDeploymentFaults });
    assert.equal(failure, undefined, `seed ${seed}: ${failure?.message}\n${trace.slice(-20).join("\n")}`);
  }
});

/** Seeds whose job is forked, one of them while it runs by itself already. */
for (const [seed, topology, mode] of [
  [3, "connected", "streaming"],
  [29, "connected", "streaming"],
  [3, "rolling", "batch"],
] as const)
  test(`objects that come later are nobody's input, and the job comes to its end: ${topology}, ${mode}`, async () => {
    const settings = { sources: "objects", reshardings: 0, staysOpen: false, mode } as const;
    const { failure, trace, acts } = await simulateDeployment(seed, { topology, settings });
    assert.equal(failure, undefined, `${failure?.message}\n${trace.slice(-20).join("\n")}`);
    assert.equal(acts.forked, mode === "batch" ? 0 : 1);
  });

test("a seed replays event for event, and another is another run", async () => {
  const runs = [];
  for (const seed of [3, 4, 3])
    runs.push((await simulateDeployment(seed, { topology: "windows", faults: commonDeploymentFaults })).hash);
  const [a, b] = runs;
  assert.deepEqual(runs, [a, b, a]);
  assert.notEqual(a, b);
});

/** Those that the first seeds notice: the engine's simulation holds all of them to it (teeth.test.ts). */
const toothed: readonly Rule[] = ["R1", "R3", "R4", "R5", "L1", "L5", "L8"];

/** Where it shows at once. */
const where: Partial<Record<Rule, SimulateDeploymentOptions & { readonly firstSeed?: number }>> = {
  L1: { firstSeed: 6, topology: "rolling" },
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
