/**
 * What the operations work on, and how they find streams and shards. No protocol and no network: `operations` in operations/index.ts
 * are functions from a service and an input to an output.
 */
import type { EmbeddedLog } from "../../runtime/adapters/log-provisioning.ts";
import type { Position, ShardId } from "../../runtime/base/ids.ts";
import { id } from "../../runtime/base/ids.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Shard } from "../../runtime/ports/log.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Input } from "./input.ts";
import { KinesisError } from "./kinesis-error.ts";
import type { Throttle } from "./limits.ts";
import { numbering } from "./sequence-number.ts";
import { type Consumer, statusOf, type StreamEntry, type StreamRegistry } from "./stream-registry.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface Service {
  readonly log: EmbeddedLog;
  readonly clock: Clock;
  readonly registry: StreamRegistry;
  readonly throttle: Throttle;
  readonly arrivals: Arrivals;
  readonly subscriptions: Subscriptions;
  /** When expired records of a stream were last looked for, epoch ms. */
  readonly sweptAt: WeakMap<StreamEntry, number>;
  readonly account: string;
  readonly region: string;
  /** How long a stream is CREATING, UPDATING or DELETING. */
  readonly transitionMs: number;
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal;
}

/** One call: who asks for what, and what a test wants to go wrong. */
export interface Call {
  readonly operation: string;
  readonly input: Input;
  /** Positions in PutRecords whose record is refused as throttled. */
  readonly refuses?: ((index: number) => boolean) | undefined;
}

export type Output = Readonly<Record<string, unknown>>;
/** A stream of SubscribeToShardEvents instead of one output; ends early when the signal is aborted. */
export interface EventOutput {
  readonly events: (closed: AbortSignal) => AsyncIterable<Output>;
}
export type Operation = (service: Service, call: Call) => Promise<Output | EventOutput>;

const namePattern = { min: 1, max: 128, pattern: /^[a-zA-Z0-9_.-]+$/ };
const shardIdPattern = { min: 1, max: 128, pattern: /^[a-zA-Z0-9_.-]+$/ };
const arnPattern = /^arn:aws[^:]*:kinesis:([^:]*):([^:]*):stream\/([a-zA-Z0-9_.-]+)(?:\/consumer\/([a-zA-Z0-9_.-]+):\d+)?$/;

/** The name of the stream that a call is about, by StreamName or StreamARN; undefined when it has neither. */
export function nameOfStream(service: Service, input: Input): string | undefined {
  const byName = input.text("StreamName", namePattern);
  const arn = input.text("StreamARN");
  if (arn === undefined) return byName;
  const { name } = parseArn(service, arn);
  if (byName !== undefined && byName !== name) {
    throw new KinesisError("InvalidArgumentException", `StreamName ${byName} and StreamARN ${arn} are of different streams.`);
  }
  return name;
}

/** The stream that a call is about. Throws ResourceNotFoundException. */
export async function streamOf(service: Service, input: Input): Promise<StreamEntry> {
  const name = nameOfStream(service, input);
  if (name === undefined) throw new KinesisError("InvalidArgumentException", "Either StreamName or StreamARN must be given.");
  return streamNamed(service, name);
}

export async function streamNamed(service: Service, name: string): Promise<StreamEntry> {
  const entry = await service.registry.find(name);
  if (entry === undefined) throw streamNotFound(service, name);
  return entry;
}

/** The stream that a call reads or writes: one that is still being made is not found. */
export async function readyStreamOf(service: Service, input: Input): Promise<StreamEntry> {
  const entry = await streamOf(service, input);
  if (statusOf(entry, service.clock.now()) === "CREATING") throw streamNotFound(service, entry.name);
  return entry;
}

/** The stream that a call changes. Throws ResourceInUseException while another change is under way. */
export async function activeStreamOf(service: Service, input: Input): Promise<StreamEntry> {
  const entry = await streamOf(service, input);
  checkActive(service, entry);
  return entry;
}

export function checkActive(service: Service, entry: StreamEntry): void {
  const status = statusOf(entry, service.clock.now());
  if (status === "ACTIVE") return;
  throw new KinesisError(
    "ResourceInUseException",
    `Stream ${entry.name} under account ${service.account} not ACTIVE, instead in state ${status}`,
  );
}

/** Begins a change that lasts `transitionMs`. */
export function beginChange(service: Service, entry: StreamEntry, change: StreamEntry["change"]): void {
  entry.change = change;
  entry.readyAt = service.clock.now() + service.transitionMs;
}

/** The stream's shards without those that were closed before the retention period began, and so hold nothing any more. */
export async function shardsOf(service: Service, entry: StreamEntry): Promise<readonly Shard[]> {
  const horizon = horizonOf(service, entry);
  const shards = await service.log.shards(entry.name);
  return shards.filter(({ id: shard }) => (entry.shards[shard]?.closedAt ?? Infinity) >= horizon);
}

export function shardIdOf(input: Input, name = "ShardId"): ShardId {
  return id<ShardId>(input.requiredText(name, shardIdPattern));
}

/** Throws ResourceNotFoundException. */
export async function shardNamed(service: Service, entry: StreamEntry, shard: ShardId): Promise<Shard> {
  const found = (await shardsOf(service, entry)).find((candidate) => candidate.id === shard);
  if (found !== undefined) return found;
  throw new KinesisError(
    "ResourceNotFoundException",
    `Shard ${shard} in stream ${entry.name} under account ${service.account} does not exist`,
  );
}

/** Records that arrived before it have expired. */
export function horizonOf(service: Service, entry: StreamEntry): number {
  return service.clock.now() - entry.retentionHours * 3_600_000;
}

export function streamArn(service: Service, name: string): string {
  return `arn:aws:kinesis:${service.region}:${service.account}:stream/${name}`;
}

export function consumerArn(service: Service, entry: StreamEntry, { name, createdAt }: Consumer): string {
  return `${streamArn(service, entry.name)}/consumer/${name}:${Math.floor(createdAt / 1000)}`;
}

/** The parts of the ARN of a stream or of a consumer. Throws what Kinesis throws for one that is not of here. */
export function parseArn(service: Service, arn: string): { readonly name: string; readonly consumer: string | undefined } {
  const [, region, account, name, consumer] = arnPattern.exec(arn) ?? [];
  if (name === undefined) throw new KinesisError("ValidationException", `Not the ARN of a Kinesis stream or consumer: ${arn}`);
  if (region !== service.region || account !== service.account) throw streamNotFound(service, name);
  return { name, consumer };
}

/** The shard as Kinesis describes it. */
export async function describeShard(service: Service, entry: StreamEntry, shard: Shard): Promise<Output> {
  const number = numbering(entry.createdAt, shard.id);
  const starts = await Promise.all(shard.parents.map((parent) => service.log.lastPosition(entry.name, parent)));
  const start = starts.reduce((a, b) => (BigInt(a) > BigInt(b) ? a : b), id<Position>("0"));
  const end = shard.closed ? number(await service.log.lastPosition(entry.name, shard.id), "end") : undefined;
  return {
    ShardId: shard.id,
    ParentShardId: shard.parents[0],
    AdjacentParentShardId: shard.parents[1],
    HashKeyRange: hashKeyRange(shard),
    SequenceNumberRange: { StartingSequenceNumber: number(start), EndingSequenceNumber: end },
  };
}

export function hashKeyRange({ range }: Shard): Output {
  return { StartingHashKey: String(range.from), EndingHashKey: String(range.to) };
}

/** The error for a stream that is not there, or not yet. */
export function streamNotFound(service: Service, name: string): KinesisError {
  return new KinesisError("ResourceNotFoundException", `Stream ${name} under account ${service.account} not found.`);
}
