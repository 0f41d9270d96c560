/** A stream of a cloud that events are put into, and that is resharded meanwhile: by its user's calls, which meet faults as all do. */
import { setTimeout as sleep } from "node:timers/promises";
import { ListShardsCommand, MergeShardsCommand, PutRecordsCommand, type Shard, SplitShardCommand } from "@aws-sdk/client-kinesis";
import type { JobInCloud } from "./job-in-cloud.ts";
import type { Standstills } from "./resharding/standstills.ts";

/** What is put: its key is the partition key. */
export interface Keyed {
  readonly key: string;
}

const sliceMs = 250;

export interface EventStreamOptions {
  readonly name: string;
  readonly job: JobInCloud<any>;
  readonly standstills: Standstills;
  readonly say: (line: string) => void;
}

export class EventStream {
  readonly #options: EventStreamOptions;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  // ---- input ----

  /** Puts what `next` makes for each slice of time, at an even pace, as long as it makes something. */
  async putEvenly(next: (slice: number, sliceMs: number) => readonly Keyed[] | undefined): Promise<void> {
    const startedAt = Date.now();
    for (let n = 0; ; n++) {
      const events = next(n, sliceMs);
      if (events === undefined) return;
      await this.put(events);
      // Who is late does not make up for it at once: a shard takes a thousand records a second.
      await sleep(Math.max(sliceMs * 0.7, startedAt + (n + 1) * sliceMs - Date.now()));
    }
  }

  async put(events: readonly Keyed[]): Promise<void> {
    for (let from = 0; from < events.length; from += 500) {
      const Records = events.slice(from, from + 500).map((event) => {
        return { PartitionKey: event.key, Data: Buffer.from(JSON.stringify(event)) };
      });
      const answer = await this.#kinesis.send(new PutRecordsCommand({ StreamName: this.#options.name, Records }));
      const refused = answer.Records?.find(({ ErrorCode }) => ErrorCode !== undefined);
      if (refused !== undefined) throw new Error(`the stream refuses what the test puts: ${JSON.stringify(refused)}`);
    }
  }

  get #kinesis() {
    return this.#options.job.cloud.clients.kinesis;
  }

  // ---- resharding ----

  /** Splits a shard, then a child of it, and merges two neighbours; before each it waits. */
  async reshard(waitMs: number): Promise<void> {
    await sleep(waitMs);
    const [first] = await this.#openShards();
    const [low] = await this.#split(first!);
    await sleep(waitMs);
    const [, high] = await this.#split(low!);
    await sleep(waitMs);
    const open = await this.#openShards();
    const neighbour = open[open.findIndex(({ ShardId }) => ShardId === high!.ShardId) + 1];
    await this.#merge(high!, neighbour!);
  }

  async #split(shard: Shard): Promise<readonly Shard[]> {
    const { say, standstills, name } = this.#options;
    const { StartingHashKey, EndingHashKey } = shard.HashKeyRange!;
    const NewStartingHashKey = String((BigInt(StartingHashKey!) + BigInt(EndingHashKey!)) / 2n);
    await this.#changing(() =>
      this.#kinesis.send(new SplitShardCommand({ StreamName: name, ShardToSplit: shard.ShardId, NewStartingHashKey })),
    );
    const children = (await this.#openShards()).filter(({ ParentShardId }) => ParentShardId === shard.ShardId);
    say(`${shortOf(shard)} is split into ${children.map(shortOf).join(" and ")}`);
    for (const child of children) standstills.expect("split", child.ShardId!, [shard.ShardId!]);
    return children;
  }

  async #merge(a: Shard, b: Shard): Promise<void> {
    const { say, standstills, name } = this.#options;
    await this.#changing(() =>
      this.#kinesis.send(new MergeShardsCommand({ StreamName: name, ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId })),
    );
    const child = (await this.#openShards()).find(({ AdjacentParentShardId }) => AdjacentParentShardId === b.ShardId);
    say(`${shortOf(a)} and ${shortOf(b)} are merged into ${shortOf(child!)}`);
    standstills.expect("merge", child!.ShardId!, [a.ShardId!, b.ShardId!]);
  }

  /** Calls of the test itself meet the faults too; one that took effect before its connection was cut is refused when it is tried again. */
  async #changing(change: () => Promise<unknown>): Promise<void> {
    const before = (await this.#openShards()).map(({ ShardId }) => ShardId).join();
    await this.#options.job.until("the stream is resharded", async () => {
      await change().catch(() => undefined);
      return (await this.#openShards()).map(({ ShardId }) => ShardId).join() === before ? undefined : true;
    });
  }

  async #openShards(): Promise<readonly Shard[]> {
    const { job, name } = this.#options;
    const listed = await job.until("shards are listed", () =>
      this.#kinesis.send(new ListShardsCommand({ StreamName: name })).catch(() => undefined),
    );
    const open = listed.Shards!.filter(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber === undefined);
    const from = ({ HashKeyRange }: Shard) => BigInt(HashKeyRange!.StartingHashKey!);
    return open.toSorted((a, b) => (from(a) < from(b) ? -1 : 1));
  }
}

function shortOf({ ShardId }: Shard): string {
  return ShardId!.replace(/^shardId-0*(?=\d)/, "shard ");
}
