/** The end-to-end test in short; `npm run e2e` is the long one. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { compareResults } from "./compare-results.ts";
import { exampleTopology, exampleTopologyPath } from "./example-topology.ts";
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
  timeoutMs: 300_000,
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

  test("a line that is missing, and one that came twice, make a difference", () => {
    const expected = { rows: ["a", "b", "b"] };
    assert.deepEqual(compareResults({ rows: ["b", "a", "b"] }, expected), []);
    assert.deepEqual(compareResults({ rows: ["a", "b"] }, expected), [{ output: "rows", missing: ["b"], extra: [] }]);
    assert.deepEqual(compareResults({ rows: ["a", "a", "b", "b"] }, expected), [{ output: "rows", missing: [], extra: ["a"] }]);
    assert.deepEqual(compareResults({ rows: ["a", "a", "b"] }, expected, new Set(["rows"])), []);
    assert.deepEqual(compareResults({}, expected, new Set(["rows"])), [{ output: "rows", missing: ["a", "b"], extra: [] }]);
  });

  test("the scripts that say what is right import nothing", () => {
    for (const name of ["pageviews-oracle.ts", "orders-oracle.ts"])
      assert.doesNotMatch(readFileSync(new URL(name, import.meta.url), "utf8"), /^import|\bimport\(|\brequire\(/m, name);
  });

  test("the topology of the example is that of its job", () => {
    const written: unknown = JSON.parse(readFileSync(exampleTopologyPath, "utf8"));
    assert.deepEqual(written, JSON.parse(JSON.stringify(exampleTopology())), "node test/e2e/example-topology.ts writes it");
  });
});
