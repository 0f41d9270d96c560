/**
 * A Kinesis source with what its records hold (connectors/kinesis/unpack.ts): positions are those of the records within.
 *
 * U1 A read that finds nothing has found that there is nothing: it goes on past records in which nothing belongs to the shard.
 * U2 Reading on from within a pack begins with the stream's record that holds it, whose part before the position is left out.
 */
import type { SourceRecord } from "../../api/connector.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import { placeOf, unpack, wholeRecords } from "../../connectors/kinesis/unpack.ts";
import type { SourceReader } from "../../connectors/source-reader.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { comparePositions } from "../../streaming/position.ts";
import { fullRange, type HashRange } from "../../streaming/hash-range.ts";

/** Reads records of a stream. */
export interface PackedReader extends SourceReader {
  /** `inclusive`: the record at `after` too, where it still is. */
  read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit, inclusive?: boolean): Promise<ReadResult>;
}

export class UnpackedSource implements SourceReader {
  readonly #inner: PackedReader;
  readonly #telemetry: Telemetry;
  readonly #ranges = new Map<ShardId, HashRange>();

  constructor(inner: PackedReader, telemetry: Telemetry) {
    this.#inner = inner;
    this.#telemetry = telemetry;
  }

  get retentionMsMin(): number | undefined {
    return this.#inner.retentionMsMin;
  }

  async shards(stream: string): Promise<readonly Shard[]> {
    const shards = await this.#inner.shards(stream);
    for (const shard of shards) this.#ranges.set(shard.id, shard.range);
    return shards;
  }

  async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const place = after === "horizon" ? undefined : placeOf(after);
    let from: Position | "horizon" = place?.sequenceNumber ?? "horizon";
    let inclusive = place?.complete === false;
    let lost: ReadResult["lost"];
    for (let gap = false; ; inclusive = false) {
      const result = await this.#inner.read(stream, shard, from, limit, inclusive);
      gap ||= result.gap;
      lost ??= result.lost;
      const records = (await this.unpack(stream, shard, result.records)).filter(({ position }) => isAfter(position, after));
      const { next } = result;
      if (records.length > 0 || result.records.length === 0 || next === undefined)
        return { ...result, gap, ...(lost && { lost }), records, next: next === undefined ? undefined : endOf(records, after) };
      from = next;
    }
  }

  /** What the records of a shard hold: of a mapping's batch too. */
  async unpack(stream: string, shard: ShardId, packed: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    const whole = wholeRecords(packed);
    if (whole !== undefined) return whole;
    const { records, foreign } = unpack(packed, await this.#rangeOf(stream, shard));
    if (foreign > 0) this.#telemetry.add("source.foreignUserRecords", foreign);
    return records;
  }

  async check(use: { readonly assumesKeys: boolean }): Promise<void> {
    await this.#inner.check?.(use);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  /** Of a shard that is no longer listed nothing is known: all belongs to it. */
  async #rangeOf(stream: string, shard: ShardId): Promise<HashRange> {
    if (!this.#ranges.has(shard)) await this.shards(stream);
    return this.#ranges.get(shard) ?? fullRange;
  }
}

function isAfter(position: string, after: Position | "horizon"): boolean {
  return after === "horizon" || comparePositions(position, after) > 0;
}

function endOf(records: readonly SourceRecord[], after: Position | "horizon"): Position | "horizon" {
  const last = records.at(-1);
  return last === undefined ? after : id<Position>(last.position);
}
