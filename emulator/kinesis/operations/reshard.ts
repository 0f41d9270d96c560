/** SplitShard, MergeShards and UpdateShardCount. */
import { isKind, messageOf } from "../../../runtime/base/errors.ts";
import type { ShardId } from "../../../runtime/base/ids.ts";
import type { Shard } from "../../../runtime/ports/log.ts";
import { type HashRange, splitEvenly } from "../../../runtime/streaming/hash-range.ts";
import { KinesisError } from "../kinesis-error.ts";
import { requestLimits } from "../limits.ts";
import {
  activeStreamOf,
  beginChange,
  type Call,
  type Output,
  type Service,
  shardIdOf,
  shardNamed,
  streamArn,
} from "../service.ts";
import type { ShardTimes, StreamEntry } from "../stream-registry.ts";

const dayMs = 86_400_000;

export async function splitShard(service: Service, { input }: Call): Promise<Output> {
  const shard = shardIdOf(input, "ShardToSplit");
  const at = BigInt(input.requiredText("NewStartingHashKey", { pattern: /^(0|([1-9]\d{0,38}))$/ }));
  const entry = await activeStreamOf(service, input);
  checkProvisioned(entry);
  await shardNamed(service, entry, shard);
  await refusingInvalid(() => service.log.splitShard(entry.name, shard, at));
  await changed(service, entry);
  return {};
}

export async function mergeShards(service: Service, { input }: Call): Promise<Output> {
  const [a, b] = [shardIdOf(input, "ShardToMerge"), shardIdOf(input, "AdjacentShardToMerge")];
  const entry = await activeStreamOf(service, input);
  checkProvisioned(entry);
  for (const shard of [a, b]) await shardNamed(service, entry, shard);
  await refusingInvalid(() => service.log.mergeShards(entry.name, a, b));
  await changed(service, entry);
  return {};
}

export async function updateShardCount(service: Service, { input }: Call): Promise<Output> {
  const target = input.requiredInteger("TargetShardCount", { min: 1 });
  input.requiredText("ScalingType", { oneOf: ["UNIFORM_SCALING"] });
  const entry = await activeStreamOf(service, input);
  checkProvisioned(entry);
  const current = (await openShards(service, entry)).length;
  checkTarget(entry, current, target);
  const now = service.clock.now();
  const scalings = entry.scalings.filter((time) => time > now - dayMs);
  if (scalings.length >= requestLimits.scalingsPerDay) {
    const rule = `UpdateShardCount may be called ${requestLimits.scalingsPerDay} times in 24 hours`;
    throw new KinesisError("LimitExceededException", `${rule}: ${entry.name}`);
  }
  entry.scalings = [...scalings, now];
  await scaleEvenly(service, entry, target);
  await changed(service, entry);
  return {
    StreamName: entry.name,
    CurrentShardCount: current,
    TargetShardCount: target,
    StreamARN: streamArn(service, entry.name),
  };
}

/** Splits at every border of an even share that is none yet, then merges what lies between two of them. */
async function scaleEvenly(service: Service, entry: StreamEntry, target: number): Promise<void> {
  const shares = splitEvenly(target);
  for (const { from } of shares) {
    const across = (await openShards(service, entry)).find(({ range }) => range.from < from && from <= range.to);
    if (across !== undefined) await service.log.splitShard(entry.name, across.id, from);
  }
  for (const share of shares) await mergeWithin(service, entry, share);
}

async function mergeWithin(service: Service, entry: StreamEntry, share: HashRange): Promise<void> {
  for (;;) {
    const inside = (await openShards(service, entry)).filter(({ range }) => share.from <= range.from && range.to <= share.to);
    if (inside.length < 2) return;
    await service.log.mergeShards(entry.name, inside[0]!.id, inside[1]!.id);
  }
}

/** By ascending range. */
async function openShards(service: Service, entry: StreamEntry): Promise<readonly Shard[]> {
  const open = (await service.log.shards(entry.name)).filter(({ closed }) => !closed);
  return open.sort((a, b) => (a.range.from < b.range.from ? -1 : 1));
}

function checkTarget(entry: StreamEntry, current: number, target: number): void {
  const [least, most] = [Math.ceil(current / 2), Math.min(2 * current, requestLimits.shardsPerStream)];
  if (target >= least && target <= most && target !== current) return;
  const rule = `TargetShardCount must be between ${least} and ${most}, and not the current count`;
  throw new KinesisError("InvalidArgumentException", `${rule}: ${entry.name}, ${target}, currently ${current}`);
}

function checkProvisioned({ name, mode }: StreamEntry): void {
  if (mode === "PROVISIONED") return;
  throw new KinesisError("ValidationException", `Stream ${name} is in ON_DEMAND mode: Kinesis scales it by itself.`);
}

async function refusingInvalid(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (isKind(error, "invalid")) throw new KinesisError("InvalidArgumentException", messageOf(error));
    throw error;
  }
}

/** Notes when shards were opened and closed, and wakes the readers of those that were. */
async function changed(service: Service, entry: StreamEntry): Promise<void> {
  const now = service.clock.now();
  const shards: Record<ShardId, ShardTimes> = {};
  for (const { id, closed, parents } of await service.log.shards(entry.name)) {
    const known = entry.shards[id] ?? { openedAt: parents.length === 0 ? entry.createdAt : now };
    shards[id] = closed && known.closedAt === undefined ? { ...known, closedAt: now } : known;
  }
  entry.shards = shards;
  beginChange(service, entry, "UPDATING");
  await service.registry.save();
  service.arrivals.announce(entry.name);
}
