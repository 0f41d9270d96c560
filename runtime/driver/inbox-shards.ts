/**
 * Which shard of an inbox is whose: listed once per stream, since inboxes are provisioned and only a rescale, which makes new ones,
 * changes their shards.
 *
 * L16 Where a frame went is held against it: one that went to a shard of nobody, or of another task, is lost, and that must be loud.
 */
import { corrupt } from "../base/byte-reader.ts";
import { MillraceError } from "../base/errors.ts";
import type { ShardId } from "../base/ids.ts";
import type { LogReader, Shard } from "../ports/log.ts";
import type { HashRange } from "../streaming/hash-range.ts";

export class InboxShards {
  private readonly log: LogReader;
  private readonly listed = new Map<string, readonly Shard[]>();

  constructor(log: LogReader) {
    this.log = log;
  }

  /** The shard of the task that has this range. Throws `invalid` when there is none. */
  async of(stream: string, range: HashRange): Promise<ShardId> {
    const shards = this.listed.get(stream) ?? (await this.list(stream));
    const shard = shards.find((candidate) => candidate.range.from <= range.from && candidate.range.to >= range.from);
    if (shard === undefined) throw new MillraceError("invalid", `inbox ${stream} has no shard for range from ${range.from}`);
    return shard.id;
  }

  private async list(stream: string): Promise<readonly Shard[]> {
    const shards = await this.log.shards(stream);
    this.listed.set(stream, shards);
    return shards;
  }

  /** Throws `corrupt` when a frame for the range went to another shard. */
  async check(stream: string, range: HashRange, shard: ShardId): Promise<void> {
    const expected = await this.of(stream, range);
    if (shard === expected) return;
    this.listed.delete(stream);
    throw corrupt(`inbox ${stream} was resharded, which only a rescale may do: a frame for ${expected} went to ${shard}`);
  }
}
