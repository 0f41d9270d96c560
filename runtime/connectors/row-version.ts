/**
 * The version of a row outside: (generation, offset + seq, n, place), compared in that order (L5), as one number of at most 36 digits.
 *
 * V1 It is the same whenever the row is written again, and higher for every later row that the same lineage of tasks writes.
 * V2 Of a row that was refused and is given back it is that of the commit that refused it: a later row stays.
 */
import type { SinkEffect } from "../ports/sink-driver.ts";

const seqBits = 48n;
const nBits = 24n;
const placeBits = 24n;

/** Of an effect, or of the commit that an effect's rows are written as. */
type Written = Pick<SinkEffect, "generation" | "seq" | "n"> & Pick<Partial<SinkEffect>, "as">;

/** `place`: which of the payload's rows. */
export function rowVersion(effect: Written, place: number): bigint {
  const { generation, seq, n } = effect.as ?? effect;
  return (((((BigInt(generation) << seqBits) | BigInt(seq)) << nBits) | BigInt(n)) << placeBits) | BigInt(place);
}

/** By which the effects of a task are told in their order, whatever their rows are written as. */
export function effectVersion({ generation, seq, n }: SinkEffect): bigint {
  return rowVersion({ generation, seq, n }, 0);
}

/** The commit that a version stands for. */
export function commitOfVersion(version: bigint): { readonly generation: number; readonly seq: number } {
  const commit = version >> (nBits + placeBits);
  return { generation: Number(commit >> seqBits), seq: Number(commit & ((1n << seqBits) - 1n)) };
}

/** A name of the row that is the same whenever it is written again, and no other row's. */
export function rowId(effect: Written & Pick<SinkEffect, "task">, place: number): string {
  const { generation, task, seq, n } = effect.as ?? effect;
  return `${generation}/${task}/${seq}/${n}/${place}`;
}
