/**
 * From outside: an app of its own, on the package as it is packed, type-checks and synthesises; and what it synthesised is emulated by the
 * package's command where nothing but its production dependencies is installed.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { ListShardsCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { root } from "./deploy.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-own-app-"));
const modules = realpathSync(join(root, "node_modules"));
const app = join(scratch, "app");
const bare = join(scratch, "bare");
let emulated: ChildProcess | undefined;

after(async () => {
  if (emulated !== undefined && emulated.exitCode === null) {
    emulated.kill("SIGINT");
    await once(emulated, "exit");
  }
  rmSync(scratch, { recursive: true });
});

async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  variables: Record<string, string> = {},
): Promise<string> {
  const options = { cwd, env: { ...process.env, ...variables }, maxBuffer: 64 << 20 };
  try {
    return (await promisify(execFile)(program, [...args], options)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    assert.fail(`${program} ${args.join(" ")}\n${stdout}\n${stderr}`);
  }
}

/** What `npm pack` makes. */
async function pack(): Promise<string> {
  const source = join(scratch, "package");
  mkdirSync(source);
  for (const file of ["package.json", "README.md"]) cpSync(join(root, file), join(source, file));
  await run(
    process.execPath,
    // Types are checked of the repository, and by the app of what is packed.
    [join(modules, "typescript/bin/tsc"), "-p", "tsconfig.build.json", "--noCheck", "--outDir", join(source, "dist")],
    root,
  );
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", scratch], source);
  return join(
    scratch,
    readdirSync(scratch).find((name) => name.endsWith(".tgz"))!,
  );
}

/** Puts the package where `npm install` would, and beside it packages of this checkout. */
async function install(tarball: string, into: string, packages: readonly string[]): Promise<void> {
  const target = join(into, "node_modules", "millrace");
  mkdirSync(target, { recursive: true });
  await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", target], scratch);
  for (const name of packages) {
    const link = join(into, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(modules, name), link);
  }
}

function allPackages(): readonly string[] {
  const within = (name: string) => readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`);
  const names = readdirSync(modules).filter((name) => !name.startsWith("."));
  return names.flatMap((name) => (name.startsWith("@") ? within(name) : [name]));
}

/** Those that `npm install --omit=dev` puts on top. */
function productionPackages(): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Record<string, { readonly dev?: boolean; readonly devOptional?: boolean; readonly peer?: boolean }>;
  };
  return Object.entries(packages)
    .filter(([, { dev, devOptional, peer }]) => !dev && !devOptional && !peer)
    .map(([path]) => path.slice("node_modules/".length))
    .filter((name) => name !== "" && !name.includes("/node_modules/"))
    .filter((name) => allPackages().includes(name));
}

before(async () => {
  const tarball = await pack();
  cpSync(join(root, "examples", "own-app"), app, { recursive: true });
  await install(tarball, app, allPackages());
  await install(tarball, bare, productionPackages());
});

test("an app of its own type-checks and synthesises on the packed package", async () => {
  await run(process.execPath, [join(modules, "typescript/bin/tsc"), "-p", "."], app);
  await run(process.execPath, ["app.ts"], app, { CDK_OUTDIR: join(app, "cdk.out") });
  const template = JSON.parse(readFileSync(join(app, "cdk.out", "Orders.template.json"), "utf8"));
  const types = Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type);
  const count = (type: string) => types.filter((one) => one === type).length;
  assert.deepEqual(
    [count("AWS::Lambda::Function"), count("AWS::Lambda::EventSourceMapping"), count("AWS::Scheduler::Schedule")],
    [3, 1, 1],
  );
  const assets = readdirSync(join(app, "cdk.out")).filter((name) => name.startsWith("asset."));
  assert.equal(assets.length, 3);
  for (const asset of assets) {
    const code = readFileSync(join(app, "cdk.out", asset, "index.mjs"), "utf8");
    assert.match(code, /"orders-per-minute"/, "the job is in it");
  }
});

interface Emulation {
  /** By service: where it is, and what it says is there. */
  readonly endpoint: (service: string) => string;
  readonly nameIn: (service: string, part: RegExp) => string;
  readonly said: () => string;
}

/** Runs until the tests end. */
async function emulate(assembly: string): Promise<Emulation> {
  const command = join(bare, "node_modules", "millrace", "dist", "cli", "main.js");
  const child = spawn(process.execPath, [command, "emulate", assembly, "--port", "0"], { cwd: bare, stdio: "pipe" });
  emulated = child;
  let said = "";
  for (const output of [child.stdout, child.stderr]) output.setEncoding("utf8").on("data", (text: string) => (said += text));
  while (!said.includes("Ctrl-C ends it")) {
    assert.equal(child.exitCode, null, said);
    await wait(100);
  }
  const line = (service: string) => new RegExp(`^  ${service} +(\\S+)  (.*)$`, "m").exec(said)!;
  return {
    endpoint: (service) => line(service)[1]!,
    nameIn: (service, part) => {
      const names = line(service)[2]!
        .split(", ")
        .map((name) => name.split(" ")[0]!);
      return names.find((name) => part.test(name)) ?? assert.fail(`${part} in ${names.join(", ")}`);
    },
    said: () => said,
  };
}

const minuteMs = 60_000;
const begin = Date.UTC(2026, 0, 5, 8);

test("the packed command emulates what was synthesised, with production dependencies alone", async () => {
  for (const name of ["aws-cdk-lib", "constructs", "fast-check", "eslint"])
    assert.ok(!existsSync(join(bare, "node_modules", name)), name);
  const { endpoint, nameIn, said } = await emulate(join(app, "cdk.out"));
  const settings = (service: string) => {
    const credentials = { accessKeyId: "emulated", secretAccessKey: "emulated" };
    return { endpoint: endpoint(service), region: "us-east-1", credentials };
  };
  const { kinesis } = awsClients(settings("Kinesis"));
  const { dynamodb } = awsClients(settings("DynamoDB"));
  const StreamName = nameIn("Kinesis", /./);
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  const orders = Array.from({ length: 40 }, (_, n) => ({ customer: `c${n % 3}`, at: begin + n * 4_000 }));
  // The last, one for each shard, close every window.
  const last = Shards.map(() => ({ customer: "last", at: begin + 60 * minuteMs }));
  for (const batch of [orders, last]) {
    const Records = batch.map((order, n) => ({
      Data: Buffer.from(JSON.stringify(order)),
      PartitionKey: order.customer,
      ExplicitHashKey: Shards[n % Shards.length]!.HashKeyRange!.StartingHashKey!,
    }));
    assert.equal((await kinesis.send(new PutRecordsCommand({ StreamName, Records }))).FailedRecordCount, 0);
  }
  const counts = new Map<string, number>();
  for (const { customer, at } of orders) {
    const key = `${customer} ${Math.floor(at / minuteMs) * minuteMs}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const expected = [...counts].map(([key, count]) => `${key} ${count}`).sort();
  const found = async () => {
    const { Items = [] } = await dynamodb.send(new ScanCommand({ TableName: nameIn("DynamoDB", /PerMinute/) }));
    return Items.map(({ customer, start, orders: count }) => `${customer!.S} ${start!.N} ${count!.N}`).sort();
  };
  const until = Date.now() + 600_000;
  while (Date.now() < until && (await found()).length < expected.length) await wait(500);
  assert.deepEqual(await found(), expected, said().slice(-2_000));
});
