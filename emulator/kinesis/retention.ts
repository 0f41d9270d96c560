/** Finding records by their time of arrival, and dropping those whose retention is over. Arrival times grow along a shard. */
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { SourceRecord } from "../../runtime/api/connector.ts";
import { horizonOf, type Service } from "./service.ts";
import type { StreamEntry } from "./stream-registry.ts";

/** The position after which all records arrived at `time` or later. */
export async function positionBefore(service: Service, stream: string, shard: ShardId, time: number): Promise<Position> {
  const last = await service.log.lastPosition(stream, shard);
  const first = await recordAfter(service, stream, shard, "horizon");
  if (first === undefined) return last;
  // All positions below `low` hold what came before `time`; `high` does not, or lies past the end.
  let [low, high] = [BigInt(first.position), BigInt(last) + 1n];
  while (low < high) {
    const middle = (low + high) / 2n;
    const record = await recordAfter(service, stream, shard, positionOf(middle - 1n));
    if (record === undefined || record.arrivalTime >= time) high = middle;
    else low = middle + 1n;
  }
  return positionOf(low - 1n);
}

/** How often all shards of a stream are looked through, those too that nobody reads. */
const sweepEveryMs = 60_000;

/** Drops what has expired from all shards of a stream, at most once a minute. */
export async function sweep(service: Service, entry: StreamEntry): Promise<void> {
  const now = service.clock.now();
  if (now - (service.sweptAt.get(entry) ?? entry.createdAt) < sweepEveryMs) return;
  service.sweptAt.set(entry, now);
  for (const shard of await service.log.shards(entry.name)) await expire(service, entry, shard.id);
}

/** Drops what has expired from one shard. */
export async function expire(service: Service, entry: StreamEntry, shard: ShardId): Promise<void> {
  const upTo = await positionBefore(service, entry.name, shard, horizonOf(service, entry));
  await service.log.trim(entry.name, shard, upTo);
}

async function recordAfter(
  service: Service,
  stream: string,
  shard: ShardId,
  after: Position | "horizon",
): Promise<SourceRecord | undefined> {
  const { records } = await service.log.read(stream, shard, after, { records: 1, bytes: 1 });
  return records[0];
}

function positionOf(position: bigint): Position {
  return id<Position>(String(position));
}
