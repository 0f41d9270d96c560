/**
 * Brings a task to its journal's head: from nothing, from a base and the entries after it, or from a cached instance.
 *
 * L7 Every key group keeps its own version while deltas are laid over it.
 * L8 A child shard's task begins where its parents ended, and only when all of them have.
 */
import { SparseTable } from "../base/sparse-table.ts";
import { MillraceError } from "../base/errors.ts";
import type { Seq, ShardId, TaskId } from "../base/ids.ts";
import type { Message } from "../ports/journal.ts";
import type { Ports } from "../ports/ports.ts";
import { type LocalState, readIndex, readLocal } from "../snapshots/segment.ts";
import { type Acknowledgement, decodeManifest, isTombstone, type Manifest } from "../snapshots/manifest.ts";
import type { Base, Commit, Progress, SourceProgress } from "../state/commit.ts";
import { type BlobRange, emptyIndex, type IndexEntry, type TaskIndex } from "../state/state-index.ts";
import { instanceOf } from "../streaming/channel.ts";
import { rangesOverlap } from "../streaming/hash-range.ts";
import type { StoredValve } from "../task/task-time.ts";
import { Task } from "../task/task.ts";
import type { TaskPlan } from "../task/task-plan.ts";
import { emptyProgress, type TaskStart } from "../task/task-start.ts";
import { beginAgain } from "../time/source-watermarks.ts";
import { loadWatermark, storeWatermark } from "../time/watermark.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import { givenTo } from "./give-letters.ts";
import { missingObject, loadCommit } from "./journal-entry.ts";
import { beginSources } from "./restored-sources.ts";
import { isPast } from "./shard-lineage.ts";
import { together } from "./together.ts";
import { rootChannels, rootTasks } from "./topology.ts";
import { shardOf, stageOfTask } from "../task/source-task.ts";
import { operatorStatesIn, takeOperatorState } from "./take-operator-state.ts";

/** A task at the head of its journal. */
export interface Recovered {
  readonly task: Task;
  /** The last commit; undefined when there is none yet. */
  readonly head: Commit | undefined;
  /** How far the entry before the head had come; undefined when there is none, or it was not read. */
  readonly before: Progress | undefined;
  readonly messages: readonly Message[];
}

export type Recovery =
  | { readonly outcome: "ready"; readonly recovered: Recovered }
  /** The ring is sealed: another generation has taken over (L1). */
  | { readonly outcome: "sealed" }
  /** Not all parents of the shard have ended. */
  | { readonly outcome: "waiting" }
  /** The head was written by newer code (R9). */
  | { readonly outcome: "fenced"; readonly deployment: number };

/** How often a read that shows a torn ring is repeated before it counts as corrupt. */
const tornReadsMax = 5;

export async function recoverTask(
  plan: TaskPlan,
  record: JobRecord,
  parents: readonly TaskId[] | undefined,
  ports: Ports,
  cached: Recovered | undefined,
): Promise<Recovery> {
  const { entries, messages } = await readTail(plan.task, cached?.task.head ?? 0, ports);
  const last = entries[entries.length - 1];
  if (last === undefined && cached !== undefined) return { outcome: "ready", recovered: { ...cached, messages } };
  if (last === undefined) return startTask(plan, record, parents, ports, messages);
  const head = await loadCommit(plan.task, last, ports.blobs);
  if (head.by === "seal" && plan.safeguards.holds("L1")) return { outcome: "sealed" };
  if (head.deployment > plan.deployment && plan.safeguards.holds("R9")) return { outcome: "fenced", deployment: head.deployment };
  const caughtUp = cached !== undefined && entries[0]?.seq === cached.task.head + 1;
  const found = caughtUp ? await catchUp(plan, cached, entries, head, ports) : await restart(plan, record, parents, head, ports);
  return { outcome: "ready", recovered: { ...found, head, messages } };
}

/** Reads the ring until it shows no gap between what is known and its head: a query is not a snapshot of the ring. */
async function readTail(task: TaskId, after: Seq, ports: Ports) {
  for (let attempt = 0; ; attempt++) {
    const tail = await ports.journal.tail(task, after);
    if (isWhole(tail.entries)) return tail;
    if (attempt === tornReadsMax) throw new MillraceError("unavailable", `the ring of ${task} reads torn again and again`);
  }
}

function isWhole(entries: readonly { readonly seq: Seq }[]): boolean {
  return entries.every((entry, n) => n === 0 || entry.seq === (entries[n - 1]?.seq ?? 0) + 1);
}

async function catchUp(
  plan: TaskPlan,
  cached: Recovered,
  entries: readonly { seq: Seq; bytes: Uint8Array }[],
  head: Commit,
  ports: Ports,
): Promise<Pick<Recovered, "task" | "before">> {
  const commits = await together(entries.map((entry) => loadCommit(plan.task, entry, ports.blobs)));
  const base = head.base !== undefined && head.base.seq > cached.task.head ? head.base : undefined;
  const index = base && (await readBaseIndex(base, ports));
  const { held } = cached.task.channels;
  const segments = index?.segments ?? cached.task.segments;
  const start: TaskStart = { index: { operators: new Map(), segments }, held: held.all, progress: head.progress };
  const task = new Task(plan, start, head.seq, cached.task);
  for (const commit of commits) task.replay(commit);
  if (base !== undefined && index !== undefined) task.adopt(index, base.seq);
  return { task, before: (commits.at(-2) ?? cached.head)?.progress };
}

/** From the base that the head names, or from the task's beginning, and all entries after it. */
async function restart(
  plan: TaskPlan,
  record: JobRecord,
  parents: readonly TaskId[] | undefined,
  head: Commit,
  ports: Ports,
): Promise<Pick<Recovered, "task" | "before">> {
  const from = head.base?.seq ?? 0;
  const { entries } = await readTail(plan.task, from, ports);
  if (entries.length > 0 && entries[0]?.seq !== from + 1)
    throw new MillraceError("unavailable", `the ring of ${plan.task} has moved past entry ${from + 1} while it was read`);
  const upTo = entries.filter((entry) => entry.seq <= head.seq);
  if (from + upTo.length !== head.seq)
    throw new MillraceError("unavailable", `the ring of ${plan.task} reads torn: ${from} + ${upTo.length} < ${head.seq}`);
  const commits = await together(upTo.map((entry) => loadCommit(plan.task, entry, ports.blobs)));
  const basis = head.base === undefined ? await startOf(plan, record, parents, ports) : await readBase(head.base, ports);
  if (basis === "waiting" || basis === "sealed")
    throw new MillraceError("unavailable", `the parents of ${plan.task} are not what they were: look again`);
  const task = new Task(plan, { ...basis, progress: head.progress }, head.seq);
  for (const commit of commits) task.replay(commit);
  return { task, before: commits.at(-2)?.progress };
}

async function readBase(base: Base, ports: Ports): Promise<Pick<TaskStart, "index" | "held">> {
  const [index, local] = await together([readBaseIndex(base, ports), readLocalState(base, ports)]);
  return { index, held: local.held };
}

async function readBaseIndex({ index }: Base, ports: Ports): Promise<TaskIndex> {
  return index === undefined ? emptyIndex() : readIndex(await readRange(index, ports));
}

async function readLocalState({ local }: Base, ports: Ports): Promise<LocalState> {
  return local === undefined ? { held: [] } : readLocal(await readRange(local, ports));
}

async function readRange(range: BlobRange, ports: Ports): Promise<Uint8Array> {
  const bytes = await ports.blobs.get(range.blob, range);
  if (bytes === undefined) throw missingObject(range.blob);
  return bytes;
}

async function startTask(
  plan: TaskPlan,
  record: JobRecord,
  parents: readonly TaskId[] | undefined,
  ports: Ports,
  messages: readonly Message[],
): Promise<Recovery> {
  const start = await startOf(plan, record, parents, ports);
  if (start === "waiting" || start === "sealed") return { outcome: start };
  return { outcome: "ready", recovered: { task: new Task(plan, start, 0), head: undefined, before: undefined, messages } };
}

// ---- before the first commit ----

type Start = TaskStart | "waiting" | "sealed";

/** What the task stands on before its first commit: a function of durable data that no longer changes. */
async function startOf(plan: TaskPlan, record: JobRecord, parents: readonly TaskId[] | undefined, ports: Ports): Promise<Start> {
  if (parents !== undefined) return startOfChild(plan, parents, ports);
  if (record.manifest === undefined) return { index: emptyIndex(), held: [], progress: freshProgress(plan, record) };
  const bytes = await ports.blobs.get(record.manifest);
  if (bytes === undefined) throw missingObject(record.manifest);
  const manifest = decodeManifest(bytes);
  if (isTombstone(manifest))
    throw new MillraceError("corrupt", `generation ${record.generation} begins from an abandoned checkpoint: ${record.manifest}`);
  return startFromManifest(plan, record, manifest, ports);
}

function freshProgress(plan: TaskPlan, record: JobRecord): Progress {
  const sources = beginSources(plan, record, []);
  return emptyProgress({ channels: rootChannels(plan.job, record, plan.task), sources, now: record.since });
}

async function startFromManifest(plan: TaskPlan, record: JobRecord, manifest: Manifest, ports: Ports): Promise<TaskStart> {
  const stored = await readIndexes(plan, manifest.tasks, ports);
  const keyed = stored.filter(({ ack }) => rangesOverlap(ack.range, plan.range));
  const index = joinIndexes(
    plan,
    keyed.map((part) => part.index),
  );
  const sources = beginSources(plan, record, manifest.tasks);
  const progress = emptyProgress({
    channels: rootChannels(plan.job, record, plan.task),
    lastCheckpoint: manifest.checkpoint,
    sources: plan.stage.kind === "single" ? await withChildren(sources, plan, ports) : sources,
    valves: valvesOf(manifest.tasks),
    now: Math.max(0, ...manifest.tasks.map((ack) => ack.now)),
  });
  const before = stored.map((part) => ({ task: part.ack.task, index: part.index }));
  const shares = takeOperatorState(
    plan,
    before,
    (uid) => ({
      before: manifest.tasks.filter(({ stage }) => stage === plan.stage.id).map(({ task }) => task),
      all: manifest.tasks.map(({ task }) => task),
      now: tasksOf(plan, record, uid),
    }),
    index,
  );
  return { index, held: await givenTo(plan, record, manifest, ports), progress, shares };
}

/** The indexes that the task takes something over of: of state outside keys, all tasks' that have any. */
async function readIndexes(plan: TaskPlan, acks: readonly Acknowledgement[], ports: Ports) {
  const all = plan.stage.operators.some((uid) => operatorStatesIn(plan, uid).size > 0);
  const wanted = acks.filter((ack) => ack.index !== undefined && (all || rangesOverlap(ack.range, plan.range)));
  return together(wanted.map(async (ack) => ({ ack, index: await readIndex(await readRange(ack.index as BlobRange, ports)) })));
}

/** The tasks with which the generation begins and in which the operator runs. */
function tasksOf(plan: TaskPlan, record: JobRecord, uid: string): TaskId[] {
  const topology = record.topology.find(({ stage }) => stage === plan.stage.id);
  const tasks = topology === undefined ? [] : rootTasks(topology).map(({ task }) => task);
  return tasks.filter((task) => stageOfTask(plan.job, task).operators.includes(uid));
}

/** Adds to the single task's shards those that follow them: a parent that had ended in the checkpoint names them no more. */
async function withChildren(sources: Progress["sources"], plan: TaskPlan, ports: Ports): Promise<Progress["sources"]> {
  const all = new Map<string, SourceProgress>();
  for (const [uid, { shards: known, watermarks }] of sources) {
    const spec = plan.job.operators.get(uid)?.node.spec;
    const listed = spec?.kind === "source" ? await ports.source(uid).shards(spec.source.name) : [];
    const shards = new Map(known);
    for (const { id: shard, parents } of listed)
      if (!known.has(shard) && !isPast(shard, (other) => known.has(other), listed))
        shards.set(shard, { position: "horizon", readUpTo: readUpTo(parents, shards, plan.since), ended: false, parents });
    all.set(uid, { shards, watermarks });
  }
  return all;
}

/** Since when a child is owed: its parents had been read by then. */
function readUpTo(parents: readonly ShardId[], shards: SourceProgress["shards"], since: number): number {
  return Math.max(since, ...parents.map((parent) => shards.get(parent)?.readUpTo ?? since));
}

/** Where operators' time stood: the lowest over the tasks that had them; their channels are new. */
function valvesOf(acks: readonly Pick<Acknowledgement, "valves">[]): Map<string, StoredValve> {
  const valves = new Map<string, StoredValve>();
  for (const ack of acks)
    for (const [uid, valve] of ack.valves as ReadonlyMap<string, StoredValve>) {
      const known = valves.get(uid);
      const at = Math.min(loadWatermark(valve.watermark), known === undefined ? Infinity : loadWatermark(known.watermark));
      const assigner = slowest(known?.assigner, valve.assigner && beginAgain(valve.assigner));
      valves.set(uid, { watermark: storeWatermark(at), inputs: undefined, ...(assigner && { assigner }) });
    }
  return valves;
}

/** Event time that was made in several tasks goes on where the slowest of them stood. */
function slowest(a: StoredValve["assigner"], b: StoredValve["assigner"]): StoredValve["assigner"] {
  if (a === undefined || b === undefined) return a ?? b;
  return loadWatermark(b.watermark) < loadWatermark(a.watermark) ? b : a;
}

/** The parts of several indexes that a task takes over. Versions start anew: no entry of its own journal is older. */
function joinIndexes(plan: TaskPlan, indexes: readonly TaskIndex[]): TaskIndex {
  const joined = emptyIndex();
  for (const index of indexes) {
    for (const [blob, bytes] of index.segments) joined.segments.set(blob, Math.max(bytes, joined.segments.get(blob) ?? 0));
    for (const uid of plan.stage.operators) {
      const entries = index.operators.get(uid);
      if (entries === undefined) continue;
      const into = joined.operators.get(uid) ?? new SparseTable<IndexEntry>();
      joined.operators.set(uid, into);
      for (const entry of entries.values())
        if (groupOverlaps(plan, entry.keyGroup)) into.set(entry.keyGroup, joinEntries(into.get(entry.keyGroup), entry));
    }
  }
  return joined;
}

function groupOverlaps(plan: TaskPlan, keyGroup: number): boolean {
  const width = (1n << 128n) / BigInt(plan.job.options.keyGroups);
  const from = BigInt(keyGroup) * width;
  return rangesOverlap({ from, to: from + width - 1n }, plan.range);
}

function joinEntries(known: IndexEntry | undefined, entry: IndexEntry): IndexEntry {
  if (known === undefined) return { ...entry, version: 0 };
  return {
    keyGroup: entry.keyGroup,
    version: 0,
    sizeBytes: known.sizeBytes + entry.sizeBytes,
    earliestEventTimer: Math.min(known.earliestEventTimer, entry.earliestEventTimer),
    earliestProcessingTimer: Math.min(known.earliestProcessingTimer, entry.earliestProcessingTimer),
    cleanAt: Math.min(known.cleanAt, entry.cleanAt),
    parts: [...known.parts, ...entry.parts],
  };
}

// ---- children of split and merged shards ----

async function startOfChild(plan: TaskPlan, parents: readonly TaskId[], ports: Ports): Promise<Start> {
  const heads: Commit[] = [];
  for (const parent of parents) {
    const { entries } = await readTail(parent, 0, ports);
    const last = entries[entries.length - 1];
    if (last === undefined) {
      if (plan.safeguards.holds("L8")) return "waiting";
      continue;
    }
    const head = await loadCommit(parent, last, ports.blobs);
    if (head.by === "seal" && plan.safeguards.holds("L1")) return "sealed";
    if (!head.progress.ended && plan.safeguards.holds("L8")) return "waiting";
    heads.push(head);
  }
  const bases = await together(
    heads.map(async (head) => ({
      task: head.task,
      index: head.base === undefined ? emptyIndex() : (await readBase(head.base, ports)).index,
    })),
  );
  const index = joinIndexes(
    plan,
    bases.map((base) => base.index),
  );
  const successors = heads[0]?.progress.successors.map(({ task }) => task) ?? [];
  const shares = takeOperatorState(plan, bases, () => ({ before: parents, now: successors }), index);
  return { index, held: [], progress: childProgress(plan, heads), shares };
}

function childProgress(plan: TaskPlan, heads: readonly Commit[]): Progress {
  const { source, shard } = shardOf(instanceOf(plan.task));
  const parents = heads.flatMap((head) => [...(head.progress.sources.get(source)?.shards ?? new Map<ShardId, never>()).keys()]);
  const times = heads.flatMap((head) => {
    const { watermarks } = head.progress.sources.get(source) ?? { watermarks: undefined };
    return watermarks === undefined ? [] : [loadWatermark((watermarks as { watermark: any }).watermark)];
  });
  const now = Math.max(0, ...heads.map((head) => head.progress.now));
  const watermarks = times.length === 0 ? undefined : childWatermarks(shard, Math.min(...times), now);
  const progress = emptyProgress({
    sources: new Map([
      [source, { shards: new Map([[shard, { position: "horizon", readUpTo: now, ended: false, parents }]]), watermarks }],
    ]),
    valves: valvesOf(heads.map((head) => head.progress)),
    lastCheckpoint: Math.max(0, ...heads.map((head) => head.progress.alignment.last)),
    now,
    versionOffset: plan.safeguards.holds("L5") ? Math.max(0, ...heads.map((head) => head.progress.versionOffset + head.seq)) : 0,
  });
  return progress;
}

/** A child's watermark starts at its parents' minimum. */
function childWatermarks(shard: ShardId, at: number, now: number): unknown {
  const stored = storeWatermark(at);
  return {
    watermark: stored,
    shards: [{ id: shard, at: stored, active: true, ended: false, generator: undefined, seenAt: now }],
  };
}
