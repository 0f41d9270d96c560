/**
 * Each rule switched off alone is noticed within 200 seeds of the one common fault mix. docs/testing-the-tests.md says which parts of rules cannot be shown so,
 * and what shows them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Rule, rules } from "../../runtime/testing/simulation/rules.ts";
import { simulateSeed } from "../../runtime/testing/simulation/simulate.ts";

const seedsMax = 200;
/** Of rules for which it takes many, or long: a seed that is known to notice, tried before all others. */
const firstTried: Partial<Record<Rule, number>> = {
  "R5.shards": 22,
  L1: 13,
  L2: 11,
  L3: 12,
  L4: 35,
  "L5.generation": 67,
  L6: 2,
  L7: 43,
  L9: 8,
  L11: 68,
  "L12.now": 3,
  L13: 25,
  L14: 4,
  L15: 20,
  "L15.held": 16,
  "L16.shard": 16,
  hold: 3,
};

/** Orders are given to deployments alone (deployment.test.ts). */
const ofDeployments: ReadonlySet<Rule> = new Set(["rest"]);

for (const rule of rules.filter((each) => !ofDeployments.has(each)))
  test(`a run without ${rule} fails`, async () => {
    const first = firstTried[rule] ?? 1;
    const others = Array.from({ length: seedsMax }, (_, n) => n + 1).filter((seed) => seed !== first);
    for (const seed of [first, ...others]) {
      const { failure } = await simulateSeed(seed, { without: rule });
      if (failure !== undefined) return;
    }
    assert.fail(`${rule} can be left out without notice in ${seedsMax} seeds`);
  });
