/**
 * One run of a job on this machine: opens the state directory, makes the ports, rings the tasks until the job has finished or is
 * stopped. The counterpart of a deployment.
 *
 * Owns everything it opens, and closes it. Prints nothing: whoever runs it is told (`LocalRunEvents`) and may look (`progress`).
 *
 * N1 A run goes on where the journals of the state directory stand, whatever ended the run before.
 * N2 Nothing is read or written for a job that has finished, or whose inputs are not those it began with.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { defaultRingSize } from "../runtime/adapters/limits.ts";
import type { Leases } from "../runtime/adapters/local/leases.ts";
import { openLocal, type LocalOptions } from "../runtime/adapters/local/open-local.ts";
import { SystemClock } from "../runtime/adapters/local/system-clock.ts";
import type { ProvisionedLog } from "../runtime/adapters/log-provisioning.ts";
import { openMemory } from "../runtime/adapters/memory/open-memory.ts";
import type { Sink } from "../runtime/api/connector.ts";
import type { Job } from "../runtime/api/job.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import { type BlobName, id, type OperatorUid, type ShardId, type TaskId } from "../runtime/base/ids.ts";
import { type Bindings, checkBindings } from "../runtime/connectors/bindings.ts";
import { partsOf } from "../runtime/connectors/hybrid/hybrid.ts";
import type { Telemetry } from "../runtime/ports/telemetry.ts";
import { LocalSinks } from "../runtime/connectors/local-sinks.ts";
import { openSources, type UidSource } from "../runtime/connectors/open-sources.ts";
import { RedrivenSource } from "../runtime/connectors/redriven-source.ts";
import { schemasOf } from "../runtime/connectors/registry/with-schemas.ts";
import type { SourceReader } from "../runtime/connectors/source-reader.ts";
import { Coordinator } from "../runtime/driver/coordinator.ts";
import { Environment } from "../runtime/driver/environment.ts";
import { defaultEnvironment } from "../runtime/driver/environment-options.ts";
import { readJobRecord } from "../runtime/driver/job-ring.ts";
import { JobRunner } from "../runtime/driver/job-runner.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import type { Ports } from "../runtime/ports/ports.ts";
import type { Order } from "../runtime/snapshots/decide-order.ts";
import { isAtRest, type JobRecord, type Phase } from "../runtime/snapshots/job-record.ts";
import { addTotals, noTotals, type Totals } from "../runtime/state/commit.ts";
import { allSafeguards } from "../runtime/task/safeguards.ts";
import { realTimeLimits } from "../runtime/task/task-plan.ts";
import { checkInputs, hasNewInputs } from "./check-inputs.ts";
import { checkOutputs } from "./check-outputs.ts";
import { InputExtent, type InputRead } from "./input-extent.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { readStanding, shardStanding, type ShardStanding, type Standing, tasksOf } from "./standing.ts";
import { Pace, ThrottledReader } from "./throttle.ts";
import { emptyOldInboxes, trimInboxes } from "./trim-inboxes.ts";

export interface LocalRunEvents {
  /** A checkpoint is complete. */
  checkpoint?(checkpoint: number): void;
  /** Something does not answer; it is tried again after `delayMs`. */
  retry?(error: MillraceError, delayMs: number): void;
  /** Something that an operator of the job should know. */
  warning?(message: string, fields: object): void;
}

export interface LocalRunOptions {
  /** Where state is kept; "memory": nowhere, so that the run cannot be gone on with. */
  readonly state: string | "memory";
  /** What relative paths of sinks are relative to; dead letters go to `dead-letters/` in it. */
  readonly output: string;
  readonly bindings?: Bindings;
  /** Several processes run the job together, each some of its tasks. Default: another process is refused. */
  readonly share?: boolean;
  /** Readers, by uid, of sources that are read where they are and not from files. */
  readonly live?: ReadonlyMap<string, SourceReader>;
  /** The checkpoint to begin again from, of those that are retained; default: where the job stands. */
  readonly from?: BlobName | undefined;
  /** Takes the place of the job's own parallelism from now on, whenever the job is run here. */
  readonly rescaleTo?: number | undefined;
  /** Takes the place of the job's own option: goes on without the state of what the job no longer has. */
  readonly allowSkippedState?: boolean | undefined;
  /** Reads at most so many records a second; default: as many as there are. */
  readonly recordsPerSecond?: number | undefined;
  readonly stdin?: Readable;
  /** Where console sinks write. */
  readonly console?: Writable;
  readonly events?: LocalRunEvents;
  readonly store?: Pick<LocalOptions, "durability" | "maxBytes">;
  /** Puts something around the ports: for tests, which make them fail. */
  readonly around?: (ports: Ports) => Ports;
}

/** A look at a run, of the tasks that this process rings. */
export interface RunProgress {
  readonly totals: Totals;
  /** Epoch ms, the lowest over all tasks; -Infinity before the first, Infinity at the end. */
  readonly watermark: number;
  /** The last complete checkpoint, and when it was completed (epoch ms; undefined: not in this run). */
  readonly checkpoint: number;
  readonly checkpointAt: number | undefined;
  /** Undefined where the input's extent is unknown. */
  readonly input: InputRead | undefined;
  readonly phase: Phase;
  /** Why the job pauses, where nobody ordered it. */
  readonly reason: string | undefined;
}

/** What was last seen of a task. */
interface SeenTask {
  readonly totals: Totals;
  readonly watermark: number;
  readonly shards: readonly ShardStanding[];
}

/** What lies beneath a run: the local store, or memory. */
interface Foundation {
  readonly ports: Omit<Ports, "telemetry" | "sinks" | "source">;
  readonly log: ProvisionedLog;
  readonly leases: Leases | undefined;
  close(): Promise<void>;
}

const pollMs = 25;
const collectEvery = 5;

export class LocalRun {
  readonly job: JobGraph;
  /** Where the job stood when this run began. */
  readonly standing: Standing;
  #finishedBefore: boolean;
  readonly #parts: Parts;
  #checkpoint: number;
  #checkpointAt: number | undefined;
  /** What was last seen of each task. */
  readonly #seen = new Map<TaskId, SeenTask>();
  readonly #extent: InputExtent;
  #trimming: Promise<void> = Promise.resolve();

  private constructor(parts: Parts, standing: Standing, finishedBefore: boolean) {
    this.#parts = parts;
    this.job = parts.job;
    this.standing = standing;
    this.#finishedBefore = finishedBefore;
    this.#checkpoint = standing.checkpoint;
    const sources = new Map(sourcesOf(parts.job).map(({ uid, source }) => [uid, source]));
    this.#extent = new InputExtent(sources, (uid, shard) => parts.compressedRead(uid, shard));
    parts.onCheckpoint = (checkpoint, record) => this.#onCheckpoint(checkpoint, record);
  }

  /**
   * Brings the job to life, or finds it where it stood. Throws `invalid` for state of another job, of a plan that does not fit or
   * of other inputs, and for whatever of inputs and outputs must be changed; `fenced` when another process runs the job here.
   */
  static async open(job: Job, options: LocalRunOptions): Promise<LocalRun> {
    checkBindings(options.bindings ?? new Map(), connectorsOf(planJob(job)));
    const foundation = await openFoundation(job.name, options);
    let parts: Parts;
    try {
      parts = new Parts(planJob(await rescaled(job, foundation, options)), foundation, options);
    } catch (error) {
      await foundation.close();
      throw error;
    }
    try {
      return await parts.open((standing, finishedBefore) => new LocalRun(parts, standing, finishedBefore));
    } catch (error) {
      await parts.close();
      throw error;
    }
  }

  /** The job had finished before: there is nothing to run. */
  get finishedBefore(): boolean {
    return this.#finishedBefore;
  }

  /** Runs until the job has finished, or until `stop`: then it takes a last checkpoint. */
  async run(stop: AbortSignal): Promise<"finished" | "stopped"> {
    if (this.#finishedBefore) return "finished";
    const outcome = await this.#parts.runner.run(stop);
    await this.#trimming;
    return outcome;
  }

  progress(): RunProgress {
    const { record } = this.#parts.runner;
    const shards = new Map(this.standing.shards.map((shard) => [`${shard.source}/${shard.shard}`, shard]));
    let totals = record?.totals ?? noTotals;
    let watermark = Infinity;
    for (const [task, reads] of record === undefined ? [] : tasksOf(this.job, record)) {
      const seen = this.#look(task);
      if (seen === undefined) continue;
      totals = addTotals(totals, seen.totals, reads);
      watermark = Math.min(watermark, seen.watermark);
      for (const shard of seen.shards) shards.set(`${shard.source}/${shard.shard}`, shard);
    }
    const input = this.#extent.measure([...shards.values()]);
    const checkpoint = { checkpoint: this.#checkpoint, checkpointAt: this.#checkpointAt };
    const atLeast = highestTotals(this.standing.totals, totals);
    const { phase = "running", reason } = record ?? {};
    return { totals: atLeast, watermark: this.#seen.size === 0 ? -Infinity : watermark, ...checkpoint, input, phase, reason };
  }

  /** Gives an order to the job that is run here: one that had finished follows it when it is run. */
  async order(order: Order): Promise<void> {
    if (this.#finishedBefore) await this.#parts.runner.start();
    this.#finishedBefore = false;
    await this.#parts.order(order);
  }

  /** Gives up leases and closes everything. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  #look(task: TaskId): SeenTask | undefined {
    const found = this.#parts.runner.environment.peek(task);
    if (found !== undefined) {
      const shards = [...found.sources].flatMap(([uid, input]) =>
        [...input.progress().shards].map(([shard, progress]) => shardStanding(uid, shard, progress)),
      );
      const watermark = found.ended ? Infinity : found.watermark;
      this.#seen.set(task, { totals: { ...found.summary, records: found.taken }, watermark, shards });
    }
    return this.#seen.get(task);
  }

  #onCheckpoint(checkpoint: number, record: JobRecord): void {
    this.#checkpoint = checkpoint;
    this.#checkpointAt = Date.now();
    const { foundation, runner, options } = this.#parts;
    const trim = () => trimInboxes(record, foundation.log, (task) => runner.environment.peek(task));
    // What is not trimmed now is trimmed after the next checkpoint.
    this.#trimming = this.#trimming.then(trim).catch((error) => options.events?.warning?.("inboxes not trimmed", { error }));
    options.events?.checkpoint?.(checkpoint);
  }
}

/** What a run is made of, opened step by step and closed together. */
class Parts {
  readonly job: JobGraph;
  readonly foundation: Foundation;
  readonly options: LocalRunOptions;
  readonly runner: JobRunner;
  onCheckpoint: (checkpoint: number, record: JobRecord) => void = () => undefined;
  readonly #ports: Ports;
  readonly #coordinator: Coordinator;
  readonly #sources: ReadonlyMap<string, SourceReader>;
  readonly #sinks: LocalSinks;
  readonly #holder = randomUUID().slice(0, 8);
  #leases: LeaseKeeper | undefined;

  constructor(job: JobGraph, foundation: Foundation, options: LocalRunOptions) {
    this.job = job;
    this.foundation = foundation;
    this.options = options;
    this.#sources = this.#openSources();
    this.#sinks = new LocalSinks({
      job: job.name,
      sinks: sinksOf(job),
      bindings: options.bindings ?? new Map(),
      outputDirectory: options.output,
      console: options.console ?? process.stdout,
      pace: { clock: foundation.ports.clock, random: Math.random },
      telemetry: this.#telemetry(),
    });
    this.#ports = (options.around ?? ((ports) => ports))(this.#makePorts());
    const environment = new Environment(job, this.#ports, { ...defaultEnvironment, limits: realTimeLimits, id: this.#holder });
    const createStream = (stream: string, shards: number) => foundation.log.createStream(stream, shards);
    const { allowSkippedState, rescaleTo } = options;
    const common = { id: this.#holder, deployment: 1, safeguards: allSafeguards, createStream };
    const coordinatorOptions = { ...common, allowSkippedState, rescaleTo };
    this.#coordinator = new Coordinator(job, this.#ports, coordinatorOptions);
    this.runner = new JobRunner(environment, this.#coordinator, this.#ports.clock, {
      pollMs,
      collectEvery,
      owns: (task) => this.#owns(task),
      events: {
        checkpoint: (checkpoint, record) => this.onCheckpoint(checkpoint, record),
        retry: (error, delayMs) => options.events?.retry?.(error, delayMs),
      },
    });
  }

  async open(make: (standing: Standing, finishedBefore: boolean) => LocalRun): Promise<LocalRun> {
    const { foundation, options, job } = this;
    if (foundation.leases !== undefined) {
      const { leases } = foundation;
      const { share = false, state } = options;
      this.#leases = await LeaseKeeper.take({ leases, job: job.name, directory: state, holder: this.#holder, share });
    }
    const before = await readJobRecord(this.#ports, job.name);
    if (before === undefined) await checkOutputs(job, options);
    else if (await this.#hasFinished(before)) {
      // Standing input would be begun by asking for it, and a job that has finished takes in nothing.
      if (this.#inputsAreBounded) await checkInputs(this.#readHere, before, this.#ports, options.state);
      return make(await readStanding(job, before, this.#ports), true);
    } else await checkInputs(this.#readHere, before, this.#ports, options.state);
    await this.#leaveRest(before);
    await this.runner.start();
    await this.#takeInNewInputs();
    const record = this.runner.record as JobRecord;
    await emptyOldInboxes(record, foundation.log);
    return make(await readStanding(job, record, this.#ports), false);
  }

  async order(order: Order): Promise<void> {
    await this.#coordinator.order(order);
  }

  compressedRead(uid: string, shard: ShardId): number | undefined {
    return this.#sources.get(uid)?.compressedRead?.(shard);
  }

  async close(): Promise<void> {
    for (const source of this.#sources.values()) await source.close();
    try {
      await this.#sinks.close();
    } finally {
      // A lease that cannot be given up ends by itself, and the error that led here says more.
      await this.#leases?.release().catch(() => undefined);
      await this.foundation.close();
    }
  }

  /** The sources that are read from files and the like: shards of others come and go. */
  get #readHere(): readonly UidSource[] {
    return sourcesOf(this.job).filter(({ uid }) => !this.options.live?.has(uid));
  }

  get #inputsAreBounded(): boolean {
    return sourcesOf(this.job).every(({ source }) => source.bounded);
  }

  /** Every task has ended. A plan that has changed since does not bring a finished job back to life. */
  async #hasFinished(record: JobRecord): Promise<boolean> {
    return record.phase === "running" && (await this.#coordinator.tick()).finished;
  }

  /** Whoever runs a job that rests wants it to go on; from a checkpoint of his choice, or from where it rests. */
  async #leaveRest(record: JobRecord | undefined): Promise<void> {
    const { from } = this.options;
    if (from !== undefined) await this.#coordinator.restore(from);
    else if (record !== undefined && isAtRest(record)) await this.#coordinator.order({ kind: "resume", id: this.#holder });
  }

  /** Input that came in since the generation began has no task at parallelism above 1: a new generation gives it one. */
  async #takeInNewInputs(): Promise<void> {
    const record = this.runner.record as JobRecord;
    if (!(await hasNewInputs(this.#readHere, record, this.#ports))) return;
    if (record.completed === undefined) {
      const kept = join(this.options.state, "stdin");
      const advice = "at a parallelism above 1, more standard input can be taken in from a checkpoint only, and none is complete";
      throw new MillraceError("invalid", `${advice}: begin anew with the files that keep what came in so far: ${kept}`);
    }
    await this.#coordinator.restore(record.completed);
    await this.runner.start();
  }

  async #owns(task: TaskId): Promise<boolean> {
    if (this.#leases === undefined) return true;
    const tasks = this.runner.record === undefined ? 1 : tasksOf(this.job, this.runner.record).length;
    await this.#leases.level(tasks);
    return this.#leases.owns(task, tasks);
  }

  #makePorts(): Ports {
    const { foundation } = this;
    const source = (uid: string) => new RedrivenSource(uid, this.#sources.get(uid) as SourceReader, foundation.ports.blobs);
    return { ...foundation.ports, telemetry: this.#telemetry(), sinks: this.#sinks, source };
  }

  #telemetry(): Telemetry {
    const log = (level: string, message: string, fields: object = {}) => {
      if (level !== "info") this.options.events?.warning?.(message, fields);
    };
    return { add: () => undefined, gauge: () => undefined, log };
  }

  #openSources(): ReadonlyMap<string, SourceReader> {
    const { options, foundation } = this;
    const { clock } = foundation.ports;
    const spoolDirectory = options.state === "memory" ? join(options.output, ".stdin") : join(options.state, "stdin");
    const context = { clock, spoolDirectory, stdin: options.stdin };
    const live = options.live ?? new Map<string, SourceReader>();
    const local = sourcesOf(this.job).filter(({ uid }) => !live.has(uid));
    const readers = new Map([...openSources(local, options.bindings ?? new Map(), context), ...live]);
    if (options.recordsPerSecond === undefined) return readers;
    const pace = new Pace(options.recordsPerSecond, clock);
    return new Map([...readers].map(([uid, reader]) => [uid, new ThrottledReader(reader, pace)]));
  }
}

/** Of tasks that another process rings, what they had done at the start is all that is known here. */
function highestTotals(a: Totals, b: Totals): Totals {
  return {
    records: Math.max(a.records, b.records),
    deadLetters: Math.max(a.deadLetters, b.deadLetters),
    lateDropped: Math.max(a.lateDropped, b.lateDropped),
  };
}

async function openFoundation(job: string, { state, store }: LocalRunOptions): Promise<Foundation> {
  if (state === "memory") {
    const ports = openMemory({ clock: new SystemClock(), ringSize: defaultRingSize });
    return { ports, log: ports.log, leases: undefined, close: async () => undefined };
  }
  const ports = await openLocal(state, { job, ...store });
  return { ports, log: ports.log, leases: ports.leases, close: () => ports.close() };
}

/** The job at the parallelism that was asked for, now or at an earlier rescale. */
async function rescaled(job: Job, { ports }: Foundation, { rescaleTo }: LocalRunOptions): Promise<Job> {
  const parallelism = rescaleTo ?? (await readJobRecord(ports as unknown as Ports, job.name))?.parallelism;
  return parallelism === undefined ? job : { ...job, options: { ...job.options, parallelism } };
}

function sourcesOf(job: JobGraph): readonly UidSource[] {
  return [...job.operators.values()].flatMap(({ node }) =>
    node.spec.kind === "source" ? [{ uid: node.uid, source: node.spec.source }] : [],
  );
}

function sinksOf(job: JobGraph): ReadonlyMap<OperatorUid, Sink<any, any>> {
  const sinks = new Map<OperatorUid, Sink<any, any>>();
  for (const { node } of job.operators.values())
    if (node.spec.kind === "sink") sinks.set(id<OperatorUid>(node.uid), node.spec.sink);
  return sinks;
}

function connectorsOf(job: JobGraph): readonly { readonly uid: string; readonly name: string }[] {
  const sinks = [...sinksOf(job)].map(([uid, { name }]) => ({ uid: uid as string, name }));
  const parts = sourcesOf(job).flatMap(({ uid, source }) => partsOf(source).map((part) => ({ uid, part })));
  const sources = parts.map(({ uid, part }) => ({ uid, name: part.name }));
  const registries = new Set(parts.flatMap(({ part }) => schemasOf(part)?.registry.name ?? []));
  return [...sources, ...sinks, ...[...registries].map((name) => ({ uid: name, name }))];
}
