/**
 * Where the bytes of a shard come from: in order, from an offset of the decompressed data, in large reads.
 */
import type { Break } from "./record-cutter.ts";

/** `later`: nothing more is there now, but more may come. */
export type BytesRead =
  | { readonly kind: "bytes"; readonly bytes: Buffer; readonly arrivalTime: number }
  | { readonly kind: "later" }
  | { readonly kind: "end"; readonly broken: Break | undefined };

export interface ByteSource {
  /** `head` with the next bytes behind it, in memory that nobody else writes. */
  read(head: Buffer): Promise<BytesRead>;
  /** Of compressed data: how many bytes of it have been read. */
  readonly compressedRead?: number;
  close(): Promise<void>;
}

/** How much is asked of the file system at once. */
export const readBytes = 1 << 20;
