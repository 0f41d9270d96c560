/**
 * The commands as their user types them, against a job in the emulated cloud: status, savepoint, stop, start, rescale 1 → 4 → 2, dead letters
 * given back, a fork that goes on on this machine with the stream where it is, and one that another deployed job goes on from, beside it.
 * Every event is counted once all along.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { type EmulatedCloud, startCloud, type Topology } from "../../emulator/cloud/index.ts";
import { exitCodes } from "../../cli/report-error.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import { Commands } from "../e2e/commands.ts";
import { DeployDoor } from "../e2e/operations/deploy-door.ts";
import { functionsDirectory, namesOf, topologyOf } from "../e2e/deployment.ts";
import { readResults } from "../e2e/read-results.ts";
import { countingJob, type CountingOptions } from "./jobs/counting-job.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-commands-"));
const jobModule = join(import.meta.dirname, "jobs/counting-job.ts");
const names = namesOf("counting");
const keys = ["a", "b", "c", "d", "e"];

let cloud: EmulatedCloud;
let commands: Commands;
let looks: NodeJS.Timeout;
let deployments = 0;
let put = 0;

before(async () => {
  cloud = await startCloud(topology({}), { directory: join(scratch, "cloud") });
  commands = new Commands({ directory: scratch, variables: cloud.variables, coordinator: names.coordinator });
  looks = setInterval(() => {
    for (const schedule of Object.keys(cloud.topology.schedules)) cloud.fire(schedule);
  }, 3_000);
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

const millrace = (...args: readonly string[]) => commands.run(...args);

/** A command on the deployed job that must do what it is asked for. */
async function done(...args: readonly string[]): Promise<any> {
  return commands.done(...args, ...(args[0] === "status" ? [] : ["--timeout", "90"]));
}

async function counted(prefix: string): Promise<Record<string, number[]>> {
  const places = { out: { kind: "objects", bucket: "results", prefix } } as never;
  const deadLetters = { bucket: names.deadLetterBucket, prefix: "dead-letters/counting/" };
  return countsOf((await readResults(cloud.clients, places, deadLetters)).out!);
}

/** Waits until these are the counts under a prefix. */
async function untilCounted(prefix: string, expected: Record<string, number[]>): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    if (isDeepStrictEqual(await counted(prefix), expected)) return;
    await sleep(500);
  }
  assert.deepEqual(await counted(prefix), expected);
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

/** Waits until a job has taken in so many events. */
async function takenIn(events: number, coordinator = names.coordinator): Promise<void> {
  for (let tries = 0; tries < 90; tries++) {
    const { code, out } = await millrace("status", "--coordinator", coordinator, "--json");
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
      if (parallelism === 4) {
        const { code, out } = await millrace("rescale", "--coordinator", names.coordinator);
        assert.equal(code, exitCodes.done, out);
        assert.match(out, /^stopped with savepoint \d+/);
        await putEvents(20);
        await cloud.deploy(topology({ parallelism }));
        assert.equal((await done("start")).phase, "running");
      } else {
        const door = await DeployDoor.open((to) => cloud.deploy(topology({ parallelism: to })));
        const { tasks } = await done("rescale", "--deploy", door.command(parallelism));
        door.close();
        assert.equal((tasks as Record<string, number>).count, parallelism);
        await putEvents(20);
      }
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
    const bound = ["--bind", "in=kinesis:events", "--bind", "out=twin-results"];
    const child = commands.start("start", twin, "--state", "forked", ...bound);
    let said = "";
    child.stderr!.on("data", (text: Buffer) => (said += text.toString()));
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

  await t.test("another deployed job goes on from it beside it, and takes its place", async () => {
    const green = namesOf("green");
    const [blueNow, greenNow] = [topology({ parallelism: 2 }), topology({ name: "green" })];
    await cloud.deploy({
      streams: { ...blueNow.streams, ...greenNow.streams },
      tables: { ...blueNow.tables, ...greenNow.tables },
      buckets: [...new Set([...blueNow.buckets!, ...greenNow.buckets!])],
      functions: { ...blueNow.functions, ...greenNow.functions },
      eventSourceMappings: [...blueNow.eventSourceMappings!, ...greenNow.eventSourceMappings!],
      schedules: { ...blueNow.schedules, ...greenNow.schedules },
    } as Topology);
    // It has begun by itself, from the stream's beginning: that is given up.
    await takenIn(1, green.coordinator);
    const refused = await millrace("fork", "--coordinator", names.coordinator, "--to", green.coordinator, "--json");
    assert.match(refused.out + refused.err, /--replace/);
    await takenIn(put * keys.length + 10);
    const before = put;
    const { job, from } = await done("fork", "--to", green.coordinator, "--replace");
    assert.deepEqual([job, from], ["green", "counting"]);
    await putEvents(10);
    await takenIn(put * keys.length + 10, green.coordinator);
    await takenIn(put * keys.length + 10);
    const beyond = Object.fromEntries(keys.map((key) => [key, upTo(put).slice(before)]));
    await untilCounted("green/", beyond);
    // Blue is right all along, and stops when green has taken its place.
    await untilCounted("counting/", Object.fromEntries(keys.map((key) => [key, upTo(put)])));
  });

  await t.test("nothing is lost, and nothing counted twice", async () => {
    await takenIn(put * keys.length + 10);
    const { savepoint } = await done("stop").then(({ checkpoint }) => ({ savepoint: checkpoint }));
    assert.deepEqual(await counted("counting/"), Object.fromEntries(keys.map((key) => [key, upTo(put)])));
    const again = await done("stop");
    assert.equal(again.checkpoint, savepoint, "a job that has stopped stays so");
  });
});
