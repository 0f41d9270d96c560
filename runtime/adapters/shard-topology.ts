/**
 * The shards of one stream of an embedded log, without its records: which is open for a hash key, how one is split and two are
 * merged. Plain data and pure functions, shared by the adapters so that they cannot differ.
 */
import { MillraceError } from "../base/errors.ts";
import { id, type ShardId } from "../base/ids.ts";
import type { Shard } from "../ports/log.ts";
import { fullRange, type HashRange, inRange, mergeRanges, middleOf, splitEvenly, splitRange } from "../streaming/hash-range.ts";

/** What a change of the topology does: shards to close and shards to open. */
export interface Resharding {
  readonly close: readonly ShardId[];
  readonly open: readonly Shard[];
}

/** The name of the n-th shard of a stream, as Kinesis forms it. */
function shardName(n: number): ShardId {
  return id<ShardId>(`shardId-${String(n).padStart(12, "0")}`);
}

/** The first shards of a stream. Throws `invalid`. */
export function initialShards(stream: string, count: number): readonly Shard[] {
  if (!Number.isInteger(count) || count < 1) {
    throw new MillraceError("invalid", `a stream has one shard or more: ${stream}, ${count}`);
  }
  return splitEvenly(count).map((range, n) => openShard(n, range, []));
}

/** The open shard that takes `hashKey`. Throws `invalid` when the key lies outside the hash space. */
export function shardFor<S extends Shard>(stream: string, shards: readonly S[], hashKey: bigint): S {
  const found = shards.find((shard) => !shard.closed && inRange(shard.range, hashKey));
  if (found === undefined) {
    const reason = inRange(fullRange, hashKey) ? "no open shard takes this hash key" : "hash key outside the 128-bit hash space";
    throw new MillraceError("invalid", `${reason}: ${stream}, ${hashKey}`);
  }
  return found;
}

/** Splits a shard in two, in the middle unless told where. Throws `invalid`. */
export function decideSplit(stream: string, shards: readonly Shard[], shard: ShardId, at?: bigint): Resharding {
  const parent = openShardNamed(stream, shards, shard);
  const point = at ?? middleOf(parent.range);
  const ranges = splitRange(parent.range, point);
  if (ranges === undefined)
    throw new MillraceError("invalid", `a shard is split inside its range: ${stream}, ${shard}, ${point}`);
  return { close: [shard], open: ranges.map((range, n) => openShard(shards.length + n, range, [shard])) };
}

/** Merges two neighbouring shards into one. Throws `invalid`. */
export function decideMerge(stream: string, shards: readonly Shard[], a: ShardId, b: ShardId): Resharding {
  const range = mergeRanges(openShardNamed(stream, shards, a).range, openShardNamed(stream, shards, b).range);
  if (range === undefined) throw new MillraceError("invalid", `only neighbouring shards can be merged: ${stream}, ${a}, ${b}`);
  return { close: [a, b], open: [openShard(shards.length, range, [a, b])] };
}

/** The error for a stream that was never created. */
export function unknownStream(stream: string): MillraceError {
  return new MillraceError("invalid", `no such stream, create it first: ${stream}`);
}

/** The error for a shard that the stream does not have. */
export function unknownShard(stream: string, shard: ShardId): MillraceError {
  return new MillraceError("invalid", `no such shard: ${stream}, ${shard}`);
}

function openShard(n: number, range: HashRange, parents: readonly ShardId[]): Shard {
  return { id: shardName(n), range, parents, closed: false };
}

function openShardNamed(stream: string, shards: readonly Shard[], name: ShardId): Shard {
  const shard = shards.find((candidate) => candidate.id === name);
  if (shard === undefined) throw unknownShard(stream, name);
  if (shard.closed) throw new MillraceError("invalid", `shard is closed already: ${stream}, ${name}`);
  return shard;
}
