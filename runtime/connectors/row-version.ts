/**
 * The version of a row outside: (generation, offset + seq, n, place), compared in that order (L5), as one number of at most 36 digits.
 *
 * V1 It is the same whenever the row is written again, and higher for every later row that the same lineage of tasks writes.
 */
import type { SinkEffect } from "../ports/sink-driver.ts";

const seqBits = 48n;
const nBits = 24n;
const placeBits = 24n;

/** `place`: which of the payload's rows. */
export function rowVersion({ generation, seq, n }: Pick<SinkEffect, "generation" | "seq" | "n">, place: number): bigint {
  return (((((BigInt(generation) << seqBits) | BigInt(seq)) << nBits) | BigInt(n)) << placeBits) | BigInt(place);
}

/** The commit that a version stands for. */
export function commitOfVersion(version: bigint): { readonly generation: number; readonly seq: number } {
  const commit = version >> (nBits + placeBits);
  return { generation: Number(commit >> seqBits), seq: Number(commit & ((1n << seqBits) - 1n)) };
}

/** A name of the row that is the same whenever it is written again, and no other row's. */
export function rowId({ generation, task, seq, n }: Omit<SinkEffect, "operator" | "payload">, place: number): string {
  return `${generation}/${task}/${seq}/${n}/${place}`;
}
