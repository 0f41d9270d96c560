/**
 * Which shard takes a key: the hash space as it is shared out at one time.
 *
 * S1 Hash keys are 32 hexadecimal digits, so that their order is that of text and no big number is made for each event.
 * S2 The open shards of a map cover the hash space: a listing in which they do not is of no time, and there is no map of it.
 */
import { createHash, hash as digestOf } from "node:crypto";
import type { Shard } from "../runtime/ports/log.ts";

/** A shard's part of the hash space; both ends inclusive. */
export interface HashSpan {
  readonly shardId: string;
  readonly from: string;
  readonly to: string;
}

const digits = 32;
const top = "f".repeat(digits);

/** Where Kinesis puts a partition key: its MD5. */
export const hashOf: (key: string) => string =
  // The one call of newer versions of Node takes half the time.
  typeof digestOf === "function" ? (key) => digestOf("md5", key) : (key) => createHash("md5").update(key).digest("hex");

/** As an ExplicitHashKey is written. */
export function explicitHashKey(hash: string): string {
  return BigInt(`0x${hash}`).toString();
}

export function contains({ from, to }: HashSpan, hash: string): boolean {
  return from <= hash && hash <= to;
}

export class ShardMap {
  /** In the order of the hash space. */
  readonly open: readonly HashSpan[];
  readonly #listed: ReadonlyMap<string, HashSpan>;

  private constructor(open: readonly HashSpan[], listed: ReadonlyMap<string, HashSpan>) {
    this.open = open;
    this.#listed = listed;
  }

  /** Undefined: the open ones among these do not cover the hash space (S2). */
  static of(shards: readonly Shard[]): ShardMap | undefined {
    const spans = shards.map(({ id, range }) => ({ shardId: id as string, from: hex(range.from), to: hex(range.to) }));
    const open = spans.filter((_, n) => !shards[n]!.closed).sort((a, b) => (a.from < b.from ? -1 : 1));
    const covers =
      open.length > 0 &&
      open.every(({ from }, n) => (n === 0 ? BigInt(`0x${from}`) === 0n : follows(open[n - 1]!.to, from))) &&
      open.at(-1)!.to === top;
    return covers ? new ShardMap(open, new Map(spans.map((span) => [span.shardId, span]))) : undefined;
  }

  /** The place in `open` of the shard that takes the hash key. */
  placeOf(hash: string): number {
    let low = 0;
    let high = this.open.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.open[middle]!.from <= hash) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Of any shard that was listed, be it closed. */
  spanOf(shardId: string): HashSpan | undefined {
    return this.#listed.get(shardId);
  }
}

function hex(value: bigint): string {
  return value.toString(16).padStart(digits, "0");
}

function follows(to: string, from: string): boolean {
  return BigInt(`0x${to}`) + 1n === BigInt(`0x${from}`);
}
