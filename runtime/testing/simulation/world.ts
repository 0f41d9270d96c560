/**
 * A simulated world: one job, its streams, its shared ports, its environments and coordinators, and what is independently known of
 * them. Decides nothing: what happens next is the agenda's.
 *
 * C1 Entry n of a ring is written at most once.
 * C2 A task's watermark never goes back, from one written entry to the next.
 * C7 No record is late: the workload has none that could be.
 * C3 No process fails but by what is meant to be tried again, because a frame of its own went astray, or dies of a record that is made to
 *    kill (C8).
 * C13 A page never goes back to an older version.
 * C16 A checkpoint is completed or given up, once (L10).
 * C19 A message never goes back to an older version (L12).
 * C9 Frames are waved through as stale only when their generation is over: the mapping does not deliver them again.
 */
import type { TaskId } from "../../base/ids.ts";
import { isKind, messageOf } from "../../base/errors.ts";
import { MemoryBlobs } from "../../adapters/memory/memory-blobs.ts";
import { MemoryJournal } from "../../adapters/memory/memory-journal.ts";
import { MemoryLog } from "../../adapters/memory/memory-log.ts";
import { MemoryPages } from "../../adapters/memory/memory-pages.ts";
import { ManualClock } from "../../adapters/memory/manual-clock.ts";
import { Coordinator } from "../../driver/coordinator.ts";
import { Environment } from "../../driver/environment.ts";
import { defaultEnvironment } from "../../driver/environment-options.ts";
import { type CommitRead, readCommit } from "./read-commit.ts";
import type { JobGraph } from "../../plan/job-graph.ts";
import { decodeJobRecord, type JobRecord } from "../../snapshots/job-record.ts";
import { jobRing, manifestPrefix, parseObjectName } from "../../snapshots/names.ts";
import type { Blobs } from "../../ports/blobs.ts";
import type { Journal, StoredEntry } from "../../ports/journal.ts";
import type { Log } from "../../ports/log.ts";
import type { Pages } from "../../ports/pages.ts";
import type { SinkDriver } from "../../ports/sink-driver.ts";
import { generationOf } from "../../streaming/channel.ts";
import { CommitChecker } from "./commit-checker.ts";
import { Faults } from "./faults.ts";
import type { FaultMix } from "./fault-mix.ts";
import { SimulationFailure } from "./failure.ts";
import { IdlenessChecker } from "./idleness-checker.ts";
import { type Mapping, Mappings } from "./mappings.ts";
import { createPorts, type SharedPorts } from "./ports.ts";
import { SeededRandom } from "../../base/seeded-random.ts";
import { type Rule, safeguardsWithout } from "./rules.ts";
import { SimProcess, SimScheduler } from "./scheduler.ts";
import type { Sizes } from "./settings.ts";
import { SimSources } from "./sources.ts";
import type { Scenario, Subject } from "./subject.ts";
import { topologyScenario } from "./topology-scenario.ts";
import { Trace } from "./trace.ts";

/** Virtual ms: how old a job record may be; and how long rings stay, longer than that and the longest life of a zombie. */
const recordMsMax = 3_000;
const formerMsMin = 8_000;
/** Virtual ms: how wrong a clock may be. */
const skewMsMax = 40;
/** Virtual ms: what of a turn's time is for its commit. */
const reserveMs = 3;

export interface WorldOptions {
  readonly seed: number;
  /** What it runs; default: a topology. */
  readonly scenario?: Scenario | undefined;
  /** The topology's name; default: any. */
  readonly topology?: string | undefined;
  readonly faults: FaultMix;
  /** The only faults that may happen, by the number at which each comes up; default: all. */
  readonly only?: readonly number[] | undefined;
  /** Other events in the same world; default 0. */
  readonly variant?: number | undefined;
  /** The only records that its sources bring, by number; default: all. */
  readonly events?: readonly number[] | undefined;
  /** Settings to take instead of the seed's. */
  readonly settings?: Partial<Sizes> | undefined;
  /** The rule that is switched off. */
  readonly without?: Rule | undefined;
}

export interface SimEnvironment {
  readonly process: SimProcess;
  readonly environment: Environment;
  readonly deployment: number;
  /** It runs a turn. */
  busy: boolean;
}

export interface SimCoordinator {
  readonly process: SimProcess;
  readonly coordinator: Coordinator;
  readonly deployment: number;
  started: boolean;
  busy: boolean;
  /** What it found at its last look, which told it nothing to do: it looks again when that is another, or after a time. */
  seen: { readonly changes: number; readonly at: number } | undefined;
}

export class World {
  readonly options: WorldOptions;
  /** What is drawn before anything happens: sizes, topology, records. Apart, so that a smaller world is otherwise the same. */
  readonly draws: SeededRandom;
  /** All that happens. */
  readonly random: SeededRandom;
  readonly settings: Sizes;
  readonly subject: Subject;
  readonly scheduler: SimScheduler;
  readonly trace = new Trace();
  readonly faults: Faults;
  readonly log: MemoryLog;
  readonly blobs = new MemoryBlobs();
  readonly sources: SimSources;
  readonly mappings = new Mappings();
  readonly shared: SharedPorts & { pages: Pages };
  environments: SimEnvironment[] = [];
  coordinators: SimCoordinator[] = [];
  /** The job's plan as the latest deployment has it. */
  graph: JobGraph;
  deployment = 1;
  /** The job record as it was last written. */
  record: JobRecord | undefined;
  failure: SimulationFailure | undefined;
  /** Entries that were written, and frames. */
  progress = 0;
  /** Environments that have died. */
  deaths = 0;
  /** How often records were appended to any stream. */
  appends = 0;
  /** What has changed so far of the job's own ring and mailbox, and of all that garbage collection looks at. */
  readonly changes = { job: 0, stored: 0 };
  /** Payloads that lie in objects, and pages in the table. */
  readonly stored = { payloads: 0, pages: 0 };
  private readonly commits: CommitChecker;
  private readonly idleness: IdlenessChecker;
  private readonly written = new Set<string>();
  private readonly watermarks = new Map<TaskId, number>();
  private names = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.draws = new SeededRandom(options.seed);
    this.random = new SeededRandom(1_000_003 * (1 + (options.variant ?? 0)) + options.seed);
    const scenario = options.scenario ?? topologyScenario(options.topology);
    this.settings = { ...scenario.draw(this.draws), ...options.settings };
    this.scheduler = new SimScheduler(this.random);
    const faults = this.settings.frail ? options.faults : { ...options.faults, commitOnly: 0 };
    this.faults = new Faults(this.scheduler, this.random, this.trace, faults, options.only);
    this.log = new MemoryLog({ clock: new ManualClock(), maxRecordBytes: this.settings.limits.frameBytesMax });
    this.subject = scenario.create(this);
    this.sources = new SimSources(this.log, this.subject.sources, this.scheduler);
    this.commits = new CommitChecker((message) => this.fail(message), this.settings.limits);
    this.idleness = new IdlenessChecker((message) => this.fail(message), this.sources);
    const reader = this.sources.reader();
    this.shared = {
      log: this.checkedLog(),
      journal: this.checkedJournal(),
      pages: this.createPages(),
      blobs: this.checkedBlobs(),
      sinksOf: (process) => this.checkedSinks(this.subject.sinksOf(process)),
      telemetry: {
        add: () => undefined,
        gauge: () => undefined,
        log: (level, message) => level === "error" && this.fail(message),
      },
      source: () => reader,
    };
    this.graph = this.plan(this.settings.parallelism);
  }

  createPages(): Pages {
    const inner = new MemoryPages({ unsafeSkipVersionCheck: this.options.without === "pages" });
    const versions = new Map<string, number>();
    return {
      get: (ids) => inner.get(ids),
      list: (writer) => inner.list(writer),
      delete: (ids) => inner.delete(ids),
      put: async (page) => {
        const put = await inner.put(page);
        const name = `${page.writer} ${page.operator} ${page.keyGroup}`;
        const before = versions.get(name) ?? 0;
        if (put === "put" && page.version < before) this.fail(`C13: page ${name} went back from ${before} to ${page.version}`);
        versions.set(name, Math.max(before, page.version));
        if (put === "put") this.stored.pages++;
        return put;
      },
    };
  }

  plan(parallelism: number): JobGraph {
    return this.subject.plan(this.settings, parallelism);
  }

  /** Everything that follows from what has run, has run. */
  async settle(): Promise<void> {
    if (this.subject.settle === undefined) return this.scheduler.settle();
    await this.scheduler.settleOutside();
    while (await this.subject.settle()) await this.scheduler.settleOutside();
  }

  fail(message: string, cause?: unknown): void {
    this.failure ??= new SimulationFailure(message, cause === undefined ? undefined : { cause });
  }

  note(what: string): void {
    this.trace.add(this.scheduler.steps, "world", what);
  }

  private checkedJournal(): Journal {
    const inner = new MemoryJournal({
      ringSize: this.settings.ringSize,
      unsafeSkipSlotCondition: this.options.without === "R1",
      unsafeSkipMessageVersion: this.options.without === "L12",
    });
    const versions = new Map<string, number>();
    return {
      ringSize: inner.ringSize,
      tail: (task, after) => inner.tail(task, after),
      post: async (task, message) => {
        const posted = await inner.post(task, message);
        if (posted !== "posted") return posted;
        this.noteChange(task);
        const name = `${task} ${message.name}`;
        const before = versions.get(name) ?? 0;
        if (message.version < before) this.fail(`C19: message ${name} went back from ${before} to ${message.version}`);
        versions.set(name, message.version);
        return posted;
      },
      withdraw: (task, names) => {
        for (const name of names) versions.delete(`${task} ${name}`);
        this.noteChange(task);
        return inner.withdraw(task, names);
      },
      forget: (task) => inner.forget(task),
      write: async (task, entry) => {
        const result = await inner.write(task, entry);
        if (result.outcome === "written") await this.onEntry(task, entry);
        return result;
      },
    };
  }

  private checkedBlobs(): Blobs {
    const inner = this.blobs;
    return {
      get: (name, range) => inner.get(name, range),
      list: (prefix, after) => inner.list(prefix, after),
      delete: (names) => inner.delete(names),
      put: async (name, bytes, options) => {
        const before = name.startsWith(manifestPrefix) ? await inner.get(name) : undefined;
        const put = await inner.put(name, bytes, options);
        if (before !== undefined && put === "put" && !Buffer.from(before).equals(bytes))
          this.fail(`C16: ${name} was written twice`);
        this.changes.stored++;
        if (put === "put" && parseObjectName(name)?.kind === "payloads") this.stored.payloads++;
        return put;
      },
    };
  }

  private checkedLog(): Log {
    const inner = this.log;
    return {
      shards: (stream) => inner.shards(stream),
      read: (stream, shard, after, limit) => inner.read(stream, shard, after, limit),
      append: async (stream, records) => {
        // Before they are there: whoever is to receive them may be quicker.
        for (const { bytes } of records) this.commits.beforeAppend(bytes);
        const results = await inner.append(stream, records);
        this.appends++;
        for (const [n, { bytes }] of records.entries()) if (results[n]?.outcome === "appended") this.commits.onAppended(bytes);
        return results;
      },
    };
  }

  private checkedSinks(inner: SinkDriver): SinkDriver {
    return {
      carryOut: async (effect) => {
        await inner.carryOut(effect);
        this.commits.onSink(effect);
      },
      deadLetters: async (batch) => {
        await inner.deadLetters(batch);
        this.commits.onDeadLetters(batch);
      },
      quarantine: (operator, restored) => inner.quarantine(operator, restored),
    };
  }

  private noteChange(task: TaskId): void {
    this.changes.stored++;
    if (task === jobRing) this.changes.job++;
  }

  private async onEntry(task: TaskId, entry: StoredEntry): Promise<void> {
    this.progress++;
    this.noteChange(task);
    const name = `${task} ${entry.seq}`;
    if (this.written.has(name)) this.fail(`C1: entry ${entry.seq} of ${task} was written twice`);
    this.written.add(name);
    if (task === jobRing) this.record = decodeJobRecord(entry.bytes);
    else this.onCommit(await readCommit(entry.bytes, this.blobs));
  }

  private onCommit(commit: CommitRead): void {
    this.commits.onCommit(commit, this.record);
    // Nothing runs but whoever writes.
    if (commit.by !== "seal") this.idleness.onCommit(commit, this.scheduler.running as SimProcess);
  }

  // ---- processes ----

  private createProcess(kind: "e" | "c"): SimProcess {
    const process = new SimProcess(`${kind}${++this.names}`);
    if (this.faults.happens("skew")) process.skewMs = this.random.between(-skewMsMax, skewMsMax);
    return process;
  }

  /** Nobody's clock is wrong any more: a coordinator's that is ahead may give up each checkpoint as one that takes too long. */
  setClocks(): void {
    for (const { process } of [...this.environments, ...this.coordinators]) process.skewMs = 0;
  }

  addEnvironment(): SimEnvironment {
    const process = this.createProcess("e");
    const ports = createPorts(process, this.shared, this.faults, this.scheduler, this.random, (task) =>
      this.checkWatermark(task, environment),
    );
    const { payload, cacheBytesMax, journalBytesMax, recordsPerTurn, limits } = this.settings;
    const environment = new Environment(this.graph, ports, {
      ...defaultEnvironment,
      // Environments die here as they never do elsewhere: what happens to a record by chance must not look like poison.
      attempts: { carefulFrom: 3, aloneMax: 5, leaseMs: 60 + 2 * skewMsMax },
      id: this.options.without === "L16" ? "e" : process.name,
      deployment: this.deployment,
      payload,
      messageBytesMax: payload.inlineBytesMax,
      cacheBytesMax,
      journalBytesMax,
      invocationMsMax: Infinity,
      recordMsMax,
      recordsPerTurn,
      bytesPerTurn: 1 << 20,
      reserveMs,
      firstPart: 2,
      limits,
      safeguards: safeguardsWithout(this.options.without),
    });
    const added = { process, environment, deployment: this.deployment, busy: false };
    this.environments.push(added);
    return added;
  }

  private checkWatermark(task: TaskId, environment: Environment): void {
    const seen = environment.peek(task);
    if (seen === undefined) return;
    const at = seen.watermark;
    if (seen.summary.lateDropped > 0 && !this.subject.mayBeLate)
      this.fail(`C7: records were late at ${task}, which none is by its making`);
    const before = this.watermarks.get(task) ?? -Infinity;
    if (at < before) this.fail(`C2: the watermark of ${task} went back from ${before} to ${at}`);
    this.watermarks.set(task, at);
  }

  addCoordinator(): SimCoordinator {
    const process = this.createProcess("c");
    const ports = createPorts(process, this.shared, this.faults, this.scheduler, this.random);
    const coordinator = new Coordinator(this.graph, ports, {
      id: process.name,
      deployment: this.deployment,
      safeguards: safeguardsWithout(this.options.without),
      formerMsMin,
      createStream: (stream, shards) =>
        this.faults.call(process, `create ${stream} ${shards}`, () => this.createInbox(stream, shards)),
    });
    const added = { process, coordinator, deployment: this.deployment, started: false, busy: false, seen: undefined };
    this.coordinators.push(added);
    return added;
  }

  private async createInbox(stream: string, shards: number): Promise<void> {
    await this.log.createStream(stream, shards);
    this.mappings.addInbox(
      stream,
      (await this.log.shards(stream)).map((shard) => shard.id),
    );
  }

  /** Processes that died are gone; others take their place, and that of those that are frozen. */
  replaceDead(): void {
    const alive = withoutDead(this.environments);
    this.deaths += this.environments.length - alive.length;
    this.environments = alive;
    this.coordinators = withoutDead(this.coordinators);
    for (let n = this.awake(this.environments); n < this.settings.environments; n++) this.addEnvironment();
    for (let n = this.awake(this.coordinators); n < 2; n++) this.addCoordinator();
  }

  /** How many of the latest deployment stand still for nobody. */
  private awake(processes: readonly (SimEnvironment | SimCoordinator)[]): number {
    let count = 0;
    for (const { process, deployment } of processes)
      if (deployment === this.deployment && !this.scheduler.isFrozen(process)) count++;
    return count;
  }

  /** C9, of a mapping whose batch was answered as stale. */
  checkStale({ task, shard }: Mapping): void {
    if (task !== undefined && generationOf(task) >= (this.record?.generation ?? 0))
      this.fail(`C9: frames of ${shard} were passed over as stale, of a task that lives: ${task}`);
  }

  /** C3. Says whether the process may go on. */
  judge(process: SimProcess, what: string, error: unknown): boolean {
    this.trace.add(this.scheduler.steps, process.name, `${what}: ${messageOf(error)}`);
    if (isKind(error, "unavailable") || (process.astray && isKind(error, "corrupt"))) return true;
    if (isKind(error, "fenced")) return false;
    this.fail(`C3: ${what} failed: ${messageOf(error)}`, error);
    return false;
  }
}

function withoutDead<T extends { readonly process: SimProcess }>(processes: T[]): T[] {
  return processes.every(({ process }) => process.alive) ? processes : processes.filter(({ process }) => process.alive);
}
