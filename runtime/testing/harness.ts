/**
 * A job in a test: the real plan, task and driver on ports in memory, with the clock in hand.
 *
 * Sources are filled by `push`, which returns when all that follows from it is done; sinks are looked at through `output`. Sources and
 * sinks go by their uids, formats and outside names play no part. Watermarks come of the job's own strategies, and beside
 * them exactly where the test puts them (`advanceWatermark`). No checkpoint is taken but by `snapshot`.
 */
import { MemoryBlobs } from "../adapters/memory/memory-blobs.ts";
import { MemoryJournal } from "../adapters/memory/memory-journal.ts";
import { MemoryLog } from "../adapters/memory/memory-log.ts";
import { MemoryPages } from "../adapters/memory/memory-pages.ts";
import { MemoryTelemetry } from "../adapters/memory/memory-telemetry.ts";
import { ManualClock } from "../adapters/memory/manual-clock.ts";
import type { Duration } from "../api/duration.ts";
import type { OutputTag } from "../api/functions.ts";
import type { Job } from "../api/job.ts";
import { assert } from "../base/assert.ts";
import { MillraceError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import { Coordinator } from "../driver/coordinator.ts";
import { Environment } from "../driver/environment.ts";
import { defaultEnvironment, type EnvironmentOptions } from "../driver/environment-options.ts";
import { moveJobRecord } from "../driver/job-ring.ts";
import { JobRunner } from "../driver/job-runner.ts";
import { planJob } from "../plan/plan-job.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import type { DeadLetter } from "../ports/sink-driver.ts";
import { manifestName } from "../snapshots/names.ts";
import { allSafeguards } from "../task/safeguards.ts";
import { copyCheckpoint, type HarnessSnapshot, TakenSnapshot } from "./harness-snapshot.ts";
import { HarnessSinks, type WrittenRow } from "./harness-sink.ts";
import { HarnessSource, type Pushed } from "./harness-source.ts";
import { instrumentJob, sideSink } from "./instrument-job.ts";

export interface HarnessOptions {
  /** Takes the place of the job's own. */
  readonly parallelism?: number;
  /** Records that a task takes in at once; default 10,000. Results do not depend on it. */
  readonly recordsPerTurn?: number;
  /** Shards of every source, or by uid; default 1. */
  readonly shards?: number | Readonly<Record<string, number>>;
  /** Where the clock stands at first, epoch ms; default 0, or where the snapshot was taken. */
  readonly startAt?: number;
  /** What the environment is given beside the defaults: limits, sizes. For tests of the engine itself. */
  readonly environment?: Partial<EnvironmentOptions>;
  /** Wraps the ports: for tests of the engine itself. */
  readonly wrapPorts?: (ports: Ports) => Ports;
  /** Goes on from a snapshot of this job, or of an earlier version of it. */
  readonly from?: HarnessSnapshot;
}

/** Sources and sinks are named by uid. */
export interface JobHarness {
  /** Processing time, epoch ms. */
  readonly processingTime: number;
  /** Puts records, and watermarks among them, into a source and processes them at once. */
  push(source: string, ...records: readonly Pushed[]): Promise<void>;
  /** A watermark of the source, exact; without `shard` of all its shards. One below what the source has reached says nothing. */
  advanceWatermark(source: string, at: number, shard?: number): Promise<void>;
  /** Turns the clock on; what waits for a time on the way runs at that time. */
  advanceProcessingTime(by: Duration): Promise<void>;
  /** Ends a source, or all: bounded input, after which its watermark is +∞. */
  endInput(source?: string): Promise<void>;
  /** What a sink was given since this harness began, in the order of commits. */
  output<T>(sink: string): readonly T[];
  /** The same with timestamps and kinds of change. */
  rows<T>(sink: string): readonly WrittenRow<T>[];
  /** What went to a side output, of all operators or of one. Needs nobody to read it. */
  sideOutput<T>(tag: OutputTag<T>, operator?: string): readonly T[];
  deadLetters(): readonly DeadLetter[];
  /** Takes a checkpoint, with which another harness can begin. */
  snapshot(): Promise<HarnessSnapshot>;
  /** Drops every cache: the next step begins from the journal. */
  crash(): Promise<void>;
}

/** Starts a job. Throws `invalid` for a job that cannot be planned, or that cannot take over the snapshot's state. */
export async function harness(job: Job, options: HarnessOptions = {}): Promise<JobHarness> {
  const { from } = options;
  assert(from === undefined || from instanceof TakenSnapshot, "a snapshot is one that a harness took");
  const running = new RunningHarness(job, options, from);
  await running.begin(from);
  return running;
}

/** Steps after which a job that does not come to rest has an error. */
const stepsMax = 100_000;

/** Turned by whoever tests alone: a turn that waits lets all others go on, and nothing waits for a time. */
class HarnessClock extends ManualClock {
  override sleep(): Promise<void> {
    return new Promise(setImmediate);
  }
}

/** The harness with what tests of the engine itself need beside it. */
export class RunningHarness implements JobHarness {
  readonly graph: JobGraph;
  readonly ports: Ports;
  readonly clock: ManualClock;
  readonly sinks = new HarnessSinks();
  readonly telemetry = new MemoryTelemetry();
  readonly tasks = new Set<TaskId>();
  runner!: JobRunner;
  readonly #job: Job;
  readonly #sources: ReadonlyMap<string, HarnessSource>;
  readonly #options: HarnessOptions;
  readonly #log: MemoryLog;
  #lives = 0;

  constructor(job: Job, options: HarnessOptions, from: TakenSnapshot | undefined) {
    this.#job = job;
    this.#options = options;
    this.clock = new HarnessClock({ now: options.startAt ?? from?.now ?? 0 });
    this.#sources = sourcesOf(job, options, from);
    this.graph = planJob(instrumentJob(job, this.#sources, options.parallelism));
    const { clock, sinks, telemetry } = this;
    this.#log = new MemoryLog({ clock });
    const ports: Ports = {
      log: this.#log,
      journal: new MemoryJournal(),
      pages: new MemoryPages(),
      blobs: new MemoryBlobs({ clock }),
      clock,
      telemetry,
      sinks,
      source: (uid) => this.source(uid),
    };
    this.ports = options.wrapPorts?.(ports) ?? ports;
  }

  async begin(from: TakenSnapshot | undefined): Promise<void> {
    if (from !== undefined) await this.#restore(from);
    await this.crash();
  }

  async #restore(from: TakenSnapshot): Promise<void> {
    for (const [name, bytes] of from.blobs) await this.ports.blobs.put(name, bytes);
    await moveJobRecord(this.ports, { record: undefined, seq: 0, messages: [] }, from.record, "harness");
    await this.coordinator().restore(from.name);
  }

  /** A coordinator as another process would start it. */
  coordinator(id = `coordinator-${this.#lives}`): Coordinator {
    const createStream = (stream: string, shards: number) => this.#log.createStream(stream, shards);
    return new Coordinator(this.graph, this.ports, { id, deployment: 1, safeguards: allSafeguards, createStream });
  }

  /** An environment as another process would start it. */
  environment(id = `environment-${this.#lives}`): Environment {
    const { recordsPerTurn = defaultEnvironment.recordsPerTurn, environment } = this.#options;
    return new Environment(this.graph, this.ports, { ...defaultEnvironment, recordsPerTurn, ...environment, id });
  }

  source(uid: string): HarnessSource {
    const source = this.#sources.get(uid);
    if (source === undefined) throw new MillraceError("invalid", `the job has no source of uid ${uid}: it has ${this.#list()}`);
    return source;
  }

  #list(): string {
    return [...this.#sources.keys()].join(", ");
  }

  // ---- what a test does ----

  get processingTime(): number {
    return this.clock.now();
  }

  async push(source: string, ...records: readonly Pushed[]): Promise<void> {
    this.enqueue(source, ...records);
    await this.settle();
  }

  /** Puts records into a source and leaves them there. */
  enqueue(source: string, ...records: readonly Pushed[]): void {
    const into = this.source(source);
    for (const record of records) {
      if ("watermark" in record) this.#checkWatermarks(source);
      into.append(record, this.clock.now());
    }
  }

  #checkWatermarks(source: string): void {
    const spec = this.graph.operators.get(source)?.node.spec;
    if (spec?.kind === "source" && spec.watermarks !== undefined) return;
    throw new MillraceError("invalid", `source ${source} has no watermarks: declare a strategy with \`watermarks\``);
  }

  async advanceWatermark(source: string, at: number, shard?: number): Promise<void> {
    await this.push(source, { watermark: at, ...(shard === undefined ? {} : { shard }) });
  }

  async advanceProcessingTime(by: Duration): Promise<void> {
    if (!(Number.isInteger(by) && by >= 0))
      throw new MillraceError("invalid", `the clock is turned on by whole milliseconds, not back: ${by}`);
    const until = this.clock.now() + by;
    while (this.clock.now() < until) {
      this.clock.set(Math.min(until, this.#nextWakeUp()));
      await this.settle();
    }
  }

  /** The next time at which a task has something to do. */
  #nextWakeUp(): number {
    const now = this.clock.now();
    let next = Infinity;
    for (const task of this.tasks) {
      const at = this.runner.environment.peek(task)?.nextWakeUp() ?? Infinity;
      if (at > now) next = Math.min(next, at);
    }
    return next;
  }

  async endInput(source?: string): Promise<void> {
    for (const ending of source === undefined ? this.#sources.values() : [this.source(source)]) ending.end();
    await this.settle();
  }

  /** Rings the tasks until none has anything left to do. */
  async settle(): Promise<void> {
    for (let steps = 0; steps < stepsMax; steps++) if (!(await this.runner.step()).worked) return;
    throw new MillraceError("internal", `the job does not come to rest: ${stepsMax} steps`);
  }

  // ---- what a test looks at ----

  output<T>(sink: string): readonly T[] {
    return this.rows<T>(sink).map(({ value }) => value);
  }

  rows<T>(sink: string): readonly WrittenRow<T>[] {
    const sinks = this.#job.graph.nodes.filter(({ spec }) => spec.kind === "sink").map(({ uid }) => uid);
    if (!sinks.includes(sink))
      throw new MillraceError("invalid", `the job has no sink of uid ${sink}: it has ${sinks.join(", ")}`);
    return this.sinks.rows(sink) as readonly WrittenRow<T>[];
  }

  sideOutput<T>(tag: OutputTag<T>, operator?: string): readonly T[] {
    const { nodes } = this.#job.graph;
    const writers = nodes.filter(({ sideOutputs, uid }) => sideOutputs.includes(tag.id) && (operator ?? uid) === uid);
    if (writers.length === 0) throw new MillraceError("invalid", `no operator declares the side output ${tag.id}`);
    return writers.flatMap(({ uid }) => this.sinks.rows(sideSink(uid, tag.id)).map(({ value }) => value as T));
  }

  deadLetters(): readonly DeadLetter[] {
    return this.sinks.letters;
  }

  // ---- checkpoints and crashes ----

  async snapshot(): Promise<HarnessSnapshot> {
    const name = await this.checkpoint();
    const sources = new Map([...this.#sources].map(([uid, source]) => [uid, source.stand]));
    return new TakenSnapshot({ ...(await copyCheckpoint(name, this.ports.blobs)), sources, now: this.clock.now() });
  }

  /** Takes a checkpoint in place; returns its manifest's name. */
  async checkpoint() {
    const { runner } = this;
    const checkpoint = await runner.checkpoint(true);
    const name = checkpoint === undefined ? undefined : manifestName(checkpoint);
    if (name === undefined || runner.record?.completed !== name)
      throw new MillraceError("unavailable", "the checkpoint was not completed: a task declined it or waits for a fault to end");
    return name;
  }

  async crash(): Promise<void> {
    this.#lives++;
    const { clock, tasks } = this;
    tasks.clear();
    const events = { turn: (task: TaskId) => void tasks.add(task) };
    this.runner = new JobRunner(this.environment(), this.coordinator(), clock, { pollMs: 1_000, collectEvery: 1, events });
    await this.runner.start();
    await this.settle();
  }
}

function sourcesOf(
  { graph }: Job,
  { shards = 1 }: HarnessOptions,
  from: TakenSnapshot | undefined,
): ReadonlyMap<string, HarnessSource> {
  const uids = graph.nodes.filter(({ spec }) => spec.kind === "source").map(({ uid }) => uid);
  const count = (uid: string) => (typeof shards === "number" ? shards : (shards[uid] ?? 1));
  return new Map(uids.map((uid) => [uid, new HarnessSource(uid, count(uid), from?.sources.get(uid))]));
}
