/**
 * The coordinator: starts a job, triggers and completes checkpoints, restores, and has the garbage collected. All it knows is in the
 * job record and in what tasks said; it may die at any step, and two may run at once.
 *
 * L1 The job record moves only by conditional write: restoring → the old rings are sealed → running.
 * L10 Completing and abandoning checkpoint c are the same conditional write of its manifest's name.
 * L12 A request is a message in the task's mailbox; a poke is only a doorbell.
 *
 * C1 What an order asks for stands in the job record once it is taken, and every look goes one step on from there: whoever looks next
 *    goes on where another died.
 * C2 One coordinator carries out the steps of a restore at a time (`restoreTurn`), and looks before each whether it still may: a step that
 *     came very late would change streams and outputs for a generation that is over. Two that do the same steps at once undo nothing.
 */
import { MillraceError } from "../base/errors.ts";
import { decodeValue } from "../base/message-pack.ts";
import { generationOf } from "../streaming/channel.ts";
import type { BlobName, Checkpoint, TaskId } from "../base/ids.ts";
import { compareSchemas, describeDifference, type SchemaDifference, schemasOf } from "../plan/compatibility.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Clock } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { encodeRequest } from "../snapshots/checkpoint-request.ts";
import { followed, isAtRest, isComingToRest, type JobRecord, type PendingCheckpoint, tasksRun } from "../snapshots/job-record.ts";
import { decideOrder, type Order, pause, withoutReason } from "../snapshots/decide-order.ts";
import { decideCut, type Cut, type Said } from "../snapshots/decide-cut.ts";
import { type Acknowledgement, decodeManifest, encodeManifest, isTombstone, type Manifest } from "../snapshots/manifest.ts";
import { checkpointMessage, floodPrefix, jobRing, manifestName } from "../snapshots/names.ts";
import { id } from "../base/ids.ts";
import type { Safeguards } from "../task/safeguards.ts";
import { readSaid } from "./acknowledgements.ts";
import { announceAlignment, hasAlignment } from "./align-sources.ts";
import { collectGarbage } from "./collect-garbage.ts";
import { checkGiven, lastGiven } from "./give-letters.ts";
import { type JobRing, moveJobRecord, readJobRing } from "./job-ring.ts";
import { retireGenerations } from "./retire-generations.ts";
import type { Lease } from "./lease.ts";
import { carryOutRestore } from "./carry-out-restore.ts";
import { sealRings } from "./seal-rings.ts";
import { firstRoots, rootsAfter } from "./source-roots.ts";
import { together } from "./together.ts";
import { addTotals, noTotals } from "../state/commit.ts";
import { createTopology, hasTasksOf, rootTasks } from "./topology.ts";

export interface CoordinatorOptions {
  readonly id: string;
  readonly deployment: number;
  readonly safeguards: Safeguards;
  /** How long rings and pages of a generation stay after it is over; at least as long as anybody may still act for it. */
  readonly formerMsMin?: number;
  /** Takes the place of the job's own option: for one start. */
  readonly allowSkippedState?: boolean | undefined;
  /** Takes the place of the job's own parallelism, in this job's plan and in those after it: noted in the record at a restore. */
  readonly rescaleTo?: number | undefined;
  /** Creates an inbox stream with so many shards, unless it is there; `mayGoOn` is asked before each change of one that is. */
  readonly createStream: (stream: string, shards: number, mayGoOn: () => Promise<boolean>) => Promise<unknown>;
  /** Waits for its turn at carrying out a restore for no time: undefined when another is at it. Without: there is no other. */
  readonly restoreTurn?: () => Promise<Lease | undefined>;
}

/** For so long a turn at restoring is taken: longer than a step of it takes, normally, and no longer than the invocation lives. */
export function restoreTurnMs(clock: Clock): number {
  return Math.min(15_000, clock.remainingMs());
}
/** So often it is looked whether another has carried out a restore. */
const restorePollMs = 1_000;
/** What is left of an invocation when it no longer waits for others. */
const waitReserveMs = 5_000;

/** More than an environment's `recordMsMax` and `invocationMsMax` together. */
const defaultFormerMsMin = 60 * 60_000;

/** What a look at the job brought. */
export interface Tick {
  readonly record: JobRecord;
  /** Tasks that have a reason to run: a checkpoint was asked for. */
  readonly poke: readonly TaskId[];
  /** Every task has ended. */
  readonly finished: boolean;
  readonly completed: Checkpoint | undefined;
  /** Sources that waited for others may read on. */
  readonly aligned: readonly TaskId[];
}

/** A tick of a job that is alive. */
export interface Look extends Tick {
  /** The tasks that live, those of split and merged shards among them: of a job that is not running, none. */
  readonly living: readonly TaskId[];
}

type Outcome = Omit<Tick, "aligned">;

type StartedRing = JobRing & { readonly record: JobRecord };

const nothing = { poke: [], finished: false, completed: undefined } as const;

export class Coordinator {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: CoordinatorOptions;
  /** Sources of the job wait for one another, and look to this coordinator to be let on. */
  readonly aligns: boolean;
  /** What tasks were told of the slowest of their alignment groups. */
  private readonly told = new Map<TaskId, number>();
  /** What the messages of the last reading say. */
  private said: { readonly ring: JobRing; readonly said: Promise<Said> } | undefined;

  constructor(job: JobGraph, ports: Ports, options: CoordinatorOptions) {
    this.aligns = hasAlignment(job);
    this.job = job;
    this.ports = ports;
    this.options = options;
  }

  /**
   * Brings the job to life, or finds it alive; `restoring` when another coordinator is about to. Throws `invalid` when its state is another
   * job's or of an incompatible plan.
   */
  async start(): Promise<JobRecord> {
    return (await this.startedRing()).record;
  }

  private async startedRing(): Promise<StartedRing> {
    for (;;) {
      const ring = await readJobRing(this.ports, this.job.name);
      const { record } = ring;
      if (record !== undefined) this.checkDeployment(record);
      if (record === undefined) await this.begin(ring);
      else if (record.phase === "restoring") {
        if ((await this.takeRestoreTurn(ring, record)) === "another's") return { ...ring, record };
      } else if (isAtRest(record) || this.isPlanned(record)) return { ...ring, record };
      else await this.replan(ring, record);
    }
  }

  /** Throws as `start` would, and changes nothing: what is to be known of code before it is deployed. */
  async rehearse(): Promise<void> {
    const { record } = await readJobRing(this.ports, this.job.name);
    if (record === undefined) return;
    this.checkDeployment(record);
    if (isAtRest(record) || this.isPlanned(record)) return;
    this.checkReplan(record);
  }

  /** R9: a coordinator of older code must not take a newer generation back to its own plan. */
  private checkDeployment(record: JobRecord): void {
    const { deployment } = this.options;
    if (record.deployment > deployment)
      throw new MillraceError(
        "fenced",
        `job ${record.job} is run by deployment ${record.deployment}, this code is ${deployment}`,
      );
  }

  private isPlanned(record: JobRecord): boolean {
    return record.fingerprint === this.job.fingerprint && hasTasksOf(record, this.job);
  }

  /** From nothing. `ring` may hold a generation that was to begin so by other code, and has not. */
  private async begin(ring: JobRing): Promise<void> {
    const { generation: given = 0, replaces = [], topology: never = [] } = ring.record ?? {};
    const generation = given + 1;
    const topology = createTopology(this.job, generation, await firstRoots(this.job, this.ports));
    const now = this.ports.clock.now();
    const record: JobRecord = {
      version: 1,
      job: this.job.name,
      fingerprint: this.job.fingerprint,
      operators: schemasOf(this.job.graph),
      generation,
      deployment: this.options.deployment,
      phase: "restoring",
      savepoint: undefined,
      order: undefined,
      wanted: undefined,
      manifest: undefined,
      keyGroups: this.job.options.keyGroups,
      ...(this.options.rescaleTo !== undefined && { parallelism: this.options.rescaleTo }),
      topology,
      pending: undefined,
      lastCheckpoint: 0,
      triggeredAt: undefined,
      completed: undefined,
      completedAt: undefined,
      retained: [],
      superseded: [],
      since: now,
      failures: 0,
      replaces: [...replaces, ...never],
      former: [],
      totals: noTotals,
    };
    await moveJobRecord(this.ports, ring, record, this.options.id);
  }

  /** The plan or the parallelism has changed: goes on from the latest checkpoint in a new generation, when the state allows it. */
  private async replan(ring: JobRing, record: JobRecord): Promise<void> {
    const name = this.checkReplan(record);
    if (name === undefined) await this.begin(ring);
    else await this.restoreFrom(ring, record, name);
  }

  /** The checkpoint from which the changed job goes on; undefined: from nothing, since nothing has run yet. */
  private checkReplan(record: JobRecord): BlobName | undefined {
    if (isComingToRest(record))
      throw new MillraceError(
        "invalid",
        `job ${record.job} is ${record.phase} by the code it ran before: run that until it rests, or give the order to resume`,
      );
    if (record.completed === undefined && record.phase === "restoring") return undefined;
    this.checkCompatible(record.operators, record.keyGroups);
    if (record.completed === undefined)
      throw new MillraceError(
        "invalid",
        `job ${record.job} has changed and has no checkpoint to go on from: run the old code until one is complete, or choose a new state directory`,
      );
    return record.completed;
  }

  private get maySkipState(): boolean {
    return this.options.allowSkippedState ?? this.job.options.allowSkippedState;
  }

  private checkCompatible(stored: Manifest["operators"], keyGroups: number): void {
    if (keyGroups !== this.job.options.keyGroups)
      throw new MillraceError(
        "invalid",
        `keyGroups is fixed for a job's life: stored ${keyGroups}, declared ${this.job.options.keyGroups}`,
      );
    const allowSkippedState = this.maySkipState;
    const differences = compareSchemas(stored as never, schemasOf(this.job.graph), { allowSkippedState });
    const fatal = differences.filter((difference) => difference.fatal);
    if (fatal.length === 0) return this.reportSkipped(differences);
    const list = fatal.map(describeDifference).join("; ");
    throw new MillraceError("invalid", `the stored state does not fit this job, nothing was changed: ${list}`, {
      context: { operator: fatal[0]?.operator ?? "" },
    });
  }

  private reportSkipped(differences: readonly SchemaDifference[]): void {
    for (const difference of differences)
      this.ports.telemetry.log("warn", "stored state is left behind", { difference: describeDifference(difference) });
  }

  /** Begins a new generation from a completed checkpoint (L1). */
  async restore(manifest: BlobName): Promise<JobRecord> {
    for (;;) {
      const ring = await readJobRing(this.ports, this.job.name);
      if (ring.record === undefined)
        throw new MillraceError("invalid", `job ${this.job.name} was never started: there is nothing to restore`);
      this.checkDeployment(ring.record);
      if (ring.record.phase === "restoring") await this.awaitRestore(ring, ring.record);
      else if (await this.restoreFrom(ring, ring.record, manifest)) return this.start();
    }
  }

  private async restoreFrom(ring: JobRing, record: JobRecord, name: BlobName, order?: string): Promise<boolean> {
    if (record.adopting !== undefined)
      throw new MillraceError(
        "invalid",
        `a fork was begun in this job's place and not ended: give millrace fork again: ${record.adopting}`,
      );
    // In the record that the move below is conditional on: what is retained there is not collected before the move (L6).
    if (record.superseded.includes(name))
      throw new MillraceError(
        "invalid",
        `the job went back behind this savepoint, and took back what it counts as put out: only a job of another name can begin from it: ${name}`,
      );
    if (![...record.retained.map((kept) => kept.manifest), record.completed, record.manifest].includes(name))
      throw new MillraceError("invalid", `this checkpoint is not retained, its objects may be gone: ${name}`);
    const manifest = await this.readManifestOf(ring, name);
    if (manifest === "moved") return false;
    this.checkCompatible(manifest.operators, manifest.keyGroups);
    const given = await this.giveLetters(manifest);
    const generation = record.generation + 1;
    const moved: JobRecord = {
      ...withoutReason(record),
      fingerprint: this.job.fingerprint,
      operators: schemasOf(this.job.graph),
      generation,
      deployment: this.options.deployment,
      phase: "restoring",
      ...(this.options.rescaleTo !== undefined && { parallelism: this.options.rescaleTo }),
      savepoint: undefined,
      ...(order !== undefined && followed(record, order)),
      wanted: undefined,
      manifest: name,
      topology: createTopology(this.job, generation, await rootsAfter(manifest, this.job, this.ports)),
      pending: undefined,
      completed: name,
      completedAt: manifest.takenAt,
      ...giveUpBeyond(name, manifest, record),
      since: this.ports.clock.now(),
      failures: 0,
      totals: manifest.totals,
      replaces: [...record.replaces, ...record.topology],
      ...(given > 0 && { given }),
    };
    return moveJobRecord(this.ports, ring, moved, this.options.id);
  }

  /** Up to which number a generation from this checkpoint takes in what was given back. Throws `invalid` where it could not. */
  private async giveLetters(manifest: Manifest): Promise<number> {
    const given = await lastGiven(this.ports);
    const lost = await checkGiven(this.job, given, manifest, this.ports, this.maySkipState);
    for (const operator of lost)
      this.ports.telemetry.log("warn", "dead letters that were given back are left behind: their operator is gone", { operator });
    return given;
  }

  /** "moved": the job has gone on meanwhile, so the checkpoint may have been collected. */
  private async readManifestOf(ring: JobRing, name: BlobName): Promise<Manifest | "moved"> {
    const bytes = await this.ports.blobs.get(name);
    const manifest = bytes && decodeManifest(bytes);
    if (manifest !== undefined && !isTombstone(manifest)) return manifest;
    if ((await readJobRing(this.ports, this.job.name)).seq !== ring.seq) return "moved";
    throw new MillraceError("invalid", `there is no complete checkpoint of this name: ${name}`);
  }

  /** Goes on with the restore, or waits a little for who does. Throws `unavailable` when there is no time left to wait. */
  private async awaitRestore(ring: JobRing, record: JobRecord): Promise<void> {
    if ((await this.takeRestoreTurn(ring, record)) === "taken") return;
    if (this.ports.clock.remainingMs() < waitReserveMs)
      throw new MillraceError("unavailable", `another coordinator restores the job, try again: ${record.job}`);
    await this.ports.clock.sleep(restorePollMs);
  }

  /** C2. "taken": look again how far the job is. */
  private async takeRestoreTurn(ring: JobRing, record: JobRecord): Promise<"taken" | "another's"> {
    const { restoreTurn } = this.options;
    if (restoreTurn === undefined) {
      await this.finishRestore(ring, record);
      return "taken";
    }
    const lease = await restoreTurn();
    if (lease === undefined) return "another's";
    const mayGoOn = async () =>
      (await readJobRing(this.ports, this.job.name)).seq === ring.seq && (await lease.prolong(restoreTurnMs(this.ports.clock)));
    try {
      await this.finishRestore(ring, record, mayGoOn);
      return "taken";
    } finally {
      await lease.release();
    }
  }

  /**
   * One that other code has begun is not finished: its stages, and the cells of their inboxes, may be gone from what is deployed. As its
   * generation has not run, this code's takes its place.
   */
  private async finishRestore(ring: JobRing, record: JobRecord, mayGoOn = async () => true): Promise<void> {
    if (!this.isPlanned(record)) return this.replan(ring, record);
    const manifest = record.manifest === undefined ? undefined : await this.readManifestOf(ring, record.manifest);
    if (manifest === "moved") return;
    if (!(await carryOutRestore(record, manifest, this.job, this.ports, { ...this.options, mayGoOn }))) return;
    const { replaces } = record;
    const now = this.ports.clock.now();
    const former = replaces.length === 0 ? record.former : [...record.former, { stages: replaces, endedAt: now }];
    // Those of the generation before have acted up to the seals, which may have come long after the restore was begun.
    const since = Math.max(record.since, now);
    await moveJobRecord(this.ports, ring, { ...record, phase: "running", since, replaces: [], former }, this.options.id);
  }

  // ---- orders ----

  /**
   * Takes an order: writes it into the job record, from where looks go on with it. One that was taken before is not taken again. Throws
   * `invalid` for what cannot be done as the job stands.
   */
  async order(order: Order): Promise<JobRecord> {
    for (;;) {
      const ring = await readJobRing(this.ports, this.job.name);
      const { record } = ring;
      if (record === undefined) {
        await this.start();
        continue;
      }
      this.checkDeployment(record);
      if (record.phase === "restoring") {
        await this.awaitRestore(ring, record);
        continue;
      }
      const decided = decideOrder(record, order, this.takesCheckpoints);
      if (decided.outcome === "known") return record;
      if (decided.outcome === "refused") throw new MillraceError("invalid", `${decided.reason}: ${order.kind} of ${record.job}`);
      if (decided.outcome === "restore") await this.restoreFrom(ring, record, decided.manifest, order.id);
      else await moveJobRecord(this.ports, ring, decided.record, this.options.id);
    }
  }

  // ---- checkpoints ----

  /** `start`, `tick` and `livingTasks` with one read of the job ring, of whoever looks again and again. Throws as `start` does. */
  async look(): Promise<Look> {
    const ring = await this.startedRing();
    const tick = await this.tickAt(ring, ring.record);
    return { ...tick, living: await this.livingAt(ring, tick.record) };
  }

  /** Lets sources wait for others, triggers a checkpoint when it is due, completes or abandons the pending one. */
  async tick(): Promise<Tick> {
    const ring = await readJobRing(this.ports, this.job.name);
    const { record } = ring;
    if (record !== undefined) this.checkDeployment(record);
    return this.tickAt(ring, record);
  }

  private async tickAt(ring: JobRing, record: JobRecord | undefined): Promise<Tick> {
    if (record === undefined || record.phase === "restoring" || isAtRest(record))
      return { ...nothing, record: record as JobRecord, aligned: [] };
    const aligned = this.aligns ? await announceAlignment(ring.messages, record.generation, this.told, this.ports.journal) : [];
    return { ...(await this.attendTo(ring, record)), aligned };
  }

  private async attendTo(ring: JobRing, record: JobRecord): Promise<Outcome> {
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
  private get takesCheckpoints(): boolean {
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

  /** Deletes what nothing refers to any longer (L6), and what generations have left that are over. Returns how many objects went. */
  async collectGarbage(): Promise<number> {
    const collected = await collectGarbage(this.job.name, this.ports, this.options.safeguards);
    await this.retireFormer();
    return collected;
  }

  /** The tasks that live, those of split and merged shards among them: of a job that is not running, none. */
  async livingTasks(): Promise<readonly TaskId[]> {
    const ring = await readJobRing(this.ports, this.job.name);
    return this.livingAt(ring, ring.record);
  }

  /** `record`: as it is by now. */
  private async livingAt(ring: JobRing, record: JobRecord | undefined): Promise<readonly TaskId[]> {
    if (record === undefined || !tasksRun(record)) return [];
    const cut = decideCut(this.rootTasks(record), await this.readSaid(ring, record), undefined);
    return cut.outcome === "waiting" ? cut.waitingFor : [];
  }

  private readSaid(ring: JobRing, { generation }: JobRecord): Promise<Said> {
    if (this.said?.ring !== ring) this.said = { ring, said: readSaid(ring.messages, generation, this.ports.blobs) };
    return this.said.said;
  }

  private async retireFormer(): Promise<void> {
    const ring = await readJobRing(this.ports, this.job.name);
    const { record } = ring;
    if (record === undefined || record.phase !== "running" || record.former.length === 0) return;
    const before = this.ports.clock.now() - (this.options.formerMsMin ?? defaultFormerMsMin);
    const former = await retireGenerations(record.former, before, this.ports);
    if (former.length < record.former.length) await moveJobRecord(this.ports, ring, { ...record, former }, this.options.id);
  }
}

/** Whether the checkpoint is the one that was wanted. */
function isGranted({ wanted }: JobRecord, { checkpoint, savepoint }: PendingCheckpoint): boolean {
  return wanted !== undefined && checkpoint > wanted.after && (savepoint || !wanted.savepoint);
}

/**
 * The restore takes back what was put out after its checkpoint, which later ones count as put out for good: a restore from one of those
 * would leave it out. Their numbers have leading zeros, so the later one comes last as text.
 */
function giveUpBeyond(
  name: BlobName,
  { kind }: Manifest,
  { retained, superseded }: JobRecord,
): Pick<JobRecord, "retained" | "superseded"> {
  const beyond = retained.filter((kept) => kept.savepoint && kept.manifest > name).map(({ manifest }) => manifest);
  const before = retained.filter(({ manifest }) => manifest < name);
  return { retained: [...before, { manifest: name, savepoint: kind === "savepoint" }], superseded: [...superseded, ...beyond] };
}

/** The newest `count` checkpoints and all savepoints. */
function retain(retained: JobRecord["retained"], count: number): JobRecord["retained"] {
  const checkpoints = retained.filter(({ savepoint }) => !savepoint);
  const kept = new Set(checkpoints.slice(-count));
  return retained.filter((entry) => entry.savepoint || kept.has(entry));
}
