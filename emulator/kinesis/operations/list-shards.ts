/** ListShards, DescribeStream and DescribeStreamSummary. */
import type { Shard } from "../../../runtime/ports/log.ts";
import type { Input } from "../input.ts";
import { KinesisError } from "../kinesis-error.ts";
import { requestLimits } from "../limits.ts";
import {
  type Call,
  describeShard,
  horizonOf,
  nameOfStream,
  type Output,
  type Service,
  shardIdOf,
  shardsOf,
  streamArn,
  streamNamed,
  streamOf,
} from "../service.ts";
import { statusOf, type StreamEntry } from "../stream-registry.ts";
import { readToken, writeToken } from "../tokens.ts";

const filterTypes = [
  "AFTER_SHARD_ID",
  "AT_TRIM_HORIZON",
  "FROM_TRIM_HORIZON",
  "AT_LATEST",
  "AT_TIMESTAMP",
  "FROM_TIMESTAMP",
] as const;

/** Which shards a listing gives, and after which. */
interface Selection {
  readonly type: (typeof filterTypes)[number];
  /** Epoch ms. */
  readonly timestamp?: number | undefined;
  readonly after?: string | undefined;
}

interface ListToken {
  readonly stream: string;
  readonly createdAt: number;
  readonly selection: Selection;
  readonly issuedAt: number;
}

export async function listShards(service: Service, { input }: Call): Promise<Output> {
  const limit = input.integer("MaxResults", { min: 1, max: 10_000 }) ?? 1000;
  const token = input.text("NextToken", { min: 1, max: 1_048_576 });
  const { entry, selection } = token === undefined ? await begin(service, input) : await goOn(service, input, token);
  const selected = (await shardsOf(service, entry)).filter((shard) => isSelected(service, entry, shard, selection));
  const page = selected.slice(0, limit);
  const rest: ListToken = {
    stream: entry.name,
    createdAt: entry.createdAt,
    selection: { ...selection, after: page.at(-1)?.id },
    issuedAt: service.clock.now(),
  };
  return {
    Shards: await Promise.all(page.map((shard) => describeShard(service, entry, shard))),
    NextToken: selected.length > limit ? writeToken("NextToken", rest) : undefined,
  };
}

async function begin(service: Service, input: Input): Promise<{ readonly entry: StreamEntry; readonly selection: Selection }> {
  const entry = await streamOf(service, input);
  const created = input.time("StreamCreationTimestamp");
  // The wire has it in seconds, with or without a fraction.
  if (created !== undefined && Math.floor(created / 1000) !== Math.floor(entry.createdAt / 1000)) {
    throw new KinesisError(
      "ResourceNotFoundException",
      `No stream ${entry.name} was created at ${new Date(created).toISOString()}.`,
    );
  }
  const selection = readFilter(service, entry, input.member("ShardFilter"));
  const after = input.has("ExclusiveStartShardId") ? shardIdOf(input, "ExclusiveStartShardId") : selection.after;
  return { entry, selection: { ...selection, after } };
}

async function goOn(
  service: Service,
  input: Input,
  text: string,
): Promise<{ readonly entry: StreamEntry; readonly selection: Selection }> {
  for (const name of ["StreamName", "ExclusiveStartShardId", "StreamCreationTimestamp", "ShardFilter"]) {
    if (!input.has(name)) continue;
    throw new KinesisError("InvalidArgumentException", `NextToken and ${name} cannot be provided together.`);
  }
  const token = readToken<ListToken>("NextToken", text);
  if (service.clock.now() - token.issuedAt > requestLimits.tokenLifeMs) {
    throw new KinesisError("ExpiredNextTokenException", `NextToken has expired: it lives for ${requestLimits.tokenLifeMs} ms.`);
  }
  const entry = await streamNamed(service, nameOfStream(service, input) ?? token.stream);
  if (entry.createdAt !== token.createdAt) throw new KinesisError("InvalidArgumentException", "NextToken is of another stream.");
  return { entry, selection: token.selection };
}

function readFilter(service: Service, entry: StreamEntry, filter: Input | undefined): Selection {
  if (filter === undefined) return { type: "FROM_TRIM_HORIZON" };
  const type = filter.requiredText("Type", { oneOf: filterTypes }) as Selection["type"];
  const timestamp = filter.time("Timestamp");
  if ((type === "AFTER_SHARD_ID") !== filter.has("ShardId")) {
    throw new KinesisError(
      "InvalidArgumentException",
      "ShardId goes with the ShardFilter type AFTER_SHARD_ID, and only with it.",
    );
  }
  if ((type === "AT_TIMESTAMP" || type === "FROM_TIMESTAMP") !== (timestamp !== undefined)) {
    const rule = "Timestamp goes with the ShardFilter types AT_TIMESTAMP and FROM_TIMESTAMP, and only with them.";
    throw new KinesisError("InvalidArgumentException", rule);
  }
  if (type === "AFTER_SHARD_ID") return { type, after: shardIdOf(filter) };
  if (type === "AT_TRIM_HORIZON") return { type: "AT_TIMESTAMP", timestamp: horizonIn(service, entry) };
  return { type, timestamp };
}

/** What was open when the oldest record kept arrived; the stream's first shards while it is younger than its retention. */
function horizonIn(service: Service, entry: StreamEntry): number {
  return Math.max(horizonOf(service, entry), entry.createdAt);
}

function isSelected(service: Service, entry: StreamEntry, shard: Shard, { type, timestamp, after }: Selection): boolean {
  if (after !== undefined && shard.id <= after) return false;
  const { openedAt, closedAt } = timesOf(entry, shard);
  const isOpen = closedAt === undefined;
  switch (type) {
    case "AT_LATEST":
      return !shard.closed;
    case "AT_TIMESTAMP":
      return openedAt <= timestamp! && (isOpen || closedAt >= timestamp!);
    case "FROM_TIMESTAMP":
      return isOpen || closedAt >= timestamp!;
    default:
      return true;
  }
}

/** A shard whose opening was not seen counts as open since the stream was made; one whose closing was not, as closed at once. */
function timesOf(entry: StreamEntry, shard: Shard): { readonly openedAt: number; readonly closedAt: number | undefined } {
  const times = entry.shards[shard.id];
  const openedAt = times?.openedAt ?? entry.createdAt;
  return { openedAt, closedAt: shard.closed ? (times?.closedAt ?? openedAt) : undefined };
}

export async function describeStream(service: Service, { input }: Call): Promise<Output> {
  const limit = input.integer("Limit", { min: 1, max: 10_000 }) ?? 100;
  const after = input.has("ExclusiveStartShardId") ? shardIdOf(input, "ExclusiveStartShardId") : "";
  const entry = await streamOf(service, input);
  const shards = (await shardsOf(service, entry)).filter(({ id }) => id > after);
  return {
    StreamDescription: {
      ...describe(service, entry),
      Shards: await Promise.all(shards.slice(0, limit).map((shard) => describeShard(service, entry, shard))),
      HasMoreShards: shards.length > limit,
    },
  };
}

export async function describeStreamSummary(service: Service, { input }: Call): Promise<Output> {
  const entry = await streamOf(service, input);
  const shards = await service.log.shards(entry.name);
  return {
    StreamDescriptionSummary: {
      ...describe(service, entry),
      OpenShardCount: shards.filter(({ closed }) => !closed).length,
      ConsumerCount: entry.consumers.length,
      MaxRecordSizeInKiB: entry.maxRecordKiB,
      RecordDistributionStrategy: entry.distribution,
    },
  };
}

function describe(service: Service, entry: StreamEntry): Output {
  return {
    StreamName: entry.name,
    StreamARN: streamArn(service, entry.name),
    StreamStatus: statusOf(entry, service.clock.now()),
    StreamModeDetails: { StreamMode: entry.mode },
    RetentionPeriodHours: entry.retentionHours,
    StreamCreationTimestamp: new Date(entry.createdAt),
    EnhancedMonitoring: [{ ShardLevelMetrics: [] }],
    EncryptionType: "NONE",
  };
}
