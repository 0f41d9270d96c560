/**
 * Validation by tools of others, where they are found: `npm run validate`.
 *
 *     pip install cfn-lint==1.51.0 moto[server]==5.2.1
 *
 * - cfn-lint reads the templates of the examples, and of a job of every connector with a key and a network of its own, for all regions: an error
 *   fails the lane.
 * - moto_server stands in for AWS while the real CDK bootstraps, deploys an example, deploys it again and takes it away. A smoke test of how
 *   things are wired: it runs no function without Docker, so the start-up check is left out, whose custom resource would be waited for
 *   without end; and it makes nothing of schedules, alarms and bucket policies. Then the other example, as for LocalStack.
 *
 * A lane whose tool is not found does not run, and says so in a line. The exit status is 1 when a lane fails.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { DescribeTableCommand, DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, ListRulesCommand } from "@aws-sdk/client-eventbridge";
import { DescribeStreamSummaryCommand, KinesisClient, ListStreamsCommand } from "@aws-sdk/client-kinesis";
import { LambdaClient, ListEventSourceMappingsCommand, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { App } from "aws-cdk-lib";
import { Vpc } from "aws-cdk-lib/aws-ec2";
import { Key } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import { addExamples } from "../../infra/app.ts";
import { StreamJob } from "../../infra/index.ts";
import { withoutBudgets } from "../../infra/regions.ts";
import { bindMany, jobFile, root, Surroundings } from "./deploy.ts";

interface Lane {
  readonly name: string;
  readonly program: string;
  /** Throws when it fails. */
  run(scratch: string): Promise<void> | void;
}

function isInstalled(program: string): boolean {
  return spawnSync(program, ["--help"], { stdio: "ignore" }).status === 0;
}

// ---- cfn-lint ----

function lint(scratch: string): void {
  const { context } = JSON.parse(readFileSync(join(root, "cdk.json"), "utf8")) as { readonly context: Record<string, unknown> };
  const app = new App({ outdir: scratch, context: { ...context, "aws:cdk:bundling-stacks": [] } });
  addExamples(app);
  const stack = new Surroundings(app, "Everything");
  const network = { encryptionKey: new Key(stack, "Key"), vpc: new Vpc(stack, "Network", { maxAzs: 2 }) };
  const job = { entry: jobFile("many-connectors"), ...bindMany(stack), ...network, alarmTopic: new Topic(stack, "Alarms") };
  new StreamJob(stack, "Job", job);
  app.synth();
  const templates = readdirSync(scratch).filter((name) => name.endsWith(".template.json"));
  assert.ok(templates.length >= 5);
  // Warnings are of style: CDK says twice what waits for what. All regions: what a job always needs is in each.
  const options = ["--format", "parseable", "--ignore-checks", "W", "--regions", "ALL_REGIONS"];
  const found = spawnSync("cfn-lint", [...options, "--", ...templates], { cwd: scratch, encoding: "utf8" });
  assert.equal(found.status, 0, found.stdout + found.stderr);
  lintBudget(scratch, options);
}

/**
 * The table of regions (infra/regions.ts) has what cfn-lint finds of a budget. What it does not find there is told: there may be budgets now, or
 * this version of it may know nothing of the region's types any more.
 */
function lintBudget(scratch: string, options: readonly string[]): void {
  const Budget = { BudgetType: "COST", TimeUnit: "MONTHLY", BudgetLimit: { Amount: 5, Unit: "USD" } };
  const template = { Resources: { Budget: { Type: "AWS::Budgets::Budget", Properties: { Budget } } } };
  writeFileSync(join(scratch, "budget.json"), JSON.stringify(template));
  const { stdout } = spawnSync("cfn-lint", [...options, "--", "budget.json"], { cwd: scratch, encoding: "utf8" });
  const found = [...new Set([...stdout.matchAll(/[a-z]{2}(?:-[a-z]+)+-\d/g)].map(([region]) => region))];
  const missing = found.filter((region) => !withoutBudgets.includes(region));
  assert.deepEqual(missing, [], "regions without budgets that the table does not have");
  assert.ok(found.length > 0, "cfn-lint knows what a region lacks");
  const more = withoutBudgets.filter((region) => !found.includes(region));
  if (more.length > 0) console.log(`  of the regions without budgets, cfn-lint does not say so of: ${more.join(", ")}`);
}

// ---- moto ----

const account = "123456789012";
const region = "us-east-1";

async function smoke(scratch: string): Promise<void> {
  const port = await freePort();
  const server = spawn("moto_server", ["-p", String(port)], { stdio: "ignore" });
  try {
    // By this name: CDK takes an address for one that has no buckets.
    const endpoint = `http://localhost:${port}`;
    await answers(endpoint, server);
    const cdk = cdkAgainst(endpoint, scratch);
    const clients = clientsOf(endpoint);
    cdk("bootstrap", `aws://${account}/${region}`);
    cdk("deploy", "PageViewsJob", ...deployOptions, "-c", "millrace:deployment=1");
    await isDeployed(clients);
    cdk("deploy", "PageViewsJob", ...deployOptions, "-c", "millrace:deployment=2");
    await isDeployed(clients);
    cdk("destroy", "PageViewsJob", "PageViewsData", "--force");
    await isGoneButForState(clients);
    // As `npm run deploy:localstack` does: the other example, so that what stays of the first is not in its way.
    cdk("deploy", "PageViewsWideJob", ...deployOptions, "-c", "millrace:localstack=true");
    await hasRule(endpoint, clients);
    cdk("destroy", "PageViewsWideJob", "PageViewsWideData", "--force", "-c", "millrace:localstack=true");
  } finally {
    server.kill();
  }
}

const deployOptions = ["--method", "direct", "--require-approval", "never", "-c", "millrace:startCheck=false"];

function cdkAgainst(endpoint: string, scratch: string) {
  const cli = join(root, "node_modules", "aws-cdk", "bin", "cdk");
  const app = `${process.execPath} ${join(import.meta.dirname, "smoke-app.ts")}`;
  const credentials = { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local", AWS_REGION: region };
  const endpoints = { AWS_ENDPOINT_URL: endpoint, AWS_ENDPOINT_URL_S3: endpoint };
  return (...args: readonly string[]) => {
    const options = { cwd: root, encoding: "utf8", env: { ...process.env, ...credentials, ...endpoints } } as const;
    const all = [cli, ...args, "--app", app, "--output", join(scratch, "cdk.out"), "--no-notices"];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, options);
    assert.equal(status, 0, `cdk ${args.join(" ")}\n${stdout}\n${stderr}`);
    console.log(`  cdk ${args.slice(0, 2).join(" ")}`);
  };
}

function clientsOf(endpoint: string) {
  const shared = () => ({
    ...{ endpoint, region, credentials: { accessKeyId: "local", secretAccessKey: "local" } },
    requestHandler: new NodeHttpHandler(),
  });
  return { kinesis: new KinesisClient(shared()), dynamodb: new DynamoDBClient(shared()), lambda: new LambdaClient(shared()) };
}

type Clients = ReturnType<typeof clientsOf>;

async function isDeployed({ kinesis, dynamodb, lambda }: Clients): Promise<void> {
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
  assert.deepEqual(
    Functions.map(({ Runtime, Handler }) => [Runtime, Handler]),
    Array(2).fill(["nodejs24.x", "index.handler"]),
  );
  const { EventSourceMappings = [] } = await lambda.send(new ListEventSourceMappingsCommand({}));
  assert.deepEqual(
    EventSourceMappings.map(({ BatchSize, StartingPosition }) => [BatchSize, StartingPosition]),
    [[1000, "TRIM_HORIZON"]],
  );
  const { StreamNames = [] } = await kinesis.send(new ListStreamsCommand({}));
  const summary = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: StreamNames[0]! }));
  assert.equal(summary.StreamDescriptionSummary?.OpenShardCount, 4);
  const { TableNames = [] } = await dynamodb.send(new ListTablesCommand({}));
  assert.equal(TableNames.length, 3);
  const state = TableNames.find((name) => name.includes("Storage"))!;
  const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: state }));
  assert.deepEqual([Table?.DeletionProtectionEnabled, Table?.KeySchema?.length], [true, 2]);
}

/** In the place of the schedule. */
async function hasRule(endpoint: string, { lambda }: Clients): Promise<void> {
  const events = new EventBridgeClient({ endpoint, region, credentials: { accessKeyId: "local", secretAccessKey: "local" } });
  const { Rules = [] } = await events.send(new ListRulesCommand({}));
  assert.deepEqual(
    Rules.map(({ ScheduleExpression, State }) => [ScheduleExpression, State]),
    [["rate(1 minute)", "ENABLED"]],
  );
  assert.equal((await lambda.send(new ListFunctionsCommand({}))).Functions?.length, 6);
  events.destroy();
}

async function isGoneButForState({ kinesis, dynamodb, lambda }: Clients): Promise<void> {
  assert.deepEqual((await lambda.send(new ListFunctionsCommand({}))).Functions, []);
  assert.equal((await dynamodb.send(new ListTablesCommand({}))).TableNames?.length, 3, "tables stay");
  assert.equal((await kinesis.send(new ListStreamsCommand({}))).StreamNames?.length, 1, "streams stay");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function answers(endpoint: string, server: ChildProcess): Promise<void> {
  for (const until = Date.now() + 30_000; Date.now() < until;) {
    assert.equal(server.exitCode, null, "moto_server has ended");
    if (
      await fetch(`${endpoint}/moto-api/`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
    await wait(200);
  }
  assert.fail("moto_server does not answer");
}

// ---- all ----

const lanes: readonly Lane[] = [
  { name: "cfn-lint", program: "cfn-lint", run: lint },
  { name: "moto: bootstrap, deploy, deploy again, destroy", program: "moto_server", run: smoke },
];

for (const { name, program, run } of lanes) {
  if (!isInstalled(program)) {
    console.log(`${name}: did not run, ${program} is not found (pip install cfn-lint==1.51.0 moto[server]==5.2.1)`);
    continue;
  }
  const scratch = mkdtempSync(join(tmpdir(), "millrace-lane-"));
  try {
    await run(scratch);
    console.log(`${name}: passed`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`${name}: failed\n${error instanceof Error ? error.message : String(error)}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
