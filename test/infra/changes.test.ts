/** What a deployment refuses, in the caller's terms; what it takes over from the one before. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { App, Duration, Stack } from "aws-cdk-lib";
import { CfnStream, Stream, StreamMode } from "aws-cdk-lib/aws-kinesis";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import { deploymentContext, recordPlansContext } from "../../infra/index.ts";
import { deploymentOrdinal } from "../../infra/deployment-ordinal.ts";
import { cellsOf } from "../../infra/cells.ts";
import { type PlanRecord } from "../../infra/plan-record.ts";
import { bindMany, bindManyTasks, bindPageviews, deploy, jobFile, type MakeProps, pageviewsFile, root } from "./deploy.ts";
import type { Variant } from "./jobs/keyed-state.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-infra-"));
after(() => rmSync(scratch, { recursive: true }));

let files = 0;

/** A module of the job in this variant, which imports what is not there yet only once. */
function moduleOf(variant: Variant): string {
  const path = join(scratch, `job-${files++}.ts`);
  const from = JSON.stringify(jobFile("keyed-state"));
  writeFileSync(path, `import { keyedState } from ${from};\nexport default keyedState(${JSON.stringify(variant)});\n`);
  return path;
}

function moduleWith(text: string): string {
  const path = join(scratch, `job-${files++}.ts`);
  writeFileSync(path, text);
  return path;
}

function refused(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof MillraceError && isKind(error, "invalid"), String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

const bindClicks: MakeProps = (stack) => ({ streams: { clicks: stack.stream("Clicks") } });

describe("a deployment refuses", () => {
  const changed =
    (props: Readonly<Record<string, unknown>>): MakeProps =>
    (stack) => ({ ...bindPageviews(stack), ...props });
  const cases: readonly (readonly [what: string, props: Readonly<Record<string, unknown>>, why: RegExp])[] = [
    ["a prop that there is not", { memory: 512 }, /no prop of this name: memory/],
    ["a start at LATEST", { startingPosition: "LATEST" }, /LATEST, records that arrive .* are lost/],
    ["a parallelization factor", { parallelizationFactor: 2 }, /out of order/],
    ["finite retries", { retryAttempts: 3 }, /retries without end/],
    ["a greatest age of records", { maxRecordAge: Duration.hours(1) }, /would be lost/],
    ["enhanced fan-out", { enhancedFanOut: true }, /drops some there/],
    ["filters", { filters: [] }, /filter\(\) in the job/],
    ["a tumbling window", { tumblingWindow: Duration.minutes(1) }, /windows are the job's own/],
    ["bisecting", { bisectBatchOnError: true }, /a task says itself which record fails/],
    ["a destination of failures", { onFailure: {} }, /nothing is given up/],
    ["whole responses", { reportBatchItemFailures: false }, /partial responses/],
    ["too little memory", { memorySize: 64 }, /memorySize is a whole number from 128 to 10240: 64/],
    ["a batch that is too large", { batchSize: 10_001 }, /batchSize .* 10001/],
    ["a time-out that Lambda does not have", { timeout: Duration.minutes(16) }, /timeout .* 15 minutes: 16 minutes/],
    ["half a second", { batchWindow: Duration.millis(500) }, /batchWindow is whole seconds/],
    ["inboxes that forget within the day", { inboxRetention: Duration.hours(12) }, /inboxRetention .* from 1 day/],
    ["a budget that nobody is told of", { monthlyBudget: 5 }, /budgetEmail/],
    ["subnets without a network", { vpcSubnets: {} }, /go with vpc/],
    [
      "a stream that is not bound",
      { streams: {} },
      /operator views needs a stream that is not bound, add streams: { "page-views": … }/,
    ],
    [
      "a table among the streams",
      { streams: { "page-views": { streamName: "x" }, sessions: { streamName: "y" } }, tables: { "views-per-minute": {} } },
      /operator \S+ needs a table that is not bound \(streams has this name, but a table is meant\), add tables: { "sessions": … }/,
    ],
    [
      "a table under a name that the job has not",
      { tables: { wrong: { tableName: "x" } } },
      /nothing in the job is called so.*: wrong/,
    ],
    ["more shards than the account runs functions", { accountConcurrency: 4 }, /may need 5 executions .* allows 4/],
  ];
  for (const [what, props, why] of cases)
    test(what, () => assert.throws(() => deploy(pageviewsFile, changed(props)), refused(why)));

  test("a keyed source, or a sink, on a stream that ignores partition keys", () => {
    const bind: MakeProps = (stack) => {
      const stream = new Stream(stack, "Clicks", { streamMode: StreamMode.ON_DEMAND });
      (stream.node.defaultChild as CfnStream).recordDistributionStrategy = "AUTO";
      return { streams: { clicks: stream } };
    };
    assert.throws(() => deploy(jobFile("keyed-source"), bind), refused(/ignores partition keys .*AUTO.*: clicks/));
    deploy(jobFile("keyed-source"), bindClicks);
    const copies: MakeProps = (stack) => {
      const bound = bindMany(stack);
      return { ...bound, streams: { ...bound.streams, copy: bind(stack).streams!.clicks! } };
    };
    assert.throws(() => deploy(jobFile("many-connectors"), copies), refused(/ignores partition keys .*AUTO.*: copy/));
  });

  test("a setting of a mapping that was overridden past the props", () => {
    for (const [property, value, why] of [
      ["StartingPosition", "LATEST", /at LATEST/],
      ["ParallelizationFactor", 2, /parallelization factor is 1/],
      ["MaximumRetryAttempts", 5, /retries without end/],
      ["MaximumRecordAgeInSeconds", 3_600, /no oldest age/],
      ["TumblingWindowInSeconds", 60, /no tumbling window/],
      ["FilterCriteria", { Filters: [] }, /filters nothing/],
      ["FunctionResponseTypes", [], /partial responses/],
      ["EventSourceArn", "arn:aws:kinesis:us-east-1:000000000000:stream/views/consumer/mine:1", /enhanced fan-out/],
    ] as const) {
      const deployed = deploy(pageviewsFile, bindPageviews);
      deployed.job.tasks.cells[0]!.mappings[0]!.mapping.mapping.addPropertyOverride(property, value);
      assert.throws(() => deployed.app.synth(), why, property);
    }
  });

  test("the same of mappings of a table's changes, of Kafka and of queues", () => {
    for (const [source, property, value, why] of [
      ["changes", "StartingPosition", "LATEST", /at LATEST/],
      ["changes", "MaximumRetryAttempts", 5, /retries without end/],
      ["changes", "ParallelizationFactor", 2, /parallelization factor is 1/],
      ["records", "StartingPosition", "LATEST", /at LATEST/],
      ["records", "MaximumRetryAttempts", 5, /retries without end/],
      ["tasks", "FunctionResponseTypes", [], /partial responses/],
      ["tasks", "FilterCriteria", { Filters: [] }, /filters nothing/],
    ] as const) {
      const deployed = deploy(jobFile("many-connectors"), bindMany);
      const mappings = deployed.job.tasks.cells.flatMap((cell) => cell.mappings.map(({ mapping }) => mapping));
      mappings.find(({ node }) => node.id === `Source-${source}`)!.mapping.addPropertyOverride(property, value);
      assert.throws(() => deployed.app.synth(), why, `${source} ${property}`);
    }
  });

  test("a module that exports no job, fails, waits, or is not there", () => {
    const load = (entry: string) => () => deploy(entry, () => ({}));
    assert.throws(load(moduleWith("export default 1;")), refused(/must export a job by default/));
    assert.throws(load(moduleWith("throw new Error('broken here');")), refused(/cannot be loaded: .*\.ts:1:7: broken here/));
    assert.throws(
      load(moduleWith("await Promise.resolve(); export default 1;")),
      refused(/waits for something at its top level/),
    );
    assert.throws(load(join(scratch, "nowhere.ts")), refused(/is not there: .*nowhere/));
  });

  test("a job whose sources are not on AWS, and one in batch mode, which ends", () => {
    const runtime = JSON.stringify(join(root, "runtime/index.ts"));
    const text = (options: string) =>
      `import { consoleSink, defineJob, files, generator, ndjson } from ${runtime};\n` +
      `export default defineJob("local", (job) => { job.source("in", ${options}).sinkTo("out", consoleSink()); }`;
    const local = moduleWith(`${text(`files({ paths: ["x"], format: ndjson() })`)});`);
    assert.throws(
      () => deploy(local, () => ({})),
      refused(/a source of kind files does not run on AWS, use one of kinesis, s3Objects, .*, kafka, generator there: in/),
    );
    const batch = moduleWith(`${text("generator({ seed: 1, count: 1, next: (n) => n })")}, { mode: "batch" });`);
    assert.throws(() => deploy(batch, () => ({})), refused(/in batch mode ends; it is run by millrace run, not deployed: local/));
  });
});

describe("a job that changes", () => {
  const planFile = join(scratch, "recorded.plan.json");
  const at = (variant: Variant, record = false) =>
    deploy(moduleOf(variant), (stack) => ({ ...bindClicks(stack), planFile }), record ? { [recordPlansContext]: "true" } : {});

  test("is held to what was recorded, and the operator is named", () => {
    at({}, true);
    const before = readFileSync(planFile, "utf8");
    assert.throws(() => at({ uid: "sums" }), refused(/operator totals: operator removed .*allowSkippedState/));
    assert.throws(() => at({ version: 2 }), refused(/operator totals: version older, .*give it a migrate function/));
    assert.throws(() => at({ version: 2 }, true), refused(/version older/));
    assert.equal(readFileSync(planFile, "utf8"), before, "what is refused is not recorded");
    at({ version: 2, migrates: true });
    assert.equal(readFileSync(planFile, "utf8"), before, "synthesis writes nothing unless it is asked to (R1)");
  });

  test("cannot go back to older state once the newer is recorded", () => {
    at({ version: 2, migrates: true }, true);
    assert.throws(() => at({}), refused(/operator totals: version newer.*run the code that stored it/));
  });

  test("keeps the shards with which its inboxes began, whatever its parallelism (R2)", () => {
    const shardsOf = (variant: Variant) =>
      Object.entries(at(variant).resources("AWS::Kinesis::Stream")).flatMap(([id, { Properties: own }]) =>
        id.startsWith("JobInboxes") ? [own.ShardCount] : [],
      );
    const next = { version: 2, migrates: true };
    assert.deepEqual(shardsOf(next), [4]);
    assert.deepEqual(shardsOf({ ...next, parallelism: 8 }), [4]);
    assert.deepEqual(shardsOf({ ...next, parallelism: 16 }), [4, 8]);
    assert.deepEqual(shardsOf({ ...next, parallelism: 2 }), [4]);
  });

  test("is written into the template: fingerprint, operators, versions of states", () => {
    const deployed = at({ version: 2, migrates: true });
    const plans = deployed.template.toJSON().Metadata["millrace:plans"] as Record<string, PlanRecord>;
    const record = plans["keyed-state"]!;
    assert.equal(record.fingerprint, deployed.job.plan.fingerprint);
    assert.deepEqual(record.operators.find(({ uid }) => uid === "totals")?.states, [
      { name: "total", kind: "value", version: 2 },
    ]);
    assert.deepEqual(record, JSON.parse(readFileSync(planFile, "utf8")));
  });

  test("refuses a record that cannot be read, or is another job's", () => {
    const other = join(scratch, "other.plan.json");
    const withRecord = (text: string) => () => {
      writeFileSync(other, text);
      return deploy(moduleOf({}), (stack) => ({ ...bindClicks(stack), planFile: other }));
    };
    assert.throws(withRecord("{"), refused(/cannot be read: .*other.plan.json/));
    assert.throws(withRecord(`{"version":2}`), refused(/version 2, this code knows 1/));
    assert.throws(
      withRecord(readFileSync(planFile, "utf8").replace("keyed-state", "another")),
      refused(/record is of another job: .*another, not keyed-state/),
    );
  });
});

describe("deployments", () => {
  test("have rising numbers, one for all jobs of an app", () => {
    const app = new App();
    const before = Math.floor(Date.now() / 1000);
    const first = deploymentOrdinal(new Stack(app, "A"));
    assert.equal(deploymentOrdinal(new Stack(app, "B")), first);
    assert.ok(first >= before);
    const given = new App({ context: { [deploymentContext]: "12" } });
    assert.equal(deploymentOrdinal(new Stack(given, "A")), 12);
    assert.throws(
      () => deploymentOrdinal(new Stack(new App({ context: { [deploymentContext]: "new" } }), "A")),
      refused(/whole number .*: new/),
    );
  });

  test("with other parameters have other code", () => {
    const keyOf = (parameters?: Record<string, string>) =>
      Object.values(
        deploy(jobFile("with-parameter"), () => (parameters ? { parameters } : {})).resources("AWS::Lambda::Function"),
      )[0]!.Properties.Code.S3Key;
    assert.equal(keyOf(), keyOf());
    assert.notEqual(keyOf(), keyOf({ greeting: "good day" }));
    assert.throws(() => keyOf({ greetings: "good day" }), refused(/greetings/));
  });

  test("whose names would not fit into the functions' variables are refused", () => {
    const wide: MakeProps = (stack) => ({ ...bindManyTasks(stack), tasksPerCell: 1, accountConcurrency: 10_000 });
    assert.throws(() => deploy(jobFile("many-tasks"), wide), refused(/may have 4096 bytes .* set tasksPerCell: \d+/));
  });
});

test("cells are as few as hold the tasks, all alike", () => {
  const cells = [1, 8, 9, 16, 12, 64, 11].map((parallelism) => cellsOf({ parallelism }, 8));
  assert.deepEqual(cells, [1, 1, 3, 2, 2, 8, 11]);
  assert.equal(cellsOf({ parallelism: "shards" }, 8), 1);
});
