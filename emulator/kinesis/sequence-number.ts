/**
 * Sequence numbers: a position in a shard of a stream as the 56 decimal digits that Kinesis shows, from which it can be read back.
 *
 * Q1 Within a stream they grow with the position, so within a shard with time, and a child's lie above its parents'.
 * Q2 They name the stream's creation and the shard, so that one of another shard, or of a stream deleted and made anew, is found out.
 *
 * From the highest bit: 1 | 48 bits creation, epoch ms | 36 bits 0 | 64 bits position | 32 bits number of the shard | 4 bits kind.
 */
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { KinesisError } from "./kinesis-error.ts";

/** What a sequence number may look like, as the API's model says. */
export const sequenceNumberPattern = /^(0|([1-9]\d{0,128}))$/;

const top = 1n << 185n;
const creationShift = 136n;
const positionShift = 36n;
const shardShift = 4n;
const mask = (bits: bigint) => (1n << bits) - 1n;

/** A record's number, or a boundary above the last record of a shard. */
export type SequenceNumberKind = "record" | "end";
const kindBits = { record: 0x2n, end: 0xfn };

/** Where a sequence number points. */
export interface Place {
  readonly createdAt: number;
  readonly shard: ShardId;
  readonly position: bigint;
  readonly kind: SequenceNumberKind;
}

/** Turns positions of one shard into sequence numbers. */
export function numbering(createdAt: number, shard: ShardId): (position: Position, kind?: SequenceNumberKind) => string {
  const base = top + (BigInt(createdAt) << creationShift) + (BigInt(shardNumber(shard)) << shardShift);
  return (position, kind = "record") => String(base + (BigInt(position) << positionShift) + kindBits[kind]);
}

/** Undefined for digits that this server never made. */
export function readSequenceNumber(text: string): Place | undefined {
  const bits = BigInt(text);
  const kind = (bits & 0xfn) === kindBits.record ? "record" : (bits & 0xfn) === kindBits.end ? "end" : undefined;
  const reserved = (bits >> 100n) & mask(36n);
  if (kind === undefined || bits >> 184n !== 2n || reserved !== 0n) return undefined;
  return {
    createdAt: Number((bits >> creationShift) & mask(48n)),
    shard: shardNamed(Number((bits >> shardShift) & mask(32n))),
    position: (bits >> positionShift) & mask(64n),
    kind,
  };
}

/** The position from which reading gives what lies after the number, or at it too. */
export function readingAfter({ position, kind }: Place, inclusive: boolean): Position {
  const after = inclusive && kind === "record" ? position - 1n : position;
  return id<Position>(String(after < 0n ? 0n : after));
}

/** The error for a number that is not of this shard. `used` names the call's parameter and itself. */
export function foreignSequenceNumber(used: string, number: string, where: string): KinesisError {
  return new KinesisError(
    "InvalidArgumentException",
    `${used} ${number} used on ${where} is invalid because it did not come from it.`,
  );
}

function shardNumber(shard: ShardId): number {
  return Number(shard.slice("shardId-".length));
}

function shardNamed(n: number): ShardId {
  return id<ShardId>(`shardId-${String(n).padStart(12, "0")}`);
}
