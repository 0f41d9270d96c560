/** A log whose streams can be ended: nothing more is appended, and a shard that is read out has ended. What Kinesis has no call for. */
import type { EmbeddedAppendResult, EmbeddedLog, KeyedRecordToAppend } from "../../runtime/adapters/log-provisioning.ts";
import type { Position, ShardId } from "../../runtime/base/ids.ts";
import type { ReadLimit, ReadResult, Shard } from "../../runtime/ports/log.ts";

export class EndingLog implements EmbeddedLog {
  readonly #inner: EmbeddedLog;
  readonly #ended = new Set<string>();
  readonly #appended = new Map<string, Uint8Array[]>();
  /** Called with all that was appended, in that moment. */
  onAppended: (stream: string, records: readonly KeyedRecordToAppend[], results: readonly EmbeddedAppendResult[]) => void = () =>
    undefined;

  constructor(inner: EmbeddedLog) {
    this.#inner = inner;
  }

  end(stream: string): void {
    this.#ended.add(stream);
  }

  async append(stream: string, records: readonly KeyedRecordToAppend[]): Promise<readonly EmbeddedAppendResult[]> {
    const results = await this.#inner.append(stream, records);
    const appended = this.#appended.get(stream) ?? [];
    this.#appended.set(stream, appended);
    for (const { bytes } of records) appended.push(bytes);
    this.onAppended(stream, records, results);
    return results;
  }

  /** All that was appended to a stream, in its order. */
  appendedTo(stream: string): readonly Uint8Array[] {
    return this.#appended.get(stream) ?? [];
  }

  async shards(stream: string): Promise<readonly Shard[]> {
    const shards = await this.#inner.shards(stream);
    return this.#ended.has(stream) ? shards.map((shard) => ({ ...shard, closed: true })) : shards;
  }

  async read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const result = await this.#inner.read(stream, shard, after, limit);
    return this.#ended.has(stream) && result.behindMs === 0 ? { ...result, next: undefined } : result;
  }

  createStream(stream: string, shards: number): Promise<"created" | "exists"> {
    return this.#inner.createStream(stream, shards);
  }

  splitShard(stream: string, shard: ShardId, at?: bigint): Promise<readonly [ShardId, ShardId]> {
    return this.#inner.splitShard(stream, shard, at);
  }

  mergeShards(stream: string, a: ShardId, b: ShardId): Promise<ShardId> {
    return this.#inner.mergeShards(stream, a, b);
  }

  trim(stream: string, shard: ShardId, upTo: Position): Promise<void> {
    return this.#inner.trim(stream, shard, upTo);
  }

  lastPosition(stream: string, shard: ShardId): Promise<Position> {
    return this.#inner.lastPosition(stream, shard);
  }

  deleteStream(stream: string): Promise<"deleted" | "absent"> {
    return this.#inner.deleteStream(stream);
  }
}
