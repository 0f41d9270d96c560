import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isKind } from "../../runtime/base/errors.ts";
import { variableOf, withEnvironment } from "../../runtime/api/environment-parameters.ts";
import { consoleSink, defineJob, generator, type Job } from "../../runtime/index.ts";

const job = defineJob("views", (job) => {
  const rate = job.param("max-rate", 5);
  job.param("name", "none");
  job.param("on", false);
  job.param("big", 7n);
  if (rate > 10) job.param("burst", 1);
  job.source("numbers", generator({ seed: 1, count: 1, next: (n) => n })).sinkTo("out", consoleSink());
});

const of = (made: Job) => Object.fromEntries(made.graph.parameters!);
const invalid = (words: RegExp) => (error: unknown) => isKind(error, "invalid") && words.test(error.message);

suite("parameters of the environment", () => {
  test("are named in capitals, and have the types of their fallbacks", () => {
    assert.equal(variableOf("max-rate.v2"), "MILLRACE_PARAM_MAX_RATE_V2");
    const variables = {
      MILLRACE_PARAM_MAX_RATE: "6",
      MILLRACE_PARAM_NAME: "",
      MILLRACE_PARAM_ON: "true",
      MILLRACE_PARAM_BIG: "9",
      PATH: "x",
    };
    assert.deepEqual(of(withEnvironment(job, variables)), { "max-rate": 6, name: "", on: true, big: 9n });
    assert.equal(withEnvironment(job, { PATH: "x" }), job);
  });
  test("E1: give way to what is said by name, and go before what was built into the job", () => {
    const built = job.withParameters({ name: "construct", "max-rate": 1, on: true });
    const variables = { MILLRACE_PARAM_NAME: "environment", MILLRACE_PARAM_MAX_RATE: "2" };
    const { name, on, "max-rate": rate } = of(withEnvironment(built, variables, { "max-rate": "3" }));
    assert.deepEqual([name, on, rate], ["environment", true, 3]);
    // What is overridden need not be right.
    assert.equal(of(withEnvironment(job, { MILLRACE_PARAM_MAX_RATE: "x" }, { "max-rate": "3" }))["max-rate"], 3);
  });
  test("may be asked for only where another has a certain value", () => {
    const variables = { MILLRACE_PARAM_BURST: "4" };
    assert.equal(of(withEnvironment(job, { ...variables, MILLRACE_PARAM_MAX_RATE: "11" })).burst, 4);
    assert.equal(of(withEnvironment(job, variables, { "max-rate": "11" })).burst, 4);
    assert.equal(of(withEnvironment(job, { MILLRACE_PARAM_MAX_RATE: "11" }, { burst: "5" })).burst, 5);
    assert.throws(() => withEnvironment(job, {}, { burst: "5" }), invalid(/does not ask.*"burst"/));
  });
  test("E2: are refused where the job has none for them, two, or none of that type", () => {
    assert.throws(
      () => withEnvironment(job, { MILLRACE_PARAM_NAMES: "x" }),
      invalid(/unset it: variable "MILLRACE_PARAM_NAMES", known.*MAX_RATE/),
    );
    assert.throws(
      () => withEnvironment(job, { MILLRACE_PARAM_ON: "yes" }),
      invalid(/must be a boolean: parameter "on", value "yes"/),
    );
    const twice = defineJob("twice", (job) => {
      job.param("a-b", 1);
      job.param("a.b", 1);
      job.source("numbers", generator({ seed: 1, count: 1, next: (n) => n })).sinkTo("out", consoleSink());
    });
    assert.throws(() => withEnvironment(twice, { MILLRACE_PARAM_A_B: "2" }), invalid(/two parameters/));
    assert.equal(withEnvironment(twice, {}), twice);
  });
});
