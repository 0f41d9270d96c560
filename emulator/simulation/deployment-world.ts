/**
 * A simulated deployment: a job's functions with their real handlers and adapters, event source mappings, and the services that they
 * use, in one process, in virtual time, from one seed; and what is independently known of them. Decides nothing: what happens when is
 * the agenda's.
 *
 * C1 Entry n of a ring is written at most once.
 * C3 No function fails but by what is meant to be tried again, or as code that others have taken over from.
 * C7 No record is late: the workload has none that could be.
 *
 * Those of CommitChecker, SinkWorld and checkers.ts are held as well.
 */
import { createCoordinatorHandler } from "../../functions/coordinator.ts";
import { defaultInbox, writeSettings } from "../../functions/contract.ts";
import type { InvocationTelemetry } from "../../functions/function-telemetry.ts";
import type { CheckedSinks } from "../../functions/open-ports.ts";
import { openSinks } from "../../functions/open-sinks.ts";
import { createTaskHandler, type FunctionParts } from "../../functions/task.ts";
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import type { Job } from "../../runtime/api/job.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type BlobName, id, type TaskId } from "../../runtime/base/ids.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { defaultAttempts } from "../../runtime/driver/attempt-log.ts";
import { loadCommit } from "../../runtime/driver/journal-entry.ts";
import { isPlannedBy } from "../../runtime/driver/topology.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { Blobs } from "../../runtime/ports/blobs.ts";
import type { StoredEntry } from "../../runtime/ports/journal.ts";
import type { SinkDriver } from "../../runtime/ports/sink-driver.ts";
import { decodeJobRecord, type JobRecord } from "../../runtime/snapshots/job-record.ts";
import { jobRing, lookLease, restoreLease } from "../../runtime/snapshots/names.ts";
import { readFrame } from "../../runtime/streaming/frame.ts";
import type { Outcome } from "../../runtime/testing/simulation/checkers.ts";
import { CommitChecker } from "../../runtime/testing/simulation/commit-checker.ts";
import { SimulationFailure } from "../../runtime/testing/simulation/failure.ts";
import { type Rule, safeguardsWithout, versionPartOf } from "../../runtime/testing/simulation/rules.ts";
import { jobOptions } from "../../runtime/testing/simulation/settings.ts";
import type { Outside } from "../../runtime/testing/simulation/sinks.ts";
import { SinkWorld } from "../../runtime/testing/simulation/sink-world.ts";
import { SimSources } from "../../runtime/testing/simulation/sources.ts";
import { jobOf } from "../../runtime/testing/simulation/topologies.ts";
import { Trace } from "../../runtime/testing/simulation/trace.ts";
import type { Topology } from "../../runtime/testing/simulation/topology.ts";
import { createRecords, encodeRecord, type SimRecord, type Touch } from "../../runtime/testing/simulation/workload.ts";
import { EventSourceMapping } from "../event-source-mapping/event-source-mapping.ts";
import { KinesisStream } from "../event-source-mapping/kinesis-stream.ts";
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import { AsyncInvocations } from "../lambda/async-invocations.ts";
import type { ExecutionEnvironmentFactory } from "../lambda/execution-environment.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { deploySink, DeployedSinks } from "./deployed-sinks.ts";
import type { DeploymentFaults } from "./deployment-faults.ts";
import { type DeploymentSettings, drawDeployment } from "./deployment-settings.ts";
import type { Item } from "./dynamo-answers.ts";
import { DynamoService } from "./dynamo-service.ts";
import { EndingLog } from "./ending-log.ts";
import { FunctionEnvironment, type Handler, ProcessClock } from "./function-environment.ts";
import { KinesisService } from "./kinesis-service.ts";
import { S3Service } from "./s3-service.ts";
import { clientsOf, type Input } from "./sdk-clients.ts";
import { ServiceCalls } from "./service-calls.ts";
import { SimulatedFunction } from "./simulated-function.ts";
import { SimulatedProcess } from "./simulated-process.ts";

const tableName = "state";
const bucketName = "state-bucket";
const jobName = "simulated";

/** How long a zombie lives at most after its time-out: with that of the coordinator it is less than what environments count with. */
const zombieMsMax = 4 * 60_000;
const coordinatorTimeoutMs = 15 * 60_000;

export interface DeploymentOptions {
  readonly seed: number;
  readonly topology?: string | undefined;
  readonly faults: DeploymentFaults;
  /** Settings to take instead of the seed's. */
  readonly settings?: Partial<DeploymentSettings> | undefined;
  /** How many of the last events are kept; default 80. */
  readonly keptEvents?: number | undefined;
  /** The rule that is switched off. */
  readonly without?: Rule | undefined;
}

/** Code that is deployed: what the functions' bundles hold. */
export interface Deployed {
  readonly deployment: number;
  readonly parallelism: number;
  /** It does not fit the state that is there: it must change nothing. */
  readonly isMisfit: boolean;
}

/** What was done to the deployment, beside the faults. */
export const actNames = [
  "resharded",
  "deployed",
  "misdeployed",
  "rolledBack",
  "restored",
  "saved",
  "paused",
  "pausedLong",
  "stopped",
] as const;
export type Act = (typeof actNames)[number];

export class DeploymentWorld {
  readonly options: DeploymentOptions;
  readonly random: SeededRandom;
  readonly settings: DeploymentSettings;
  readonly clock = new WholeClock();
  readonly trace: Trace;
  readonly calls: ServiceCalls;
  readonly log: EndingLog;
  readonly sources: SimSources;
  readonly records: readonly SimRecord[];
  /** What came out. */
  readonly sinks: Outcome["sinks"];
  /** Tables of an author's kind. */
  readonly outside: Outside = new Map();
  readonly s3: S3Service;
  /** What lies in the bucket under the job's names, past all faults. */
  readonly blobs: Pick<Blobs, "get">;
  readonly functions = new Map<string, SimulatedFunction>();
  /** By stream. */
  readonly mappings = new Map<string, EventSourceMapping>();
  readonly pokes: AsyncInvocations;
  deployed: Deployed;
  /** The job record as it was last written. */
  record: JobRecord | undefined;
  completedCheckpoints = 0;
  readonly acts = Object.fromEntries(actNames.map((act) => [act, 0])) as Record<Act, number>;
  failure: SimulationFailure | undefined;
  readonly #dynamo: DynamoService;
  readonly #sinkWorld: SinkWorld;
  readonly #hasRealSinks: boolean;
  #kinesis: KinesisService | undefined;
  readonly #commits = new CommitChecker((message) => this.fail(message));
  readonly #written = new Set<string>();
  readonly #plans = new Map<Deployed, JobGraph>();
  #names = 0;
  /** By stream, the function that its mapping invokes. */
  #routes: ReadonlyMap<string, string> = new Map();

  constructor(options: DeploymentOptions) {
    this.options = options;
    this.random = new SeededRandom(options.seed);
    this.trace = new Trace(options.keptEvents);
    this.settings = { ...drawDeployment(this.random, options.topology), ...options.settings };
    const { topology, records, parallelism } = this.settings;
    this.calls = new ServiceCalls(this.clock, this.#newRandom(), this.trace, options.faults);
    const clock = { now: () => this.clock.now(), sleep: () => Promise.resolve(), remainingMs: () => Infinity };
    this.log = new EndingLog(new MemoryLog({ clock }));
    this.log.onAppended = (stream, appended, results) => this.#onAppended(stream, appended, results);
    const own = createRecords(topology.sources, records, options.faults.poison, this.random, topology.deadly);
    this.records = [...own.values()].flat();
    this.calls.counts.poison += this.records.filter(({ deadly }) => deadly !== undefined).length;
    const event = (record: SimRecord) => ({ partitionKey: record.key, bytes: encodeRecord(record) });
    this.sources = new SimSources(this.log, new Map([...own].map(([source, list]) => [source, list.map(event)])));
    this.s3 = new S3Service(this.clock, this.calls);
    this.blobs = { get: async (name, range) => this.#peek(name, range) };
    this.#dynamo = new DynamoService({
      table: tableName,
      clock: this.clock,
      random: this.#newRandom(),
      calls: this.calls,
      onPut: (_table, item) => this.#onPut(item),
      skipsCondition: options.without === "R1" ? isEntry : undefined,
    });
    const built = jobOf(topology, jobOptions(this.settings, parallelism), () => undefined, this.outside);
    const isOwn = ({ spec }: (typeof built.graph.nodes)[number]) => spec.kind === "sink" && spec.sink.kind === "custom";
    this.#hasRealSinks = this.settings.realSinks || built.graph.nodes.some(isOwn);
    this.#sinkWorld = new SinkWorld((message) => this.fail(message), versionPartOf(options.without));
    this.sinks = this.#hasRealSinks ? new DeployedSinks(this.s3, this.#dynamo.rows) : this.#sinkWorld;
    this.pokes = new AsyncInvocations({ clock: this.clock, retryDelaysMs: [] });
    this.deployed = { deployment: 1, parallelism, isMisfit: false };
  }

  get topology(): Topology {
    return this.settings.topology;
  }

  /** Makes streams, functions and mappings. */
  async create(): Promise<void> {
    const clock = { now: () => this.clock.now(), sleep: (ms: number) => this.clock.sleep(ms), remainingMs: () => Infinity };
    this.#kinesis = await KinesisService.open(this.log, clock, this.calls, this.#newRandom());
    await this.sources.create(this.random);
    await this.#provision();
    this.functions.set(
      "coordinator",
      this.#function("coordinator", coordinatorTimeoutMs, () => this.#coordinatorFactory()),
    );
  }

  /** What a deployment makes beside code: inboxes, functions and mappings of stages that are new; and mappings of those that are gone, it removes. */
  async #provision(): Promise<void> {
    const routes = new Map<string, string>();
    for (const { id: stage, sources, parallelism } of this.plan().stages) {
      const inbox = defaultInbox(jobName, stage);
      const name = functionOf(stage);
      if (sources.length === 0) await this.log.createStream(inbox, Number(parallelism));
      for (const stream of sources.length > 0 ? sources : [inbox]) routes.set(stream, name);
      if (!this.functions.has(name))
        this.functions.set(
          name,
          this.#function(name, this.settings.timeoutMs, () => this.#taskFactory(name)),
        );
    }
    this.#routes = routes;
    for (const [stream, mapping] of this.mappings)
      if (!routes.has(stream)) {
        this.mappings.delete(stream);
        void mapping.stop();
      }
    for (const stream of routes.keys()) if (!this.mappings.has(stream)) this.mappings.set(stream, this.#mapping(stream));
  }

  /** The plan of the code that is deployed. */
  plan(deployed = this.deployed): JobGraph {
    let graph = this.#plans.get(deployed);
    if (graph === undefined) this.#plans.set(deployed, (graph = planJob(this.#job(() => undefined, deployed))));
    return graph;
  }

  /** Whether the job's generation is of the plan that is deployed: another is followed by a restore. */
  get runsWhatIsDeployed(): boolean {
    const { record } = this;
    const tasksOf = (stage: string) => record?.topology.find((known) => known.stage === stage)?.tasks.length;
    return (
      record !== undefined &&
      isPlannedBy(record, this.plan()) &&
      this.plan().stages.every(({ id: stage, kind, parallelism }) => kind !== "keyed" || tasksOf(stage) === parallelism)
    );
  }

  /** Functions run new code from now on, one after the other. */
  async deploy(parallelism: number, isMisfit = false): Promise<void> {
    this.deployed = { deployment: this.deployed.deployment + 1, parallelism, isMisfit };
    this.note(`deploys ${this.deployed.deployment} of parallelism ${parallelism}${isMisfit ? ", which does not fit" : ""}`);
    await this.#provision();
    // Those of stages that are gone keep their code to the end.
    for (const name of this.random.shuffled(["coordinator", ...new Set(this.#routes.values())])) {
      await this.clock.sleep(this.random.int(5_000));
      await this.functions.get(name)!.deploy(name === "coordinator" ? this.#coordinatorFactory() : this.#taskFactory(name));
    }
  }

  /** Has the coordinator's function called, as the schedule does; what comes of it nobody hears. */
  ring(command: object): void {
    this.pokes.put("coordinator", this.functions.get("coordinator")!, bytesOf(command));
  }

  readonly fail = (message: string, cause?: unknown): void => {
    this.failure ??= new SimulationFailure(message, cause === undefined ? undefined : { cause });
  };

  note(what: string): void {
    this.trace.add(this.clock.now(), "world", what);
  }

  async stop(): Promise<void> {
    for (const known of this.functions.values()) await known.stop();
  }

  // ---- the job ----

  #job(onTouch: Touch, { parallelism, isMisfit } = this.deployed): Job {
    const options = jobOptions(this.settings, parallelism);
    const keyGroups = isMisfit ? this.settings.keyGroups * 2 : this.settings.keyGroups;
    const job = jobOf(this.settings.topology, { ...options, keyGroups }, onTouch, this.outside);
    const nodes = job.graph.nodes.map((node) => {
      if (node.spec.kind === "sink" && this.#hasRealSinks)
        return { ...node, spec: { ...node.spec, sink: deploySink(node.uid, node.spec.sink) } };
      if (node.spec.kind !== "source") return node;
      const { source } = node.spec;
      const options = { stream: source.name, startFrom: "horizon", whenLost: "fail" };
      return { ...node, spec: { ...node.spec, source: { ...source, kind: "kinesis", options } } };
    });
    return { ...job, graph: { ...job.graph, nodes } };
  }

  /** What records do to whoever runs them: some take their time, some end the process, without an exception. */
  #touchOf(process: SimulatedProcess): Touch {
    return (record, place) => {
      if (record.deadly === place) {
        if (process.alive) this.trace.add(this.clock.now(), process.name, `dies of record ${record.id}`);
        process.die();
        throw new Error("seen by nobody");
      }
      if (process.alive && this.calls.happens("slowRecord")) process.busyMs += this.settings.slowRecordMs;
    };
  }

  // ---- functions ----

  #function(name: string, timeoutMs: number, factory: () => ExecutionEnvironmentFactory): SimulatedFunction {
    const { coldStart, recycled } = this.options.faults;
    const options = { coldStartChance: coldStart, recycleChance: recycled, newSeed: () => this.random.int(2 ** 31) };
    return new SimulatedFunction({ name, clock: this.clock, timeoutMs, zombieMsMax, ...options }, factory());
  }

  #taskFactory(name: string): ExecutionEnvironmentFactory {
    const { deployed } = this;
    return async () => {
      const process = new SimulatedProcess(`${name}#${++this.#names}`);
      const { payload, cacheBytesMax, journalBytesMax, recordsPerTurn, limits } = this.settings;
      const handler = createTaskHandler(this.#job(this.#touchOf(process), deployed), {
        ...this.#partsOf(process, deployed),
        environment: {
          payload,
          messageBytesMax: payload.inlineBytesMax,
          cacheBytesMax,
          journalBytesMax,
          recordsPerTurn,
          limits,
          firstPart: 2,
          // Environments die here as they never do elsewhere: what happens to a record by chance must not look like poison.
          attempts: { ...defaultAttempts, aloneMax: 6 },
          safeguards: safeguardsWithout(this.options.without),
        },
      });
      return this.#environment(process, handler, deployed);
    };
  }

  #coordinatorFactory(): ExecutionEnvironmentFactory {
    const { deployed } = this;
    return async () => {
      const process = new SimulatedProcess(`coordinator#${++this.#names}`);
      const handler = createCoordinatorHandler(
        this.#job(() => undefined, deployed),
        {
          ...this.#partsOf(process, deployed),
          invoke: (name, event) => this.#poke(process, name, event),
          environment: { safeguards: safeguardsWithout(this.options.without) },
          collectEvery: this.settings.collectEvery,
        },
      );
      return this.#environment(process, handler, deployed);
    };
  }

  #environment(process: SimulatedProcess, handler: Handler, deployed: Deployed): FunctionEnvironment {
    return new FunctionEnvironment(process, this.clock, handler, (one, event, answer, error) => {
      if (error === undefined) return this.calls.note(one, `answers ${JSON.stringify(answer)}`);
      this.calls.note(one, `throws ${String(error)}`);
      this.#judge(event, error, deployed);
    });
  }

  /** C3. */
  #judge(event: unknown, error: unknown, { deployment, isMisfit }: Deployed): void {
    const { name } = error as Error;
    if (name === "Millrace.unavailable") return;
    if (name === "Millrace.fenced" && deployment < this.deployed.deployment) return;
    // A table outside refuses what an environment of an older generation repeats.
    const [, by] = /generation (\d+) has taken over/.exec(String(error)) ?? [];
    if (name === "Millrace.fenced" && by !== undefined && Number(by) <= (this.record?.generation ?? 0)) return;
    // An order may be refused: whoever gave it looks at what became of it.
    if (name === "Millrace.invalid" && (isMisfit || (event as { id?: string }).id !== undefined)) return;
    this.fail(`C3: a function of deployment ${deployment} failed: ${String(error)}`, error);
  }

  #partsOf(process: SimulatedProcess, deployed: Deployed): FunctionParts {
    const { skewMsMax, ringSize } = this.settings;
    const random = this.#newRandom();
    const clock = new ProcessClock(process, this.clock, this.calls, random.between(-skewMsMax, skewMsMax));
    const graph = this.plan(deployed);
    const variables = writeSettings({
      stateTable: tableName,
      stateBucket: bucketName,
      deadLetterBucket: bucketName,
      deployment: deployed.deployment,
      bindings: {},
      inboxes: {},
      taskFunctions: Object.fromEntries(graph.stages.map(({ id: stage }) => [stage, [functionOf(stage)]])),
      stage: "",
      cell: 0,
    });
    let made = 0;
    return {
      variables,
      clients: clientsOf(process, this.calls, random, { dynamodb: this.#dynamo, s3: this.s3, kinesis: this.#kinesis! }),
      telemetry: this.#telemetry(process),
      clock,
      openSinks: (asked) => (this.#hasRealSinks ? this.#realSinksOf(openSinks(asked)) : this.#sinksOf(process)),
      random: () => random.next(),
      newId: () => `${process.name}-${++made}`,
      ringSize,
    };
  }

  /** A failure of an invocation is judged where it is answered. */
  #telemetry(process: SimulatedProcess): InvocationTelemetry {
    return {
      add: () => undefined,
      gauge: () => undefined,
      flush: () => undefined,
      log: (level, message, fields) => {
        if (level !== "error" || message === "the invocation failed" || !process.alive) return;
        this.fail(`C3: ${process.name}: ${message} ${JSON.stringify(fields)}`);
      },
    };
  }

  async #poke(process: SimulatedProcess, name: string, event: object): Promise<void> {
    await this.#atService(process, `invoke ${name} ${JSON.stringify(event)}`, async () => {
      if (this.calls.happens("lostPoke")) return;
      const times = this.calls.happens("repeatedPoke") ? 2 : 1;
      for (let n = 0; n < times; n++) this.pokes.put(name, this.functions.get(name)!, bytesOf(event));
    });
  }

  // ---- the outside ----

  /** The real ones, watched. */
  #realSinksOf(real: CheckedSinks): CheckedSinks {
    return {
      check: async () => real.check?.(),
      carryOut: async (effect) => {
        await real.carryOut(effect);
        this.#commits.onSink(effect);
      },
      deadLetters: async (batch) => {
        await real.deadLetters(batch);
        this.sinks.deadLettersSeen.push(batch);
        this.#commits.onDeadLetters(batch);
      },
      quarantine: (operator, restored) => real.quarantine(operator, restored),
      quarantineLetters: async (restored) => real.quarantineLetters?.(restored),
    };
  }

  #sinksOf(process: SimulatedProcess): SinkDriver {
    const sinks = this.#sinkWorld;
    return {
      carryOut: (effect) =>
        this.#atService(process, `sink ${effect.operator} ${effect.task} ${effect.seq}.${effect.n}`, async () => {
          await sinks.carryOut(effect);
          this.#commits.onSink(effect);
          this.calls.echo(() => sinks.carryOut(effect));
        }),
      deadLetters: (batch) =>
        this.#atService(process, `deadLetters ${batch.task} ${batch.seq}`, async () => {
          await sinks.deadLetters(batch);
          this.#commits.onDeadLetters(batch);
        }),
      quarantine: (operator, restored) =>
        this.#atService(process, `quarantine ${operator} for ${restored.generation}`, () => sinks.quarantine(operator, restored)),
    };
  }

  /** A request that nobody repeats but the engine. */
  async #atService(process: SimulatedProcess, what: string, effect: () => Promise<void>): Promise<void> {
    const result = await this.calls.request(process, what, 30, effect);
    if ("answer" in result) return result.answer;
    throw new MillraceError("unavailable", `simulated: ${result.failed}`);
  }

  // ---- mappings ----

  #mapping(stream: string): EventSourceMapping {
    const { calls } = this;
    // Of the pollers' own: not the faults' concern.
    const client = { send: (command: object & { input: Input }) => this.#pollerRequest(command) };
    return new EventSourceMapping({
      stream: new KinesisStream(client as never, stream),
      invoker: { invoke: (payload) => this.functions.get(this.#routes.get(stream)!)!.invoke(payload) },
      clock: this.clock,
      seed: this.random.int(2 ** 31),
      settings: {
        startingPosition: "TRIM_HORIZON",
        batchSize: this.settings.batchMax,
        maximumBatchingWindowInSeconds: this.settings.batchingWindowSeconds,
        functionResponseTypes: ["ReportBatchItemFailures"],
      },
      timings: { backOffMs: 400, backOffMsMax: 6_000, shardDiscoveryMs: 4_000 },
      faults: {
        get duplicateChance() {
          return calls.mix.duplicate;
        },
        get goBackChance() {
          return calls.mix.wentBack;
        },
      },
      onEvent: (event) => this.#onMappingEvent(stream, event),
    });
  }

  #pollerRequest(command: object & { readonly input: Input }): Promise<object> {
    return this.#kinesis!.carryOut(command.constructor.name.replace(/Command$/, ""), command.input);
  }

  #onMappingEvent(stream: string, event: MappingEvent): void {
    if (event.kind === "wentBack") this.calls.counts.wentBack++;
    if (event.kind === "discarded") this.fail(`M1: the mapping of ${stream} discarded records`);
    if (event.kind !== "invoked") return;
    if (event.isDuplicate) this.calls.counts.duplicate++;
    const [first] = event.sequenceNumbers;
    const what = `${stream} ${event.shardId.slice(-2)} ${event.sequenceNumbers.length} from ${first?.slice(-9)}: ${event.outcome}`;
    this.trace.add(this.clock.now(), "mapping", event.isDuplicate ? `${what}, a duplicate` : what);
  }

  // ---- what is known ----

  #onAppended(
    stream: string,
    records: readonly { readonly bytes: Uint8Array }[],
    results: readonly { readonly shard: string; readonly position: string }[],
  ): void {
    if (!stream.startsWith(`${jobName}-inbox-`)) return;
    for (const [n, { bytes }] of records.entries()) {
      const { channel, seq } = readFrame(bytes);
      const { shard, position } = results[n]!;
      this.note(`frame ${seq} of ${channel} is record ${position} of ${stream} ${shard.slice(-2)}`);
      this.#commits.onAppended(bytes);
    }
  }

  async #onPut(item: Item): Promise<void> {
    if (!isEntry(item)) return;
    const task = id<TaskId>(decodeURIComponent(item.p!.S!.slice(`${jobName}/ring/`.length)));
    const entry: StoredEntry = { seq: Number(item.n!.N), bytes: item.b!.B! };
    const name = `${task} ${entry.seq}`;
    if (this.#written.has(name)) this.fail(`C1: entry ${entry.seq} of ${task} was written twice`);
    this.#written.add(name);
    if (task === lookLease || task === restoreLease) return;
    if (task === jobRing) return this.#onJobRecord(decodeJobRecord(entry.bytes));
    const commit = await loadCommit(task, entry, this.blobs as Blobs);
    if (commit.progress.totals.lateDropped > 0) this.fail(`C7: records were late at ${task}, which none is by its making`);
    this.#commits.onCommit(commit, this.record);
  }

  #onJobRecord(record: JobRecord): void {
    if (record.completed !== undefined && record.completed !== this.record?.completed) this.completedCheckpoints++;
    this.note(`job record: generation ${record.generation} ${record.phase}, completed ${record.completed}`);
    this.record = record;
  }

  async #peek(name: BlobName, range?: { readonly offset: number; readonly length: number }): Promise<Uint8Array | undefined> {
    const bytes = this.s3.peek(bucketName, `${jobName}/${name}`);
    if (bytes === undefined || range === undefined) return bytes;
    const from = range.offset < 0 ? Math.max(0, bytes.length + range.offset) : range.offset;
    return bytes.slice(from, from + range.length);
  }

  #newRandom(): SeededRandom {
    return new SeededRandom(this.random.int(2 ** 31));
  }
}

/** Of whole milliseconds, as the functions' is. */
class WholeClock extends VirtualClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(Math.ceil(ms), signal);
  }
}

function functionOf(stage: string): string {
  return `${jobName}-${stage}`;
}

function bytesOf(event: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(event));
}

function isEntry(item: Item): boolean {
  return item.p!.S!.startsWith(`${jobName}/ring/`) && item.s!.S!.startsWith("e");
}
