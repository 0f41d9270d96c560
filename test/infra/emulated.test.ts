/**
 * What is emulated is what would be deployed: what `npx cdk synth` writes of the examples, without an account and without a network, is
 * started as a cloud and comes to its exact result.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, afterEach, before, describe, test } from "node:test";
import { type AttributeValue, ScanCommand } from "@aws-sdk/client-dynamodb";
import { ListShardsCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import {
  type AssemblyTopology,
  type CloudEvent,
  type EmulatedCloud,
  readAssembly,
  startCloud,
} from "../../emulator/cloud/index.ts";
import { notEmulated } from "../../emulator/cloud/not-emulated.ts";
import { until } from "../emulator/lambda/environments.ts";
import { root } from "./deploy.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-assembly-"));
const outdir = join(scratch, "cdk.out");
const attempts = join(scratch, "attempts");
const cli = join(root, "node_modules", "aws-cdk", "bin", "cdk");
const stacks = ["PageViewsJob", "PageViewsWideJob"] as const;
type StackName = (typeof stacks)[number];
let assemblies: Readonly<Record<StackName, AssemblyTopology>>;
let cloud: EmulatedCloud | undefined;

/** A machine on which nobody has ever said who they are at AWS, and which reaches no other. */
const alone = {
  PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
  HOME: scratch,
  MILLRACE_ATTEMPTS: attempts,
  NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, "without-network.ts")).href}`,
};

/** Where the system lets us, there is no network to be reached by anything, whatever it is written in. */
function cutOff(command: readonly string[]): readonly string[] {
  const unshare = ["unshare", "--map-root-user", "--net"];
  return spawnSync(unshare[0]!, [...unshare.slice(1), "true"]).status === 0 ? [...unshare, ...command] : command;
}

before(async () => {
  const [program, ...args] = cutOff([process.execPath, cli, "synth", "--quiet", "--output", outdir]);
  const { status, stdout, stderr } = spawnSync(program!, args, { cwd: root, env: alone, encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  const read = await Promise.all(stacks.map(async (name) => [name, await readAssembly(outdir, { stacks: [name] })] as const));
  assemblies = Object.fromEntries(read) as typeof assemblies;
});
after(() => rmSync(scratch, { recursive: true }));
afterEach(async () => {
  await cloud?.stop();
  cloud = undefined;
});

interface View {
  readonly user: string;
  readonly page: string;
  readonly at: number;
}

const minuteMs = 60_000;
const start = Date.UTC(2026, 0, 5, 8);
const views: readonly View[] = Array.from({ length: 400 }, (_, n) => ({
  user: `user ${(n * n) % 17}`,
  page: `/page/${(n * 7) % 11}`,
  at: start + n * 900 + ((n * 7919) % 1000),
}));

function countBy(keyOf: (view: View) => string): readonly string[] {
  const counts = new Map<string, number>();
  for (const view of views) counts.set(keyOf(view), (counts.get(keyOf(view)) ?? 0) + 1);
  return [...counts].map(([key, count]) => `${key} ${count}`).sort();
}

async function rowsOf(table: string, rowOf: (item: Record<string, AttributeValue>) => string): Promise<readonly string[]> {
  const { Items = [] } = await cloud!.clients.dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true }));
  return Items.map(rowOf)
    .filter((row) => !row.includes("last"))
    .sort();
}

function nameWith(names: readonly string[], part: string): string {
  const found = names.find((name) => name.includes(part));
  assert.ok(found, `${part} in ${names.join(", ")}`);
  return found;
}

/** Each shard has views, and at last one that closes every window. */
async function put(stream: string): Promise<void> {
  const { kinesis } = cloud!.clients;
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: stream }));
  const recordOf = (view: View, n: number) => ({
    Data: Buffer.from(JSON.stringify(view)),
    PartitionKey: view.user,
    ExplicitHashKey: Shards[n % Shards.length]!.HashKeyRange!.StartingHashKey!,
  });
  const last = Shards.map(() => ({ user: "last", page: "last", at: start + 24 * 60 * minuteMs }));
  for (const batch of [views, last]) {
    const answer = await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records: batch.map(recordOf) }));
    assert.equal(answer.FailedRecordCount, 0);
  }
}

/** Starts what would be deployed, feeds it, and waits for as many results as there must be. */
async function comesToItsResult({ topology }: AssemblyTopology): Promise<void> {
  const errors: string[] = [];
  const onEvent = (event: CloudEvent) => {
    if (event.kind === "log" && /"level":"ERROR"/.test(event.line.text)) errors.push(event.line.text);
  };
  cloud = await startCloud(topology, { onEvent });
  const { streams, tables } = cloud.topology;
  await put(nameWith(Object.keys(streams), "Data-Views"));
  const perMinute = nameWith(Object.keys(tables), "ViewsPerMinute");
  const expected = countBy(({ page, at }) => `${page} ${Math.floor(at / minuteMs) * minuteMs}`);
  const found = () => rowsOf(perMinute, ({ page, start, views }) => `${page!.S} ${start!.N} ${views!.N}`);
  const sessionsOf = nameWith(Object.keys(tables), "Sessions");
  const sessions = () => rowsOf(sessionsOf, ({ user, views }) => `${user!.S} ${views!.N}`);
  const expectedSessions = countBy(({ user }) => user);
  await until(
    async () => (await found()).length >= expected.length && (await sessions()).length >= expectedSessions.length,
    500,
  ).catch(() => undefined);
  assert.deepEqual(await found(), expected, errors.slice(-3).join("\n"));
  assert.deepEqual(await sessions(), expectedSessions);
}

describe("the assembly of an example", () => {
  test("is written without an account, and without a network: the app asks for none", () => {
    // CDK's own command tells AWS how it is used, unless it is told not to, and does without an answer.
    const asked = existsSync(attempts) ? readFileSync(attempts, "utf8").trim().split("\n") : [];
    assert.deepEqual(
      asked.filter((line) => !/^\S+node_modules.aws-cdk.\S+\t/.test(line)),
      [],
    );
    const request = "fetch('http://localhost:65000').catch(() => undefined)";
    spawnSync(process.execPath, ["--eval", request], { env: alone });
    assert.match(readFileSync(attempts, "utf8"), /\tconnect\tlocalhost:65000\n/, "what is asked for is seen");
  });

  test("is read by the command of CDK that is pinned", () => {
    const listed = execFileSync(process.execPath, [cli, "list", "--app", outdir, "--no-notices"], {
      cwd: outdir,
      encoding: "utf8",
    });
    assert.deepEqual(listed.trim().split("\n").sort(), [
      "PageViewsData",
      "PageViewsJob",
      "PageViewsWideData",
      "PageViewsWideJob",
    ]);
  });

  test("says of every property whether the emulated cloud acts on it", () => {
    const seen = new Set<string>();
    for (const name of stacks) {
      assert.deepEqual(assemblies[name].unexpected, [], name);
      for (const path of assemblies[name].notActedOn) seen.add(path.split(".")[0]!);
    }
    // What others may use is in the list too: each type, though, is one of these examples', or of the job of many connectors.
    const others = /^AWS::(CDK::Metadata|SQS::Queue|SQS::QueuePolicy|SNS::Topic|Events::Rule|Events::EventBus)$/;
    assert.deepEqual(
      Object.keys(notEmulated).filter((type) => !seen.has(type) && !others.test(type)),
      [],
    );
  });

  test("is a topology of named resources, those of the other example apart", () => {
    const countsOf = ({ topology }: AssemblyTopology) => {
      const { streams = {}, tables = {}, buckets = [], functions = {}, eventSourceMappings = [], ...more } = topology;
      const { schedules = {}, customResources = {} } = more;
      const all = { streams, tables, buckets, functions, eventSourceMappings, schedules, customResources };
      return Object.fromEntries(Object.entries(all).map(([kind, named]) => [kind, Object.keys(named).length]));
    };
    const same = { tables: 3, buckets: 3, schedules: 1, customResources: 1 };
    assert.deepEqual(countsOf(assemblies.PageViewsJob), { ...same, streams: 1, functions: 3, eventSourceMappings: 1 });
    // Four stages behind exchanges beside the one that reads the source.
    assert.deepEqual(countsOf(assemblies.PageViewsWideJob), { ...same, streams: 5, functions: 7, eventSourceMappings: 5 });
    assert.deepEqual(
      Object.values(assemblies.PageViewsJob.topology.schedules!).map(({ input }) => input),
      [{ version: 1, kind: "look" }],
    );
  });

  for (const name of stacks) test(`comes to the exact result: ${name}`, () => comesToItsResult(assemblies[name]));

  test("is not started where the check that is deployed with it refuses it, and says why", async () => {
    const { topology } = assemblies.PageViewsJob;
    const more = { ...topology, accountConcurrency: 4 };
    await assert.rejects(
      startCloud(more),
      /the deployment fails: .*job pageviews is not started: the job may need 5 executions .* allows 4/,
    );
  });
});
