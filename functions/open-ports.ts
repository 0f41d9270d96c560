/** The ports of a function, made once per execution environment: the job's state, its inboxes, its sources and its sinks on AWS. */
import type { AwsClients } from "../runtime/adapters/aws/aws-clients.ts";
import { awsClients } from "../runtime/adapters/aws/aws-clients.ts";
import { openAwsSources } from "../runtime/adapters/aws/aws-sources.ts";
import { CelledLog } from "../runtime/adapters/aws/celled-log.ts";
import { openAws } from "../runtime/adapters/aws/open-aws.ts";
import { type LazyClients, lazyClients } from "../runtime/adapters/aws/lazy-clients.ts";
import type { S3Blobs } from "../runtime/adapters/aws/s3-blobs.ts";
import { MillraceError } from "../runtime/base/errors.ts";
import type { Bindings } from "../runtime/connectors/bindings.ts";
import { RedrivenSource } from "../runtime/connectors/redriven-source.ts";
import type { SourceReader } from "../runtime/connectors/source-reader.ts";
import { together } from "../runtime/driver/together.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { Blobs } from "../runtime/ports/blobs.ts";
import type { Clock } from "../runtime/ports/clock.ts";
import type { Ports } from "../runtime/ports/ports.ts";
import type { SinkDriver } from "../runtime/ports/sink-driver.ts";
import type { Telemetry } from "../runtime/ports/telemetry.ts";
import { stageOfInbox } from "../runtime/snapshots/names.ts";
import { defaultInbox, type Settings } from "./contract.ts";

export interface PortsOptions {
  readonly job: JobGraph;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default: made by the SDK's own settings. */
  readonly clients?: AwsClients | undefined;
  /** Those that take the place of the SDK's. */
  readonly lazyClients?: Partial<LazyClients> | undefined;
  readonly openSinks: OpenSinks;
  /** From 0 to below 1, for jitter; default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Slots per ring of a job that is new. */
  readonly ringSize?: number | undefined;
  /** What was given back of dead letters is listed seldom: a task looks at its shards so often that it would cost. */
  readonly remembersRedrives?: boolean;
  /** What sources settle when a job begins is not kept: they are looked at, and the job may begin later, or never. */
  readonly settlesNothing?: boolean;
}

/**
 * It may be long: what is given back always begins a new generation (the job stops, and a restore finds the object), and a task forgets what it
 * has listed with its generation, and at a shard that it does not know.
 */
const redrivesRememberedMs = 5 * 60_000;

export interface CheckedSinks extends SinkDriver {
  /** Throws `invalid` when what is written to is not there or may not be written. */
  check?(): Promise<void>;
}

/** Makes the runtime half of the job's sinks. */
export type OpenSinks = (
  options: Omit<PortsOptions, "openSinks" | "clients" | "lazyClients" | "remembersRedrives" | "ringSize" | "settlesNothing"> & {
    readonly bindings: Bindings;
    readonly clients: AwsClients;
    readonly lazyClients: LazyClients;
  },
) => CheckedSinks;

export interface FunctionPorts extends Ports {
  readonly sources: ReadonlyMap<string, SourceReader>;
  readonly sinks: CheckedSinks;
  /** Throws `invalid` when what the job reads or writes is not there, or cannot be used as the job does. */
  check(): Promise<void>;
  /** Sees to it that the inbox of a stage has so many shards, for a generation that has as many tasks there, while it may go on. */
  provisionInbox(stream: string, shards: number, mayGoOn: () => Promise<boolean>): Promise<void>;
}

/** Throws `invalid` for a table or bucket that is not there, `unavailable` when AWS does not answer: then it can be tried again. */
export async function openPorts(options: PortsOptions): Promise<FunctionPorts> {
  const { job, settings, clock, telemetry, ringSize, random = Math.random } = options;
  const clients = options.clients ?? awsClients();
  const lazy: LazyClients = { ...lazyClients(), ...options.lazyClients };
  const aws = await openAws({
    job: job.name,
    table: settings.stateTable,
    bucket: settings.stateBucket,
    clock,
    telemetry,
    clients,
    inboxName: (stream) => stream,
    // A restore at another parallelism changes them; what goes astray then is found by whom it is for (InboxShards).
    fixedInboxes: false,
    random,
    ...(ringSize !== undefined && { ringSize }),
  });
  const log = new CelledLog(aws.log, (stream) => inboxesOf(job.name, settings, stageOfInbox(stream)));
  const bindings: Bindings = new Map(Object.entries(settings.bindings).map(([name, bound]) => [name, [bound]]));
  const sources = openAwsSources(sourcesOf(job), {
    bindings,
    telemetry,
    pace: { clock, random },
    clients,
    blobs: options.settlesNothing === true ? withoutWrites(aws.blobs) : aws.blobs,
    lazyClients: lazy,
  });
  const sinks = options.openSinks({ job, settings, clock, telemetry, bindings, clients, lazyClients: lazy, random });
  const redriven = new Map<string, RedrivenSource>();
  const memory = options.remembersRedrives === true ? { clock, ms: redrivesRememberedMs } : undefined;
  return {
    ...aws,
    log,
    sinks,
    sources,
    source: (uid) => {
      let reader = redriven.get(uid);
      if (reader === undefined) redriven.set(uid, (reader = new RedrivenSource(uid, readerOf(sources, uid), aws.blobs, memory)));
      return reader;
    },
    check: () => checkAll(job, aws.blobs, sources, sinks),
    provisionInbox: (stream, shards, mayGoOn) => log.resize(stream, shards, mayGoOn),
  };
}

/** The inbox streams of a stage, one per cell. */
export function inboxesOf(job: string, { inboxes }: Settings, stage: string): readonly string[] {
  return inboxes[stage] ?? [defaultInbox(job, stage)];
}

export function sourcesOf(job: JobGraph) {
  return [...job.operators.values()].flatMap(({ node: { uid, spec } }) =>
    spec.kind === "source" ? [{ uid, source: spec.source }] : [],
  );
}

async function checkAll(
  job: JobGraph,
  blobs: S3Blobs,
  sources: ReadonlyMap<string, SourceReader>,
  sinks: CheckedSinks,
): Promise<void> {
  await blobs.check();
  const assumesKeys = job.graph.nodes.some(({ inputs }) =>
    inputs.some(({ partitioning }) => partitioning.kind === "assumeKeyed"),
  );
  await together([...sources.values()].map(async (reader) => reader.check?.({ assumesKeys })));
  await sinks.check?.();
}

function withoutWrites(blobs: Blobs): Blobs {
  return {
    get: (name, range) => blobs.get(name, range),
    list: (prefix, after) => blobs.list(prefix, after),
    put: async () => "put",
    delete: async () => {},
  };
}

function readerOf(sources: ReadonlyMap<string, SourceReader>, uid: string): SourceReader {
  const reader = sources.get(uid);
  if (reader === undefined) throw new MillraceError("invalid", `the job has no source of this name: ${uid}`);
  return reader;
}
