/** Shard iterators and page tokens: opaque to callers, with the time at which they were given out. */
import type { Position, ShardId } from "../../runtime/base/ids.ts";
import { KinesisError } from "./kinesis-error.ts";

/** A place to read on from. `issuedAt`: epoch ms. */
export interface ShardIterator {
  readonly stream: string;
  readonly createdAt: number;
  readonly shard: ShardId;
  readonly after: Position | "horizon";
  readonly issuedAt: number;
}

export function writeToken(kind: string, token: object): string {
  return Buffer.from(JSON.stringify({ kind, ...token })).toString("base64");
}

/** Throws InvalidArgumentException for text that is no token of this kind. */
export function readToken<T>(kind: string, text: string): T {
  try {
    const token = JSON.parse(Buffer.from(text, "base64").toString()) as { readonly kind?: unknown };
    if (token.kind === kind) return token as T;
  } catch {
    // Not one of ours either.
  }
  throw new KinesisError("InvalidArgumentException", `Invalid ${kind}.`);
}
