/**
 * Commits as journal entries: compressed when it pays, as an object with a pointer when they are long (DESIGN §8, payload).
 *
 * R6 The object is written before the entry that points to it, under a name that no other attempt uses.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { corrupt } from "../base/byte-reader.ts";
import { MillraceError } from "../base/errors.ts";
import { type BlobName, id, type Seq, type TaskId } from "../base/ids.ts";
import type { Blobs } from "../ports/blobs.ts";
import { objectName } from "../snapshots/names.ts";
import { type Commit, decodeCommit, encodeCommit } from "../state/commit.ts";

export interface PayloadOptions {
  /** Entries above it become objects; Infinity: none. */
  readonly inlineBytesMax: number;
  /** Payloads above it are compressed; Infinity: none. */
  readonly compressFromBytes: number;
}

/** The first byte of an entry; a plain one is the commit itself, which leaves that byte free. */
const form = { plain: 0, compressed: 1, object: 2 } as const;

/** The bytes of the entry, whose object (if it needs one) has been written. */
export async function storeCommit(commit: Commit, blobs: Blobs, options: PayloadOptions): Promise<Uint8Array> {
  const plain = encodeCommit(commit);
  const payload = plain.length > options.compressFromBytes ? tagged(form.compressed, zstdCompressSync(plain)) : plain;
  if (payload.length <= options.inlineBytesMax) return payload;
  const name = objectName("payloads", commit.task, commit.seq, commit.attempt);
  await blobs.put(name, payload);
  return tagged(form.object, Buffer.from(name));
}

function tagged(tag: number, bytes: Uint8Array): Uint8Array {
  const result = Buffer.allocUnsafeSlow(bytes.length + 1);
  result[0] = tag;
  result.set(bytes, 1);
  return result;
}

/** The name of the object that an entry points to, if it does. */
export function payloadOf(entry: Uint8Array): BlobName | undefined {
  return entry[0] === form.object ? id<BlobName>(Buffer.from(entry.subarray(1)).toString()) : undefined;
}

/** The commit of an entry. Throws `unavailable` when its object is gone: whoever reads must look at the ring again (L6). */
export async function loadCommit(
  task: TaskId,
  entry: { readonly seq: Seq; readonly bytes: Uint8Array },
  blobs: Blobs,
): Promise<Commit> {
  const name = payloadOf(entry.bytes);
  const bytes = name === undefined ? entry.bytes : await blobs.get(name);
  if (bytes === undefined) throw missingObject(name as BlobName);
  const commit = decodePayload(bytes);
  if (commit.task !== task || commit.seq !== entry.seq)
    throw corrupt(`entry ${entry.seq} of ${task} holds commit ${commit.seq} of ${commit.task}`);
  return commit;
}

function decodePayload(bytes: Uint8Array): Commit {
  switch (bytes[0]) {
    case form.plain:
      return decodeCommit(bytes);
    case form.compressed:
      return decodeCommit(decompress(bytes.subarray(1)));
    default:
      throw corrupt(`journal entry of unknown form ${String(bytes[0])}`);
  }
}

function decompress(bytes: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(bytes);
  } catch (error) {
    throw corrupt("journal entry cannot be decompressed", error);
  }
}

/** An object that an entry or index names is not there: it was collected behind a stale reader's back. Never empty state. */
export function missingObject(name: BlobName): MillraceError {
  return new MillraceError("unavailable", `object is gone, its task must be loaded anew: ${name}`, {
    context: { missing: name },
  });
}
