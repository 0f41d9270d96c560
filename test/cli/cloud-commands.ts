/**
 * The commands as their user types them, against a job in the emulated cloud: status, savepoint, stop, start, rescale 1 → 4 → 2, dead letters
 * given back, and a fork that goes on on this machine with the stream where it is. Every event is counted once all along.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { type EmulatedCloud, startCloud } from "../../emulator/cloud/index.ts";
import { exitCodes } from "../../cli/report-error.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { functionsDirectory, namesOf, topologyOf } from "../e2e/deployment.ts";
import { readResults } from "../e2e/read-results.ts";
import { countingJob, type CountingOptions } from "./jobs/counting-job.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-commands-"));
const cli = join(import.meta.dirname, "../../cli/main.ts");
const jobModule = join(import.meta.dirname, "jobs/counting-job.ts");
const names = namesOf("counting");
const keys = ["a", "b", "c", "d", "e"];

let cloud: EmulatedCloud;
let looks: NodeJS.Timeout;
let deployments = 0;
let put = 0;

before(async () => {
  cloud = await startCloud(topology({}), { directory: join(scratch, "cloud") });
  looks = setInterval(() => cloud.fire(names.schedule), 3_000);
  cloud.fire(names.schedule);
});
after(async () => {
  clearInterval(looks);
  await cloud?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** A deployment of the job, written as a module of its own. */
function topology(options: CountingOptions) {
  const deployment = ++deployments;
  const module = moduleOf(`job-${deployment}.ts`, options);
  return topologyOf({
    graph: planJob(countingJob(options)),
    module,
    directory: scratch,
    functions: functionsDirectory,
    deployment,
    outside: { streams: { events: { shardCount: 2 } }, buckets: ["results"] },
    timeouts: { task: 20, coordinator: 15 },
    memorySize: 512,
  });
}

function moduleOf(name: string, options: CountingOptions): string {
  const made = `countingJob(${JSON.stringify(options)})`;
  writeFileSync(join(scratch, name), `import { countingJob } from ${JSON.stringify(jobModule)};\nexport default ${made};\n`);
  return `./${name}`;
}

/** Puts `count` events of each key. */
async function putEvents(count: number): Promise<void> {
  const events = Array.from({ length: count * keys.length }, (_, n) => ({ key: keys[n % keys.length]!, at: put * 1_000 + n }));
  const Records = events.map((event) => ({ PartitionKey: event.key, Data: Buffer.from(JSON.stringify(event)) }));
  const { FailedRecordCount } = await cloud.clients.kinesis.send(new PutRecordsCommand({ StreamName: "events", Records }));
  assert.equal(FailedRecordCount, 0);
  put += count;
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function millrace(...args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [cli, ...args], { cwd: scratch, env: { ...process.env, ...cloud.variables } });
  let [out, err] = ["", ""];
  child.stdout.on("data", (text: Buffer) => (out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (err += text.toString()));
  const [code] = (await once(child, "exit")) as [number];
  return { code, out, err };
}

/** A command on the deployed job that must do what it is asked for. */
async function done(...args: readonly string[]): Promise<any> {
  const { code, out, err } = await millrace(
    ...args,
    "--coordinator",
    names.coordinator,
    "--json",
    ...(args[0] === "status" ? [] : ["--timeout", "90"]),
  );
  assert.equal(code, exitCodes.done, `${args.join(" ")}: ${err}${out}`);
  return JSON.parse(out);
}

async function counted(prefix: string): Promise<Record<string, number[]>> {
  const places = { out: { kind: "objects", bucket: "results", prefix } } as never;
  const deadLetters = { bucket: names.deadLetterBucket, prefix: "dead-letters/counting/" };
  return countsOf((await readResults(cloud.clients, places, deadLetters)).out!);
}

function countsOf(lines: readonly string[]): Record<string, number[]> {
  const counts: Record<string, number[]> = {};
  for (const line of lines) {
    const { key, seen } = JSON.parse(line) as { key: string; seen: number };
    (counts[key] ??= []).push(seen);
  }
  for (const seen of Object.values(counts)) seen.sort((a, b) => a - b);
  return counts;
}

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}

/** Waits until the job has taken in so many events. */
async function takenIn(events: number): Promise<void> {
  for (let tries = 0; tries < 90; tries++) {
    const { code, out } = await millrace("status", "--coordinator", names.coordinator, "--json");
    if (code === 0 && (JSON.parse(out) as { totals: { records: number } }).totals.records >= events) return;
    await sleep(500);
  }
  assert.fail(`the job has not taken in ${events} events`);
}

test("a job in the cloud is looked after by its commands", { timeout: 600_000 }, async (t) => {
  await putEvents(20);
  await takenIn(20 * keys.length);

  await t.test("a savepoint is taken, and the job goes on", async () => {
    const { savepoint: _, ...taken } = await done("savepoint");
    assert.equal(taken.done, true);
    const listed = await millrace("checkpoints", "--coordinator", names.coordinator);
    assert.match(listed.out, new RegExp(`^ +${taken.checkpoint} +savepoint `, "m"));
  });

  for (const parallelism of [4, 2])
    await t.test(`it is rescaled to ${parallelism}`, async () => {
      await putEvents(20);
      const { code, out } = await millrace("rescale", "--coordinator", names.coordinator);
      assert.equal(code, exitCodes.done, out);
      assert.match(out, /^stopped with savepoint \d+/);
      await putEvents(20);
      await cloud.deploy(topology({ parallelism }));
      assert.equal((await done("start")).phase, "running");
      await takenIn(put * keys.length);
      const { tasks } = await done("status").catch(() => ({ tasks: [] }));
      assert.equal((tasks as { stage: string }[]).filter(({ stage }) => stage === "count").length, parallelism);
    });

  await t.test("what a broken deployment puts aside is given back after a fix", async () => {
    // Another plan begins again from the last checkpoint: what is read again would break as well.
    await done("savepoint");
    await cloud.deploy(topology({ parallelism: 1, broken: "b" }));
    await putEvents(10);
    await takenIn(put * keys.length);
    const listed = await millrace("deadletters", "list", "--coordinator", names.coordinator, "--json");
    assert.equal((JSON.parse(listed.out) as { letters: number }).letters, 10, listed.err);
    await cloud.deploy(topology({ parallelism: 1 }));
    const { given } = await done("deadletters", "redrive");
    assert.deepEqual(given, { in: 10 });
    await takenIn(put * keys.length + 10);
    assert.deepEqual((await done("deadletters", "redrive")).given, {});
  });

  await t.test("a fork goes on on this machine, with the stream where it is", async () => {
    const { checkpoint } = await done("fork", "--to", "local", "--into", "forked", "--name", "twin");
    const before = put;
    await putEvents(10);
    const twin = moduleOf("twin.ts", { name: "twin" });
    const child = spawn(
      process.execPath,
      [cli, "start", twin, "--state", "forked", "--bind", "in=kinesis:events", "--bind", "out=twin-results"],
      { cwd: scratch, env: { ...process.env, ...cloud.variables }, stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    child.stderr.on("data", (text: Buffer) => (said += text.toString()));
    for (let tries = 0; tries < 60 && !said.includes("finished"); tries++) {
      const { out } = await millrace("status", "--state", "forked", "--json");
      if ((JSON.parse(out) as { totals: { records: number } }).totals.records >= put * keys.length + 10) break;
      await sleep(500);
    }
    child.kill("SIGINT");
    await once(child, "exit");
    assert.match(said, new RegExp(`goes on from: generation \\d+, checkpoint ${checkpoint}`));
    const written = readdirSync(join(scratch, "twin-results"), { recursive: true }) as string[];
    const results = written.filter((name) => name.endsWith(".ndjson") && !name.includes(".quarantine"));
    const lines = results.flatMap((name) =>
      readFileSync(join(scratch, "twin-results", name), "utf8")
        .trim()
        .split("\n"),
    );
    const expected = Object.fromEntries(keys.map((key) => [key, upTo(put).slice(before)]));
    assert.deepEqual(countsOf(lines), expected, said);
  });

  await t.test("nothing is lost, and nothing counted twice", async () => {
    await takenIn(put * keys.length + 10);
    const { savepoint } = await done("stop").then(({ checkpoint }) => ({ savepoint: checkpoint }));
    assert.deepEqual(await counted("counting/"), Object.fromEntries(keys.map((key) => [key, upTo(put)])));
    const again = await done("stop");
    assert.equal(again.checkpoint, savepoint, "a job that has stopped stays so");
  });
});
