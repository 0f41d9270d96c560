/**
 * A source that stands before another. It forwards all that a source may have, so that whoever extends it changes what it means to and
 * loses nothing else.
 */
import type { SourceRecord } from "../api/connector.ts";
import type { Position, ShardId } from "../base/ids.ts";
import type { ReadLimit, ReadResult, Shard } from "../ports/log.ts";
import type { Restored } from "../ports/sink-driver.ts";
import type { SourceReader } from "./source-reader.ts";

export abstract class ForwardingReader implements Required<SourceReader> {
  protected readonly inner: SourceReader;

  constructor(inner: SourceReader) {
    this.inner = inner;
  }

  get retentionMsMin(): number | undefined {
    return this.inner.retentionMsMin;
  }

  async polled(shard: ShardId): Promise<boolean> {
    return (await this.inner.polled?.(shard)) ?? false;
  }

  lostBetween(shard: ShardId, after: Position, first: Position): ReadResult["lost"] {
    return this.inner.lostBetween?.(shard, after, first);
  }

  forgetShards(): void {
    this.inner.forgetShards?.();
  }

  async leaveOut(restored: Restored): Promise<void> {
    await this.inner.leaveOut?.(restored);
  }

  shards(stream: string): Promise<readonly Shard[]> {
    return this.inner.shards(stream);
  }

  read(stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    return this.inner.read(stream, shard, after, limit);
  }

  async unpack(stream: string, shard: ShardId, packed: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    return (await this.inner.unpack?.(stream, shard, packed)) ?? packed;
  }

  async withSchemas(records: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    return (await this.inner.withSchemas?.(records)) ?? records;
  }

  async check(use: { readonly assumesKeys: boolean }): Promise<void> {
    await this.inner.check?.(use);
  }

  compressedRead(shard: ShardId): number | undefined {
    return this.inner.compressedRead?.(shard);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
