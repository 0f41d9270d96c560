/** Each rule switched off alone is noticed within 100 seeds of the one common fault mix. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { rules } from "../../runtime/testing/simulation/rules.ts";
import { simulateSeed } from "../../runtime/testing/simulation/simulate.ts";

const seedsMax = 100;

for (const rule of rules)
  test(`a run without ${rule} fails`, async () => {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const { failure } = await simulateSeed(seed, { without: rule });
      if (failure !== undefined) return;
    }
    assert.fail(`${rule} can be left out without notice in ${seedsMax} seeds`);
  });
