/**
 * The coordinator: starts a job, triggers and completes checkpoints, restores, and has the garbage collected. All it knows is in the
 * job record and in what tasks said; it may die at any step, and two may run at once.
 *
 * C1 What an order asks for stands in the job record once it is taken, and every look goes one step on from there: whoever looks next
 *    goes on where another died.
 */
import { MillraceError } from "../base/errors.ts";
import type { BlobName, Checkpoint, TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import { decideOrder, type Order } from "../snapshots/decide-order.ts";
import { isAtRest, type JobRecord } from "../snapshots/job-record.ts";
import { announceAlignment, hasAlignment } from "./align-sources.ts";
import { CheckpointRounds, nothing, type Outcome } from "./checkpoint-rounds.ts";
import { collectGarbage } from "./collect-garbage.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { Generations } from "./generations.ts";
import { type JobRing, moveJobRecord, readJobRing } from "./job-ring.ts";
import { retireGenerations } from "./retire-generations.ts";

/** More than an environment's `recordMsMax` and `invocationMsMax` together. */
const defaultFormerMsMin = 60 * 60_000;

/** What a look at the job brought. */
export interface Tick extends Outcome {
  /** Sources that waited for others may read on. */
  readonly aligned: readonly TaskId[];
}

/** A tick of a job that is alive. */
export interface Look extends Tick {
  /** The tasks that live, those of split and merged shards among them: of a job that is not running, none. */
  readonly living: readonly TaskId[];
}

export class Coordinator {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: CoordinatorOptions;
  private readonly generations: Generations;
  private readonly rounds: CheckpointRounds;
  /** Sources of the job wait for one another, and look to this coordinator to be let on. */
  readonly aligns: boolean;
  /** What tasks were told of the slowest of their alignment groups. */
  private readonly told = new Map<TaskId, number>();

  constructor(job: JobGraph, ports: Ports, options: CoordinatorOptions) {
    this.aligns = hasAlignment(job);
    this.job = job;
    this.ports = ports;
    this.options = options;
    this.generations = new Generations(job, ports, options);
    this.rounds = new CheckpointRounds(job, ports, options);
  }

  /**
   * Brings the job to life, or finds it alive; `restoring` when another coordinator is about to. Throws `invalid` when its state is another
   * job's or of an incompatible plan.
   */
  async start(): Promise<JobRecord> {
    return (await this.generations.start()).record;
  }

  /** Throws as `start` would, and changes nothing: what is to be known of code before it is deployed. */
  rehearse(): Promise<void> {
    return this.generations.rehearse();
  }

  /** Begins a new generation from a completed checkpoint (L1). */
  restore(manifest: BlobName): Promise<JobRecord> {
    return this.generations.restore(manifest);
  }

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
      this.generations.checkDeployment(record);
      if (record.phase === "restoring") {
        await this.generations.awaitRestore(ring, record);
        continue;
      }
      const decided = decideOrder(record, order, this.rounds.takesCheckpoints);
      if (decided.outcome === "known") return record;
      if (decided.outcome === "refused") throw new MillraceError("invalid", `${decided.reason}: ${order.kind} of ${record.job}`);
      if (decided.outcome === "restore") await this.generations.restoreFrom(ring, record, decided.manifest, order.id);
      else await moveJobRecord(this.ports, ring, decided.record, this.options.id);
    }
  }

  /** `start`, `tick` and `livingTasks` with one read of the job ring, of whoever looks again and again. Throws as `start` does. */
  async look(): Promise<Look> {
    const ring = await this.generations.start();
    const tick = await this.tickAt(ring, ring.record);
    return { ...tick, living: await this.rounds.living(ring, tick.record) };
  }

  /** Lets sources wait for others, triggers a checkpoint when it is due, completes or abandons the pending one. */
  async tick(): Promise<Tick> {
    const ring = await readJobRing(this.ports, this.job.name);
    const { record } = ring;
    if (record !== undefined) this.generations.checkDeployment(record);
    return this.tickAt(ring, record);
  }

  private async tickAt(ring: JobRing, record: JobRecord | undefined): Promise<Tick> {
    if (record === undefined || record.phase === "restoring" || isAtRest(record))
      return { ...nothing, record: record as JobRecord, aligned: [] };
    const aligned = this.aligns ? await announceAlignment(ring.messages, record.generation, this.told, this.ports.journal) : [];
    return { ...(await this.rounds.step(ring, record)), aligned };
  }

  /** Asks for a checkpoint now. Undefined when one is pending, or another coordinator was faster. */
  triggerNow(savepoint: boolean): Promise<Checkpoint | undefined> {
    return this.rounds.triggerNow(savepoint);
  }

  /** When the next checkpoint is due by the job's interval, epoch ms; Infinity: never. */
  nextCheckpointAt(record: JobRecord): number {
    return this.rounds.nextCheckpointAt(record);
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
    return this.rounds.living(ring, ring.record);
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
