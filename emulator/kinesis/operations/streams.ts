/** CreateStream, DeleteStream, ListStreams, and what can be set of a stream. */
import { KinesisError } from "../kinesis-error.ts";
import { requestLimits } from "../limits.ts";
import { activeStreamOf, beginChange, type Call, type Output, type Service, streamArn, streamOf } from "../service.ts";
import { type Distribution, newStream, statusOf, type StreamEntry, type StreamMode } from "../stream-registry.ts";
import { checkTags } from "./tags.ts";

const modes = ["PROVISIONED", "ON_DEMAND"] as const;
const distributions = ["USER_PARTITION_KEY", "AUTO"] as const;
/** What a stream in ON_DEMAND mode begins with. */
const onDemandShards = 4;

const recordKiB = { min: requestLimits.recordKiBMin, max: requestLimits.recordKiBMax };
const retentionHours = { min: requestLimits.retentionHoursMin, max: requestLimits.retentionHoursMax };

export async function create(service: Service, { input }: Call): Promise<Output> {
  const name = input.requiredText("StreamName", { min: 1, max: 128, pattern: /^[a-zA-Z0-9_.-]+$/ });
  const shards = input.integer("ShardCount", { min: 1 });
  const mode = (input.member("StreamModeDetails")?.requiredText("StreamMode", { oneOf: modes }) ?? "PROVISIONED") as StreamMode;
  const distribution = (input.text("RecordDistributionStrategy", { oneOf: distributions }) ??
    "USER_PARTITION_KEY") as Distribution;
  const maxRecordKiB = input.integer("MaxRecordSizeInKiB", recordKiB) ?? requestLimits.recordKiBMin;
  const tags = checkTags(input.texts("Tags") ?? {});
  checkCapacity(mode, shards, distribution);
  const settings = { ...newStream(name, service.clock.now() + service.transitionMs), mode, distribution, maxRecordKiB, tags };
  // A stream that is being deleted may be due to go.
  await service.registry.find(name);
  if ((await service.registry.create(settings, shards ?? onDemandShards)) === "created") return {};
  throw new KinesisError("ResourceInUseException", `Stream ${name} under account ${service.account} already exists.`);
}

function checkCapacity(mode: StreamMode, shards: number | undefined, distribution: Distribution): void {
  if (mode === "PROVISIONED" && shards === undefined) {
    throw new KinesisError("ValidationException", "ShardCount is required for a stream in PROVISIONED mode.");
  }
  if (mode === "ON_DEMAND" && shards !== undefined) {
    throw new KinesisError("ValidationException", "ShardCount cannot be given for a stream in ON_DEMAND mode.");
  }
  checkDistribution(mode, distribution);
  if (shards !== undefined && shards > requestLimits.shardsPerStream) {
    throw new KinesisError("LimitExceededException", `A stream has at most ${requestLimits.shardsPerStream} shards: ${shards}`);
  }
}

function checkDistribution(mode: StreamMode, distribution: Distribution): void {
  if (mode === "ON_DEMAND" || distribution === "USER_PARTITION_KEY") return;
  throw new KinesisError("ValidationException", "RecordDistributionStrategy AUTO is for streams in ON_DEMAND mode.");
}

export async function remove(service: Service, { input }: Call): Promise<Output> {
  const entry = await streamOf(service, input);
  if (entry.consumers.length > 0 && !input.flag("EnforceConsumerDeletion")) {
    const rule = "has registered consumers: deregister them or set EnforceConsumerDeletion";
    throw new KinesisError("ResourceInUseException", `Stream ${entry.name} under account ${service.account} ${rule}.`);
  }
  beginChange(service, entry, "DELETING");
  if (service.transitionMs === 0) await service.registry.drop(entry);
  else await service.registry.save();
  service.throttle.forget(entry.name);
  service.arrivals.announce(entry.name);
  return {};
}

export async function list(service: Service, { input }: Call): Promise<Output> {
  const limit = input.integer("Limit", { min: 1, max: 10_000 }) ?? 100;
  const after = input.text("NextToken") ?? input.text("ExclusiveStartStreamName") ?? "";
  const found = (await service.registry.all()).filter(({ name }) => name > after);
  const page = found.slice(0, limit);
  return {
    StreamNames: page.map(({ name }) => name),
    StreamSummaries: page.map((entry) => ({
      StreamName: entry.name,
      StreamARN: streamArn(service, entry.name),
      StreamStatus: statusOf(entry, service.clock.now()),
      StreamModeDetails: { StreamMode: entry.mode },
      StreamCreationTimestamp: new Date(entry.createdAt),
    })),
    HasMoreStreams: found.length > limit,
    NextToken: found.length > limit ? page.at(-1)!.name : undefined,
  };
}

export async function setRetention(service: Service, { operation, input }: Call): Promise<Output> {
  const hours = input.requiredInteger("RetentionPeriodHours");
  const entry = await activeStreamOf(service, input);
  const increases = operation === "IncreaseStreamRetentionPeriod";
  if (hours < retentionHours.min || hours > retentionHours.max) {
    const rule = `Retention is ${retentionHours.min} to ${retentionHours.max} hours`;
    throw new KinesisError("InvalidArgumentException", `${rule}: ${hours}`);
  }
  if (increases ? hours < entry.retentionHours : hours > entry.retentionHours) {
    const rule = `Retention of stream ${entry.name} is ${entry.retentionHours} hours: ${operation} cannot set it to`;
    throw new KinesisError("InvalidArgumentException", `${rule} ${hours}`);
  }
  return change(service, entry, { retentionHours: hours });
}

export async function setMaxRecordSize(service: Service, { input }: Call): Promise<Output> {
  const maxRecordKiB = input.requiredInteger("MaxRecordSizeInKiB", recordKiB);
  return change(service, await activeStreamOf(service, input), { maxRecordKiB });
}

export async function setMode(service: Service, { input }: Call): Promise<Output> {
  input.requiredText("StreamARN");
  const mode = input.member("StreamModeDetails")?.requiredText("StreamMode", { oneOf: modes }) ?? "PROVISIONED";
  return change(service, await activeStreamOf(service, input), { mode: mode as StreamMode });
}

export async function setDistribution(service: Service, { input }: Call): Promise<Output> {
  const distribution = input.requiredText("RecordDistributionStrategy", { oneOf: distributions }) as Distribution;
  const entry = await activeStreamOf(service, input);
  checkDistribution(entry.mode, distribution);
  return change(service, entry, { distribution });
}

async function change(service: Service, entry: StreamEntry, settings: Partial<StreamEntry>): Promise<Output> {
  Object.assign(entry, settings);
  beginChange(service, entry, "UPDATING");
  await service.registry.save();
  return {};
}

export async function describeLimits(service: Service): Promise<Output> {
  const streams = await service.registry.all();
  const counts = await Promise.all(
    streams.map(async ({ name }) => (await service.log.shards(name)).filter(({ closed }) => !closed).length),
  );
  return {
    ShardLimit: requestLimits.shardsPerStream,
    OpenShardCount: counts.reduce((sum, count) => sum + count, 0),
    OnDemandStreamCount: streams.filter(({ mode }) => mode === "ON_DEMAND").length,
    OnDemandStreamCountLimit: 50,
  };
}
