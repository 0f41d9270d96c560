import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { count } from "../../runtime/api/aggregators.ts";
import { defineJob } from "../../runtime/api/define-job.ts";
import { seconds } from "../../runtime/api/duration.ts";
import { keyedProcess, type } from "../../runtime/api/functions.ts";
import type { Job } from "../../runtime/api/job.ts";
import { list, map, value, type StateSpec } from "../../runtime/api/state.ts";
import { monotonous } from "../../runtime/api/watermarks.ts";
import { session } from "../../runtime/api/windows.ts";
import { compareSchemas, schemasOf } from "../../runtime/plan/compatibility.ts";
import { testSink, testSource } from "../api/connectors.ts";

function jobOf(
  state: StateSpec,
  options: { readonly uid?: string; readonly assumed?: boolean; readonly rolled?: boolean } = {},
): Job {
  return defineJob("job", (job) => {
    const source = job.source("in", testSource<string>());
    const keyed = options.assumed ? source.assumeKeyed((v) => v) : source.keyBy((v) => v);
    const uid = options.uid ?? "p";
    const fn = keyedProcess({ key: type<string>(), state, output: type<string>(), onRecord: (_: string) => undefined });
    const stream = options.rolled ? keyed.reduce(uid, (a) => a) : keyed.process(uid, fn);
    stream.sinkTo("out", testSink<string>());
  });
}

function compare(stored: Job, planned: Job, allowSkippedState = false) {
  return compareSchemas(schemasOf(stored.graph), schemasOf(planned.graph), { allowSkippedState });
}

describe("what a job stores", () => {
  test("is the positions of its sources, and the states of its keyed operators in their stored order", () => {
    const job = defineJob("job", (job) => {
      const source = job.source("in", testSource<string>(), { watermarks: monotonous() }).map("m", (v) => v);
      const fn = { output: type<string>(), windowState: { fired: map<string, number>() }, onWindow: () => undefined };
      const windows = source.keyBy((v) => v).window(session(seconds(1)));
      windows.aggregate("w", { ...count(), version: 2, migrate: () => 0 }, fn).sinkTo("out", testSink<string>());
    });
    assert.deepEqual(schemasOf(job.graph), [
      { uid: "in", kind: "source(test)", hash: undefined, states: [] },
      {
        uid: "w",
        kind: "window",
        hash: "murmur3",
        states: [
          { name: "contents", kind: "value", version: 2, migrates: true },
          { name: "owed", kind: "value", version: 2, migrates: true },
          { name: "window.fired", kind: "map", version: 0, migrates: false },
        ],
      },
    ]);
  });

  test("can be kept as JSON and compared later", () => {
    const job = jobOf({ a: value(), b: list() });
    assert.deepEqual(compareSchemas(JSON.parse(JSON.stringify(schemasOf(job.graph))), schemasOf(job.graph)), []);
  });
});

describe("a plan takes stored state over", () => {
  const old = jobOf({ a: value({ version: 1 }), b: list() });

  test("with more states and operators, or states in another order", () => {
    assert.deepEqual(compare(old, jobOf({ c: value(), b: list(), a: value({ version: 1 }) })), []);
  });

  test("at a higher version, when it migrates", () => {
    assert.deepEqual(compare(old, jobOf({ a: value({ version: 3, migrate: () => 0 }), b: list() })), []);
  });
});

describe("a plan is refused, by operator and state", () => {
  const old = jobOf({ a: value({ version: 1 }), b: list() });
  const where = { operator: "p", fatal: true };

  test("when it is older than the state", () => {
    const difference = { ...where, difference: "versionNewer", state: "a", stored: 1, planned: 0 };
    assert.deepEqual(compare(old, jobOf({ a: value({ migrate: () => 0 }), b: list() })), [difference]);
  });

  test("when it is newer and does not migrate", () => {
    const difference = { ...where, difference: "versionOlder", state: "a", stored: 1, planned: 2 };
    assert.deepEqual(compare(old, jobOf({ a: value({ version: 2 }), b: list() })), [difference]);
  });

  test("when a state has become another kind, whatever may be skipped", () => {
    const difference = { ...where, difference: "stateKindChanged", state: "b", stored: "list", planned: "map" };
    assert.deepEqual(compare(old, jobOf({ a: value({ version: 1 }), b: map() }), true), [difference]);
  });

  test("when an operator has become another kind, or hashes its keys otherwise, whatever may be skipped", () => {
    const kind = { ...where, difference: "operatorKindChanged", stored: "keyedProcess", planned: "reduce" };
    assert.deepEqual(compare(old, jobOf({}, { rolled: true }), true), [kind]);
    const hash = { ...where, difference: "keyHashChanged", stored: "murmur3", planned: "md5" };
    assert.deepEqual(compare(old, jobOf({ a: value({ version: 1 }), b: list() }, { assumed: true }), true), [hash]);
  });

  test("when state would be dropped, unless it may be skipped", () => {
    for (const allowed of [false, true]) {
      const [fatal, operator] = [!allowed, "p"];
      assert.deepEqual(compare(old, jobOf({ b: list() }), allowed), [
        { operator, fatal, difference: "stateRemoved", state: "a" },
      ]);
      assert.deepEqual(compare(old, jobOf({}, { uid: "q" }), allowed), [{ operator, fatal, difference: "operatorRemoved" }]);
    }
  });

  test("with all differences at once, in the order of what is stored", () => {
    const found = compare(old, jobOf({ a: list() })).map(({ difference }) => difference);
    assert.deepEqual(found, ["stateKindChanged", "stateRemoved"]);
  });
});
