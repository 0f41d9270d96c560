/** Where a shard stands among those that are known: pure decisions over the list of a stream's shards. */
import type { ShardId } from "../base/ids.ts";
import type { Shard } from "../ports/log.ts";

/**
 * Whether the shard lies before one that is known: then it was read to its end, or its records are not wanted. Without this, a
 * generation restored from children would read their parents again.
 */
export function isPast(shard: ShardId, isKnown: (shard: ShardId) => boolean, shards: readonly Shard[]): boolean {
  const seen = new Set<ShardId>([shard]);
  for (const parent of seen)
    for (const child of shards) {
      if (!child.parents.includes(parent)) continue;
      if (isKnown(child.id)) return true;
      seen.add(child.id);
    }
  return false;
}

/** The shards that the shard came from, as far as they are listed: each before those that came from it. */
export function ancestorsOf(shard: ShardId, shards: readonly Shard[]): readonly ShardId[] {
  const found = new Set<ShardId>();
  const visit = (descendant: ShardId) => {
    for (const parent of shards.find(({ id }) => id === descendant)?.parents ?? []) {
      if (found.has(parent)) continue;
      visit(parent);
      found.add(parent);
    }
  };
  visit(shard);
  return [...found];
}
