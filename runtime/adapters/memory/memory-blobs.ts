/**
 * Objects in memory. Bytes handed over are kept as they are, since the caller never changes them afterwards; bytes handed out are
 * copies, since they belong to the caller.
 */
import type { BlobName } from "../../base/ids.ts";
import type { BlobInfo, Blobs, ByteRange } from "../../ports/blobs.ts";
import type { Clock } from "../../ports/clock.ts";
import { resolveRange } from "../byte-range.ts";
import { blobsPerListing } from "../limits.ts";
import { ManualClock } from "./manual-clock.ts";

interface StoredBlob {
  readonly bytes: Uint8Array;
  readonly writtenAt: number;
}

export class MemoryBlobs implements Blobs {
  readonly #clock: Clock;
  readonly #blobs = new Map<BlobName, StoredBlob>();

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? new ManualClock();
  }

  async put(name: BlobName, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<"put" | "exists"> {
    if (options?.ifAbsent === true && this.#blobs.has(name)) return "exists";
    this.#blobs.set(name, { bytes, writtenAt: this.#clock.now() });
    return "put";
  }

  async get(name: BlobName, range?: ByteRange): Promise<Uint8Array | undefined> {
    const blob = this.#blobs.get(name);
    if (blob === undefined) return undefined;
    const { from, to } = resolveRange(range, blob.bytes.length);
    return blob.bytes.slice(from, to);
  }

  async list(prefix: string, after?: BlobName): Promise<{ readonly blobs: readonly BlobInfo[]; readonly more: boolean }> {
    const names = [...this.#blobs.keys()]
      .filter((name) => name.startsWith(prefix) && (after === undefined || name > after))
      .sort();
    const blobs = names.slice(0, blobsPerListing).map((name) => this.#info(name));
    return { blobs, more: names.length > blobs.length };
  }

  async delete(names: readonly BlobName[]): Promise<void> {
    for (const name of names) this.#blobs.delete(name);
  }

  #info(name: BlobName): BlobInfo {
    const blob = this.#blobs.get(name)!;
    return { name, sizeBytes: blob.bytes.length, writtenAt: blob.writtenAt };
  }
}
