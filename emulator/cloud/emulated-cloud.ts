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
import type { EventSourceMapping } from "../event-source-mapping/event-source-mapping.ts";
import type { KinesisOptions } from "../kinesis/index.ts";
import type { AsyncInvocationsOptions } from "../lambda/async-invocations.ts";
import type { PoolCounts } from "../lambda/environment-pool.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { type InvokeApi, startInvokeApi } from "../lambda/invoke-api.ts";
import type { ProcessEnvironment } from "../lambda/process-environment.ts";
import type { RuntimeClient } from "../lambda/runtime-client.ts";
import type { QueuedMessage } from "../messaging/start-messaging.ts";
import { absent } from "./absent.ts";
import { CheckpointFile } from "./checkpoint-file.ts";
import type { CloudEvent } from "./cloud-event.ts";
import { createMessaging, createResources, fakeCredentials, type ServiceClients, serviceClients } from "./create-resources.ts";
import { type EnvironmentBehaviour, Functions } from "./functions.ts";
import { limitsBeside, type MappingBehaviour, Mappings } from "./mappings.ts";
import { type CheckedTopology, readTopology } from "./read-topology.ts";
import { intervalOf, runSchedule } from "./schedule.ts";
import { type CloudFaults, type Services, startServices } from "./services.ts";

export interface CloudOptions {
  /** What the topology's paths are relative to; default the working directory. */
  readonly base?: string;
  /** Where it keeps its data; without one all is in memory and gone when it stops. */
  readonly directory?: string;
  /** The first of six consecutive ports: Kinesis, DynamoDB, S3, Lambda, SQS with SNS, EventBridge. Default: free ones. */
  readonly port?: number;
  /** Kinesis' own unless given, and room for what mappings ask more often than AWS's would (`limitsBeside`). */
  readonly kinesisLimits?: KinesisOptions["limits"];
  readonly environments?: EnvironmentBehaviour;
  readonly mappings?: MappingBehaviour;
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

interface RunningSchedules {
  stop(): Promise<void>;
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
  readonly #stopping = new AbortController();
  #topology: CheckedTopology;
  #schedules: RunningSchedules | undefined;
  #faults: CloudFaults = {};
  #services: Services | undefined;
  #invokeApi: InvokeApi | undefined;
  #clients: ServiceClients | undefined;
  #checkpoints: CheckpointFile | undefined;
  #functions: Functions | undefined;
  #mappings: Mappings | undefined;
  #scratch: string | undefined;
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
    return this.#functions!.pool(functionName).invoke(Buffer.from(JSON.stringify(payload)));
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
    return this.#mappings!.get(functionName, streamName);
  }

  /** Counts of a function's invocations so far. */
  counts(functionName: string): Readonly<PoolCounts> {
    return this.#functions!.pool(functionName).counts;
  }

  /** Environments whose process lives: of one function, or of all. */
  environments(functionName?: string): readonly ProcessEnvironment[] {
    return this.#functions!.environments(functionName);
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
    const [functions, mappings] = [this.#functions!, this.#mappings!];
    const code = await functions.bundle(checked);
    const takeBack = functions.add(checked, code);
    const replaced = this.topology;
    try {
      await functions.makeCustomResources(checked, code, replaced.customResources);
    } catch (error) {
      takeBack();
      throw error;
    }
    for (const name of functions.names) if (checked.functions[name] === undefined) await mappings.endOf(name);
    this.#topology = checked;
    await functions.replace(checked, code);
    await mappings.follow(checked);
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
    const { directory, port = 0, mappings: behaviour } = this.#options;
    const { region, account, eventSourceMappings } = this.topology;
    const place = { region, account };
    const onEvent = (event: CloudEvent) => this.#tell(event);
    const root = directory === undefined ? undefined : resolve(directory);
    if (root !== undefined) {
      await mkdir(root, { recursive: true });
      this.#checkpoints = await CheckpointFile.open(join(root, "checkpoints.json"));
    }
    this.#scratch = root === undefined ? await mkdtemp(join(tmpdir(), "millrace-cloud-")) : undefined;
    const functions = new Functions({
      code: join(root ?? this.#scratch!, "code"),
      place,
      // What asks for a service that is not emulated finds nobody who knows it, and no way out of this machine.
      variables: () => ({
        ...this.variables,
        AWS_ENDPOINT_URL: this.endpoints.lambda,
        AWS_EC2_METADATA_DISABLED: "true",
      }),
      behaviour: this.#options.environments,
      runtime: this.#options.runtime ?? "own",
      sourceMaps: this.#options.sourceMaps ?? false,
      onEvent,
    });
    this.#functions = functions;
    const services = await startServices({
      directory: root,
      ...place,
      kinesisLimits: this.#options.kinesisLimits ?? limitsBeside(eventSourceMappings, behaviour?.timings?.pollIntervalMs),
      port,
      faults: () => this.#faults,
    });
    this.#services = services;
    this.#invokeApi = await startInvokeApi({
      functions: functions.invokers,
      ...place,
      clock: this.#clock,
      accountConcurrency: this.topology.accountConcurrency,
      ...this.#options.asyncRetries,
      port: port === 0 ? 0 : port + 3,
      faults: (operation) => this.#faults.lambda?.(operation),
      onDropped: (dropped) => onEvent({ kind: "dropped", dropped }),
    });
    const clients = serviceClients(this.endpoints, region);
    this.#clients = clients;
    await createResources(this.topology, clients);
    createMessaging(this.topology, services);
    const code = await functions.bundle(this.topology);
    // Custom resources may look at functions; nothing rings these yet.
    functions.add(this.topology, code);
    await functions.makeCustomResources(this.topology, code, {});
    const { invokers } = functions;
    this.#mappings = new Mappings({ services, clients, invokers, place, checkpoints: this.#checkpoints, behaviour, onEvent });
    await this.#mappings.follow(this.topology);
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

  #tell(event: CloudEvent): void {
    this.#options.onEvent?.(event);
  }

  async #stop(graceMs: number): Promise<void> {
    const mappings = Promise.resolve(this.#mappings?.stop());
    if (graceMs > 0) {
      const over = new AbortController();
      await Promise.race([mappings, systemClock.sleep(graceMs, over.signal)]);
      over.abort();
    }
    this.#stopping.abort();
    await this.#functions?.stop();
    await Promise.all([mappings, this.#schedules?.stop()]);
    await this.#invokeApi?.stop();
    await this.#checkpoints?.save();
    for (const client of Object.values(this.#clients ?? {})) client.destroy();
    await this.#services?.stop();
    if (this.#scratch !== undefined) await rm(this.#scratch, { recursive: true, force: true });
  }
}

function isPortTaken(error: unknown): error is NodeJS.ErrnoException & { readonly port: number } {
  return (error as NodeJS.ErrnoException).code === "EADDRINUSE";
}

function portTaken(error: NodeJS.ErrnoException & { readonly port: number }): MillraceError {
  const advice = "another program, perhaps another cloud, listens on a port that this one needs: end it, or choose other ports";
  return new MillraceError("unavailable", `${advice}: ${error.port}`, { cause: error });
}
