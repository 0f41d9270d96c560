/**
 * An emulated cloud: the resources of a topology on loopback. Kinesis, DynamoDB and S3 in this process, functions in processes of their
 * own, event source mappings and schedules between them.
 *
 * C1 All listens on loopback, and functions are pointed at nothing else.
 * C2 `stop` ends every server and process, whatever they do; a start that fails leaves none.
 * C3 In a directory it goes on, when started again, with what was there: records, items, objects and the mappings' checkpoints.
 * C4 A deployment over a running cloud ends nothing that is under way: invocations end on the code that they began with.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type Clock, systemClock } from "../clock.ts";
import { EventSourceMapping, type EventSourceMappingOptions } from "../event-source-mapping/event-source-mapping.ts";
import { KinesisStream } from "../event-source-mapping/kinesis-stream.ts";
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import type { MappingSettings } from "../event-source-mapping/settings.ts";
import type { SourceStream } from "../event-source-mapping/source-stream.ts";
import { type KinesisLimits, kinesisLimits, type KinesisOptions } from "../kinesis/index.ts";
import type { AsyncInvocationsOptions, DroppedEvent } from "../lambda/async-invocations.ts";
import { bundleFunction, directoryOf, writeBundle } from "../../packaging/bundle.ts";
import { EnvironmentPool, type EnvironmentPoolOptions, type PoolCounts } from "../lambda/environment-pool.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { functionArn } from "../lambda/function-configuration.ts";
import { type InvokeApi, startInvokeApi } from "../lambda/invoke-api.ts";
import {
  type InvocationReport,
  type LogLine,
  type ProcessEnvironment,
  processEnvironments,
} from "../lambda/process-environment.ts";
import { QueueMapping, type QueueMappingEvent } from "../messaging/queue-mapping.ts";
import type { QueuedMessage } from "../messaging/start-messaging.ts";
import type { RuntimeClient } from "../lambda/runtime-client.ts";
import { CheckpointFile } from "./checkpoint-file.ts";
import { makeCustomResource } from "./custom-resource.ts";
import {
  createMessaging,
  createResources,
  fakeCredentials,
  putObject,
  type ServiceClients,
  serviceClients,
} from "./create-resources.ts";
import { type CheckedTopology, readTopology } from "./read-topology.ts";
import { intervalOf, runSchedule } from "./schedule.ts";
import { type CloudFaults, type Services, startServices } from "./services.ts";
import { TableChanges } from "./table-changes.ts";
import type { FunctionResource, MappingResource, QueueMappingResource, TableMappingResource } from "./topology.ts";

export interface CloudOptions {
  /** What the topology's paths are relative to; default the working directory. */
  readonly base?: string;
  /** Where it keeps its data; without one all is in memory and gone when it stops. */
  readonly directory?: string;
  /** The first of six consecutive ports: Kinesis, DynamoDB, S3, Lambda, SQS with SNS, EventBridge. Default: free ones. */
  readonly port?: number;
  /** Kinesis' own unless given, and room for what mappings ask more often than AWS's would (`limitsBeside`). */
  readonly kinesisLimits?: KinesisOptions["limits"];
  /** How environments are handed out. */
  readonly environments?: Pick<EnvironmentPoolOptions, "seed" | "coldStartChance" | "recycleChance" | "zombieMsMax">;
  /** How mappings behave where AWS leaves it open. */
  readonly mappings?: Pick<EventSourceMappingOptions, "seed" | "faults" | "shardOrder" | "timings">;
  /** Pauses before retries of asynchronous invocations. */
  readonly asyncRetries?: Pick<AsyncInvocationsOptions, "retryDelaysMs" | "eventAgeMsMax">;
  /** Default "own". */
  readonly runtime?: RuntimeClient;
  /** Whether stacks of functions name the sources; default false, as deployed. */
  readonly sourceMaps?: boolean;
  /** Of schedules and asynchronous retries; the rest is bound to real processes. Default the machine's. */
  readonly clock?: Clock;
  readonly onEvent?: (event: CloudEvent) => void;
}

/** What happens in it. */
export type CloudEvent =
  | { readonly kind: "log"; readonly line: LogLine }
  | { readonly kind: "report"; readonly report: InvocationReport }
  | {
      readonly kind: "mapping";
      readonly functionName: string;
      /** Of a table's mapping "table <name>". */
      readonly streamName: string;
      readonly event: MappingEvent;
    }
  | {
      readonly kind: "queueMapping";
      readonly functionName: string;
      readonly queueName: string;
      readonly event: QueueMappingEvent;
    }
  | { readonly kind: "scheduled"; readonly schedule: string; readonly functionName: string }
  /** An asynchronous event that was given up. */
  | { readonly kind: "dropped"; readonly dropped: DroppedEvent };

interface RunningSchedules {
  stop(): Promise<void>;
}

type MappingCallback = (event: MappingEvent) => void;

interface EmulatedFunction {
  readonly pool: EnvironmentPool;
  readonly environments: Set<ProcessEnvironment>;
}

/** Mappings ask the emulated Kinesis more often than AWS's would, so that a laptop does not wait for it. */
const promptTimings = { pollIntervalMs: 250, catchUpIntervalMs: 200, shardDiscoveryMs: 2_000 } as const;
/** AWS's mappings ask an idle shard once a second. */
const pollsPerSecondOnAws = 1;

/**
 * Kinesis' limits where mappings ask so often: a shard allows as many reads beside theirs as on AWS, else functions that read for
 * themselves (behind a restore, to the end of a shard) are refused again and again for what the laptop's mappings take.
 */
export function limitsBeside(
  mappings: readonly Pick<MappingResource, "streamName">[],
  pollIntervalMs: number,
): Partial<KinesisLimits> {
  const ofStreams = new Map<string, number>();
  for (const { streamName } of mappings) ofStreams.set(streamName, (ofStreams.get(streamName) ?? 0) + 1);
  const beyond = Math.max(0, 1_000 / pollIntervalMs - pollsPerSecondOnAws) * Math.max(0, ...ofStreams.values());
  return { readCallsPerSecond: kinesisLimits.readCallsPerSecond + Math.ceil(beyond) };
}

/**
 * Starts the cloud of a topology (topology.ts; any JSON, which is checked). Throws `invalid` for a topology that AWS would refuse or
 * functions that cannot be bundled, `unavailable` when a port is taken.
 */
export async function startCloud(topology: unknown, options: CloudOptions = {}): Promise<EmulatedCloud> {
  const checked = readTopology(topology, resolve(options.base ?? "."));
  const cloud = new EmulatedCloud(checked, options);
  try {
    await cloud.start();
    return cloud;
  } catch (error) {
    await cloud.stop();
    throw isPortTaken(error) ? portTaken(error) : error;
  }
}

export class EmulatedCloud {
  readonly #options: CloudOptions;
  readonly #clock: Clock;
  readonly #functions = new Map<string, EmulatedFunction>();
  readonly #invokers = new Map<string, FunctionInvoker>();
  readonly #mappings = new Map<string, EventSourceMapping>();
  readonly #queueMappings = new Map<string, { readonly resource: QueueMappingResource; readonly mapping: QueueMapping }>();
  /** Of code that another deployment has taken the place of. */
  readonly #former: EmulatedFunction[] = [];
  readonly #stopping = new AbortController();
  #topology: CheckedTopology;
  #schedules: RunningSchedules | undefined;
  #faults: CloudFaults = {};
  #services: Services | undefined;
  #invokeApi: InvokeApi | undefined;
  #clients: ServiceClients | undefined;
  #checkpoints: CheckpointFile | undefined;
  #scratch: string | undefined;
  #code: string | undefined;
  #stopped: Promise<void> | undefined;

  /** By `startCloud` alone. */
  constructor(topology: CheckedTopology, options: CloudOptions) {
    this.#topology = topology;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** What was deployed last. */
  get topology(): CheckedTopology {
    return this.#topology;
  }

  /** By service, http:// URLs. */
  get endpoints(): Readonly<Record<"kinesis" | "dynamodb" | "s3" | "lambda" | "sqs" | "sns" | "events", string>> {
    const { kinesis, dynamodb, s3, messaging, events } = this.#services!;
    return {
      kinesis: kinesis.endpoint,
      dynamodb: dynamodb.endpoint,
      s3: s3.endpoint,
      lambda: this.#invokeApi!.endpoint,
      sqs: messaging.endpoint,
      sns: messaging.endpoint,
      events: events.endpoint,
    };
  }

  /** The environment variables by which AWS's SDKs and the AWS CLI find it. */
  get variables(): Record<string, string> {
    const { kinesis, dynamodb, s3, lambda, sqs, sns, events } = this.endpoints;
    return {
      AWS_ENDPOINT_URL_KINESIS: kinesis,
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb,
      AWS_ENDPOINT_URL_DYNAMODB_STREAMS: dynamodb,
      AWS_ENDPOINT_URL_S3: s3,
      AWS_ENDPOINT_URL_LAMBDA: lambda,
      AWS_ENDPOINT_URL_SQS: sqs,
      AWS_ENDPOINT_URL_SNS: sns,
      AWS_ENDPOINT_URL_EVENTBRIDGE: events,
      AWS_REGION: this.topology.region,
      AWS_DEFAULT_REGION: this.topology.region,
      AWS_ACCESS_KEY_ID: fakeCredentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: fakeCredentials.secretAccessKey,
    };
  }

  /** Its queues: what can be received from one, in its order. Undefined: there is no such queue. */
  messagesIn(queue: string): readonly QueuedMessage[] | undefined {
    return this.#services!.messaging.messagesIn(queue);
  }

  /** Clients of its services. */
  get clients(): ServiceClients {
    return this.#clients!;
  }

  /** Invokes a function as `lambda:Invoke` does. Throws `invalid` for a name that it does not have. */
  invoke(functionName: string, payload: unknown): ReturnType<FunctionInvoker["invoke"]> {
    return this.#function(functionName).pool.invoke(Buffer.from(JSON.stringify(payload)));
  }

  /** Fires a schedule now, beside its rate. */
  fire(schedule: string): void {
    const resource = this.topology.schedules[schedule];
    if (resource === undefined) throw absent("schedule", schedule, Object.keys(this.topology.schedules));
    this.#tell({ kind: "scheduled", schedule, functionName: resource.functionName });
    this.#invokeApi!.put(resource.functionName, Buffer.from(JSON.stringify(resource.input ?? {})));
  }

  /** The mapping between a stream and a function. */
  mapping(functionName: string, streamName: string): EventSourceMapping {
    const name = mappingName(functionName, streamName);
    const mapping = this.#mappings.get(name);
    if (mapping === undefined) throw absent("mapping", name, [...this.#mappings.keys()]);
    return mapping;
  }

  /** Counts of a function's invocations so far. */
  counts(functionName: string): Readonly<PoolCounts> {
    return this.#function(functionName).pool.counts;
  }

  /** Environments whose process lives: of one function, or of all. */
  environments(functionName?: string): readonly ProcessEnvironment[] {
    const functions =
      functionName === undefined ? [...this.#functions.values(), ...this.#former] : [this.#function(functionName)];
    return functions.flatMap(({ environments }) => [...environments].filter(({ pid }) => pid !== undefined));
  }

  /** Kills the process of an environment, as `kill -9` does. Undefined when none lives. `random`: from 0 to below 1. */
  killEnvironment(random: () => number = Math.random, functionName?: string): ProcessEnvironment | undefined {
    const living = this.environments(functionName);
    const picked = living[Math.floor(random() * living.length)];
    picked?.kill();
    return picked;
  }

  /** What goes wrong from now on; {} for nothing. */
  setFaults(faults: CloudFaults): void {
    this.#faults = faults;
  }

  /**
   * Deploys a topology over the one that runs, as the update of a stack does: functions get new environments with their new code, settings
   * and variables, mappings and schedules are made, changed and ended, and what is new beside them is made. A mapping with the function
   * and stream of a former one goes on where that is, whatever its starting position. Streams, tables and buckets stay, listed or not.
   * Throws `invalid` as `startCloud` does, and with its reason when a custom resource is refused; then nothing has changed but for what was made.
   */
  async deploy(topology: unknown): Promise<void> {
    const checked = readTopology(topology, resolve(this.#options.base ?? "."));
    await createResources(checked, this.clients);
    createMessaging(checked, this.#services!);
    const directories = await this.#bundle(checked);
    const added = directories.filter(([name]) => !this.#functions.has(name));
    for (const [name, directory] of added) this.#addFunction(name, checked.functions[name]!, directory);
    try {
      await this.#makeCustomResources(checked, directories, this.topology.customResources);
    } catch (error) {
      for (const [name] of added) {
        this.#functions.delete(name);
        this.#invokers.delete(name);
      }
      throw error;
    }
    const former = [...this.#functions.values()];
    const replaced = this.topology;
    for (const name of this.#functions.keys()) if (checked.functions[name] === undefined) await this.#endMappingsOf(name);
    this.#functions.clear();
    this.#topology = checked;
    for (const [name, directory] of directories) this.#addFunction(name, checked.functions[name]!, directory);
    this.#former.push(...former);
    await Promise.all(former.map(({ pool }) => pool.retire()));
    await this.#changeMappings(replaced);
    await this.#makeQueueMappings();
    await this.#schedules?.stop();
    this.#runSchedules(replaced.schedules);
  }

  /** Ends all. `graceMs`: how long invocations under way may go on; default 0. */
  stop({ graceMs = 0 }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  /** By `startCloud` alone. */
  async start(): Promise<void> {
    const { directory, port = 0, mappings } = this.#options;
    const { region, account, eventSourceMappings } = this.topology;
    const { pollIntervalMs } = { ...promptTimings, ...mappings?.timings };
    const limits = this.#options.kinesisLimits ?? limitsBeside(eventSourceMappings, pollIntervalMs);
    const root = directory === undefined ? undefined : resolve(directory);
    if (root !== undefined) {
      await mkdir(root, { recursive: true });
      this.#checkpoints = await CheckpointFile.open(join(root, "checkpoints.json"));
    }
    this.#services = await startServices({
      directory: root,
      region,
      account,
      kinesisLimits: limits,
      port,
      faults: () => this.#faults,
    });
    this.#invokeApi = await startInvokeApi({
      functions: this.#invokers,
      region,
      account,
      clock: this.#clock,
      accountConcurrency: this.topology.accountConcurrency,
      ...this.#options.asyncRetries,
      port: port === 0 ? 0 : port + 3,
      faults: (operation) => this.#faults.lambda?.(operation),
      onDropped: (dropped) => this.#tell({ kind: "dropped", dropped }),
    });
    this.#clients = serviceClients(this.endpoints, region);
    await createResources(this.topology, this.#clients);
    createMessaging(this.topology, this.#services);
    this.#scratch = root === undefined ? await mkdtemp(join(tmpdir(), "millrace-cloud-")) : undefined;
    this.#code = join(root ?? this.#scratch!, "code");
    const directories = await this.#bundle(this.topology);
    // Custom resources may look at functions; nothing rings these yet.
    for (const [name, directory] of directories) this.#addFunction(name, this.topology.functions[name]!, directory);
    await this.#makeCustomResources(this.topology, directories, {});
    for (const resource of mappingsOf(this.topology)) this.#startMapping(resource);
    await this.#makeQueueMappings();
    this.#runSchedules({});
  }

  /** Those that are new, or changed, begin at once, as a schedule without a start date does. */
  #runSchedules(former: CheckedTopology["schedules"]): void {
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.#stopping.signal]);
    const enabled = Object.entries(this.topology.schedules).filter(([, { state }]) => state !== "DISABLED");
    const running = enabled.map(([name, schedule]) => {
      if (JSON.stringify(schedule) !== JSON.stringify(former[name])) this.fire(name);
      return runSchedule(intervalOf(schedule.scheduleExpression), this.#clock, signal, () => this.fire(name));
    });
    this.#schedules = {
      stop: async () => {
        ended.abort();
        await Promise.all(running);
      },
    };
  }

  /** The folders of the functions' code, by name. */
  #bundle(topology: CheckedTopology): Promise<readonly (readonly [name: string, directory: string])[]> {
    const code = this.#code!;
    const bundles = new Map<string, Promise<string>>();
    return Promise.all(
      Object.entries(topology.functions).map(async ([name, resource]) => {
        // Functions of one entry share a bundle: the stages of a job differ in their variables alone.
        const same = JSON.stringify([resource.entry, resource.alias, resource.codeDirectory]);
        const directory = bundles.get(same) ?? codeOf(name, resource, code);
        bundles.set(same, directory);
        return [name, await directory] as const;
      }),
    );
  }

  /** Each by its function as it will be, before anything else is changed. */
  async #makeCustomResources(
    { customResources, functions, region, account }: CheckedTopology,
    directories: readonly (readonly [name: string, directory: string])[],
    former: CheckedTopology["customResources"],
  ): Promise<void> {
    const code = new Map(directories);
    for (const [id, resource] of Object.entries(customResources)) {
      if (JSON.stringify(resource) === JSON.stringify(former[id])) continue;
      const { functionName: name } = resource;
      const made = this.#createFunction(name, functions[name]!, code.get(name)!);
      this.#former.push(made);
      const invoke = (payload: Uint8Array) => made.pool.invoke(payload);
      await makeCustomResource({ invoke }, { id, resource, former: former[id], place: { region, account } });
      await made.pool.retire();
    }
  }

  #createFunction(name: string, resource: FunctionResource, codeDirectory: string): EmulatedFunction {
    const { region, account } = this.topology;
    const timeoutMs = (resource.timeout ?? 3) * 1000;
    const environments = new Set<ProcessEnvironment>();
    const start = processEnvironments({
      configuration: {
        name,
        codeDirectory,
        handler: resource.handler ?? "index.handler",
        memoryMb: resource.memorySize ?? 128,
        timeoutMs,
        region,
        account,
        environment: resource.environment ?? {},
        // What asks for a service that is not emulated finds nobody who knows it, and no way out of this machine.
        compileCache: join(this.#code!, "compiled"),
        platformEnvironment: { ...this.variables, AWS_ENDPOINT_URL: this.endpoints.lambda, AWS_EC2_METADATA_DISABLED: "true" },
      },
      runtime: this.#options.runtime ?? "own",
      afterTimeout: "leftToOwner",
      sourceMaps: this.#options.sourceMaps ?? false,
      onLog: (line) => this.#tell({ kind: "log", line }),
      onReport: (report) => this.#tell({ kind: "report", report }),
    });
    const pool = new EnvironmentPool({
      ...this.#options.environments,
      factory: async () => {
        const environment = await start();
        for (const old of environments) if (old.pid === undefined && !old.usable) environments.delete(old);
        environments.add(environment);
        if (!this.#stopping.signal.aborted) return environment;
        await environment.stop();
        throw new MillraceError("unavailable", `the cloud stops: ${name}`);
      },
      clock: systemClock,
      timeoutMs,
      ...(resource.reservedConcurrentExecutions === undefined
        ? {}
        : { reservedConcurrency: resource.reservedConcurrentExecutions }),
    });
    return { pool, environments };
  }

  #addFunction(name: string, resource: FunctionResource, codeDirectory: string): void {
    this.#functions.set(name, this.#createFunction(name, resource, codeDirectory));
    // Who invokes a function keeps its name, not its code: what was begun before a deployment is tried again with what came after.
    this.#invokers.set(name, { invoke: (payload) => this.#function(name).pool.invoke(payload) });
  }

  async #endMappingsOf(functionName: string): Promise<void> {
    const gone = mappingsOf(this.topology).filter((resource) => resource.functionName === functionName);
    await Promise.all(gone.map((resource) => this.#endMapping(nameOf(resource))));
    for (const [name, { resource, mapping }] of this.#queueMappings) {
      if (resource.functionName !== functionName) continue;
      this.#queueMappings.delete(name);
      await mapping.stop();
    }
    this.#invokers.delete(functionName);
  }

  async #endMapping(name: string): Promise<void> {
    const mapping = this.#mappings.get(name);
    this.#mappings.delete(name);
    await mapping?.stop();
  }

  /** Makes the mappings those of the topology. */
  async #changeMappings(replaced: CheckedTopology): Promise<void> {
    const mappings = mappingsOf(this.topology);
    const former = new Map(mappingsOf(replaced).map((resource) => [nameOf(resource), resource]));
    const wanted = new Set(mappings.map(nameOf));
    for (const name of this.#mappings.keys()) if (!wanted.has(name)) await this.#endMapping(name);
    for (const resource of mappings) {
      const mapping = this.#mappings.get(nameOf(resource));
      if (mapping === undefined) this.#startMapping(resource);
      else await changeMapping(mapping, former.get(nameOf(resource))!, resource);
    }
  }

  #startMapping(resource: AnyMapping): void {
    const { functionName, enabled = true, onFailure } = resource;
    const streamName = sourceOf(resource);
    const { region, account } = this.topology;
    const checkpoints = this.#checkpoints;
    const onEvent: MappingCallback = (event) => {
      if (event.kind === "checkpoint" || event.kind === "shardEnded") checkpoints?.touch();
      this.#tell({ kind: "mapping", functionName, streamName, event });
    };
    const { timings, ...behaviour } = this.#options.mappings ?? {};
    const mapping = new EventSourceMapping({
      ...behaviour,
      timings: { ...promptTimings, ...timings },
      stream: this.#sourceOf(resource),
      invoker: this.#invokers.get(functionName)!,
      clock: systemClock,
      settings: settingsOf(resource),
      enabled,
      functionArn: functionArn({ name: functionName, region, account }),
      region,
      ...(checkpoints === undefined ? {} : { checkpoints: checkpoints.of(nameOf(resource)) }),
      ...(onFailure === undefined
        ? {}
        : { onFailure: { kind: "s3" as const, put: (key, body) => putObject(this.clients.s3, onFailure.bucket, key, body) } }),
      onEvent,
    });
    this.#mappings.set(nameOf(resource), mapping);
  }

  #sourceOf(resource: AnyMapping): SourceStream {
    if ("streamName" in resource) return new KinesisStream(this.clients.kinesis, resource.streamName);
    const { tableName } = resource;
    return new TableChanges(tableName, () => this.#services!.dynamodb.streams.of(tableName));
  }

  /** Makes the mappings of queues those of the topology: they keep nothing, so one that changes is another. */
  async #makeQueueMappings(): Promise<void> {
    const wanted = this.topology.queueMappings.filter(({ enabled = true }) => enabled);
    const texts = new Set(wanted.map((one) => JSON.stringify(one)));
    const gone = [...this.#queueMappings].filter(([, { resource }]) => !texts.has(JSON.stringify(resource)));
    for (const [name] of gone) this.#queueMappings.delete(name);
    await Promise.all(gone.map(([, { mapping }]) => mapping.stop()));
    for (const resource of wanted) {
      const { functionName, queueName, enabled: _, ...settings } = resource;
      const name = `${functionName} on queue ${queueName}`;
      if (this.#queueMappings.has(name)) continue;
      const mapping = new QueueMapping({
        queue: this.#services!.messaging.source(queueName),
        region: this.topology.region,
        invoker: this.#invokers.get(functionName)!,
        settings,
        clock: systemClock,
        onEvent: (event) => this.#tell({ kind: "queueMapping", functionName, queueName, event }),
      });
      this.#queueMappings.set(name, { resource, mapping });
    }
  }

  #function(name: string): EmulatedFunction {
    const found = this.#functions.get(name);
    if (found === undefined) throw absent("function", name, [...this.#functions.keys()]);
    return found;
  }

  #tell(event: CloudEvent): void {
    this.#options.onEvent?.(event);
  }

  async #stop(graceMs: number): Promise<void> {
    const queueMappings = [...this.#queueMappings.values()].map(({ mapping }) => mapping);
    const mappings = Promise.all([...this.#mappings.values(), ...queueMappings].map((mapping) => mapping.stop()));
    if (graceMs > 0) {
      const over = new AbortController();
      await Promise.race([mappings, systemClock.sleep(graceMs, over.signal)]);
      over.abort();
    }
    this.#stopping.abort();
    await Promise.all([...this.#functions.values(), ...this.#former].map(({ pool }) => pool.stop()));
    await Promise.all([mappings, this.#schedules?.stop()]);
    await this.#invokeApi?.stop();
    await this.#checkpoints?.save();
    for (const client of Object.values(this.#clients ?? {})) client.destroy();
    await this.#services?.stop();
    if (this.#scratch !== undefined) await rm(this.#scratch, { recursive: true, force: true });
  }
}

/** Of a stream, or of a table's changes. */
type AnyMapping = MappingResource | TableMappingResource;

function mappingsOf({ eventSourceMappings, tableMappings }: CheckedTopology): readonly AnyMapping[] {
  return [...eventSourceMappings, ...tableMappings];
}

function sourceOf(resource: AnyMapping): string {
  return "streamName" in resource ? resource.streamName : `table ${resource.tableName}`;
}

function settingsOf(resource: AnyMapping): MappingSettings {
  const all = { streamName: undefined, tableName: undefined, ...resource };
  const {
    functionName: _function,
    streamName: _stream,
    tableName: _table,
    enabled: _enabled,
    onFailure: _onFailure,
    ...settings
  } = all;
  return settings;
}

async function changeMapping(mapping: EventSourceMapping, from: AnyMapping, to: AnyMapping): Promise<void> {
  const { enabled = true } = to;
  // An update that changes nothing would stop it for a while.
  if (JSON.stringify({ ...to, enabled }) !== JSON.stringify({ ...from, enabled })) await mapping.update(settingsOf(to));
  if (enabled) mapping.enable();
  else await mapping.disable();
}

async function codeOf(name: string, { entry, alias, codeDirectory }: FunctionResource, parent: string): Promise<string> {
  if (codeDirectory !== undefined) return codeDirectory;
  try {
    const from = { entry: entry!, sourceRoot: directoryOf(entry!) };
    return await writeBundle(await bundleFunction(alias === undefined ? from : { ...from, alias }), parent);
  } catch (error) {
    if (error instanceof MillraceError)
      throw new MillraceError(error.kind, `function ${name}: ${error.message}`, { cause: error });
    throw error;
  }
}

function isPortTaken(error: unknown): error is NodeJS.ErrnoException & { readonly port: number } {
  return (error as NodeJS.ErrnoException).code === "EADDRINUSE";
}

function portTaken(error: NodeJS.ErrnoException & { readonly port: number }): MillraceError {
  const advice = "another program, perhaps another cloud, listens on a port that this one needs: end it, or choose other ports";
  return new MillraceError("unavailable", `${advice}: ${error.port}`, { cause: error });
}

function nameOf(resource: AnyMapping): string {
  return mappingName(resource.functionName, sourceOf(resource));
}

function mappingName(functionName: string, source: string): string {
  return `${functionName} on ${source}`;
}

function absent(kind: string, name: string, known: readonly string[]): MillraceError {
  return new MillraceError("invalid", `the cloud has no ${kind} of this name, but ${known.join(", ") || "none"}: ${name}`);
}
