/**
 * A source whose records are only brought, by Lambda's mapping: nothing can be read back from here. A poke finds nothing, and what the mapping
 * does not bring is not there.
 *
 * B1 Where records are numbered, one that does not follow the position shows that those between were never brought: that is said, or stops
 *    the shard.
 */
import { MillraceError } from "../../base/errors.ts";
import { id, type Position, type ShardId } from "../../base/ids.ts";
import type { ReadResult, Shard } from "../../ports/log.ts";
import type { SourceReader } from "../source-reader.ts";

export interface BroughtReaderOptions {
  readonly uid: string;
  readonly shards: readonly string[];
  /** What is done about numbers that are left out: "fail", "report", or nothing, where they mean nothing ("ignore"). */
  readonly gaps: "fail" | "report" | "ignore";
  /** What to do about lost records. */
  readonly advice: string;
}

/** Whose shards have no hash keys. */
const wholeRange = { from: 0n, to: (1n << 128n) - 1n };

export class BroughtReader implements SourceReader {
  readonly #options: BroughtReaderOptions;

  constructor(options: BroughtReaderOptions) {
    this.#options = options;
  }

  async shards(): Promise<readonly Shard[]> {
    return this.#options.shards.map((shard) => ({ id: id<ShardId>(shard), range: wholeRange, parents: [], closed: false }));
  }

  async read(_stream: string, shard: ShardId, after: Position | "horizon"): Promise<ReadResult> {
    const { uid, shards } = this.#options;
    if (!shards.includes(shard)) throw new MillraceError("invalid", `no such shard of ${uid}: ${shard}`);
    return { records: [], next: after, behindMs: 0, gap: false };
  }

  /** Throws `corrupt` where loss must stop the shard. */
  lostBetween(shard: ShardId, after: Position, first: Position): ReadResult["lost"] {
    const { uid, gaps, advice } = this.#options;
    if (gaps === "ignore" || BigInt(first) === BigInt(after) + 1n) return undefined;
    const lost = { after, before: first };
    if (gaps === "report") return lost;
    throw new MillraceError("corrupt", `records were not brought: ${uid}, ${shard}, after ${after}, before ${first}; ${advice}`, {
      context: { source: uid, lost: { shard, ...lost } },
    });
  }

  async check({ assumesKeys }: { readonly assumesKeys: boolean }): Promise<void> {
    if (!assumesKeys) return;
    throw new MillraceError(
      "invalid",
      `shards of this source are not ranges of keys: use keyBy(), not assumeKeyed(): ${this.#options.uid}`,
    );
  }

  async close(): Promise<void> {}
}
