/** A job in an emulated cloud, as its operator sees it: deployments, orders, input, and what it has written. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import {
  type CloudOptions,
  type EmulatedCloud,
  type FunctionResource,
  startCloud,
  type Topology,
} from "../../emulator/cloud/index.ts";
import { type CoordinatorCommand, deadLetterPrefix, payloadVersion } from "../../functions/contract.ts";
import { bundleFunction, writeBundle } from "../../packaging/bundle.ts";
import { openAws } from "../../runtime/adapters/aws/open-aws.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import type { Safeguard } from "../../runtime/task/safeguards.ts";
import { functionsDirectory, namesOf, topologyOf } from "./deployment.ts";
import { readResults } from "./read-results.ts";
import type { DeployedJob, PutRecord, Results, ScenarioJobOptions } from "./scenario.ts";

export interface JobInCloudOptions {
  /** Where modules are written. */
  readonly directory: string;
  readonly cloud: CloudOptions;
  /** Milliseconds since the epoch by which everything must be over. */
  readonly deadline: number;
  /** A rule that the tasks are to break: then the run must be red. */
  readonly without?: Safeguard | undefined;
  readonly batchSize?: number;
  /** Seconds for which mappings gather records; default none: the more invocations there are, the more can go wrong. */
  readonly batchWindow?: number;
  /** Environments of a stage at most; default 4. A mapping is throttled where its stream has more shards. */
  readonly concurrency?: number;
  /** Ends the run. */
  readonly signal?: AbortSignal | undefined;
}

type Order = Exclude<CoordinatorCommand["kind"], "look">;

/** An expectation that did not come true before the deadline. */
export class Overdue extends Error {}

const lookEveryMs = 4_000;
const shardBits = 128n;

export class JobInCloud<O extends ScenarioJobOptions = ScenarioJobOptions> {
  readonly cloud: EmulatedCloud;
  readonly #deployed: DeployedJob<O>;
  readonly #options: JobInCloudOptions;
  readonly #name: string;
  readonly #ports: Ports;
  readonly #looks: NodeJS.Timeout;
  #deployments: number;
  #orders = 0;

  private constructor(cloud: EmulatedCloud, deployed: DeployedJob<O>, name: string, ports: Ports, options: JobInCloudOptions) {
    this.cloud = cloud;
    this.#deployed = deployed;
    this.#options = options;
    this.#name = name;
    this.#ports = ports;
    this.#deployments = 1;
    this.#looks = setInterval(() => cloud.fire(namesOf(name).schedule), lookEveryMs);
    cloud.fire(namesOf(name).schedule);
  }

  static async start<O extends ScenarioJobOptions>(
    deployed: DeployedJob<O>,
    job: O,
    options: JobInCloudOptions,
  ): Promise<JobInCloud<O>> {
    const { name } = planJob(deployed.job(job));
    const cloud = await startCloud(await topologyFor(deployed, job, 1, options), options.cloud);
    const { stateTable, stateBucket } = namesOf(name);
    const ports = await openAws({
      job: name,
      table: stateTable,
      bucket: stateBucket,
      clock: new SystemClock(),
      telemetry: { add: () => undefined, gauge: () => undefined, log: () => undefined },
      clients: cloud.clients,
    });
    return new JobInCloud(cloud, deployed, name, ports as unknown as Ports, options);
  }

  get coordinator(): string {
    return namesOf(this.#name).coordinator;
  }

  /** New code over the old. */
  async deploy(job: O): Promise<void> {
    await this.cloud.deploy(await this.synthesise(job));
  }

  /** What the next deployment is to deploy, its functions bundled: as `cdk synth` makes it. */
  async synthesise(job: O): Promise<Topology> {
    this.#deployments++;
    return bundled(await topologyFor(this.#deployed, job, this.#deployments, this.#options), this.#options.directory);
  }

  /** What is looked at to see how it comes along. */
  get target() {
    return { job: this.#name, place: this.coordinator, ports: this.#ports };
  }

  /** Undefined: the job has not begun. */
  record(): Promise<JobRecord | undefined> {
    return patiently(() => readJobRecord(this.#ports, this.#name));
  }

  /** Gives an order, again and again until the job record has it: the coordinator may be killed before. Then waits until it is so. */
  async order(kind: Order, isDone: (record: JobRecord) => boolean, manifest?: string): Promise<JobRecord> {
    const id = `${kind}-${++this.#orders}`;
    const command = { version: payloadVersion, kind, id, ...(manifest === undefined ? {} : { manifest }) };
    const before = (await this.record())?.generation ?? 0;
    let givenAt = -Infinity;
    return this.until(`the order to ${kind} is followed`, async () => {
      const record = await this.record();
      const isTaken = record !== undefined && (record.order === id || record.generation > before);
      if (isTaken && isDone(record)) return record;
      if (!isTaken && Date.now() - givenAt > lookEveryMs) {
        givenAt = Date.now();
        void this.cloud.invoke(this.coordinator, command).catch(() => undefined);
      }
      return undefined;
    });
  }

  /** Gives an order that must be refused as `invalid`, until an answer arrives: the coordinator may be killed before. Returns what it says. */
  async refused(kind: Order, manifest?: string): Promise<string> {
    const id = `${kind}-${++this.#orders}`;
    const command = { version: payloadVersion, kind, id, ...(manifest === undefined ? {} : { manifest }) };
    return this.until(`the order to ${kind} ${manifest ?? ""} is refused`, async () => {
      const result = await this.cloud.invoke(this.coordinator, command);
      if (result.outcome === "returned") throw new Error(`an order was taken that is to be refused: ${kind} ${manifest}`);
      if (result.outcome !== "failed") return undefined;
      const { errorType, errorMessage } = JSON.parse(Buffer.from(result.payload).toString()) as Record<string, string>;
      return errorType === "Millrace.invalid" ? errorMessage : undefined;
    });
  }

  /** Puts records at an even pace, in their order. */
  async put(records: readonly PutRecord[], lengthMs: number): Promise<void> {
    const { streams = {} } = this.#deployed.outside;
    const slices = Math.max(1, Math.round(lengthMs / 500));
    const startedAt = Date.now();
    for (let n = 0; n < slices; n++) {
      this.#options.signal?.throwIfAborted();
      const slice = records.slice(Math.floor((n * records.length) / slices), Math.floor(((n + 1) * records.length) / slices));
      for (const [stream, { shardCount }] of Object.entries(streams)) {
        const own = slice.filter((record) => record.stream === stream);
        for (let from = 0; from < own.length; from += 400) await this.#putSome(stream, shardCount, own.slice(from, from + 400));
      }
      await sleep(Math.max(0, startedAt + ((n + 1) * lengthMs) / slices - Date.now()));
    }
  }

  async #putSome(StreamName: string, shards: number, records: readonly PutRecord[]): Promise<void> {
    const Records = records.map(({ shard, bytes }) => ({
      PartitionKey: "any",
      ExplicitHashKey: String((BigInt(shard) << shardBits) / BigInt(shards) + 1n),
      Data: bytes,
    }));
    const put = await this.cloud.clients.kinesis.send(new PutRecordsCommand({ StreamName, Records }));
    const refused = put.Records?.find(({ ErrorCode }) => ErrorCode !== undefined);
    // Some put again would stand behind later ones: the script that recounts takes them in the order they were put.
    if (refused !== undefined) throw new Error(`a stream refuses what the test puts: ${StreamName}, ${JSON.stringify(refused)}`);
  }

  results(): Promise<Results> {
    const deadLetters = { bucket: namesOf(this.#name).deadLetterBucket, prefix: deadLetterPrefix(this.#name) };
    return patiently(() => readResults(this.cloud.clients, this.#deployed.places, deadLetters));
  }

  /** Looks twice a second until it gets something. Throws `Overdue`. */
  async until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      this.#options.signal?.throwIfAborted();
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > this.#options.deadline) throw new Overdue(`it does not come to it in time: ${what}`);
      await sleep(500);
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#looks);
    await this.cloud.stop();
  }
}

/** Calls of the test itself meet the faults too. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries === 10) throw error;
      await sleep(100 * tries);
    }
  }
}

async function topologyFor<O extends ScenarioJobOptions>(
  deployed: DeployedJob<O>,
  job: O,
  deployment: number,
  { directory, without, batchSize, batchWindow, concurrency = 4 }: JobInCloudOptions,
): Promise<Topology> {
  const name = `job-${deployment}.ts`;
  const made = `${deployed.maker}(${JSON.stringify(job)})`;
  await writeFile(
    join(directory, name),
    `import { ${deployed.maker} } from ${JSON.stringify(deployed.module)};\nexport default ${made};\n`,
  );
  const topology = topologyOf({
    graph: planJob(deployed.job(job)),
    module: `./${name}`,
    directory,
    functions: functionsDirectory,
    deployment,
    outside: deployed.outside,
    timeouts: { task: 60, coordinator: 20 },
    memorySize: 512,
    concurrency,
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(batchWindow === undefined ? {} : { batchWindow }),
  });
  return without === undefined ? topology : breaking(topology, without);
}

/** The same with bundles for entries: those of one entry share one. */
async function bundled(topology: Topology, directory: string): Promise<Topology> {
  const folders = new Map<string, string>();
  const functions: Record<string, FunctionResource> = {};
  for (const [name, { entry, ...resource }] of Object.entries(topology.functions ?? {})) {
    const text = JSON.stringify(entry);
    const folder = folders.get(text) ?? (await writeBundle(await bundleFunction({ entry: entry! }), directory));
    folders.set(text, folder);
    functions[name] = { ...resource, codeDirectory: folder };
  }
  return { ...topology, functions };
}

/** The same with tasks that leave out a rule. */
function breaking(topology: Topology, rule: Safeguard): Topology {
  const safeguards = join(functionsDirectory, "../runtime/task/safeguards.ts");
  const broken = Object.entries(topology.functions ?? {}).map(([name, resource]) => {
    const { contents, directory } = resource.entry as { readonly contents: string; readonly directory: string };
    const parts = `{ environment: { safeguards: without(${JSON.stringify(rule)}) } }`;
    const changed = contents.replace("createTaskHandler(job)", `createTaskHandler(job, ${parts})`);
    const entry = { contents: `import { without } from ${JSON.stringify(safeguards)};\n${changed}`, directory };
    return [name, { ...resource, entry }] as const;
  });
  return { ...topology, functions: Object.fromEntries(broken) };
}
