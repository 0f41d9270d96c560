/**
 * Which shard of an inbox is whose: listed once per stream, since inboxes are provisioned and only a rescale, which makes new ones,
 * changes their shards.
 *
 * L16 Where a frame went is held against it: one that went to a shard of nobody, or of another task, is lost, and that must be loud.
 *     An inbox with more or fewer shards than tasks is nobody's as a whole: one shard would be of two tasks, and who got a frame of the
 *     other would pass it over. A coordinator that was held up in a restore may have left it so.
 */
import { corrupt } from "../base/byte-reader.ts";
import { MillraceError } from "../base/errors.ts";
import type { ShardId, TaskId } from "../base/ids.ts";
import type { LogReader, Shard } from "../ports/log.ts";
import { type HashRange, inRange, partsLike } from "../streaming/hash-range.ts";
import { allSafeguards, type Safeguards } from "../task/safeguards.ts";

export class InboxShards {
  private readonly log: LogReader;
  private readonly safeguards: Safeguards;
  private readonly listed = new Map<string, readonly Shard[]>();

  constructor(log: LogReader, safeguards: Safeguards = allSafeguards) {
    this.log = log;
    this.safeguards = safeguards;
  }

  /** The shard of the task that has this range. Throws `invalid` when there is none, `unavailable` when it may be of others, too. */
  async of(stream: string, range: HashRange): Promise<ShardId> {
    const shards = (this.listed.get(stream) ?? (await this.list(stream))).filter(({ closed }) => !closed);
    const tasks = partsLike(range);
    if (shards.length !== tasks && this.safeguards.holds("L16.shard")) {
      this.listed.delete(stream);
      const advice = "a restore is under way, or one was disturbed: then order another";
      throw new MillraceError("unavailable", `an inbox has ${shards.length} shards for ${tasks} tasks, ${advice}: ${stream}`);
    }
    const shard = shards.find((candidate) => inRange(candidate.range, range.from));
    if (shard === undefined) throw new MillraceError("invalid", `inbox ${stream} has no shard for range from ${range.from}`);
    return shard.id;
  }

  /** Whose inbox the shard is; undefined when it is nobody's of these, or of several. */
  async taskOf(
    stream: string,
    shard: ShardId,
    tasks: readonly { readonly task: TaskId; readonly range: HashRange }[],
  ): Promise<TaskId | undefined> {
    const found = await this.find(stream, shard);
    if (found === undefined || found.closed) return undefined;
    const those = tasks.filter(({ range }) => inRange(found.range, range.from));
    return those.length === 1 ? those[0]!.task : undefined;
  }

  /** Whether the shard is one of a former parallelism: frames in it are of generations that are over. */
  async isClosed(stream: string, shard: ShardId): Promise<boolean> {
    return (await this.find(stream, shard))?.closed ?? false;
  }

  private async find(stream: string, shard: ShardId): Promise<Shard | undefined> {
    const known = this.listed.get(stream)?.find((candidate) => candidate.id === shard);
    return known ?? (await this.list(stream)).find((candidate) => candidate.id === shard);
  }

  private async list(stream: string): Promise<readonly Shard[]> {
    const shards = await this.log.shards(stream);
    this.listed.set(stream, shards);
    return shards;
  }

  /** Throws `corrupt` when a frame for the range went to another shard. */
  async check(stream: string, range: HashRange, shard: ShardId): Promise<void> {
    const expected = await this.of(stream, range);
    if (shard === expected || !this.safeguards.holds("L16.shard")) return;
    this.listed.delete(stream);
    throw corrupt(`inbox ${stream} was resharded, which only a rescale may do: a frame for ${expected} went to ${shard}`);
  }
}
