/**
 * `millrace fork`: another job that begins from a savepoint of this one: under another name where it is deployed, or on this machine.
 *
 * One job's objects are deleted by its own garbage collection, so the fork has copies of all that it refers to.
 *
 * F1 The fork's record says when it is whole: a fork that is interrupted begins nothing, and made again it is ended, or changes nothing.
 * F2 Until then nothing has a name that the job would give, which may go on meanwhile by itself or by another order: neither has it what
 *    this fork wrote for its own, nor is it in its way.
 * F3 What has such a name for every job (which objects a source reads, what was given back) is written once the place is the fork's by its
 *    record, and before anything can begin from it.
 */
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import { redrivesPrefix } from "../../runtime/connectors/redriven-source.ts";
import { settledPrefix } from "../../runtime/connectors/source-reader.ts";
import { moveJobRecord, readJobRing } from "../../runtime/driver/job-ring.ts";
import { namesUnder } from "../../runtime/ports/blobs.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { followed, type JobRecord, recordOfCheckpoint } from "../../runtime/snapshots/job-record.ts";
import { encodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { givenPrefix } from "../../runtime/snapshots/given-letters.ts";
import { adoptedName, copyName } from "../../runtime/snapshots/names.ts";
import type { Answer } from "../answer.ts";
import { numberOf, readManifest, recordOf } from "../job-status.ts";
import { quoted } from "../suggest.ts";
import type { JobPorts, Target } from "../target/target.ts";
import { plural } from "../words.ts";
import { checkpointOf } from "./checkpoints.ts";
import { type CopiedState, copyState, goneMeanwhile } from "./copy-state.ts";
import { follow, newOrder, savepoint, stop, type WaitOptions } from "./orders.ts";

export interface ForkOptions extends BeginOptions {
  /** "local", or the coordinator of the job that is to begin from it. */
  readonly to: string;
  /** Of a fork on this machine, and of no other: where it keeps its state, and what it is called. */
  readonly directory: string | undefined;
  readonly name: string | undefined;
}

/** From what another job begins. */
export interface BeginOptions extends WaitOptions {
  /** The checkpoint, as text; undefined: a savepoint that is taken now, or where the job rests. */
  readonly from: string | undefined;
  /** Sources begin anew: their positions, and event time in them, stay behind. */
  readonly freshInput: boolean;
  /** The job that is to begin from it has run: what it is and put out so far is given up. */
  readonly replace: boolean;
}

export async function fork(source: Target, options: ForkOptions): Promise<Answer> {
  const { to, directory } = options;
  if (directory !== undefined) return forkHere(source, await manifestOf(source, options), directory, options);
  const { openAwsTarget } = await import("../target/aws-target.ts");
  const target = await openAwsTarget(to);
  try {
    return await forkOnto(source, target, options);
  } finally {
    await target.close();
  }
}

async function manifestOf(source: Target, options: BeginOptions): Promise<Manifest> {
  const manifest = await readManifest(await beginningOf(source, options), source.ports);
  return options.freshInput ? withoutInput(manifest) : manifest;
}

/** What it begins from: a savepoint, since a checkpoint may be collected while it is copied. */
async function beginningOf(source: Target, { from, timeoutMs }: BeginOptions): Promise<BlobName> {
  if (from !== undefined) return checkpointOf(source, from);
  const { phase } = await recordOf(source);
  if (phase !== "running" || (await source.runner()) === undefined) return checkpointOf(source, "latest");
  const { json, code } = await savepoint(source, { timeoutMs });
  const { manifest } = json as { readonly manifest: BlobName | undefined };
  if (code !== undefined || manifest === undefined)
    throw new MillraceError(
      "unavailable",
      "the savepoint has not come about yet, give the command again with --from once it has",
    );
  return manifest;
}

function withoutInput(manifest: Manifest): Manifest {
  return { ...manifest, tasks: manifest.tasks.map((task) => ({ ...task, sources: new Map() })) };
}

// ---- on this machine ----

async function forkHere(source: Target, manifest: Manifest, directory: string, options: ForkOptions): Promise<Answer> {
  const { name = source.job } = options;
  const ports = await openLocal(directory, { job: name });
  try {
    const objects = await begin({ ...ports } as unknown as Ports, name, source, manifest, forkOf(source, manifest, options));
    const bindings = await bindingsOf(source);
    const json = { job: name, from: source.job, checkpoint: manifest.checkpoint, objects, directory };
    const lines = [
      `job ${name} in ${directory} begins from ${manifest.kind} ${manifest.checkpoint} of ${source.place}`,
      `${plural(objects, "object")} copied`,
      `run it:  millrace start JOB --state ${quoted(directory)}${bindings}`,
      ...(name === source.job ? [] : [`         where JOB is the module of a job that is called ${name}`]),
    ];
    return { json, lines };
  } finally {
    await ports.close();
  }
}

/** How its sources are read from here where they are. */
async function bindingsOf(source: Target): Promise<string> {
  if (source.kind === "local") return "";
  const { description } = source as Target & { description?: { bindings: Readonly<Record<string, string>> } };
  const { topology } = await recordOf(source);
  const uids = topology.flatMap(({ roots }) => [...roots.keys()]);
  return uids.map((uid) => ` --bind ${quoted(`${uid}=kinesis:${description?.bindings[uid] ?? "STREAM"}`)}`).join("");
}

/** Writes the fork: objects, manifest, record. Returns how many objects it has copied. Throws `invalid` where another job's state is. */
async function begin(into: Ports, job: string, source: Target, manifest: Manifest, fork: Fork): Promise<number> {
  const { order } = fork;
  const ring = await readJobRing(into, job);
  let objects = 0;
  if (ring.record?.order !== order) {
    if (ring.record !== undefined && !isLeftOnItsWay(ring.record))
      throw new MillraceError("invalid", `job ${job} is there already, choose another place: ${ring.record.phase}`);
    const copied = await copyFor(ring.record, order, source, into, manifest);
    objects = copied.objects;
    await into.blobs.put(adoptedName(manifest.checkpoint, order), encodeManifest(copied.manifest));
    if (!(await moveJobRecord(into, ring, recordFor(job, manifest, order, into.clock.now()), order))) throw begunMeanwhile();
  }
  return objects + (await copyNamed(source.ports, into, job, fork));
}

/** A fork that was not ended where no job has run: another takes its place, as of the savepoint that a job which runs has taken since. */
function isLeftOnItsWay({ adopting, topology }: JobRecord): boolean {
  return adopting !== undefined && topology.length === 0;
}

/**
 * What positions and the manifest refer to by names that any job gives: dead letters that were given back, and what sources settled when the
 * job began (F3). What the place has of it beside is another job's that was here.
 */
async function copyNamed(from: JobPorts, into: Ports, job: string, { order, freshInput }: Fork): Promise<number> {
  const ring = await readJobRing(into, job);
  const { record } = ring;
  if (record?.adopting === undefined) return 0;
  if (record.adopting !== order) throw begunMeanwhile();
  let copied = 0;
  for (const prefix of [redrivesPrefix, givenPrefix, settledPrefix]) {
    const names = freshInput && prefix !== givenPrefix ? [] : await namesUnder(from.blobs, prefix);
    for (const name of names) {
      const bytes = await from.blobs.get(name);
      if (bytes === undefined) throw goneMeanwhile(name);
      await into.blobs.put(name, bytes);
    }
    await into.blobs.delete((await namesUnder(into.blobs, prefix)).filter((name) => !names.includes(name)));
    copied += names.length;
  }
  const { adopting: _done, ...ready } = record;
  if (!(await moveJobRecord(into, ring, ready, order)))
    throw new MillraceError("unavailable", "the job was moved meanwhile, give the command again");
  return copied;
}

/** A fork's name, and what it takes along. */
interface Fork {
  readonly order: string;
  readonly freshInput: boolean;
}

function forkOf(source: Target, manifest: Manifest, options: BeginOptions): Fork {
  return { order: orderOf(source, manifest, options), freshInput: options.freshInput };
}

/** The same fork made twice is one. */
function orderOf({ job }: Target, { checkpoint, takenAt }: Manifest, { freshInput }: BeginOptions): string {
  return `fork-${job}-${checkpoint}-${takenAt}${freshInput ? "-fresh" : ""}`;
}

/**
 * Copies objects of state, under names of no generation that is over before the record refers to them: what the job in that place has
 * collected until then leaves them there.
 */
function copyFor(
  there: JobRecord | undefined,
  order: string,
  { ports }: Target,
  into: Pick<Ports, "blobs">,
  manifest: Manifest,
): Promise<CopiedState> {
  const generation = Math.max(there?.generation ?? 0, manifest.generation);
  return copyState(ports, into, manifest, (n) => copyName(generation, order, n));
}

/** Of a job that has stopped with the savepoint. */
function recordFor(job: string, manifest: Manifest, order: string, now: number): JobRecord {
  const name = adoptedName(manifest.checkpoint, order);
  return {
    ...recordOfCheckpoint(name, manifest, now),
    ...{ job, deployment: 0, phase: "stopped", savepoint: name, order, adopting: order },
  };
}

function begunMeanwhile(): MillraceError {
  return new MillraceError("unavailable", "the job was begun meanwhile by somebody else: look at it");
}

// ---- to a job that is deployed ----

/** As `fork`, to the job `target`. */
export async function forkOnto(source: Target, target: Target, options: BeginOptions): Promise<Answer> {
  if (target.job === source.job && target.place === source.place)
    throw new MillraceError("invalid", `a job cannot be forked onto itself, go back by millrace rollback: ${target.job}`);
  const manifest = await manifestOf(source, options);
  const record = await adopt(source, manifest, target, options);
  const json = { job: target.job, from: source.job, checkpoint: manifest.checkpoint, generation: record.generation };
  const lines = [
    `job ${target.job} runs: generation ${record.generation}, from ${manifest.kind} ${manifest.checkpoint} of ${source.job}`,
    `look at it:  millrace status ${target.words}`,
  ];
  return { json, lines };
}

/** The job that is there stops, takes the savepoint for its own, and goes on from it: what it put out before is taken back. */
async function adopt(source: Target, manifest: Manifest, target: Target, options: BeginOptions): Promise<JobRecord> {
  const fork = forkOf(source, manifest, options);
  const ports = target.ports as unknown as Ports;
  const known = (await readJobRing(ports, target.job)).record;
  if (known === undefined || known.order === fork.order) await begin(ports, target.job, source, manifest, fork);
  else {
    if (!options.replace)
      throw new MillraceError(
        "invalid",
        `job ${target.job} runs already: --replace gives up what it has and has put out: ${known.phase}`,
      );
    const { code } = await stop(target, options);
    if (code !== undefined) throw new MillraceError("unavailable", "the job has not stopped in time, give the command again");
    await replace(source, manifest, target, fork);
  }
  const resumed = newOrder("resume");
  const isRunning = ({ phase }: JobRecord) => phase === "running";
  const record = await recordOf(target);
  return isRunning(record) ? record : follow(target, resumed, isRunning, options);
}

/** What it had is given up by the same move of the record that refers to what is copied. */
async function replace(source: Target, manifest: Manifest, target: Target, fork: Fork): Promise<void> {
  const { order } = fork;
  const ports = target.ports as unknown as Ports;
  const ring = await readJobRing(ports, target.job);
  const { record } = ring;
  if (record === undefined || record.phase !== "stopped")
    throw new MillraceError("unavailable", `the job goes on meanwhile by another order: ${target.job}`);
  const checkpoint = Math.max(record.lastCheckpoint, manifest.checkpoint) + 1;
  const name = adoptedName(checkpoint, order);
  const copied = await copyFor(record, order, source, ports, manifest);
  await ports.blobs.put(name, encodeManifest({ ...copied.manifest, checkpoint }));
  const { fingerprint, operators, keyGroups, takenAt } = manifest;
  const savepoints = record.retained.filter((kept) => kept.savepoint).map((kept) => kept.manifest);
  const { given: _own, ...rest } = record;
  const moved: JobRecord = {
    ...rest,
    ...followed(record, order),
    adopting: order,
    fingerprint,
    operators,
    keyGroups,
    generation: Math.max(record.generation, manifest.generation),
    savepoint: name,
    completed: name,
    completedAt: takenAt,
    lastCheckpoint: checkpoint,
    retained: [{ manifest: name, savepoint: true }],
    superseded: [...record.superseded, ...savepoints],
  };
  if (!(await moveJobRecord(ports, ring, moved, order)))
    throw new MillraceError("unavailable", `the job was moved meanwhile, give the command again: ${numberOf(name)}`);
  await copyNamed(source.ports, ports, target.job, fork);
}
