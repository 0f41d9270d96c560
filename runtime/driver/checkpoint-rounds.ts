/**
 * The checkpoints of a job, and how it comes to rest with one: asked for when they are due or wanted, complete when every task has said so.
 *
 * L10 Completing and abandoning checkpoint c are the same conditional write of its manifest's name.
 * L12 A request is a message in the task's mailbox; a poke is only a doorbell.
 */
import { MillraceError } from "../base/errors.ts";
import { type BlobName, type Checkpoint, id, type TaskId } from "../base/ids.ts";
import { decodeValue } from "../base/message-pack.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import { encodeRequest } from "../snapshots/checkpoint-request.ts";
import { type Cut, decideCut, type Said } from "../snapshots/decide-cut.ts";
import { pause } from "../snapshots/decide-order.ts";
import { isComingToRest, type JobRecord, type PendingCheckpoint, tasksRun } from "../snapshots/job-record.ts";
import { type Acknowledgement, decodeManifest, encodeManifest, isTombstone, type Manifest } from "../snapshots/manifest.ts";
import { checkpointMessage, floodPrefix, jobRing, manifestName } from "../snapshots/names.ts";
import { addTotals } from "../state/commit.ts";
import { generationOf } from "../streaming/channel.ts";
import { readSaid } from "./acknowledgements.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { type JobRing, moveJobRecord, readJobRing } from "./job-ring.ts";
import { sealRings } from "./seal-rings.ts";
import { together } from "./together.ts";
import { rootTasks } from "./topology.ts";

/** What attending to them brought. */
export interface Outcome {
  readonly record: JobRecord;
  /** Tasks that have a reason to run: a checkpoint was asked for. */
  readonly poke: readonly TaskId[];
  /** Every task has ended. */
  readonly finished: boolean;
  readonly completed: Checkpoint | undefined;
}

/** Nothing has come about. */
export const nothing = { poke: [], finished: false, completed: undefined } as const;

export class CheckpointRounds {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: CoordinatorOptions;
  /** What the messages of the last reading say. */
  private said: { readonly ring: JobRing; readonly said: Promise<Said> } | undefined;

  constructor(job: JobGraph, ports: Ports, options: CoordinatorOptions) {
    this.job = job;
    this.ports = ports;
    this.options = options;
  }

  /** Of a job that runs: triggers a checkpoint when it is due, completes or abandons the pending one, goes on with what stops it. */
  async step(ring: JobRing, record: JobRecord): Promise<Outcome> {
    if (!this.takesCheckpoints && (isComingToRest(record) || record.wanted !== undefined)) return this.goOn(ring, record);
    if (record.savepoint !== undefined) return this.stop(ring, record);
    const flood = await this.readFloods(ring, record);
    if (flood !== undefined) return this.pauseFor(ring, record, flood);
    const cut = decideCut(this.rootTasks(record), await this.readSaid(ring, record), record.pending?.checkpoint);
    if (record.pending !== undefined) return this.attend(ring, record, record.pending, cut);
    // Before the end: an order that reaches a job that finishes meanwhile comes about, with a checkpoint of tasks that have all ended.
    if (isComingToRest(record)) return this.trigger(ring, record, record.phase === "stopping");
    if (record.wanted !== undefined) return this.trigger(ring, record, record.wanted.savepoint);
    if (cut.finished) return { ...nothing, record, finished: true };
    this.checkFailures(record);
    if (!this.isDue(record)) return { ...nothing, record };
    return this.trigger(ring, record, false);
  }

  /** Of a job in batch mode, which an order reached that did not know: it ends with its input. */
  private async goOn(ring: JobRing, record: JobRecord): Promise<Outcome> {
    this.ports.telemetry.log("warn", "a job in batch mode takes no checkpoints, the order is passed over", {
      order: record.order,
    });
    const moved: JobRecord = { ...record, phase: "running", wanted: undefined };
    return { ...nothing, record: (await moveJobRecord(this.ports, ring, moved, this.options.id)) ? moved : record };
  }

  /** L10: whoever comes second finds that the name is taken. */
  private get onlyOnce(): { readonly ifAbsent: boolean } {
    return { ifAbsent: this.options.safeguards.holds("L10") };
  }

  /** Why the job must pause, where it does not yet. What was said before is withdrawn: it has been followed. */
  private async readFloods(ring: JobRing, record: JobRecord): Promise<string | undefined> {
    const floods = ring.messages.filter(({ name }) => name.startsWith(floodPrefix));
    if (floods.length === 0) return undefined;
    const [flood] = floods.filter(({ name }) => generationOf(id<TaskId>(name.slice(floodPrefix.length))) === record.generation);
    if (flood !== undefined && record.phase === "running" && this.takesCheckpoints) {
      const { deadLettersPerMinuteMax } = this.job.options;
      const counted = `${String(decodeValue(flood.bytes))} within a minute, the job allows ${deadLettersPerMinuteMax}`;
      return `too many dead letters, of task ${flood.name.slice(floodPrefix.length)}: ${counted}`;
    }
    await this.ports.journal.withdraw(
      jobRing,
      floods.map(({ name }) => name),
    );
    return undefined;
  }

  private async pauseFor(ring: JobRing, record: JobRecord, reason: string): Promise<Outcome> {
    this.ports.telemetry.log("error", "the job pauses", { reason });
    const moved = pause(record, reason);
    return { ...nothing, record: (await moveJobRecord(this.ports, ring, moved, this.options.id)) ? moved : record };
  }

  /** The savepoint that the job ends with is complete: after the seals nobody goes beyond it. */
  private async stop(ring: JobRing, record: JobRecord): Promise<Outcome> {
    if (this.options.safeguards.holds("L1")) await sealRings(record.topology, this.ports, this.options.id);
    const moved: JobRecord = { ...record, phase: "stopped" };
    return { ...nothing, record: (await moveJobRecord(this.ports, ring, moved, this.options.id)) ? moved : record };
  }

  private rootTasks(record: JobRecord): TaskId[] {
    return record.topology.flatMap((stage) => rootTasks(stage).map(({ task }) => task));
  }

  private lastEndAt = -Infinity;

  /** A job in batch mode takes none (as Flink's): its tasks go on from their journals. */
  get takesCheckpoints(): boolean {
    return this.job.options.mode === "streaming";
  }

  private isDue(record: JobRecord): boolean {
    return this.nextCheckpointAt(record) <= this.ports.clock.now();
  }

  /** When the next checkpoint is due by the job's interval, epoch ms; Infinity: never. */
  nextCheckpointAt({ since, triggeredAt = -Infinity }: JobRecord): number {
    if (!this.takesCheckpoints) return Infinity;
    const { checkpointIntervalMs, checkpointMinPauseMs } = this.job.options;
    // A time that lies further ahead than an interval is of a coordinator whose clock was wrong.
    const latest = this.ports.clock.now() + checkpointIntervalMs;
    const last = Math.max(...[since, triggeredAt].filter((at) => at <= latest));
    return Math.max(last + checkpointIntervalMs, this.lastEndAt + checkpointMinPauseMs);
  }

  private checkFailures(record: JobRecord): void {
    if (record.failures <= this.job.options.tolerableCheckpointFailures) return;
    throw new MillraceError(
      "invalid",
      `${record.failures} checkpoints in a row have failed, which the job's options do not tolerate`,
    );
  }

  /** Asks for a checkpoint now. Undefined when one is pending, or another coordinator was faster. */
  async triggerNow(savepoint: boolean): Promise<Checkpoint | undefined> {
    if (!this.takesCheckpoints) return undefined;
    const ring = await readJobRing(this.ports, this.job.name);
    if (ring.record === undefined || ring.record.phase !== "running" || ring.record.pending !== undefined) return undefined;
    return (await this.trigger(ring, ring.record, savepoint)).record.pending?.checkpoint;
  }

  private async trigger(ring: JobRing, record: JobRecord, savepoint: boolean): Promise<Outcome> {
    const since = this.ports.clock.now();
    const checkpoint = record.lastCheckpoint + 1;
    const stop = isComingToRest(record);
    const moved = { ...record, lastCheckpoint: checkpoint, triggeredAt: since, pending: { checkpoint, savepoint, stop, since } };
    if (!(await moveJobRecord(this.ports, ring, moved, this.options.id))) return { ...nothing, record };
    const poke = await this.request(moved, this.rootTasks(record));
    return { record: moved, poke, finished: false, completed: undefined };
  }

  /** Puts the pending checkpoint's request into the mailboxes of the tasks that read sources. */
  private async request(record: JobRecord, tasks: readonly TaskId[]): Promise<readonly TaskId[]> {
    const { checkpoint, savepoint } = record.pending!;
    const stop = record.pending!.stop && isComingToRest(record);
    const keyed = new Set(
      record.topology.filter((stage) => stage.kind === "keyed").flatMap((stage) => stage.tasks.map(({ task }) => task)),
    );
    const readers = tasks.filter((task) => !keyed.has(task));
    const bytes = encodeRequest({ savepoint, stop });
    await together(readers.map((task) => this.ports.journal.post(task, { name: checkpointMessage, version: checkpoint, bytes })));
    return readers;
  }

  private async attend(ring: JobRing, record: JobRecord, pending: PendingCheckpoint, cut: Cut): Promise<Outcome> {
    const { checkpoint } = pending;
    if (cut.outcome === "complete") return this.complete(ring, record, pending, cut.tasks);
    const late = this.ports.clock.now() - pending.since > this.job.options.checkpointTimeoutMs;
    if (cut.outcome === "declined" || late) return this.abandon(ring, record, checkpoint, late ? "timed out" : "declined");
    return { record, poke: await this.request(record, cut.waitingFor), finished: false, completed: undefined };
  }

  private async complete(
    ring: JobRing,
    record: JobRecord,
    pending: PendingCheckpoint,
    tasks: readonly Acknowledgement[],
  ): Promise<Outcome> {
    const { checkpoint, savepoint } = pending;
    const name = manifestName(checkpoint);
    const manifest: Manifest = {
      version: 1,
      job: this.job.name,
      generation: record.generation,
      checkpoint,
      kind: savepoint ? "savepoint" : "checkpoint",
      fingerprint: this.job.fingerprint,
      deployment: record.deployment,
      keyGroups: record.keyGroups,
      takenAt: this.ports.clock.now(),
      operators: record.operators,
      tasks,
      totals: tasks.reduce((sum, ack) => addTotals(sum, ack.totals, ack.sources.size > 0), record.totals),
      ...(record.given !== undefined && { given: record.given }),
    };
    if (
      (await this.ports.blobs.put(name, encodeManifest(manifest), this.onlyOnce)) === "exists" &&
      (await this.isAbandoned(name))
    )
      return this.abandon(ring, record, checkpoint, "abandoned by another coordinator");
    const order = isGranted(record, pending) ? record.wanted?.order : undefined;
    const kept = { manifest: name, savepoint, ...(order !== undefined && { order }) };
    const retained = retain([...record.retained, kept], this.job.options.checkpointsRetained);
    const moved: JobRecord = {
      ...record,
      pending: undefined,
      completed: name,
      completedAt: manifest.takenAt,
      retained,
      failures: 0,
      ...(pending.stop && record.phase === "pausing" && { phase: "paused" }),
      savepoint: pending.stop && savepoint && record.phase === "stopping" ? name : undefined,
      wanted: isGranted(record, pending) ? undefined : record.wanted,
    };
    const won = await moveJobRecord(this.ports, ring, moved, this.options.id);
    this.lastEndAt = this.ports.clock.now();
    return { record: won ? moved : record, poke: [], finished: false, completed: won ? checkpoint : undefined };
  }

  private async isAbandoned(name: BlobName): Promise<boolean> {
    const bytes = await this.ports.blobs.get(name);
    return bytes === undefined || isTombstone(decodeManifest(bytes));
  }

  private async abandon(ring: JobRing, record: JobRecord, checkpoint: Checkpoint, reason: string): Promise<Outcome> {
    const name = manifestName(checkpoint);
    const tombstone = encodeManifest({ version: 1, checkpoint, abandoned: reason });
    if ((await this.ports.blobs.put(name, tombstone, this.onlyOnce)) === "exists" && !(await this.isAbandoned(name)))
      return { ...nothing, record };
    this.ports.telemetry.log("warn", "checkpoint abandoned", { checkpoint, reason });
    const moved: JobRecord = { ...record, pending: undefined, failures: record.failures + 1 };
    return { ...nothing, record: (await moveJobRecord(this.ports, ring, moved, this.options.id)) ? moved : record };
  }

  /** The tasks that live, those of split and merged shards among them: of a job that is not running, none. `record`: as it is by now. */
  async living(ring: JobRing, record: JobRecord | undefined): Promise<readonly TaskId[]> {
    if (record === undefined || !tasksRun(record)) return [];
    const cut = decideCut(this.rootTasks(record), await this.readSaid(ring, record), undefined);
    return cut.outcome === "waiting" ? cut.waitingFor : [];
  }

  private readSaid(ring: JobRing, { generation }: JobRecord): Promise<Said> {
    if (this.said?.ring !== ring) this.said = { ring, said: readSaid(ring.messages, generation, this.ports.blobs) };
    return this.said.said;
  }
}

/** Whether the checkpoint is the one that was wanted. */
function isGranted({ wanted }: JobRecord, { checkpoint, savepoint }: PendingCheckpoint): boolean {
  return wanted !== undefined && checkpoint > wanted.after && (savepoint || !wanted.savepoint);
}

/** The newest `count` checkpoints and all savepoints. */
function retain(retained: JobRecord["retained"], count: number): JobRecord["retained"] {
  const checkpoints = retained.filter(({ savepoint }) => !savepoint);
  const kept = new Set(checkpoints.slice(-count));
  return retained.filter((entry) => entry.savepoint || kept.has(entry));
}
