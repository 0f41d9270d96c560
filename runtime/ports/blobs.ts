/**
 * Port: immutable objects (S3).
 *
 * Consistency needed: read after write for a whole object; with `ifAbsent` exactly one of several writers wins.
 */
import type { BlobName } from "../base/ids.ts";

export interface BlobInfo {
  readonly name: BlobName;
  readonly sizeBytes: number;
  /** Epoch ms. */
  readonly writtenAt: number;
}
/** A negative offset counts from the end. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}
export interface Blobs {
  put(name: BlobName, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<"put" | "exists">;
  /** Undefined when there is no such object. A range past the end gives what is there. */
  get(name: BlobName, range?: ByteRange): Promise<Uint8Array | undefined>;
  /** In order of name, those after `after`; at most 1,000 at once. */
  list(prefix: string, after?: BlobName): Promise<{ readonly blobs: readonly BlobInfo[]; readonly more: boolean }>;
  /** Names that do not exist are passed over. */
  delete(names: readonly BlobName[]): Promise<void>;
}

/** All names that begin so, in order, however many listings that takes. */
export async function namesUnder(blobs: Pick<Blobs, "list">, prefix: string): Promise<readonly BlobName[]> {
  const names: BlobName[] = [];
  for (let more = true; more;) {
    const page = await blobs.list(prefix, names.at(-1));
    for (const { name } of page.blobs) names.push(name);
    ({ more } = page);
  }
  return names;
}
