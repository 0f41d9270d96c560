/**
 * Reads a job's Kinesis source: the stream it is bound to, from where its declaration says, and what to do when records are gone.
 *
 * G1 Records that the retention has passed are never passed over in silence: the read says so (`gap`), or fails, as the source says.
 * G2 A shard that is deleted with records unread has ended; it is a gap to its end.
 * G3 The record at a position expires though nothing is lost, where nothing came after it: whoever says until when all was read, and has
 *    read within the retention, is not told of a gap.
 */
import type { KinesisClient } from "@aws-sdk/client-kinesis";
import type { Source } from "../../api/connector.ts";
import { isKind, MillraceError } from "../../base/errors.ts";
import type { Position, ShardId } from "../../base/ids.ts";
import { type KinesisSettings, startTimeOf } from "../../connectors/kinesis/kinesis.ts";
import type { Clock } from "../../ports/clock.ts";
import { mayHaveExpired, type ReadLimit, type ReadResult, type Shard } from "../../ports/log.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import type { Pace } from "./back-off.ts";
import { KinesisLog } from "./kinesis-log.ts";
import type { PackedReader } from "./unpacked-source.ts";

export interface KinesisSourceOptions {
  readonly uid: string;
  readonly source: Source<any>;
  /** The stream's name in Kinesis. */
  readonly stream: string;
  readonly client: KinesisClient;
  readonly telemetry: Telemetry;
  readonly pace: Pace;
}

export class KinesisSource implements PackedReader {
  readonly #log: KinesisLog;
  readonly #uid: string;
  readonly #stream: string;
  readonly #whenLost: KinesisSettings["whenLost"];
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  /** The shortest that Kinesis knows. */
  readonly retentionMsMin = 24 * 3_600_000;

  constructor({ uid, source, stream, client, telemetry, pace }: KinesisSourceOptions) {
    const startFrom = startTimeOf(source);
    const start = startFrom === undefined ? {} : { startFrom };
    this.#log = new KinesisLog(client, telemetry, pace, { nameOf: () => stream, ...start });
    this.#uid = uid;
    this.#stream = stream;
    this.#whenLost = (source.options as unknown as KinesisSettings).whenLost;
    this.#telemetry = telemetry;
    this.#clock = pace.clock;
  }

  shards(stream: string): Promise<readonly Shard[]> {
    return this.#log.shards(stream);
  }

  async read(
    stream: string,
    shard: ShardId,
    after: Position | "horizon",
    limit: ReadLimit,
    inclusive = false,
  ): Promise<ReadResult> {
    const read = await this.#readOrEnd(stream, shard, after, limit, inclusive);
    if (!(await this.#isGap(read, after, limit))) return { ...read, gap: false };
    const lost = { after, before: read.records[0]?.position ?? "its end" };
    if (this.#whenLost === "fail") throw this.#lost(shard, lost);
    return { ...read, gap: true, lost };
  }

  /**
   * For the start of a job. Throws `invalid` for a stream that is not there or may not be read, and, where the job takes the partition keys
   * for its own (`assumesKeys`), for one that does not keep to them.
   */
  async check({ assumesKeys }: { readonly assumesKeys: boolean }): Promise<void> {
    await (assumesKeys ? this.#log.checkKeys(this.#stream) : this.#log.shards(this.#stream));
  }

  async close(): Promise<void> {}

  /** Nothing that came since the shard was last known to be read has expired (G3); of one that was never read, all that has was owed. */
  async #isGap({ gap }: ReadResult, after: Position | "horizon", { readUpTo }: ReadLimit): Promise<boolean> {
    if (readUpTo === undefined) return gap;
    const now = this.#clock.now();
    if (!(gap || after === "horizon") || !mayHaveExpired(readUpTo, now, this.retentionMsMin)) return false;
    return mayHaveExpired(readUpTo, now, await this.#retentionMs());
  }

  /** Without the permission to ask, the shortest that there is. */
  async #retentionMs(): Promise<number> {
    try {
      return await this.#log.retentionMs(this.#stream);
    } catch (error) {
      if (!isKind(error, "invalid")) throw error;
      return this.retentionMsMin;
    }
  }

  async #readOrEnd(
    stream: string,
    shard: ShardId,
    after: Position | "horizon",
    limit: ReadLimit,
    inclusive: boolean,
  ): Promise<ReadResult> {
    try {
      return await this.#log.read(stream, shard, after, limit, inclusive);
    } catch (error) {
      if (!isKind(error, "invalid")) throw error;
      // A stream that is not there has no shards to list: that fails here too.
      if ((await this.shards(stream)).some(({ id }) => id === shard)) throw error;
      return { records: [], next: undefined, behindMs: 0, gap: true };
    }
  }

  #lost(shard: ShardId, { after, before }: NonNullable<ReadResult["lost"]>): MillraceError {
    const stream = this.#stream;
    this.#telemetry.add("sourceGap", 1, { source: this.#uid, shard });
    const what = `records were lost at the source, their retention passed before they were read: ${stream}, ${shard}`;
    const advice = `to go on with those that are left, set whenLost: "report"`;
    return new MillraceError("corrupt", `${what}, after ${after}, before ${before}; ${advice}`, {
      context: { source: this.#uid, lost: { stream, shard, after, before } },
    });
  }
}
