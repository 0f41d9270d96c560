/** The end-to-end test in short; `npm run e2e` is the long one. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ordersScenario } from "./orders-scenario.ts";
import { pageviewsScenario } from "./pageviews-scenario.ts";
import { type RunOptions, runScenario } from "./run-scenario.ts";

const short: Omit<RunOptions, "print"> = {
  seed: 2,
  records: 800,
  inputMs: 4_000,
  checkpointMs: 2_000,
  killEvery: [2_000, 4_000],
  endsCalmly: true,
  faultChance: 0.005,
  restores: 0,
  timeoutMs: 3_600_000,
};

suite("jobs on the emulated cloud", () => {
  for (const scenario of [pageviewsScenario, ordersScenario]) {
    test(`scenario ${scenario.name}: outputs are the script's, under kills and faults, across a stop and another parallelism`, async (t) => {
      const { failures, trouble, phases, lines } = await runScenario(scenario, { ...short, print: (line) => t.diagnostic(line) });
      assert.deepEqual(failures, []);
      assert.ok(trouble.kills > 0 && trouble.throttles + trouble.drops > 0, JSON.stringify(trouble));
      assert.ok(phases.every(({ figures }) => figures.count("Commits") > 0 && figures.units.wru > 0));
      assert.ok(
        Object.values(lines).every((count) => count > 0),
        JSON.stringify(lines),
      );
    });
  }
});
