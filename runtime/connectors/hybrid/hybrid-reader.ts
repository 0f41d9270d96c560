/**
 * Reads sources one after the other. The shards of a part are the parents of the next part's first shards, so the rules of shards that follow
 * others (L8) do the switching: a child begins when all its parents have ended, at the lowest of their watermarks.
 *
 * H1 Shards keep their names, since mappings bring batches under them; two of one name are refused.
 */
import type { SourceRecord } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Position, ShardId } from "../../base/ids.ts";
import type { ReadLimit, ReadResult, Shard } from "../../ports/log.ts";
import { ForwardedRecord } from "../forwarded-record.ts";
import type { SourceReader } from "../source-reader.ts";

/** A part, and the name its reader knows it by. */
export interface HybridPart {
  readonly name: string;
  readonly reader: SourceReader;
}

export class HybridReader implements SourceReader {
  readonly #uid: string;
  readonly #parts: readonly HybridPart[];
  readonly retentionMsMin: number | undefined;
  /** Of each shard that was listed, the number of its part. */
  #partOf = new Map<ShardId, number>();

  constructor(uid: string, parts: readonly HybridPart[]) {
    this.#uid = uid;
    this.#parts = parts;
    this.retentionMsMin = parts.at(-1)!.reader.retentionMsMin;
  }

  async shards(): Promise<readonly Shard[]> {
    const partOf = new Map<ShardId, number>();
    const all: Shard[] = [];
    let before: readonly ShardId[] = [];
    for (const [n, { name, reader }] of this.#parts.entries()) {
      const own = await reader.shards(name);
      for (const shard of own) {
        if (partOf.has(shard.id))
          throw new MillraceError(
            "invalid",
            `two parts of source ${this.#uid} have a shard of the same name, read each but once: ${shard.id}`,
          );
        partOf.set(shard.id, n);
        all.push(n > 0 && shard.parents.length === 0 ? { ...shard, parents: before } : shard);
      }
      before = own.filter(({ id }) => !own.some(({ parents }) => parents.includes(id))).map(({ id }) => id);
    }
    this.#partOf = partOf;
    return all;
  }

  async polled(shard: ShardId): Promise<boolean> {
    return (await this.#find(shard)).reader.polled?.(shard) ?? false;
  }

  async read(_stream: string, shard: ShardId, after: Position | "horizon", limit: ReadLimit): Promise<ReadResult> {
    const { name, reader, n } = await this.#find(shard);
    const read = await reader.read(name, shard, after, limit);
    if (n === this.#parts.length - 1) return read;
    return { ...read, records: read.records.map((record) => new RecordOfPart(record, n)) };
  }

  unpack(_stream: string, shard: ShardId, packed: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    const { name, reader } = this.#parts.at(-1)!;
    return reader.unpack?.(name, shard, packed) ?? Promise.resolve(packed);
  }

  async withSchemas(records: readonly SourceRecord[]): Promise<readonly SourceRecord[]> {
    return (await this.#parts.at(-1)!.reader.withSchemas?.(records)) ?? records;
  }

  /** Only the last part is brought. */
  lostBetween(shard: ShardId, after: Position, first: Position): ReadResult["lost"] {
    return this.#parts.at(-1)!.reader.lostBetween?.(shard, after, first);
  }

  async check(use: { readonly assumesKeys: boolean }): Promise<void> {
    for (const { reader } of this.#parts) await reader.check?.(use);
  }

  async close(): Promise<void> {
    for (const { reader } of this.#parts) await reader.close();
  }

  async #find(shard: ShardId): Promise<HybridPart & { readonly n: number }> {
    if (!this.#partOf.has(shard)) await this.shards();
    const n = this.#partOf.get(shard) ?? this.#parts.length - 1;
    return { ...this.#parts[n]!, n };
  }
}

/** A record of a part. */
class RecordOfPart extends ForwardedRecord {
  readonly #part: number;

  constructor(record: SourceRecord, part: number) {
    super(record);
    this.#part = part;
  }
  override get part(): number {
    return this.#part;
  }
}
