/**
 * The event source mapping, as a model: for every shard it takes batches in order, gives each to some environment, and moves on only
 * after success. What an environment that died or froze was given is given again.
 */
import { id, type Position, type ShardId, type TaskId } from "../../base/ids.ts";
import type { Doorbell } from "../../driver/doorbell.ts";
import type { LogReader } from "../../ports/log.ts";
import { taskId } from "../../streaming/channel.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";

/** One shard of one stream. */
export interface Mapping {
  readonly stream: string;
  readonly shard: ShardId;
  /** Whose inbox it is; undefined: a source's shard. */
  readonly task: TaskId | undefined;
  position: Position | "horizon";
  /** The delivery it waits for: one at a time. */
  open: Delivery | undefined;
  /** The code that it was made with: it rings no older. */
  since: number;
  /** How often anything had been appended to any stream when there was nothing left to read. */
  emptyAt: number | undefined;
}

/** A batch in the hands of an environment. */
export interface Delivery {
  readonly bell: Doorbell;
  readonly last: Position;
  /** Whether its environment may still answer. */
  isOpen(): boolean;
}

export class Mappings {
  private readonly mappings = new Map<string, Mapping>();

  get count(): number {
    return this.mappings.size;
  }

  /** Shards of a source. */
  addShards(stream: string, shards: readonly ShardId[]): void {
    for (const shard of shards) this.add(stream, shard, undefined);
  }

  /** Shards of an inbox, by its name `inbox-<generation>-<stage>`: shard n is the inbox of task n. */
  addInbox(stream: string, shards: readonly ShardId[]): void {
    const match = /^inbox-(\d+)-(.+)$/.exec(stream)!;
    shards.forEach((shard, n) => this.add(stream, shard, taskId(Number(match[1]), match[2] as string, String(n))));
  }

  private add(stream: string, shard: ShardId, task: TaskId | undefined): void {
    const name = `${stream} ${shard}`;
    if (!this.mappings.has(name))
      this.mappings.set(name, {
        stream,
        shard,
        task,
        position: id<Position>("horizon"),
        open: undefined,
        since: 0,
        emptyAt: undefined,
      });
  }

  /**
   * All are made anew with the code of a deployment. What the old ones have brought nobody answers any more. `from`: where each begins, at
   * the oldest that its shard has, or, by somebody's mistake, further on: what it passes over tasks read for themselves (L3, L4).
   */
  async replace(deployment: number, from: (mapping: Mapping) => Promise<Position | "horizon">): Promise<void> {
    for (const mapping of this.mappings.values()) {
      mapping.position = await from(mapping);
      mapping.open = undefined;
      mapping.since = deployment;
      mapping.emptyAt = undefined;
    }
  }

  /** One that waits for nothing; undefined when there is none. */
  pick(random: SeededRandom): Mapping | undefined {
    const free = [...this.mappings.values()].filter(({ open }) => open === undefined || !open.isOpen());
    return free.length === 0 ? undefined : random.pick(free);
  }

  /** The next batch of a mapping; undefined when there is nothing to read. */
  async batch(mapping: Mapping, reader: LogReader, records: number): Promise<{ bell: Doorbell; last: Position } | undefined> {
    const { stream, shard, task } = mapping;
    const read = await reader.read(stream, shard, mapping.position, { records, bytes: 1 << 20 });
    const last = read.records[read.records.length - 1];
    if (last === undefined) return undefined;
    const bell: Doorbell =
      task === undefined
        ? { kind: "records", source: stream, shard, records: read.records }
        : { kind: "frames", task, records: read.records };
    return { bell, last: id<Position>(last.position) };
  }
}
