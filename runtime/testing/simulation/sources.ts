/** The streams that simulated jobs read: appended to while they run, split and merged, and ended at last. */
import type { Position, ShardId } from "../../base/ids.ts";
import type { EmbeddedLog } from "../../adapters/log-provisioning.ts";
import type { LogReader, Shard } from "../../ports/log.ts";
import { hashKeyOf } from "../../state/key.ts";
import { mergeRanges } from "../../streaming/hash-range.ts";
import { comparePositions } from "../../streaming/position.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import type { SimScheduler } from "./scheduler.ts";
import type { SourceEvent } from "./subject.ts";

export class SimSources {
  readonly names: readonly string[];
  private readonly log: EmbeddedLog;
  private readonly left: ReadonlyMap<string, SourceEvent[]>;
  private readonly scheduler: Pick<SimScheduler, "steps">;
  /** By source and shard, the records in their order: where each stands, and at which step it came. */
  private readonly arrived = new Map<string, { readonly position: string; readonly step: number }[]>();
  /** Nothing more will be appended: shards that are read out have ended. */
  ended = false;

  constructor(
    log: EmbeddedLog,
    records: ReadonlyMap<string, readonly SourceEvent[]>,
    scheduler: Pick<SimScheduler, "steps"> = { steps: 0 },
  ) {
    this.log = log;
    this.scheduler = scheduler;
    this.names = [...records.keys()];
    this.left = new Map([...records].map(([source, own]) => [source, [...own]]));
  }

  /** `shards`: how many a source has; else one to three. */
  async create(random: SeededRandom, shards: ReadonlyMap<string, number> = new Map()): Promise<void> {
    for (const source of this.names) await this.log.createStream(source, shards.get(source) ?? random.between(1, 3));
  }

  get produced(): boolean {
    return this.names.every((source) => this.left.get(source)?.length === 0);
  }

  /** Appends the next few records of a source. */
  async produce(random: SeededRandom): Promise<void> {
    const source = random.pick(this.names.filter((name) => this.left.get(name)?.length !== 0));
    const next = this.left.get(source)!.splice(0, random.between(1, 8));
    const results = await this.log.append(
      source,
      next.map(({ partitionKey, bytes }) => ({ hashKey: hashKeyOf(partitionKey, "md5"), partitionKey, bytes })),
    );
    for (const result of results) if (result.outcome === "appended") this.note(source, result.shard, result.position);
  }

  private note(source: string, shard: ShardId, position: Position): void {
    const name = `${source} ${shard}`;
    const here = this.arrived.get(name);
    const arrival = { position, step: this.scheduler.steps };
    if (here === undefined) this.arrived.set(name, [arrival]);
    else here.push(arrival);
  }

  /** The step at which the first record of a shard beyond the position came; undefined: there is none. */
  cameBeyond(source: string, shard: ShardId, position: Position | "horizon"): number | undefined {
    const isBeyond = (at: string) => position === "horizon" || comparePositions(at, position) > 0;
    return this.arrived.get(`${source} ${shard}`)?.find((arrival) => isBeyond(arrival.position))?.step;
  }

  /** Splits a shard or merges two. */
  async reshard(random: SeededRandom): Promise<string> {
    const source = random.pick(this.names);
    const open = (await this.log.shards(source)).filter((shard) => !shard.closed);
    const shard = random.pick(open);
    const neighbour = open.find((other) => mergeRanges(other.range, shard.range) !== undefined);
    if (neighbour !== undefined && random.chance(0.5)) {
      await this.log.mergeShards(source, shard.id, neighbour.id);
      return `merge ${source} ${shard.id} ${neighbour.id}`;
    }
    await this.log.splitShard(source, shard.id);
    return `split ${source} ${shard.id}`;
  }

  /** What tasks read. */
  reader(): LogReader {
    return {
      shards: (stream) => this.shards(stream),
      read: async (stream, shard: ShardId, after, limit) => {
        const result = await this.log.read(stream, shard, after, limit);
        return this.ended && result.behindMs === 0 ? { ...result, next: undefined } : result;
      },
    };
  }

  async shards(source: string): Promise<readonly Shard[]> {
    const shards = await this.log.shards(source);
    return this.ended ? shards.map((shard) => ({ ...shard, closed: true })) : shards;
  }
}
