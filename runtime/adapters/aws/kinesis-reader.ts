/**
 * Reads shards of Kinesis, going on where the last read of a shard ended without asking for an iterator again: a shard allows five
 * reads a second. GetRecords has no limit in bytes, so what was read beyond the caller's limit is kept for the next read.
 *
 * I1 An iterator, and what was read beyond a limit, serve only a reader that goes on exactly where they stand.
 * I2 A reader that begins at a position is given an iterator at it, not after it: the record there shows that nothing was lost. When
 *    it is no longer there, records after it may have expired too, which Kinesis does not tell: that is reported as a gap.
 * I3 A reader that asks for the record at its position as well gets it, or is told of the gap.
 * I4 A shard gives 2 MB and five reads a second to all who read it: who comes too early waits, as long as the invocation's time allows.
 */
import {
  type _Record as KinesisRecord,
  GetRecordsCommand,
  type GetRecordsCommandOutput,
  GetShardIteratorCommand,
  type KinesisClient,
} from "@aws-sdk/client-kinesis";
import { MillraceError } from "../../base/errors.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { SourceRecord } from "../../api/connector.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ReadLimit, ReadResult } from "../../ports/log.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { awsError, isNamed } from "./aws-error.ts";
import { type Pace, untilAdmitted } from "./back-off.ts";

/** Iterators live for five minutes. */
const iteratorMsMax = 4 * 60_000;
const recordsPerRead = 10_000;
/** Kinesis may answer nothing although more is there: so often is it asked again at once. */
const emptyReadsMax = 20;
/** Shards whose place is kept. */
const placesMax = 256;

/** Where the next read of a shard goes on. */
interface Place {
  readonly after: Position | "horizon";
  /** Undefined: the shard has ended. */
  readonly iterator: string | undefined;
  readonly issuedAt: number;
  /** Read already, not handed out yet. */
  readonly ahead: readonly KinesisRecord[];
  readonly behindMs: number;
  /** The position whose record has not shown itself yet (I2). */
  readonly unseen: Position | undefined;
}

export class KinesisReader {
  readonly #client: KinesisClient;
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #telemetry: Telemetry;
  readonly #startFrom: Date | undefined;
  readonly #places = new Map<string, Place>();

  /** `startFrom`: when the first record arrived that is read from "horizon"; undefined: as long ago as possible. */
  constructor(client: KinesisClient, pace: Pace, telemetry: Telemetry, startFrom?: Date) {
    this.#client = client;
    this.#clock = pace.clock;
    this.#pace = pace;
    this.#telemetry = telemetry;
    this.#startFrom = startFrom;
  }

  /** As `LogReader.read`; `stream` is the name in Kinesis. `inclusive`: the record at `after` too. */
  async read(
    stream: string,
    shard: ShardId,
    after: Position | "horizon",
    limit: ReadLimit,
    inclusive = false,
  ): Promise<ReadResult> {
    if (inclusive) return this.#readAt(stream, shard, after, limit);
    const key = `${stream}/${shard}`;
    const kept = this.#places.get(key);
    this.#places.delete(key);
    const place = kept !== undefined && this.#serves(kept, after) ? kept : await this.#open(stream, shard, after, limit);
    try {
      return await this.#readFrom(key, place, limit);
    } catch (error) {
      if (!isNamed(error, "ExpiredIteratorException")) throw awsError(error, `reading of ${key}`);
    }
    try {
      return await this.#readFrom(key, await this.#open(stream, shard, after, limit), limit);
    } catch (error) {
      throw awsError(error, `reading of ${key}`);
    }
  }

  async #readAt(stream: string, shard: ShardId, at: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const key = `${stream}/${shard}`;
    try {
      const opened = await this.#open(stream, shard, at, limit);
      const result = await this.#readFrom(key, { ...opened, unseen: undefined }, limit);
      return { ...result, gap: result.records[0]?.position !== at };
    } catch (error) {
      throw awsError(error, `reading of ${key}`);
    }
  }

  #serves(place: Place, after: Position | "horizon"): boolean {
    if (place.after !== after) return false;
    return place.ahead.length > 0 || this.#clock.now() - place.issuedAt < iteratorMsMax;
  }

  async #open(stream: string, shard: ShardId, after: Position | "horizon", { arrivedFrom }: ReadLimit): Promise<Place> {
    try {
      const command = new GetShardIteratorCommand({
        StreamName: stream,
        ShardId: shard,
        ...this.#iteratorAt(after, arrivedFrom),
      });
      const { ShardIterator } = await untilAdmitted(this.#pace, () => this.#client.send(command));
      const unseen = after === "horizon" ? undefined : after;
      return { after, iterator: ShardIterator, issuedAt: this.#clock.now(), ahead: [], behindMs: 0, unseen };
    } catch (error) {
      if (after !== "horizon" && isNamed(error, "InvalidArgumentException")) throw foreignPosition(stream, shard, after, error);
      throw awsError(error, `reading of ${stream}/${shard}`);
    }
  }

  #iteratorAt(after: Position | "horizon", arrivedFrom: number | undefined) {
    if (after !== "horizon") return { ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: after } as const;
    const from = Math.max(this.#startFrom?.getTime() ?? 0, arrivedFrom ?? 0);
    if (from === 0) return { ShardIteratorType: "TRIM_HORIZON" } as const;
    return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(from) } as const;
  }

  async #readFrom(key: string, start: Place, limit: ReadLimit): Promise<ReadResult> {
    // What was read earlier says nothing of what is there now.
    const isOld = start.ahead.length > 0;
    const { place, gap } = await this.#fill(start, limit.records);
    const taken = withinLimit(place.ahead, limit);
    const ahead = place.ahead.slice(taken.length);
    const last = taken.at(-1)?.SequenceNumber;
    const after = last === undefined ? place.after : id<Position>(last);
    this.#keep(key, { ...place, after, ahead });
    const ended = place.iterator === undefined && ahead.length === 0;
    return {
      records: taken.map(recordOf),
      next: ended ? undefined : after,
      behindMs: ahead.length > 0 || isOld ? Math.max(1, place.behindMs) : place.behindMs,
      gap,
    };
  }

  /** Reads until there are records, or none are left for now. */
  async #fill(start: Place, records: number): Promise<{ readonly place: Place; readonly gap: boolean }> {
    let place = start;
    let gap = false;
    for (let reads = 0; place.ahead.length === 0 && place.iterator !== undefined && reads < emptyReadsMax; reads++) {
      const probing = place.unseen === undefined ? 0 : 1;
      const answer = await this.#getRecords(place.iterator, Math.min(recordsPerRead, records + probing));
      const found = answer.Records ?? [];
      const behindMs = answer.MillisBehindLatest ?? 0;
      const isThere = found[0]?.SequenceNumber === place.unseen;
      // Nothing to its end is as good as another record: the one at the position is gone.
      const decided = found.length > 0 || behindMs === 0 || answer.NextShardIterator === undefined;
      if (place.unseen !== undefined && decided && !isThere) gap = true;
      place = {
        after: place.after,
        iterator: answer.NextShardIterator,
        issuedAt: this.#clock.now(),
        ahead: place.unseen !== undefined && isThere ? found.slice(1) : found,
        behindMs,
        unseen: decided ? undefined : place.unseen,
      };
      if (behindMs === 0) break;
    }
    return { place, gap };
  }

  async #getRecords(iterator: string, limit: number): Promise<GetRecordsCommandOutput> {
    this.#telemetry.add("kinesis.reads", 1);
    const command = new GetRecordsCommand({ ShardIterator: iterator, Limit: limit });
    const answer = await untilAdmitted(this.#pace, () => this.#client.send(command));
    const bytes = (answer.Records ?? []).reduce((sum, { Data }) => sum + (Data?.length ?? 0), 0);
    this.#telemetry.add("kinesis.outBytes", bytes);
    return answer;
  }

  #keep(key: string, place: Place): void {
    this.#places.set(key, place);
    if (this.#places.size > placesMax) this.#places.delete(this.#places.keys().next().value!);
  }
}

/** As many records as the limit allows, but always one if there is one. */
function withinLimit(records: readonly KinesisRecord[], limit: ReadLimit): readonly KinesisRecord[] {
  let count = 0;
  let bytes = 0;
  while (count < records.length && count < limit.records) {
    bytes += records[count]!.Data?.length ?? 0;
    if (bytes > limit.bytes && count > 0) break;
    count++;
  }
  return records.slice(0, count);
}

function recordOf({ SequenceNumber, PartitionKey, ApproximateArrivalTimestamp, Data }: KinesisRecord): SourceRecord {
  return {
    position: SequenceNumber!,
    partitionKey: PartitionKey ?? "",
    arrivalTime: ApproximateArrivalTimestamp?.getTime() ?? 0,
    bytes: Data ?? new Uint8Array(),
  };
}

function foreignPosition(stream: string, shard: ShardId, position: Position, cause: unknown): MillraceError {
  const advice = "the position is not of this shard, the stream may have been deleted and made anew: start the job afresh";
  return new MillraceError("invalid", `${advice}: ${stream}, ${shard}, ${position}`, { cause });
}
