/** Partitioned logs in Kinesis. Reading is kinesis-reader.ts, appending kinesis-writer.ts; here are names, shards and provisioning. */
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  type KinesisClient,
  MergeShardsCommand,
  SplitShardCommand,
  type StreamDescriptionSummary,
  UpdateShardCountCommand,
} from "@aws-sdk/client-kinesis";
import { MillraceError } from "../../base/errors.ts";
import type { Position, ShardId } from "../../base/ids.ts";
import type { AppendResult, Log, ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { middleOf } from "../../streaming/hash-range.ts";
import { defaultMaxRecordBytes } from "../limits.ts";
import type { KeyedRecordToAppend, ProvisionedLog } from "../log-provisioning.ts";
import { unknownShard } from "../shard-topology.ts";
import { awsError, isNamed } from "./aws-error.ts";
import type { Pace } from "./back-off.ts";
import { KinesisReader } from "./kinesis-reader.ts";
import { listShards } from "./kinesis-shards.ts";
import { KinesisWriter, type WriteLimits } from "./kinesis-writer.ts";

export interface KinesisLogOptions {
  /** The name in Kinesis of a stream that the engine calls `stream`; default: the same. */
  readonly nameOf?: (stream: string) => string;
  /** What a record may have with its partition key: 1 MiB, or what UpdateMaxRecordSize has set, to 10 MiB. */
  readonly maxRecordBytes?: number;
  /** Appending to a stream whose shards were split or merged is `corrupt`: of inboxes, where tasks know their shard. Default false. */
  readonly fixedShards?: boolean;
  /** Reading from "horizon" begins with the first record that arrived at this time or later; default: with the oldest that is there. */
  readonly startFrom?: Date;
}

const pollMs = 500;
const always = () => Promise.resolve(true);

/** All but trimming, which is retention's. */
export class KinesisLog implements Log, Omit<ProvisionedLog, "trim"> {
  readonly #client: KinesisClient;
  readonly #pace: Pace;
  readonly #nameOf: (stream: string) => string;
  readonly #limits: WriteLimits;
  readonly #reader: KinesisReader;
  readonly #writer: KinesisWriter;

  constructor(client: KinesisClient, telemetry: Telemetry, pace: Pace, options: KinesisLogOptions = {}) {
    this.#client = client;
    this.#pace = pace;
    this.#nameOf = options.nameOf ?? ((stream) => stream);
    this.#limits = {
      recordBytesMax: options.maxRecordBytes ?? defaultMaxRecordBytes,
      fixedShards: options.fixedShards ?? false,
    };
    this.#reader = new KinesisReader(client, pace, telemetry, options.startFrom);
    this.#writer = new KinesisWriter(client, telemetry, pace);
  }

  shards(stream: string): Promise<readonly Shard[]> {
    return listShards(this.#client, this.#nameOf(stream));
  }

  append(stream: string, records: readonly KeyedRecordToAppend[]): Promise<readonly AppendResult[]> {
    return this.#writer.append(this.#nameOf(stream), records, this.#limits);
  }

  read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit, inclusive = false): Promise<ReadResult> {
    return this.#reader.read(this.#nameOf(stream), shard, after, limit, inclusive);
  }

  /** Provisioned, since hash keys are kept to only there; returns when it can be used. */
  async createStream(stream: string, shards: number): Promise<"created" | "exists"> {
    const StreamName = this.#nameOf(stream);
    const mode = { StreamModeDetails: { StreamMode: "PROVISIONED" } } as const;
    try {
      await this.#client.send(new CreateStreamCommand({ StreamName, ShardCount: shards, ...mode }));
    } catch (error) {
      if (!isNamed(error, "ResourceInUseException")) throw awsError(error, `creation of stream ${StreamName}`);
      await this.#untilActive(StreamName);
      return "exists";
    }
    await this.#untilActive(StreamName);
    return "created";
  }

  /**
   * Gives a provisioned stream so many open shards of even ranges, and waits. In steps, since Kinesis changes them by at most twice or half
   * at a time (UpdateShardCount). Throws `invalid` for a stream that does not exist; nothing may be appended meanwhile. `mayGoOn` is asked
   * before each change, which no condition of Kinesis' own holds back: false, and the rest is left to another.
   */
  async resize(stream: string, shards: number, mayGoOn: () => Promise<boolean> = always): Promise<void> {
    const StreamName = this.#nameOf(stream);
    for (;;) {
      // Whoever has begun a change may be gone. On its way there may be as many shards as there shall be, or other ranges.
      await this.#untilActive(StreamName);
      this.#writer.forget(StreamName);
      const open = await this.#openShards(stream);
      if (open === shards || !(await mayGoOn())) return;
      const TargetShardCount = Math.max(Math.ceil(open / 2), Math.min(2 * open, shards));
      try {
        await this.#client.send(new UpdateShardCountCommand({ StreamName, TargetShardCount, ScalingType: "UNIFORM_SCALING" }));
      } catch (error) {
        // A change whose answer was lost, or another's, may have come about since it was looked: then this one is refused.
        if (!isNamed(error, "InvalidArgumentException") || (await this.#openShards(stream)) === open)
          throw awsError(error, `change of the shards of stream ${StreamName} from ${open} to ${TargetShardCount}`);
      }
    }
  }

  async #openShards(stream: string): Promise<number> {
    return (await this.shards(stream)).filter(({ closed }) => !closed).length;
  }

  async splitShard(stream: string, shard: ShardId, at?: bigint): Promise<readonly [ShardId, ShardId]> {
    const StreamName = this.#nameOf(stream);
    const parent = (await this.shards(stream)).find((candidate) => candidate.id === shard);
    if (parent === undefined) throw unknownShard(StreamName, shard);
    const NewStartingHashKey = String(at ?? middleOf(parent.range));
    await this.#reshard(StreamName, new SplitShardCommand({ StreamName, ShardToSplit: shard, NewStartingHashKey }));
    const children = (await this.shards(stream)).filter(({ parents }) => parents.includes(shard));
    const [low, high] = children.toSorted((a, b) => (a.range.from < b.range.from ? -1 : 1));
    return [low!.id, high!.id];
  }

  async mergeShards(stream: string, a: ShardId, b: ShardId): Promise<ShardId> {
    const StreamName = this.#nameOf(stream);
    await this.#reshard(StreamName, new MergeShardsCommand({ StreamName, ShardToMerge: a, AdjacentShardToMerge: b }));
    return (await this.shards(stream)).find(({ parents }) => parents.includes(a) && parents.includes(b))!.id;
  }

  /** Throws `invalid` for a stream that is not there, that may not be looked at, or that does not keep to the keys of its records. */
  async checkKeys(stream: string): Promise<void> {
    const StreamName = this.#nameOf(stream);
    if ((await this.#describe(StreamName)).RecordDistributionStrategy !== "AUTO") return;
    const advice = "the stream ignores partition keys, set its record distribution strategy to USER_PARTITION_KEY";
    throw new MillraceError("invalid", `${advice}: ${StreamName}`);
  }

  /** How long a record is kept. Throws `invalid` for a stream that is not there or may not be looked at. */
  async retentionMs(stream: string): Promise<number> {
    const { RetentionPeriodHours = 24 } = await this.#describe(this.#nameOf(stream));
    return RetentionPeriodHours * 3_600_000;
  }

  async #describe(StreamName: string): Promise<Partial<StreamDescriptionSummary>> {
    try {
      return (await this.#client.send(new DescribeStreamSummaryCommand({ StreamName }))).StreamDescriptionSummary ?? {};
    } catch (error) {
      throw awsError(error, `looking at stream ${StreamName}`);
    }
  }

  async #reshard(stream: string, command: SplitShardCommand | MergeShardsCommand): Promise<void> {
    try {
      await (command instanceof SplitShardCommand ? this.#client.send(command) : this.#client.send(command));
    } catch (error) {
      throw awsError(error, `change of the shards of stream ${stream}`);
    }
    await this.#untilActive(stream);
    this.#writer.forget(stream);
  }

  async #untilActive(StreamName: string): Promise<void> {
    while ((await this.#describe(StreamName)).StreamStatus !== "ACTIVE") await this.#pace.clock.sleep(pollMs);
  }
}
