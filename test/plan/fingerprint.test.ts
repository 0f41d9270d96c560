import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defineJob } from "../../runtime/api/define-job.ts";
import { seconds } from "../../runtime/api/duration.ts";
import { keyedProcess, type } from "../../runtime/api/functions.ts";
import type { JobOptions } from "../../runtime/api/graph.ts";
import { list, value, type StateSpec } from "../../runtime/api/state.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { testSink, testSource } from "../api/connectors.ts";

interface Variant {
  readonly options?: JobOptions;
  readonly uid?: string;
  readonly state?: StateSpec;
  readonly key?: (v: string) => string;
  readonly stream?: string;
  readonly assumed?: boolean;
  readonly sink?: string;
  readonly chain?: "new";
}

function fingerprint(variant: Variant): string {
  const { options = {}, uid = "process", state = { seen: value() }, key = (v) => v, stream = "in", sink = "out" } = variant;
  const job = defineJob("job", (job) => {
    const source = job.source("in", testSource<string>(stream));
    const keyed = variant.assumed ? source.assumeKeyed(key) : source.keyBy(key);
    const fn = keyedProcess({ key: type<string>(), state, output: type<string>(), onRecord: (_: string) => undefined });
    const after = keyed.process(uid, fn).map("after", (v) => v);
    after.with(variant.chain ? { chain: variant.chain } : {}).sinkTo(sink, testSink<string>());
  });
  return planJob({ ...job, options: { parallelism: 2, ...options } }).fingerprint;
}

const base = fingerprint({});

describe("the fingerprint", () => {
  test("is 32 hex digits", () => assert.match(base, /^[0-9a-f]{32}$/));

  const same: Readonly<Record<string, Variant>> = {
    "parallelism above 1": { options: { parallelism: 3 } },
    checkpoints: { options: { checkpoints: { interval: seconds(5) } } },
    "what a throwing handler does": { options: { onUserError: "fail" } },
    "where cold state goes": { options: { statePlacement: "table" } },
    "the text of a closure": { key: (v) => `${v}` },
    "a migration": { state: { seen: value({ migrate: () => 1 }) } },
  };
  for (const [what, variant] of Object.entries(same))
    test(`does not change with ${what}`, () => assert.equal(fingerprint(variant), base));

  const different: Readonly<Record<string, Variant>> = {
    "a uid": { uid: "other" },
    "a sink's uid": { sink: "other" },
    "a state's name": { state: { other: value() } },
    "a state's kind": { state: { seen: list() } },
    "a state's version": { state: { seen: value({ version: 1 }) } },
    "another state": { state: { seen: value(), more: value() } },
    "the order of states": { state: { more: value(), seen: value() } },
    "what a source reads": { stream: "elsewhere" },
    "how keys are hashed": { assumed: true },
    "key groups": { options: { keyGroups: 128 } },
    "another exchange": { chain: "new" },
    "exchanges that are gone": { options: { parallelism: 1 } },
  };
  test("changes with everything that stored state and frames depend on, each in its own way", () => {
    const fingerprints = new Map(Object.entries(different).map(([what, variant]) => [fingerprint(variant), what]));
    assert.deepEqual([...fingerprints.values()].toSorted(), Object.keys(different).toSorted());
    assert.ok(!fingerprints.has(base), fingerprints.get(base));
  });

  test("does not change with the order of independent operators", () => {
    const written = (uids: readonly string[]) =>
      planJob(
        defineJob("job", (job) => {
          for (const uid of uids) job.source(uid, testSource<string>()).sinkTo(`${uid}-out`, testSink<string>());
        }),
      ).fingerprint;
    assert.equal(written(["a", "b"]), written(["b", "a"]));
  });
});
