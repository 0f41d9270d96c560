/** Which bytes of an object a range means. */
import type { ByteRange } from "../ports/blobs.ts";

/** The range cut to an object of `sizeBytes`: `to` is exclusive; a negative offset counts from the end. */
export function resolveRange(range: ByteRange | undefined, sizeBytes: number): { readonly from: number; readonly to: number } {
  if (range === undefined) return { from: 0, to: sizeBytes };
  const from = range.offset < 0 ? Math.max(0, sizeBytes + range.offset) : Math.min(range.offset, sizeBytes);
  return { from, to: Math.max(from, Math.min(sizeBytes, from + range.length)) };
}
