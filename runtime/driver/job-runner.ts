/**
 * Runs a whole job in one process: rings its tasks in turn, keeps the coordinator looking. Used by the local runner, the tests and
 * the benchmarks; on AWS mappings and schedules do the ringing.
 *
 * Owns which tasks are known and when to look again. Correctness does not depend on it: any process may ring any task.
 */
import { isKind, MillraceError } from "../base/errors.ts";
import type { Checkpoint, TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Clock } from "../ports/clock.ts";
import { isAtRest, type JobRecord } from "../snapshots/job-record.ts";
import type { Coordinator } from "./coordinator.ts";
import type { Environment } from "./environment.ts";
import { rootTasks } from "./topology.ts";

/** What the runner tells whoever watches. */
export interface RunnerEvents {
  turn?(task: TaskId, records: number, commits: number): void;
  checkpoint?(checkpoint: Checkpoint, record: JobRecord): void;
  /** Something outside does not answer; it is tried again after `delayMs`. */
  retry?(error: MillraceError, delayMs: number): void;
}

export interface RunnerOptions {
  /** How long an idle runner waits before it looks again. */
  readonly pollMs: number;
  /** Whether this process may ring a task now; undefined: all. */
  readonly owns?: (task: TaskId) => Promise<boolean>;
  /** After so many completed checkpoints the garbage is collected. */
  readonly collectEvery: number;
  readonly events?: RunnerEvents;
}

export type StepResult = { readonly worked: boolean; readonly finished: boolean; readonly wakeAt: number };

/** Failures in a row of one kind before the runner gives up. */
const retriesMax = 12;

export class JobRunner {
  readonly environment: Environment;
  readonly coordinator: Coordinator;
  private readonly clock: Clock;
  private readonly options: RunnerOptions;
  private tasks = new Set<TaskId>();
  private readonly over = new Set<TaskId>();
  private generation = 0;
  private completions = 0;
  private nextTickAt = -Infinity;
  /** The record at the last look. */
  record: JobRecord | undefined;

  constructor(environment: Environment, coordinator: Coordinator, clock: Clock, options: RunnerOptions) {
    this.environment = environment;
    this.coordinator = coordinator;
    this.clock = clock;
    this.options = options;
  }

  get job(): JobGraph {
    return this.environment.job;
  }

  async start(): Promise<void> {
    this.adopt(await this.coordinator.start());
  }

  private adopt(record: JobRecord): void {
    this.record = record;
    if (record.generation === this.generation) return;
    this.generation = record.generation;
    this.tasks = new Set(record.topology.flatMap((stage) => rootTasks(stage).map(({ task }) => task)));
    this.over.clear();
    this.environment.forgetJobRecord();
  }

  /** Rings every task once and looks at checkpoints. */
  async step(): Promise<StepResult> {
    let worked = false;
    let wakeAt = Infinity;
    for (const task of [...this.tasks]) {
      if (this.over.has(task) || (this.options.owns !== undefined && !(await this.options.owns(task)))) continue;
      const outcome = await this.environment.turn({ kind: "poke", task, oneAtATime: true });
      if (outcome.outcome === "fenced")
        throw new MillraceError("fenced", `task ${task} was taken over by deployment ${outcome.deployment}`);
      if (outcome.outcome !== "done") continue;
      this.options.events?.turn?.(task, outcome.records, outcome.commits);
      worked ||= outcome.records > 0 || outcome.commits > 0;
      wakeAt = Math.min(wakeAt, outcome.wakeAt);
      if (outcome.ended)
        this.end(
          task,
          outcome.successors.map((successor) => successor.task),
        );
    }
    const { finished, aligned } = await this.look(worked);
    return { worked: worked || aligned, finished, wakeAt };
  }

  private end(task: TaskId, successors: readonly TaskId[]): void {
    this.over.add(task);
    for (const successor of successors) this.tasks.add(successor);
  }

  /** Looks at checkpoints when it is time, when one is pending, when sources wait for one another, or when nothing else is to be done. */
  private async look(worked: boolean): Promise<{ readonly finished: boolean; readonly aligned: boolean }> {
    const now = this.clock.now();
    const mayWait = now < this.nextTickAt && this.record?.pending === undefined && !this.coordinator.aligns;
    if (worked && mayWait) return { finished: false, aligned: false };
    this.nextTickAt = now + Math.min(this.options.pollMs, this.job.options.checkpointIntervalMs);
    const tick = await this.coordinator.tick();
    if (tick.record !== undefined) this.adopt(tick.record);
    for (const task of tick.poke) if (!this.over.has(task)) this.tasks.add(task);
    if (tick.completed !== undefined) await this.onCompleted(tick.completed);
    return { finished: tick.finished, aligned: tick.aligned.length > 0 };
  }

  private async onCompleted(checkpoint: Checkpoint): Promise<void> {
    if (this.record !== undefined) this.options.events?.checkpoint?.(checkpoint, this.record);
    this.completions++;
    if (this.completions % this.options.collectEvery === 0) await this.coordinator.collectGarbage();
  }

  /** Runs until the job has finished, has stopped by an order, or `stop` is aborted; then takes a last checkpoint, unless the job rests. */
  async run(stop: AbortSignal): Promise<"finished" | "stopped"> {
    let failures = 0;
    while (!stop.aborted) {
      try {
        const { worked, finished, wakeAt } = await this.step();
        failures = 0;
        if (finished) return "finished";
        if (this.record?.phase === "stopped") return "stopped";
        if (!worked) await this.clock.sleep(Math.max(1, Math.min(this.options.pollMs, wakeAt - this.clock.now())), stop);
      } catch (error) {
        if (!isKind(error, "unavailable") || ++failures > retriesMax) throw error;
        const delayMs = Math.min(5_000, 50 * 2 ** failures);
        this.options.events?.retry?.(error, delayMs);
        await this.clock.sleep(delayMs, stop);
      }
    }
    if (this.record === undefined || !isAtRest(this.record)) await this.checkpoint();
    return "stopped";
  }

  /** Takes a checkpoint now and waits for it. Returns its number, or undefined when it was not completed; in batch mode there are none. */
  async checkpoint(savepoint = false): Promise<Checkpoint | undefined> {
    if (this.job.options.mode === "batch") return undefined;
    const before = this.record?.lastCheckpoint ?? 0;
    for (let steps = 0; steps < 1_000; steps++) {
      if (this.record?.pending === undefined && (this.record?.lastCheckpoint ?? 0) <= before)
        await this.coordinator.triggerNow(savepoint);
      const { finished } = await this.step();
      await this.look(false);
      const { record } = this;
      if (record !== undefined && record.pending === undefined && record.lastCheckpoint > before) return record.lastCheckpoint;
      if (finished) return undefined;
    }
    return undefined;
  }
}
