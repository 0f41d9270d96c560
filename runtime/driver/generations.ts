/**
 * The generations of a job: how one begins from nothing, from a checkpoint or for other code, and comes to run.
 *
 * Owns the moves of the job record to `restoring`, and from there to `running`; what lies between is carry-out-restore.ts.
 *
 * L1 The job record moves only by conditional write: restoring → the old rings are sealed → running.
 * R9 Code of an older deployment than the record's changes nothing.
 *
 * G1 One coordinator carries out the steps of a restore at a time (`restoreTurn`), and looks before each whether it still may: a step that
 *    came very late would change streams and outputs for a generation that is over. Two that do the same steps at once undo nothing.
 * G2 A restore that other code has begun is not finished, but given up for one of this code's.
 */
import { MillraceError } from "../base/errors.ts";
import type { BlobName } from "../base/ids.ts";
import { compareSchemas, describeDifference, type SchemaDifference, schemasOf } from "../plan/compatibility.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Clock } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { withoutReason } from "../snapshots/decide-order.ts";
import { followed, isAtRest, isComingToRest, type JobRecord } from "../snapshots/job-record.ts";
import { decodeManifest, isTombstone, type Manifest } from "../snapshots/manifest.ts";
import { noTotals } from "../state/commit.ts";
import { carryOutRestore } from "./carry-out-restore.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { checkGiven, lastGiven } from "./give-letters.ts";
import { type JobRing, moveJobRecord, readJobRing } from "./job-ring.ts";
import { firstRoots, rootsAfter } from "./source-roots.ts";
import { createTopology, hasTasksOf } from "./topology.ts";

/** For so long a turn at restoring is taken: longer than a step of it takes, normally, and no longer than the invocation lives. */
export function restoreTurnMs(clock: Clock): number {
  return Math.min(15_000, clock.remainingMs());
}

/** So often it is looked whether another has carried out a restore. */
const restorePollMs = 1_000;
/** What is left of an invocation when it no longer waits for others. */
const waitReserveMs = 5_000;

/** The ring of a job that has begun. */
export type StartedRing = JobRing & { readonly record: JobRecord };

export class Generations {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: CoordinatorOptions;

  constructor(job: JobGraph, ports: Ports, options: CoordinatorOptions) {
    this.job = job;
    this.ports = ports;
    this.options = options;
  }

  /**
   * Brings the job to life, or finds it alive; `restoring` when another coordinator is about to. Throws `invalid` when its state is another
   * job's or of an incompatible plan.
   */
  async start(): Promise<StartedRing> {
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
    // One that has not begun may have by the time this code is there.
    this.checkReplan({ ...record, phase: "running" });
  }

  /** R9: a coordinator of older code must not take a newer generation back to its own plan. */
  checkDeployment(record: JobRecord): void {
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
    const { generation: last = 0, replaces = [], topology: unbegun = [] } = ring.record ?? {};
    const generation = last + 1;
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
      replaces: [...replaces, ...unbegun],
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
    this.checkCompatible(record.operators, record.keyGroups);
    if (record.completed === undefined && record.phase === "restoring") return undefined;
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
      else if (await this.restoreFrom(ring, ring.record, manifest)) return (await this.start()).record;
    }
  }

  async restoreFrom(ring: JobRing, record: JobRecord, name: BlobName, order?: string): Promise<boolean> {
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
  async awaitRestore(ring: JobRing, record: JobRecord): Promise<void> {
    if ((await this.takeRestoreTurn(ring, record)) === "taken") return;
    if (this.ports.clock.remainingMs() < waitReserveMs)
      throw new MillraceError("unavailable", `another coordinator restores the job, try again: ${record.job}`);
    await this.ports.clock.sleep(restorePollMs);
  }

  /** G1. "taken": look again how far the job is. */
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
