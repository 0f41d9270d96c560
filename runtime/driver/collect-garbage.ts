/**
 * Garbage collection of segments, payloads, runs and manifests (L6): lists first, then reads the roots in this order: rings, open acknowledgements,
 * manifests, job record. What was written meanwhile was not listed; what is listed and refers to nothing stays unreferenced, because
 * its entry's slot is taken: a name goes only when its seq is at most its task's head.
 *
 * Rings, pages and messages of generations that are over go some time later (retire-generations.ts).
 *
 * A manifest or tombstone goes when a later checkpoint is complete and it is not retained. A coordinator that comes late may write
 * its name again (L10), but the job record has moved on without it: it is garbage once more.
 */
import { MillraceError } from "../base/errors.ts";
import type { BlobName, Generation, Seq, TaskId } from "../base/ids.ts";
import type { Message } from "../ports/journal.ts";
import { namesUnder } from "../ports/blobs.ts";
import type { Ports } from "../ports/ports.ts";
import { decodeManifest, isTombstone } from "../snapshots/manifest.ts";
import { jobRing, manifestPrefix, objectPrefixes, parseObjectName } from "../snapshots/names.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import { readReferences } from "../snapshots/segment.ts";
import type { BlobRange } from "../state/state-index.ts";
import { generationOf } from "../streaming/channel.ts";
import type { Safeguards } from "../task/safeguards.ts";
import { acknowledgingTask, readAcknowledgement } from "./acknowledgements.ts";
import { readJobRing, useJobRing } from "./job-ring.ts";
import { loadCommit, payloadOf } from "./journal-entry.ts";

interface Roots {
  readonly used: Set<BlobName>;
  readonly heads: Map<TaskId, Seq>;
  /** The oldest generation whose rings are there: of those before it nobody writes any more. */
  readonly oldest: Generation;
}

/** Returns how many objects were deleted. */
export async function collectGarbage(job: string, ports: Ports, safeguards: Safeguards): Promise<number> {
  const early = safeguards.holds("L6") ? undefined : await readRoots(job, ports, tasksIn(await listObjects(ports)));
  const names = await listObjects(ports);
  const roots = early ?? (await readRoots(job, ports, tasksIn(names)));
  const dead = names.filter((name) => !roots.used.has(name) && isSettled(name, roots, early !== undefined));
  dead.push(...(await oldManifests(job, ports)));
  for (let from = 0; from < dead.length; from += 1_000) await ports.blobs.delete(dead.slice(from, from + 1_000));
  return dead.length;
}

function isSettled(name: BlobName, { heads, oldest }: Pick<Roots, "heads" | "oldest">, always: boolean): boolean {
  const parsed = parseObjectName(name);
  if (parsed === undefined) return false;
  const { kind, task, seq } = parsed;
  // The message that names it may still be on its way while its commit is the head (acknowledgements.ts).
  const settled = (heads.get(task) ?? 0) - (kind === "acknowledgements" ? 1 : 0);
  return always || seq <= settled || generationOf(task) < oldest;
}

async function oldManifests(job: string, ports: Ports): Promise<readonly BlobName[]> {
  const names = await listObjects(ports, [manifestPrefix]);
  const { record } = await readJobRing(ports, job);
  const { completed } = record ?? {};
  if (record === undefined || completed === undefined) return [];
  // Their numbers have leading zeros, so the earlier one comes first as text.
  return names.filter((name) => name < completed && !manifestsOf(record).has(name));
}

/** The manifests that something may still be restored from, or another job begin from. */
function manifestsOf({ retained, superseded, manifest, completed }: JobRecord): ReadonlySet<BlobName | undefined> {
  return new Set([...retained.map((kept) => kept.manifest), ...superseded, manifest, completed]);
}

async function listObjects({ blobs }: Ports, prefixes: readonly string[] = objectPrefixes): Promise<BlobName[]> {
  const names: BlobName[] = [];
  for (const prefix of prefixes) for (const name of await namesUnder(blobs, prefix)) names.push(name);
  return names;
}

function tasksIn(names: readonly BlobName[]): ReadonlySet<TaskId> {
  return new Set(names.flatMap((name) => parseObjectName(name)?.task ?? []));
}

async function readRoots(job: string, ports: Ports, tasks: ReadonlySet<TaskId>): Promise<Roots> {
  const used = new Set<BlobName>();
  const heads = new Map<TaskId, Seq>();
  // A generation that is over stays so: its rings are sealed and no roots any more, nor is what its tasks said.
  const before = (await readJobRing(ports, job)).record;
  const living = before?.generation ?? 0;
  const oldest = Math.min(living, ...generationsOf(before));
  for (const task of tasks) heads.set(task, await useRoot(task, living, ports, used));
  const open = await readJobRing(ports, job);
  for (const message of open.messages) await useAcknowledgement(message, living, ports, used);
  const { record } = await readJobRing(ports, job);
  const manifests = record === undefined ? [] : manifestsOf(record);
  for (const name of manifests) if (name !== undefined) await useManifest(name, ports, used);
  return { used, heads, oldest };
}

/** Those that are over and of which rings are still there. */
function generationsOf(record: JobRecord | undefined): number[] {
  if (record === undefined) return [];
  const stages = [...record.replaces, ...record.former.flatMap((former) => former.stages)];
  return stages.map(({ generation }) => generation);
}

function useRoot(task: TaskId, living: Generation, ports: Ports, used: Set<BlobName>): Promise<Seq> {
  if (task === jobRing) return useJobRing(ports, used);
  return generationOf(task) < living ? useHead(task, ports, used) : useRing(task, ports, used);
}

/** Marks the head's payload alone: whoever seals the ring late must still be able to read it. Returns the head. */
async function useHead(task: TaskId, ports: Ports, used: Set<BlobName>): Promise<Seq> {
  const head = (await ports.journal.tail(task, "head")).entries.at(-1);
  const payload = head && payloadOf(head.bytes);
  if (payload !== undefined) used.add(payload);
  return head?.seq ?? 0;
}

/** Other collectors may delete what a ring referred to when it was read, if it has moved on since: so often it is read again. */
const ringReadsMax = 5;

/** Marks what the ring refers to; returns its head. Throws `unavailable` when it moves on faster than it can be read. */
async function useRing(task: TaskId, ports: Ports, used: Set<BlobName>): Promise<Seq> {
  for (let reads = 0; reads < ringReadsMax; reads++) {
    const head = await tryRing(task, ports, used);
    if (head !== undefined) return head;
  }
  throw new MillraceError("unavailable", `the ring of ${task} moves on while garbage is collected: try again later`);
}

/** Undefined: the index that the head refers to is gone, so the ring has moved on, and its new head refers to what is still needed. */
async function tryRing(task: TaskId, ports: Ports, used: Set<BlobName>): Promise<Seq | undefined> {
  const { entries } = await ports.journal.tail(task, 0);
  for (const entry of entries) {
    const payload = payloadOf(entry.bytes);
    if (payload !== undefined) used.add(payload);
  }
  const last = entries[entries.length - 1];
  if (last === undefined) return 0;
  const head = await loadCommit(task, last, ports.blobs);
  const base = head.base?.seq ?? 0;
  for (const sorted of head.progress.sorts?.values() ?? [])
    for (const { blob } of (sorted as { readonly runs: readonly { readonly blob: BlobName }[] }).runs) used.add(blob);
  if (!(await useIndex(head.base?.index, ports, used))) return undefined;
  for (const entry of entries) {
    const payload = payloadOf(entry.bytes);
    if (payload !== undefined && entry.seq <= base && entry.seq !== head.seq) used.delete(payload);
  }
  return head.seq;
}

/** One whose object is gone was superseded meanwhile: as with an index that is gone, what is still needed has roots of its own. */
async function useAcknowledgement(message: Message, living: Generation, ports: Ports, used: Set<BlobName>): Promise<void> {
  const task = acknowledgingTask(message);
  if (task === undefined || generationOf(task) < living) return;
  const { said, object } = await readAcknowledgement(message, ports.blobs);
  if (object !== undefined) used.add(object);
  if (said !== "gone") await useIndex(said.index, ports, used);
}

/** False: the index is gone. */
async function useIndex(index: BlobRange | undefined, ports: Ports, used: Set<BlobName>): Promise<boolean> {
  if (index === undefined) return true;
  used.add(index.blob);
  const bytes = await ports.blobs.get(index.blob, index);
  // Of an acknowledgement that was superseded long ago: what is still needed is referred to by a root of its own.
  if (bytes === undefined) return false;
  for (const blob of readReferences(bytes)) used.add(blob);
  return true;
}

async function useManifest(name: BlobName, ports: Ports, used: Set<BlobName>): Promise<void> {
  const bytes = await ports.blobs.get(name);
  const manifest = bytes && decodeManifest(bytes);
  if (manifest === undefined || isTombstone(manifest)) return;
  for (const task of manifest.tasks) await useIndex(task.index, ports, used);
}
