/**
 * A job of a simulated deployment: its functions with their real handlers and adapters, its event source mappings, and what is independently
 * known of it. Services, sources and the clock are the world's; what happens when is the agenda's.
 *
 * C1 Entry n of a ring is written at most once.
 * C3 No function fails but by what is meant to be tried again, or as code that others have taken over from.
 * C7 No record is late: the workload has none that could be.
 *
 * Those of CommitChecker, SinkWorld and checkers.ts are held as well.
 */
import { type CheckParts, createCheckHandler } from "../../functions/check.ts";
import type { CustomResourceOutcome } from "../../functions/custom-resource.ts";
import { createCoordinatorHandler } from "../../functions/coordinator.ts";
import { defaultInbox, writeSettings } from "../../functions/contract.ts";
import type { InvocationTelemetry } from "../../functions/function-telemetry.ts";
import type { CheckedSinks } from "../../functions/open-ports.ts";
import { openSinks } from "../../functions/open-sinks.ts";
import { createTaskHandler, type FunctionParts } from "../../functions/task.ts";
import type { Job } from "../../runtime/api/job.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type BlobName, id, type TaskId } from "../../runtime/base/ids.ts";
import { defaultAttempts } from "../../runtime/driver/attempt-log.ts";
import { loadCommit } from "../../runtime/driver/journal-entry.ts";
import { isPlannedBy, rootTasks } from "../../runtime/driver/topology.ts";
import type { JobGraph, StagePlan } from "../../runtime/plan/job-graph.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { Blobs } from "../../runtime/ports/blobs.ts";
import type { StoredEntry } from "../../runtime/ports/journal.ts";
import type { SinkDriver } from "../../runtime/ports/sink-driver.ts";
import { decodeJobRecord, type JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeManifest, isTombstone, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { jobRing, lookLease, restoreLease } from "../../runtime/snapshots/names.ts";
import { readFrame } from "../../runtime/streaming/frame.ts";
import type { Kept, Outcome } from "../../runtime/testing/simulation/checkers.ts";
import { CommitChecker } from "../../runtime/testing/simulation/commit-checker.ts";
import { safeguardsWithout, versionPartOf } from "../../runtime/testing/simulation/rules.ts";
import { jobOptions } from "../../runtime/testing/simulation/settings.ts";
import type { Outside } from "../../runtime/testing/simulation/sinks.ts";
import { SinkWorld } from "../../runtime/testing/simulation/sink-world.ts";
import { jobOf } from "../../runtime/testing/simulation/topologies.ts";
import type { Touch } from "../../runtime/testing/simulation/workload.ts";
import { EventSourceMapping } from "../event-source-mapping/event-source-mapping.ts";
import { KinesisStream } from "../event-source-mapping/kinesis-stream.ts";
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import { cellsOf } from "../../infra/cells.ts";
import type { ExecutionEnvironmentFactory } from "../lambda/execution-environment.ts";
import { deploySink, DeployedSinks } from "./deployed-sinks.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { objectSource } from "./object-sources.ts";
import type { Item } from "./dynamo-answers.ts";
import { ForkedOutputs, type PutOut } from "./forked-outputs.ts";
import { FunctionEnvironment, type Handler, ProcessClock } from "./function-environment.ts";
import { type Input } from "./sdk-clients.ts";
import { SimulatedFunction } from "./simulated-function.ts";
import { SimulatedProcess } from "./simulated-process.ts";

export const tableName = "state";
export const bucketName = "state-bucket";

/** How long a zombie lives at most after its time-out: with that of the coordinator it is less than what environments count with. */
const zombieMsMax = 4 * 60_000;
const coordinatorTimeoutMs = 15 * 60_000;

const checkTimeoutMs = 2 * 60_000;

/** What is told as an error, and looked at where it leads to. */
const judgedElsewhere: ReadonlySet<string> = new Set(["the invocation failed", "the deployment is refused"]);

/** Code that is deployed: what the functions' bundles hold. */
export interface Deployed {
  readonly deployment: number;
  readonly parallelism: number;
  /** It does not fit the state that is there: it must change nothing. */
  readonly isMisfit: boolean;
}

export class DeployedJob implements Kept {
  readonly name: string;
  /** The function that the schedule rings. */
  readonly coordinator: string;
  /** What lies in the bucket under the job's names, past all faults. */
  readonly blobs: Pick<Blobs, "get">;
  readonly functions = new Map<string, SimulatedFunction>();
  /** By stream. */
  readonly mappings = new Map<string, EventSourceMapping>();
  deployed: Deployed;
  /** The job record as it was last written. */
  record: JobRecord | undefined;
  completedCheckpoints = 0;
  /** What came out of the job that this one began from, until it did. */
  began: PutOut | undefined;
  /** Called with the checkpoint of another job that the job is to begin from. */
  onAdopted: (manifest: Manifest) => void = () => undefined;
  readonly #world: DeploymentWorld;
  readonly #sinks: Pick<SinkWorld, "list" | "table" | "deleted" | "deadLettersSeen">;
  /** Tables of an author's kind. */
  readonly #outside: Outside = new Map();
  readonly #sinkWorld: SinkWorld;
  readonly #hasRealSinks: boolean;
  readonly #commits = new CommitChecker((message) => this.fail(message));
  readonly #written = new Set<string>();
  /** Tasks that have ended, and who goes on after each. */
  readonly #ended = new Map<TaskId, readonly TaskId[]>();
  readonly #plans = new Map<Deployed, JobGraph>();
  /** The last generation before the job began from another's checkpoint. */
  #adoptedAfter = 0;
  /** Of the last deployment that was tried. */
  #ordinal = 1;
  /** By stream, the function that its mapping invokes. */
  #routes: ReadonlyMap<string, string> = new Map();

  constructor(name: string, parallelism: number, world: DeploymentWorld) {
    this.name = name;
    this.coordinator = `${name}-coordinator`;
    this.#world = world;
    const { settings, options, s3, rows } = world;
    this.blobs = { get: async (blob, range) => this.#peek(blob, range) };
    const built = jobOf(settings.topology, jobOptions(settings, parallelism), () => undefined, this.#outside);
    const isOwn = ({ spec }: (typeof built.graph.nodes)[number]) => spec.kind === "sink" && spec.sink.kind === "custom";
    this.#hasRealSinks = settings.realSinks || built.graph.nodes.some(isOwn);
    this.#sinkWorld = new SinkWorld((message) => this.fail(message), versionPartOf(options.without));
    this.#sinks = this.#hasRealSinks ? new DeployedSinks(name, s3, rows) : this.#sinkWorld;
    this.deployed = { deployment: 1, parallelism, isMisfit: false };
  }

  /** Makes functions, mappings and inboxes. */
  async create(): Promise<void> {
    await this.#provision();
    this.functions.set(
      this.coordinator,
      this.#function(this.coordinator, coordinatorTimeoutMs, () => this.#coordinatorFactory()),
    );
  }

  /** What a deployment makes beside code: inboxes, functions and mappings of stages that are new; and mappings of those that are gone, it removes. */
  async #provision(): Promise<void> {
    const { settings, log } = this.#world;
    const routes = new Map<string, string>();
    for (const stage of this.plan().stages)
      for (const [cell, name] of this.#functionsOf(stage).entries()) {
        if (stage.sources.length > 0) {
          // Nothing rings for objects.
          if (settings.sources === "streams") for (const stream of stage.sources) routes.set(stream, name);
        } else {
          const inboxes = this.#inboxesOf(stage);
          await log.createStream(inboxes[cell]!, Number(stage.parallelism) / inboxes.length);
          routes.set(inboxes[cell]!, name);
        }
        if (!this.functions.has(name))
          this.functions.set(
            name,
            this.#function(name, settings.timeoutMs, () => this.#taskFactory(name)),
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

  /**
   * Has the code looked at before it takes effect, then functions run it, one after the other. Undefined: it was refused, and all is as
   * before. `unchecked`: it takes effect whatever the check says.
   */
  async deploy(parallelism: number, { isMisfit = false, unchecked = false } = {}): Promise<Deployed | undefined> {
    const { random, clock } = this.#world;
    const next: Deployed = { deployment: ++this.#ordinal, parallelism, isMisfit };
    if (!(await this.#passes(next)) && !unchecked) return undefined;
    this.deployed = next;
    this.note(`deploys ${this.deployed.deployment} of parallelism ${parallelism}${isMisfit ? ", which does not fit" : ""}`);
    await this.#provision();
    // Those of stages that are gone keep their code to the end.
    const tasks = this.plan().stages.flatMap((stage) => this.#functionsOf(stage));
    for (const name of random.shuffled([this.coordinator, ...tasks])) {
      await clock.sleep(random.int(5_000));
      const factory = name === this.coordinator ? this.#coordinatorFactory() : this.#taskFactory(name);
      await this.functions.get(name)!.deploy(factory);
    }
    return next;
  }

  /** As CloudFormation asks before it changes anything; of a check that died it hears nothing, and takes that for a refusal. */
  async #passes(next: Deployed): Promise<boolean> {
    const answers: CustomResourceOutcome[] = [];
    const name = `${this.name}-check`;
    const runsBefore = this.record?.phase === "running";
    const factory = async () => {
      const process = this.#world.newProcess(name);
      const parts: CheckParts = {
        ...this.#partsOf(process, next),
        accountLimits: async () => ({ executions: 1_000, unreserved: 1_000 }),
        answer: async (_request, outcome) => void answers.push(outcome),
      };
      const handler = createCheckHandler(
        this.#job(() => undefined, next),
        parts,
      );
      return this.#environment(process, handler, next);
    };
    const check = this.#function(name, checkTimeoutMs, () => factory);
    this.functions.set(`${name}-${next.deployment}`, check);
    const properties = (deployment: number) => ({ Deployment: String(deployment), Keys: [] });
    await check.invoke(
      bytesOf({
        RequestType: "Update",
        ResponseURL: "https://answers",
        ResourceProperties: properties(next.deployment),
        OldResourceProperties: properties(this.deployed.deployment),
      }),
    );
    const [answer] = answers;
    this.note(`the check of ${next.deployment} says ${JSON.stringify(answer)}`);
    const passes = answer?.outcome === "passed";
    if (passes && next.isMisfit && runsBefore && this.record?.phase === "running")
      this.fail(`the check of deployment ${next.deployment} lets pass what does not fit`);
    return passes;
  }

  /** Has the coordinator's function called, as the schedule does; what comes of it nobody hears. */
  ring(command: object): void {
    this.#world.pokes.put(this.coordinator, this.functions.get(this.coordinator)!, bytesOf(command));
  }

  readonly fail = (message: string, cause?: unknown): void => this.#world.fail(message, cause);

  note(what: string): void {
    this.#world.note(`${this.name}: ${what}`);
  }

  async stop(): Promise<void> {
    for (const known of this.functions.values()) await known.stop();
  }

  // ---- what came out ----

  /** Of a fork, with what came out of the job that it began from before it did. */
  get outcome(): Outcome {
    const { topology, records } = this.#world;
    const before = this.#adoptedAfter;
    // What it put aside while it ran by itself has been taken back.
    const deadLettersSeen = this.#sinks.deadLettersSeen.filter(({ generation }) => generation > before);
    const lists: Outcome["sinks"] = {
      list: (uid) => this.#sinks.list(uid),
      table: (uid) => this.#sinks.table(uid),
      deadLettersSeen,
    };
    const own: PutOut = { sinks: lists, outside: this.#outside };
    const { sinks, outside } =
      this.began === undefined ? own : new ForkedOutputs(this.began, own, (uid) => this.#sinks.deleted(uid));
    return { topology, records, sinks, outside, fail: this.fail };
  }

  /** As it stands now: a copy. Undefined `at`: all that came out; else what counted as put out at that checkpoint. */
  putOut(at: Manifest | undefined): PutOut {
    const isAt = (batch: { readonly generation: number; readonly task: TaskId; readonly seq: number }) =>
      at === undefined ||
      batch.generation < at.generation ||
      (batch.generation === at.generation && batch.seq <= (at.tasks.find(({ task }) => task === batch.task)?.lastSeq ?? 0));
    const deadLettersSeen = this.#sinks.deadLettersSeen.filter(isAt);
    const lastSeq = at && new Map(at.tasks.map((ack) => [ack.task, ack.lastSeq]));
    const contents = lastSeq === undefined ? this.#sinks : this.#sinkWorld.at({ from: at!.generation, lastSeq });
    const uids = this.plan().graph.nodes.flatMap(({ uid, spec }) => (spec.kind === "sink" ? [uid] : []));
    const lists = new Map(uids.map((uid) => [uid, contents.list(uid)]));
    const tables = new Map(uids.map((uid) => [uid, contents.table(uid)]));
    const outside: Outside = new Map(
      [...this.#outside].map(([uid, { functions, rows }]) => [uid, { functions, rows: new Map(rows) }]),
    );
    return { sinks: { list: (uid) => lists.get(uid)!, table: (uid) => tables.get(uid)!, deadLettersSeen }, outside };
  }

  /** Whether it is known of what a checkpoint contains what had been put out by then. */
  get hasHistory(): boolean {
    return !this.#hasRealSinks;
  }

  // ---- the job ----

  #job(onTouch: Touch, { parallelism, isMisfit } = this.deployed): Job {
    const { settings } = this.#world;
    const options = jobOptions(settings, parallelism);
    const keyGroups = isMisfit ? settings.keyGroups * 2 : settings.keyGroups;
    const job = jobOf(settings.topology, { ...options, keyGroups }, onTouch, this.#outside);
    const nodes = job.graph.nodes.map((node) => {
      if (node.spec.kind === "sink" && this.#hasRealSinks)
        return { ...node, spec: { ...node.spec, sink: deploySink(this.name, node.uid, node.spec.sink) } };
      if (node.spec.kind !== "source") return node;
      const { source } = node.spec;
      if (settings.sources === "objects") return { ...node, spec: { ...node.spec, source: objectSource(source.name) } };
      const options = { stream: source.name, startFrom: "horizon", whenLost: "fail" };
      return { ...node, spec: { ...node.spec, source: { ...source, kind: "kinesis", options } } };
    });
    return { ...job, name: this.name, graph: { ...job.graph, nodes } };
  }

  /** What records do to whoever runs them: some take their time, some end the process, without an exception. */
  #touchOf(process: SimulatedProcess): Touch {
    const { calls, settings } = this.#world;
    return (record, place) => {
      if (record.deadly === place) {
        if (process.alive) calls.note(process, `dies of record ${record.id}`);
        process.die();
        throw new Error("seen by nobody");
      }
      if (process.alive && calls.happens("slowRecord")) process.busyMs += settings.slowRecordMs;
    };
  }

  // ---- functions ----

  /** One per cell. */
  #functionsOf(stage: StagePlan): readonly string[] {
    return inCells(`${this.name}-${stage.id}`, this.#cellsOf(stage));
  }

  #inboxesOf(stage: StagePlan): readonly string[] {
    return inCells(defaultInbox(this.name, stage.id), this.#cellsOf(stage));
  }

  #cellsOf(stage: StagePlan): number {
    return stage.kind === "keyed" ? cellsOf(stage, this.#world.settings.tasksPerCell) : 1;
  }

  #function(name: string, timeoutMs: number, factory: () => ExecutionEnvironmentFactory): SimulatedFunction {
    const { clock, random, options } = this.#world;
    const { coldStart, recycled } = options.faults;
    const chances = { coldStartChance: coldStart, recycleChance: recycled, newSeed: () => random.int(2 ** 31) };
    return new SimulatedFunction({ name, clock, timeoutMs, zombieMsMax, ...chances }, factory());
  }

  #taskFactory(name: string): ExecutionEnvironmentFactory {
    const { deployed } = this;
    const { settings, options } = this.#world;
    return async () => {
      const process = this.#world.newProcess(name);
      const { payload, cacheBytesMax, journalBytesMax, recordsPerTurn, limits } = settings;
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
          safeguards: safeguardsWithout(options.without),
        },
      });
      return this.#environment(process, handler, deployed);
    };
  }

  #coordinatorFactory(): ExecutionEnvironmentFactory {
    const { deployed } = this;
    const { settings, options } = this.#world;
    return async () => {
      const process = this.#world.newProcess(this.coordinator);
      const handler = createCoordinatorHandler(
        this.#job(() => undefined, deployed),
        {
          ...this.#partsOf(process, deployed),
          invoke: (name, event) => this.#poke(process, name, event),
          environment: { safeguards: safeguardsWithout(options.without) },
          collectEvery: settings.collectEvery,
        },
      );
      return this.#environment(process, handler, deployed);
    };
  }

  #environment(process: SimulatedProcess, handler: Handler, deployed: Deployed): FunctionEnvironment {
    const { clock, calls } = this.#world;
    return new FunctionEnvironment(process, clock, handler, (one, event, answer, error) => {
      if (error === undefined) return calls.note(one, `answers ${JSON.stringify(answer)}`);
      calls.note(one, `throws ${String(error)}`);
      this.#judge(event, error, deployed);
    });
  }

  /** C3. */
  #judge(event: unknown, error: unknown, { deployment, isMisfit }: Deployed): void {
    const { name } = error as Error;
    if (name === "Millrace.unavailable") return;
    if (name === "Millrace.fenced" && deployment < this.deployed.deployment) return;
    // What is outside refuses what an environment of an older generation repeats.
    const [, by] = /generation (\d+) has taken /.exec(String(error)) ?? [];
    if (name === "Millrace.fenced" && by !== undefined && Number(by) <= (this.record?.generation ?? 0)) return;
    // An order may be refused: whoever gave it looks at what became of it.
    if (name === "Millrace.invalid" && (isMisfit || (event as { id?: string }).id !== undefined)) return;
    this.fail(`C3: a function of deployment ${deployment} failed: ${String(error)}`, error);
  }

  #partsOf(process: SimulatedProcess, deployed: Deployed): FunctionParts {
    const { calls, settings } = this.#world;
    const { skewMsMax, ringSize } = settings;
    const random = this.#world.newRandom();
    const clock = new ProcessClock(process, this.#world.clock, calls, random.between(-skewMsMax, skewMsMax));
    const graph = this.plan(deployed);
    const variables = writeSettings({
      stateTable: tableName,
      stateBucket: bucketName,
      deadLetterBucket: bucketName,
      deployment: deployed.deployment,
      bindings: {},
      inboxes: Object.fromEntries(
        graph.stages.filter(({ kind }) => kind === "keyed").map((stage) => [stage.id, this.#inboxesOf(stage)]),
      ),
      taskFunctions: Object.fromEntries(graph.stages.map((stage) => [stage.id, this.#functionsOf(stage)])),
      stage: "",
      cell: 0,
    });
    let made = 0;
    return {
      variables,
      clients: this.#world.clientsOf(process, random),
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
        if (level !== "error" || judgedElsewhere.has(message) || !process.alive) return;
        this.fail(`C3: ${process.name}: ${message} ${JSON.stringify(fields)}`);
      },
    };
  }

  async #poke(process: SimulatedProcess, name: string, event: object): Promise<void> {
    const { calls, pokes } = this.#world;
    await this.#atService(process, `invoke ${name} ${JSON.stringify(event)}`, async () => {
      if (calls.happens("lostPoke")) return;
      const times = calls.happens("repeatedPoke") ? 2 : 1;
      for (let n = 0; n < times; n++) pokes.put(name, this.functions.get(name)!, bytesOf(event));
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
        this.#sinks.deadLettersSeen.push(batch);
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
          this.#world.calls.echo(() => sinks.carryOut(effect));
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
    const result = await this.#world.calls.request(process, what, 30, effect);
    if ("answer" in result) return result.answer;
    throw new MillraceError("unavailable", `simulated: ${result.failed}`);
  }

  // ---- mappings ----

  #mapping(stream: string): EventSourceMapping {
    const { calls, clock, settings, random } = this.#world;
    // Of the pollers' own: not the faults' concern.
    const client = { send: (command: object & { input: Input }) => this.#world.pollerRequest(command) };
    return new EventSourceMapping({
      stream: new KinesisStream(client as never, stream),
      invoker: { invoke: (payload) => this.functions.get(this.#routes.get(stream)!)!.invoke(payload) },
      clock,
      seed: random.int(2 ** 31),
      settings: {
        startingPosition: "TRIM_HORIZON",
        batchSize: settings.batchMax,
        maximumBatchingWindowInSeconds: settings.batchingWindowSeconds,
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

  #onMappingEvent(stream: string, event: MappingEvent): void {
    const { counts } = this.#world.calls;
    if (event.kind === "wentBack") counts.wentBack++;
    if (event.kind === "discarded") this.fail(`M1: the mapping of ${stream} discarded records`);
    if (event.kind !== "invoked") return;
    if (event.isDuplicate) counts.duplicate++;
    const [first] = event.sequenceNumbers;
    const what = `${stream} ${event.shardId.slice(-2)} ${event.sequenceNumbers.length} from ${first?.slice(-9)}: ${event.outcome}`;
    this.#world.traced(`${this.name}: mapping`, event.isDuplicate ? `${what}, a duplicate` : what);
  }

  // ---- what is known ----

  onAppended(
    stream: string,
    records: readonly { readonly bytes: Uint8Array }[],
    results: readonly { readonly shard: string; readonly position: string }[],
  ): void {
    if (!stream.startsWith(`${this.name}-inbox-`)) return;
    for (const [n, { bytes }] of records.entries()) {
      const { channel, seq } = readFrame(bytes);
      const { shard, position } = results[n]!;
      this.note(`frame ${seq} of ${channel} is record ${position} of ${stream} ${shard.slice(-2)}`);
      this.#commits.onAppended(bytes);
    }
  }

  async onPut(item: Item): Promise<void> {
    const prefix = `${this.name}/ring/`;
    if (!isEntry(item) || !item.p!.S!.startsWith(prefix)) return;
    const task = id<TaskId>(decodeURIComponent(item.p!.S!.slice(prefix.length)));
    const entry: StoredEntry = { seq: Number(item.n!.N), bytes: item.b!.B! };
    const name = `${task} ${entry.seq}`;
    if (this.#written.has(name)) this.fail(`C1: entry ${entry.seq} of ${task} was written twice`);
    this.#written.add(name);
    if (task === lookLease || task === restoreLease) return;
    if (task === jobRing) return this.#onJobRecord(decodeJobRecord(entry.bytes));
    const commit = await loadCommit(task, entry, this.blobs as Blobs);
    if (commit.progress.totals.lateDropped > 0) this.fail(`C7: records were late at ${task}, which none is by its making`);
    this.#commits.onCommit(commit, this.record);
    const { ended, successors } = commit.progress;
    if (ended)
      this.#ended.set(
        task,
        successors.map((successor) => successor.task),
      );
  }

  /** Whether every task of the generation has come to its end. */
  get hasFinished(): boolean {
    const tasks = new Set(this.record?.topology.flatMap((stage) => rootTasks(stage).map(({ task }) => task)));
    for (const task of tasks) {
      const successors = this.#ended.get(task);
      if (successors === undefined) return false;
      for (const successor of successors) tasks.add(successor);
    }
    return tasks.size > 0;
  }

  #onJobRecord(record: JobRecord): void {
    if (record.completed !== undefined && record.completed !== this.record?.completed) this.completedCheckpoints++;
    this.note(`job record: generation ${record.generation} ${record.phase}, completed ${record.completed}`);
    this.record = record;
    const bytes = record.phase === "stopped" && record.savepoint !== undefined && this.#stored(record.savepoint);
    if (!bytes) return;
    const manifest = decodeManifest(bytes);
    if (isTombstone(manifest) || manifest.job === this.name) return;
    this.#adoptedAfter = record.generation;
    this.onAdopted(manifest);
  }

  #stored(name: BlobName): Uint8Array | undefined {
    return this.#world.s3.peek(bucketName, `${this.name}/${name}`);
  }

  async #peek(name: BlobName, range?: { readonly offset: number; readonly length: number }): Promise<Uint8Array | undefined> {
    const bytes = this.#stored(name);
    if (bytes === undefined || range === undefined) return bytes;
    const from = range.offset < 0 ? Math.max(0, bytes.length + range.offset) : range.offset;
    return bytes.slice(from, from + range.length);
  }
}

function inCells(name: string, cells: number): readonly string[] {
  return Array.from({ length: cells }, (_, cell) => (cell === 0 ? name : `${name}-${cell}`));
}

function bytesOf(event: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(event));
}

/** Of a ring's, whatever the job. */
export function isEntry(item: Item): boolean {
  return /^[^/]+\/ring\//.test(item.p!.S!) && item.s!.S!.startsWith("e");
}
