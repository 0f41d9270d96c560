/**
 * A simulated deployment: services, sources, and the jobs that are deployed on them, in one process, in virtual time, from one seed. Decides
 * nothing: what happens when is the agenda's.
 */
import { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { SimulationFailure } from "../../runtime/testing/simulation/failure.ts";
import type { Rule } from "../../runtime/testing/simulation/rules.ts";
import { SimSources } from "../../runtime/testing/simulation/sources.ts";
import { Trace } from "../../runtime/testing/simulation/trace.ts";
import type { Topology } from "../../runtime/testing/simulation/topology.ts";
import { createRecords, encodeRecord, type SimRecord } from "../../runtime/testing/simulation/workload.ts";
import { AsyncInvocations } from "../lambda/async-invocations.ts";
import type { PoolCounts } from "../lambda/environment-pool.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { DeployedJob } from "./deployed-job.ts";
import type { DeploymentFaults } from "./deployment-faults.ts";
import { type DeploymentSettings, drawDeployment } from "./deployment-settings.ts";
import { type DeploymentTopology, ofDeployment } from "./deployment-topology.ts";
import type { Item } from "./dynamo-answers.ts";
import { DynamoService } from "./dynamo-service.ts";
import { EndingLog } from "./ending-log.ts";
import { KinesisService } from "./kinesis-service.ts";
import { tableName } from "./job-environments.ts";
import { isEntry } from "./job-watch.ts";
import { putObjects } from "./object-sources.ts";
import { QueueSources } from "./queue-sources.ts";
import type { RowTables } from "./row-tables.ts";
import { S3Service } from "./s3-service.ts";
import { clientsOf, type Input, type ProcessClients } from "./sdk-clients.ts";
import { ServiceCalls } from "./service-calls.ts";
import { SimulatedProcess } from "./simulated-process.ts";
import { SqsService } from "./sqs-service.ts";
import { streamArnOf } from "./table-sources.ts";
import { TableStreamsService } from "./table-streams-service.ts";

/** The name of the one is the beginning of that of the other, as it may be. */
const jobName = "simulated";
const forkName = "simulated-fork";

export interface DeploymentOptions {
  readonly seed: number;
  /** Its name, or itself; default: any of those that have names here. */
  readonly topology?: string | DeploymentTopology | undefined;
  readonly faults: DeploymentFaults;
  /** Settings to take instead of the seed's. */
  readonly settings?: Partial<DeploymentSettings> | undefined;
  /** The only records that its sources bring, by number; default: all. */
  readonly events?: readonly number[] | undefined;
  /** The only faults of requests and the like that may happen, by number; default: all. */
  readonly only?: readonly number[] | undefined;
  /** Other times and other luck in the same world; default 0. */
  readonly variant?: number | undefined;
  /** How many of the last events are kept; default 80. */
  readonly keptEvents?: number | undefined;
  /** The rule that is switched off. */
  readonly without?: Rule | undefined;
}

/** What was done to the deployment, beside the faults. */
export const actNames = [
  "resharded",
  "deployed",
  "misdeployed",
  "rolledBack",
  "refused",
  "restored",
  "saved",
  "paused",
  "pausedLong",
  "stopped",
  "forked",
  "mended",
  "redriven",
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
  readonly queues: QueueSources;
  readonly records: readonly SimRecord[];
  readonly s3: S3Service;
  readonly sqs: SqsService;
  readonly pokes: AsyncInvocations;
  readonly job: DeployedJob;
  /** Another that begins from what the job has, once there is one. */
  fork: DeployedJob | undefined;
  readonly acts = Object.fromEntries(actNames.map((act) => [act, 0])) as Record<Act, number>;
  failure: SimulationFailure | undefined;
  readonly #dynamo: DynamoService;
  #kinesis: KinesisService | undefined;
  #names = 0;

  constructor(options: DeploymentOptions) {
    this.options = options;
    this.random = new SeededRandom(options.seed);
    this.trace = new Trace(options.keptEvents);
    const drawn = { ...drawDeployment(this.random, options.topology), ...options.settings };
    this.settings = { ...drawn, topology: drawn.topology.upTo?.(drawn.stagesMax) ?? drawn.topology };
    const { topology, records, parallelism } = this.settings;
    const own = ofDeployment(topology);
    const { poison: mixed } = options.faults;
    // Where a job says which of its places kill, that is what it is for.
    const poison = mixed === 0 ? 0 : (own?.poison ?? (topology.deadly === undefined ? mixed : 8 * mixed));
    const made = createRecords(topology.sources, records, poison, this.random, topology.deadly);
    if (options.variant) this.random = new SeededRandom(this.random.int(2 ** 31) + options.variant);
    this.calls = new ServiceCalls(this.clock, this.newRandom(), this.trace, options.faults, options.only);
    const clock = { now: () => this.clock.now(), sleep: () => Promise.resolve(), remainingMs: () => Infinity };
    this.log = new EndingLog(new MemoryLog({ clock }));
    this.log.onAppended = (stream, appended, results) => {
      for (const job of this.jobs) job.watch.onAppended(stream, appended, results);
    };
    const wanted = options.events && new Set(options.events);
    const brought = new Map([...made].map(([source, list]) => [source, list.filter(({ id }) => wanted?.has(id) ?? true)]));
    this.records = [...brought.values()].flat();
    this.calls.counts.poison += this.records.filter(({ deadly }) => deadly !== undefined).length;
    const bytesOf = (record: SimRecord) => encodeRecord(own?.eventOf?.(record) ?? record);
    const event = (record: SimRecord) => ({ partitionKey: record.key, bytes: bytesOf(record) });
    this.s3 = new S3Service(this.clock, this.calls);
    this.sqs = new SqsService(this.clock, this.calls, this.newRandom());
    const { sources } = this.settings;
    if (sources === "objects") for (const [source, list] of brought) putObjects(this.s3, source, list, this.random);
    const isLog = sources === "streams" || sources === "tables";
    const streams = isLog ? [...brought].map(([source, list]) => [source, list.map(event)] as const) : [];
    this.sources = new SimSources(this.log, new Map(streams));
    this.queues = this.#queuesOf(sources === "queues" ? brought : new Map());
    this.#dynamo = new DynamoService({
      table: tableName,
      clock: this.clock,
      random: this.newRandom(),
      calls: this.calls,
      onPut: async (_table, item) => {
        for (const job of this.jobs) await job.watch.onPut(item);
      },
      streamOf: (table) => (sources === "tables" && topology.sources.includes(table) ? streamArnOf(table) : undefined),
      skipsCondition: options.without === "R1" ? isEntry : undefined,
    });
    this.pokes = new AsyncInvocations({ clock: this.clock, retryDelaysMs: [] });
    this.job = new DeployedJob(jobName, parallelism, this);
  }

  get topology(): Topology {
    return this.settings.topology;
  }

  get jobs(): readonly DeployedJob[] {
    return this.fork === undefined ? [this.job] : [this.job, this.fork];
  }

  get rows(): RowTables {
    return this.#dynamo.rows;
  }

  /** What a queue is called there. */
  queueNameOf(source: string): string {
    return this.settings.fifoSources ? `${source}.fifo` : source;
  }

  #queuesOf(records: ReadonlyMap<string, readonly SimRecord[]>): QueueSources {
    const visibilityMs = this.settings.timeoutMs * this.random.pick([1, 3]);
    const queues = [...records.keys()].map(
      (source) => [source, this.sqs.createQueue(this.queueNameOf(source), visibilityMs)] as const,
    );
    return new QueueSources(new Map(queues), records);
  }

  get produced(): boolean {
    return this.sources.produced && this.queues.produced;
  }

  /** The next few records come. */
  async produce(): Promise<void> {
    if (!this.queues.produced) this.queues.produce(this.random);
    else await this.sources.produce(this.random);
  }

  /** Splits a shard of a source, or merges two: of a table none are merged. */
  async reshard(): Promise<string> {
    if (this.settings.sources !== "tables") {
      const done = await this.sources.reshard(this.random);
      this.calls.saw(done.startsWith("merge") ? "shardsMerged" : "shardsSplit");
      return done;
    }
    const source = this.random.pick(this.sources.names);
    const open = (await this.log.shards(source)).filter((shard) => !shard.closed);
    const shard = this.random.pick(open);
    await this.log.splitShard(source, shard.id);
    this.calls.saw("shardsSplit");
    return `split ${source} ${shard.id}`;
  }

  stateItems(prefix: string): readonly Item[] {
    return this.#dynamo.items(prefix);
  }

  /** Makes streams, and what the job has. */
  async create(): Promise<void> {
    const clock = { now: () => this.clock.now(), sleep: (ms: number) => this.clock.sleep(ms), remainingMs: () => Infinity };
    this.#kinesis = await KinesisService.open(this.log, clock, this.calls, this.newRandom());
    await this.sources.create(this.random);
    await this.job.create();
  }

  /** Deploys the other job: by itself it begins with its sources' oldest records. */
  async createFork(parallelism: number): Promise<DeployedJob> {
    this.fork = new DeployedJob(forkName, parallelism, this, this.job.deployed.isMended);
    await this.fork.create();
    return this.fork;
  }

  readonly fail = (message: string, cause?: unknown): void => {
    this.failure ??= new SimulationFailure(message, cause === undefined ? undefined : { cause });
  };

  note(what: string): void {
    this.traced("world", what);
  }

  traced(who: string, what: string): void {
    this.trace.add(this.clock.now(), who, what);
  }

  newRandom(): SeededRandom {
    return new SeededRandom(this.random.int(2 ** 31));
  }

  newProcess(name: string): SimulatedProcess {
    return new SimulatedProcess(`${name}#${++this.#names}`);
  }

  clientsOf(process: SimulatedProcess, random: SeededRandom): ProcessClients {
    const dynamodbStreams = new TableStreamsService(this.log, this.clock, this.calls);
    const services = { dynamodb: this.#dynamo, s3: this.s3, kinesis: this.#kinesis!, sqs: this.sqs, dynamodbStreams };
    return clientsOf(process, this.calls, random, services);
  }

  pollerRequest(command: object & { readonly input: Input }): Promise<object> {
    return this.#kinesis!.ofMapping(command.constructor.name.replace(/Command$/, ""), command.input);
  }

  /** Of all functions together. */
  count(of: keyof PoolCounts): number {
    const functions = this.jobs.flatMap((job) => [...job.functions.values()]);
    return functions.reduce((sum, one) => sum + one.count(of), 0);
  }

  async stop(): Promise<void> {
    for (const job of this.jobs) await job.stop();
  }
}

/** Of whole milliseconds, as the functions' is. */
class WholeClock extends VirtualClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(Math.ceil(ms), signal);
  }
}
