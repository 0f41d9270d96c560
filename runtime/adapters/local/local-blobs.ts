/**
 * Objects in the embedded store, in chunks, so that a range is read without the rest. In the store and not as files beside it: a
 * power loss then takes back an object together with the entries that point to it (docs/decisions/embedded-store.md).
 */
import type { StatementSync } from "node:sqlite";
import { MillraceError } from "../../base/errors.ts";
import type { BlobName } from "../../base/ids.ts";
import type { BlobInfo, Blobs, ByteRange } from "../../ports/blobs.ts";
import type { Clock } from "../../ports/clock.ts";
import { resolveRange } from "../byte-range.ts";
import { blobsPerListing } from "../limits.ts";
import type { Store } from "./store.ts";

const chunkBytes = 128 * 1024;
/** Sorts after every name that begins with what it is put behind. */
const lastCharacter = "\u{10ffff}";

interface BlobRow {
  readonly id: number;
  readonly size: number;
}

export class LocalBlobs implements Blobs {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #remove: StatementSync;
  readonly #addChunk: StatementSync;
  readonly #chunk: StatementSync;
  readonly #removeChunks: StatementSync;
  readonly #list: StatementSync;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#find = store.prepare("SELECT id, size_bytes AS size FROM blobs WHERE name = ?");
    this.#insert = store.prepare("INSERT INTO blobs (name, size_bytes, written_at) VALUES (?, ?, ?) RETURNING id");
    this.#remove = store.prepare("DELETE FROM blobs WHERE id = ?");
    this.#addChunk = store.prepare("INSERT INTO chunks (blob, n, bytes) VALUES (?, ?, ?)");
    this.#chunk = store.prepare("SELECT bytes FROM chunks WHERE blob = ? AND n = ?");
    this.#removeChunks = store.prepare("DELETE FROM chunks WHERE blob = ?");
    this.#list = store.prepare(
      `SELECT name, size_bytes AS sizeBytes, written_at AS writtenAt FROM blobs
       WHERE name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?`,
    );
  }

  put(name: BlobName, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<"put" | "exists"> {
    const writtenAt = this.#clock.now();
    return this.#store.write(() => {
      const old = this.#row(name);
      if (old !== undefined && options?.ifAbsent === true) return "exists";
      if (old !== undefined) this.#drop(old);
      const { id } = this.#insert.get(name, bytes.length, writtenAt) as unknown as BlobRow;
      for (let from = 0; from < bytes.length; from += chunkBytes) {
        this.#addChunk.run(id, from / chunkBytes, bytes.subarray(from, from + chunkBytes));
      }
      return "put";
    });
  }

  get(name: BlobName, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#store.read(() => {
      const blob = this.#row(name);
      if (blob === undefined) return undefined;
      const { from, to } = resolveRange(range, blob.size);
      const bytes = new Uint8Array(to - from);
      for (let n = Math.floor(from / chunkBytes); n * chunkBytes < to; n += 1) {
        const begin = n * chunkBytes;
        const chunk = this.#chunkOf(name, blob, n);
        const skipped = Math.max(0, from - begin);
        bytes.set(chunk.subarray(skipped, to - begin), begin + skipped - from);
      }
      return bytes;
    });
  }

  async list(prefix: string, after?: BlobName): Promise<{ readonly blobs: readonly BlobInfo[]; readonly more: boolean }> {
    const rows = await this.#store.read(
      () => this.#list.all(prefix, prefix + lastCharacter, after ?? "", blobsPerListing + 1) as unknown as BlobInfo[],
    );
    const blobs = rows.slice(0, blobsPerListing).map(({ name, sizeBytes, writtenAt }) => ({ name, sizeBytes, writtenAt }));
    return { blobs, more: rows.length > blobs.length };
  }

  delete(names: readonly BlobName[]): Promise<void> {
    return this.#store.write(() => {
      for (const name of names) {
        const blob = this.#row(name);
        if (blob !== undefined) this.#drop(blob);
      }
    });
  }

  #row(name: BlobName): BlobRow | undefined {
    return this.#find.get(name) as unknown as BlobRow | undefined;
  }

  #chunkOf(name: BlobName, blob: BlobRow, n: number): Uint8Array {
    const row = this.#chunk.get(blob.id, n) as unknown as { bytes: Uint8Array } | undefined;
    if (row === undefined) throw new MillraceError("corrupt", `a part of the object is missing: ${name}, part ${n}`);
    return row.bytes;
  }

  #drop(blob: BlobRow): void {
    this.#removeChunks.run(blob.id);
    this.#remove.run(blob.id);
  }
}
