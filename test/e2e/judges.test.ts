/** What the end-to-end test is judged by. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { compareResults } from "./compare-results.ts";
import { exampleTopology, exampleTopologyPath } from "./example-topology.ts";

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
