/**
 * The event source mappings of a cloud: of streams, of tables' changes and of queues.
 *
 * Owns which of them run, and keeps them to what is deployed (`follow`). Where one of a stream or a table has got is the checkpoints', which
 * outlive it: a mapping with the function and stream of a former one goes on where that is, whatever its starting position.
 */
import { systemClock } from "../clock.ts";
import { EventSourceMapping, type EventSourceMappingOptions } from "../event-source-mapping/event-source-mapping.ts";
import { KinesisStream } from "../event-source-mapping/kinesis-stream.ts";
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import type { MappingSettings } from "../event-source-mapping/settings.ts";
import type { SourceStream } from "../event-source-mapping/source-stream.ts";
import { type KinesisLimits, kinesisLimits } from "../kinesis/index.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { functionArn } from "../lambda/function-configuration.ts";
import { QueueMapping } from "../messaging/queue-mapping.ts";
import { absent } from "./absent.ts";
import type { CheckpointFile } from "./checkpoint-file.ts";
import type { CloudEvent } from "./cloud-event.ts";
import { putObject, type ServiceClients } from "./create-resources.ts";
import type { CheckedTopology } from "./read-topology.ts";
import type { Services } from "./services.ts";
import { TableChanges } from "./table-changes.ts";
import type { MappingResource, QueueMappingResource, TableMappingResource } from "./topology.ts";

/** How mappings behave where AWS leaves it open. */
export type MappingBehaviour = Pick<EventSourceMappingOptions, "seed" | "faults" | "shardOrder" | "timings">;

export interface MappingsOptions {
  readonly services: Pick<Services, "dynamodb" | "messaging">;
  readonly clients: Pick<ServiceClients, "kinesis" | "s3">;
  /** The functions by name: who is invoked keeps its name, whatever code it has by then. */
  readonly invokers: ReadonlyMap<string, FunctionInvoker>;
  readonly place: { readonly region: string; readonly account: string };
  /** Undefined: where they have got is in memory alone. */
  readonly checkpoints: CheckpointFile | undefined;
  readonly behaviour: MappingBehaviour | undefined;
  readonly onEvent: (event: CloudEvent) => void;
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
  pollIntervalMs: number = promptTimings.pollIntervalMs,
): Partial<KinesisLimits> {
  const ofStreams = new Map<string, number>();
  for (const { streamName } of mappings) ofStreams.set(streamName, (ofStreams.get(streamName) ?? 0) + 1);
  const beyond = Math.max(0, 1_000 / pollIntervalMs - pollsPerSecondOnAws) * Math.max(0, ...ofStreams.values());
  return { readCallsPerSecond: kinesisLimits.readCallsPerSecond + Math.ceil(beyond) };
}

/** Of a stream, or of a table's changes: it reads shards, and has checkpoints. */
type ShardMappingResource = MappingResource | TableMappingResource;

interface Running<R, M> {
  readonly resource: R;
  readonly mapping: M;
}

export class Mappings {
  readonly #options: MappingsOptions;
  readonly #ofShards = new Map<string, Running<ShardMappingResource, EventSourceMapping>>();
  readonly #ofQueues = new Map<string, Running<QueueMappingResource, QueueMapping>>();

  constructor(options: MappingsOptions) {
    this.#options = options;
  }

  /** Throws `invalid` when there is none. */
  get(functionName: string, streamName: string): EventSourceMapping {
    const name = mappingName(functionName, streamName);
    const running = this.#ofShards.get(name);
    if (running === undefined) throw absent("mapping", name, this.#ofShards.keys());
    return running.mapping;
  }

  /** Makes them those of the topology. */
  async follow({ eventSourceMappings, tableMappings, queueMappings }: CheckedTopology): Promise<void> {
    await this.#followShards([...eventSourceMappings, ...tableMappings]);
    await this.#followQueues(queueMappings);
  }

  /** Ends those that invoke the function. */
  async endOf(functionName: string): Promise<void> {
    await Promise.all([endThose(this.#ofShards, isOf), endThose(this.#ofQueues, isOf)]);

    function isOf(resource: { readonly functionName: string }): boolean {
      return resource.functionName === functionName;
    }
  }

  /** Until the invocations under way have ended. */
  async stop(): Promise<void> {
    const running = [...this.#ofShards.values(), ...this.#ofQueues.values()];
    await Promise.all(running.map(({ mapping }) => mapping.stop()));
  }

  async #followShards(wanted: readonly ShardMappingResource[]): Promise<void> {
    const names = new Set(wanted.map(nameOf));
    await endThose(this.#ofShards, (resource) => !names.has(nameOf(resource)));
    for (const resource of wanted) {
      const name = nameOf(resource);
      const running = this.#ofShards.get(name);
      const mapping = running?.mapping ?? this.#startShards(resource);
      if (running !== undefined) await change(mapping, running.resource, resource);
      this.#ofShards.set(name, { resource, mapping });
    }
  }

  #startShards(resource: ShardMappingResource): EventSourceMapping {
    const { functionName, enabled = true, onFailure } = resource;
    const { clients, place, checkpoints, behaviour, invokers, onEvent } = this.#options;
    const streamName = sourceOf(resource);
    const { timings, ...others } = behaviour ?? {};
    return new EventSourceMapping({
      ...others,
      timings: { ...promptTimings, ...timings },
      stream: this.#streamOf(resource),
      invoker: invokers.get(functionName)!,
      clock: systemClock,
      settings: settingsOf(resource),
      enabled,
      functionArn: functionArn({ name: functionName, ...place }),
      region: place.region,
      ...(checkpoints === undefined ? {} : { checkpoints: checkpoints.of(nameOf(resource)) }),
      ...(onFailure === undefined
        ? {}
        : { onFailure: { kind: "s3" as const, put: (key, body) => putObject(clients.s3, onFailure.bucket, key, body) } }),
      onEvent: (event: MappingEvent) => {
        if (event.kind === "checkpoint" || event.kind === "shardEnded") checkpoints?.touch();
        onEvent({ kind: "mapping", functionName, streamName, event });
      },
    });
  }

  #streamOf(resource: ShardMappingResource): SourceStream {
    const { clients, services } = this.#options;
    if ("streamName" in resource) return new KinesisStream(clients.kinesis, resource.streamName);
    return new TableChanges(resource.tableName, () => services.dynamodb.streams.of(resource.tableName));
  }

  /** They keep nothing, so one that changes is another. */
  async #followQueues(resources: readonly QueueMappingResource[]): Promise<void> {
    const wanted = resources.filter(({ enabled = true }) => enabled);
    const texts = new Set(wanted.map((resource) => JSON.stringify(resource)));
    await endThose(this.#ofQueues, (resource) => !texts.has(JSON.stringify(resource)));
    for (const resource of wanted) {
      const name = mappingName(resource.functionName, `queue ${resource.queueName}`);
      if (!this.#ofQueues.has(name)) this.#ofQueues.set(name, { resource, mapping: this.#startQueue(resource) });
    }
  }

  #startQueue({ functionName, queueName, enabled: _, ...settings }: QueueMappingResource): QueueMapping {
    const { services, place, invokers, onEvent } = this.#options;
    return new QueueMapping({
      queue: services.messaging.source(queueName),
      region: place.region,
      invoker: invokers.get(functionName)!,
      settings,
      clock: systemClock,
      onEvent: (event) => onEvent({ kind: "queueMapping", functionName, queueName, event }),
    });
  }
}

async function endThose<R>(
  running: Map<string, Running<R, { stop(): Promise<void> }>>,
  isGone: (resource: R) => boolean,
): Promise<void> {
  const gone = [...running].filter(([, { resource }]) => isGone(resource));
  for (const [name] of gone) running.delete(name);
  await Promise.all(gone.map(([, { mapping }]) => mapping.stop()));
}

async function change(mapping: EventSourceMapping, from: ShardMappingResource, to: ShardMappingResource): Promise<void> {
  const { enabled = true } = to;
  // An update that changes nothing would stop it for a while.
  if (JSON.stringify({ ...to, enabled }) !== JSON.stringify({ ...from, enabled })) await mapping.update(settingsOf(to));
  if (enabled) mapping.enable();
  else await mapping.disable();
}

function settingsOf(resource: ShardMappingResource): MappingSettings {
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

function sourceOf(resource: ShardMappingResource): string {
  return "streamName" in resource ? resource.streamName : `table ${resource.tableName}`;
}

function nameOf(resource: ShardMappingResource): string {
  return mappingName(resource.functionName, sourceOf(resource));
}

function mappingName(functionName: string, source: string): string {
  return `${functionName} on ${source}`;
}
