/**
 * What stays of a job in its table and its bucket when all is done and its garbage was collected, past all faults.
 *
 * C23 Nothing stays without an owner: an object is named by an item of a ring or a mailbox, by a manifest that is kept, or by an object that is
 *     owned; a ring or a page is of the latest generation.
 *
 * Who owns what is told by names alone, as they stand in the bytes: independently of the code that collects.
 */
import { openAws } from "../../runtime/adapters/aws/open-aws.ts";
import type { TaskId } from "../../runtime/base/ids.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import {
  jobRing,
  lookLease,
  manifestPrefix,
  objectPrefixes,
  parseObjectName,
  restoreLease,
} from "../../runtime/snapshots/names.ts";
import { generationOf } from "../../runtime/streaming/channel.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import type { DeployedJob } from "./deployed-job.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import type { Item } from "./dynamo-answers.ts";
import { ProcessClock } from "./function-environment.ts";
import { bucketName, tableName } from "./job-environments.ts";

const silent = { add: () => undefined, gauge: () => undefined, log: () => undefined };

/** All functions have been stopped: nothing is written meanwhile. */
export async function checkLeftOvers(world: DeploymentWorld, job: DeployedJob): Promise<void> {
  if (job.record?.phase !== "running") return;
  await world.clock.until(collect(world, job));
  const { manifest, completed, retained = [], superseded = [], generation } = job.record;
  const named = [manifest, completed, ...superseded, ...retained.map((one) => one.manifest)];
  const kept = new Set<string>(named.filter((name) => name !== undefined));
  const items = world.stateItems(`${job.name}/`);
  const objects = objectsOf(world, job);
  checkOwned(job, objects, items, kept);
  const rings = items.flatMap(({ p }) => /\/(?:ring|page)\/(.+)$/.exec(p!.S!)?.[1] ?? []);
  for (const task of new Set(rings.map((name) => decodeURIComponent(name) as TaskId)))
    if (![jobRing, lookLease, restoreLease].includes(task) && generationOf(task) !== generation)
      job.fail(`C23: what ${task} has written stays, when generation ${generation} runs`);
}

/** By whoever comes so late that nobody may act for former generations. */
async function collect(world: DeploymentWorld, job: DeployedJob): Promise<void> {
  const process = world.newProcess("collector");
  const random = world.newRandom();
  const ports = await openAws({
    ...{ job: job.name, table: tableName, bucket: bucketName, telemetry: silent, ringSize: world.settings.ringSize },
    clients: world.clientsOf(process, random).clients,
    clock: new ProcessClock(process, world.clock, world.calls, 0),
    random: () => random.next(),
  });
  const { deployment } = job.deployed;
  const coordinator = new Coordinator(job.plan(), ports as never, {
    ...{ id: process.name, deployment, safeguards: allSafeguards, formerMsMin: 0 },
    createStream: async () => undefined,
  });
  // Objects go with the rings that are gone.
  await coordinator.collectGarbage();
  await coordinator.collectGarbage();
}

function objectsOf({ s3 }: DeploymentWorld, { name }: DeployedJob): ReadonlyMap<string, Uint8Array> {
  const prefix = `${name}/`;
  const keys = s3.keys(bucketName).filter((key) => key.startsWith(prefix));
  return new Map(keys.map((key) => [key.slice(prefix.length), s3.peek(bucketName, key)!]));
}

function checkOwned(
  job: DeployedJob,
  objects: ReadonlyMap<string, Uint8Array>,
  items: readonly Item[],
  kept: ReadonlySet<string>,
): void {
  const owners = items.flatMap(({ b }) => (b?.B === undefined ? [] : [textOf(b.B)]));
  const left = new Set<string>();
  for (const [name, bytes] of objects)
    if (kept.has(name)) owners.push(textOf(bytes));
    else if (name.startsWith(manifestPrefix) || objectPrefixes.some((prefix) => name.startsWith(prefix))) left.add(name);
  const heads = headsOf(items);
  for (let owner = owners.pop(); owner !== undefined; owner = owners.pop())
    for (const name of left)
      if (owner.includes(name)) {
        left.delete(name);
        owners.push(textOf(objects.get(name)!));
      }
  // A manifest behind the last that is complete is of a checkpoint that may be given up; after a restore the last is an earlier one again.
  const last = job.record?.completed ?? "";
  for (const name of left) {
    // Its entry may still come: its seq is not taken.
    const { task, seq, kind } = parseObjectName(name) ?? {};
    const mayCome = task !== undefined && seq! > (heads.get(task) ?? Infinity) - (kind === "acknowledgements" ? 1 : 0);
    if (!mayCome && (task !== undefined || name <= last)) job.fail(`C23: nothing owns ${name} of ${job.name}`);
  }
}

/** By task, the highest number in its ring. */
function headsOf(items: readonly Item[]): ReadonlyMap<string, number> {
  const heads = new Map<string, number>();
  for (const { p, s, n } of items) {
    const [, task] = /\/ring\/(.+)$/.exec(p!.S!) ?? [];
    if (task === undefined || !s!.S!.startsWith("e")) continue;
    const name = decodeURIComponent(task);
    heads.set(name, Math.max(heads.get(name) ?? 0, Number(n!.N)));
  }
  return heads;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
