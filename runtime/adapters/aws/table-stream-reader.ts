/**
 * Reads the stream of a DynamoDB table. Lambda's mapping does not say which shard a batch is of, so it is a doorbell and no more: tasks read by
 * themselves, from their positions.
 *
 * T1 A position is a sequence number. Changes that expired behind it are never passed over in silence: DynamoDB says so, and the read does.
 * T2 A shard that is no longer listed with changes unread has ended; that is a gap to its end.
 * T3 A stream that was turned off and on again is another: its shards are others, and those of the former are gone (T2).
 */
import { DescribeTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { _Record as StreamRecord, GetRecordsCommandOutput, Shard as StreamShard } from "@aws-sdk/client-dynamodb-streams";
import type { SourceRecord } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { DynamodbStreamSettings } from "../../connectors/dynamodb/dynamodb-stream.ts";
import type { SourceReader } from "../../connectors/source-reader.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { fullRange } from "../../streaming/hash-range.ts";
import { awsError, isNamed } from "./aws-error.ts";
import type { LoadedDynamodbStreams } from "./lazy-clients.ts";

export interface TableStreamReaderOptions {
  readonly uid: string;
  readonly settings: DynamodbStreamSettings;
  /** The table's name in DynamoDB. */
  readonly table: string;
  readonly dynamodb: Pick<DynamoDBClient, "send">;
  readonly streams: () => Promise<LoadedDynamodbStreams>;
  readonly clock: Pick<Clock, "now">;
  readonly telemetry: Telemetry;
}

/** Where the next read of a shard goes on. */
interface Place {
  readonly after: Position | "horizon";
  readonly iterator: string | undefined;
  readonly issuedAt: number;
  /** Read already, not handed out yet. */
  readonly ahead: readonly SourceRecord[];
  /** Nothing was read by it yet: it may stand some empty reads before what it looks for. */
  readonly fresh: boolean;
}

/** Iterators live for fifteen minutes. */
const iteratorMsMax = 14 * 60_000;
const recordsPerRead = 1_000;
/** Reads may come back empty before the end is reached: so often in a row, where an iterator is new. */
const emptyReadsMax = 5;
const hourMs = 3_600_000;

export class TableStreamReader implements SourceReader {
  readonly retentionMsMin = 24 * hourMs;
  readonly #options: TableStreamReaderOptions;
  #arn: string | undefined;
  readonly #places = new Map<ShardId, Place>();

  constructor(options: TableStreamReaderOptions) {
    this.#options = options;
  }

  async shards(): Promise<readonly Shard[]> {
    const listed = await this.#listShards();
    const known = new Set(listed.map(({ ShardId }) => ShardId));
    return parentsFirst(listed).map(({ ShardId, ParentShardId, SequenceNumberRange }) => ({
      id: id<ShardId>(ShardId!),
      // Which keys a shard has is not told.
      range: fullRange,
      parents: ParentShardId !== undefined && known.has(ParentShardId) ? [id<ShardId>(ParentShardId)] : [],
      closed: SequenceNumberRange?.EndingSequenceNumber !== undefined,
    }));
  }

  async read(_stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    try {
      return await this.#readFrom(shard, await this.#placeAt(shard, after), limit);
    } catch (error) {
      if (isNamed(error, "ExpiredIteratorException")) return this.#readAnew(shard, after, limit);
      if (isNamed(error, "TrimmedDataAccessException")) return this.#readOn(shard, after, limit);
      if (isNamed(error, "ResourceNotFoundException") && !(await this.#isListed(shard))) return this.#ended(shard, after);
      throw awsError(error, `reading of ${this.#options.table}, ${shard}`);
    }
  }

  /** For the start of a job. Throws `invalid` for a table that is not there or whose stream is off, and where changes are to be taken as keyed. */
  async check({ assumesKeys }: { readonly assumesKeys: boolean }): Promise<void> {
    if (assumesKeys)
      throw new MillraceError(
        "invalid",
        `changes of a table have no partition keys: use keyBy(), not assumeKeyed(): ${this.#options.uid}`,
      );
    await this.#listShards();
  }

  async close(): Promise<void> {}

  // ---- shards ----

  async #listShards(): Promise<readonly StreamShard[]> {
    const { sdk, client } = await this.#options.streams();
    const listed: StreamShard[] = [];
    const StreamArn = await this.#streamArn();
    try {
      for (
        let ExclusiveStartShardId: string | undefined, first = true;
        first || ExclusiveStartShardId !== undefined;
        first = false
      ) {
        const page = await client.send(new sdk.DescribeStreamCommand({ StreamArn, ExclusiveStartShardId }));
        listed.push(...(page.StreamDescription?.Shards ?? []));
        ExclusiveStartShardId = page.StreamDescription?.LastEvaluatedShardId;
      }
      return listed;
    } catch (error) {
      // It may have been turned off and on again: T3.
      this.#arn = undefined;
      throw awsError(error, `listing the shards of the stream of table ${this.#options.table}`);
    }
  }

  async #isListed(shard: ShardId): Promise<boolean> {
    this.#arn = undefined;
    return (await this.#listShards()).some(({ ShardId }) => ShardId === shard);
  }

  async #streamArn(): Promise<string> {
    if (this.#arn !== undefined) return this.#arn;
    const { table, dynamodb } = this.#options;
    const described = await dynamodb.send(new DescribeTableCommand({ TableName: table })).catch((error: unknown) => {
      throw awsError(error, `looking at table ${table}`);
    });
    const { LatestStreamArn, StreamSpecification } = described.Table ?? {};
    if (LatestStreamArn === undefined || StreamSpecification?.StreamEnabled === false)
      throw new MillraceError("invalid", `the table has no stream, turn it on with NEW_AND_OLD_IMAGES: ${table}`);
    return (this.#arn = LatestStreamArn);
  }

  // ---- reading ----

  async #placeAt(shard: ShardId, after: Position | "horizon"): Promise<Place> {
    const kept = this.#places.get(shard);
    this.#places.delete(shard);
    const serves = kept?.after === after && (kept.ahead.length > 0 || this.#options.clock.now() - kept.issuedAt < iteratorMsMax);
    return serves ? kept : this.#open(shard, after);
  }

  async #open(shard: ShardId, after: Position | "horizon", from = after): Promise<Place> {
    const { sdk, client } = await this.#options.streams();
    const start =
      from === "horizon"
        ? ({ ShardIteratorType: "TRIM_HORIZON" } as const)
        : ({ ShardIteratorType: "AFTER_SEQUENCE_NUMBER", SequenceNumber: from } as const);
    const command = new sdk.GetShardIteratorCommand({ StreamArn: await this.#streamArn(), ShardId: shard, ...start });
    const { ShardIterator } = await client.send(command);
    return { after, iterator: ShardIterator, issuedAt: this.#options.clock.now(), ahead: [], fresh: true };
  }

  async #readAnew(shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    try {
      return await this.#readFrom(shard, await this.#open(shard, after), limit);
    } catch (error) {
      if (isNamed(error, "TrimmedDataAccessException")) return this.#readOn(shard, after, limit);
      throw awsError(error, `reading of ${this.#options.table}, ${shard}`);
    }
  }

  /** What stood after the position has expired: on with what is left (T1). */
  async #readOn(shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    let read: ReadResult;
    try {
      read = await this.#readFrom(shard, await this.#open(shard, after, "horizon"), limit);
    } catch (error) {
      throw awsError(error, `reading of ${this.#options.table}, ${shard}`);
    }
    return this.#lost(shard, { after, before: read.records[0]?.position ?? "its end" }, read);
  }

  #ended(shard: ShardId, after: Position | "horizon"): ReadResult {
    const read: ReadResult = { records: [], next: undefined, behindMs: 0, gap: true };
    return this.#lost(shard, { after, before: "its end" }, read);
  }

  #lost(shard: ShardId, lost: NonNullable<ReadResult["lost"]>, read: ReadResult): ReadResult {
    const { settings, table, uid, telemetry } = this.#options;
    if (settings.whenLost === "report") return { ...read, gap: true, lost };
    telemetry.add("sourceGap", 1, { source: uid, shard });
    const what = "changes of a table were lost, the 24 hours that its stream keeps them passed before they were read";
    const advice = `to go on with those that are left, set whenLost: "report"`;
    throw new MillraceError("corrupt", `${what}: ${table}, ${shard}, after ${lost.after}, before ${lost.before}; ${advice}`, {
      context: { source: uid, lost: { stream: table, shard, ...lost } },
    });
  }

  async #readFrom(shard: ShardId, start: Place, limit: ReadLimit): Promise<ReadResult> {
    const place = await this.#fill(start, limit.records);
    const records = withinLimit(place.ahead, limit);
    const ahead = place.ahead.slice(records.length);
    const after = records.length === 0 ? place.after : id<Position>(records.at(-1)!.position);
    this.#places.set(shard, { ...place, after, ahead });
    const hasEnded = place.iterator === undefined && ahead.length === 0;
    // How far a read is behind is not told: what found something may find more.
    return { records, next: hasEnded ? undefined : after, behindMs: records.length > 0 ? 1 : 0, gap: false };
  }

  async #fill(start: Place, records: number): Promise<Place> {
    let place = start;
    const readsMax = start.fresh ? emptyReadsMax : 1;
    for (let reads = 0; place.ahead.length === 0 && place.iterator !== undefined && reads < readsMax; reads++) {
      const { Records = [], NextShardIterator } = await this.#getRecords(place.iterator, Math.min(recordsPerRead, records));
      const ahead = Records.map(sourceRecord);
      place = { ...place, iterator: NextShardIterator, issuedAt: this.#options.clock.now(), ahead, fresh: false };
    }
    return place;
  }

  async #getRecords(ShardIterator: string, Limit: number): Promise<GetRecordsCommandOutput> {
    const { sdk, client } = await this.#options.streams();
    this.#options.telemetry.add("dynamodb.streamReads", 1);
    return client.send(new sdk.GetRecordsCommand({ ShardIterator, Limit }));
  }
}

/** A change as Lambda's events have it. */
function sourceRecord({ eventName, userIdentity, dynamodb }: StreamRecord): SourceRecord {
  const { SequenceNumber, ApproximateCreationDateTime: at, ...change } = dynamodb!;
  const identity = userIdentity && { type: userIdentity.Type, principalId: userIdentity.PrincipalId };
  const seconds = at === undefined ? undefined : Math.floor(at.getTime() / 1_000);
  const record = {
    eventName,
    dynamodb: { ...change, SequenceNumber, ApproximateCreationDateTime: seconds },
    userIdentity: identity,
  };
  const text = JSON.stringify(record, (_name, value: unknown) => (value instanceof Uint8Array ? base64Of(value) : value));
  // Sequence numbers come with leading zeros, which positions do not have.
  return {
    position: SequenceNumber!.replace(/^0+(?=\d)/, ""),
    partitionKey: "",
    arrivalTime: at?.getTime() ?? 0,
    bytes: Buffer.from(text),
    text,
  };
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function withinLimit(records: readonly SourceRecord[], limit: ReadLimit): readonly SourceRecord[] {
  let count = 0;
  let bytes = 0;
  while (count < records.length && count < limit.records) {
    bytes += records[count]!.bytes.length;
    if (bytes > limit.bytes && count > 0) break;
    count++;
  }
  return records.slice(0, count);
}

function parentsFirst(shards: readonly StreamShard[]): readonly StreamShard[] {
  const ordered = new Set<StreamShard>();
  const byId = new Map(shards.map((shard) => [shard.ShardId, shard]));
  const visit = (shard: StreamShard) => {
    const parent = byId.get(shard.ParentShardId);
    if (parent !== undefined && !ordered.has(parent)) visit(parent);
    ordered.add(shard);
  };
  for (const shard of shards) visit(shard);
  return [...ordered];
}
