/**
 * Commits as journal entries: compressed when it pays, as an object with a pointer when they are long (DESIGN §8, payload).
 *
 * E1 An entry and its object each open with their form and a checksum of both form and contents: what is damaged is `corrupt`.
 * R6 The object is written before the entry that points to it, under a name that no other attempt uses.
 */
import { crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { corrupt } from "../base/byte-reader.ts";
import { MillraceError } from "../base/errors.ts";
import { type BlobName, id, type Seq, type TaskId } from "../base/ids.ts";
import type { Blobs } from "../ports/blobs.ts";
import { objectName } from "../snapshots/names.ts";
import { type Commit, commitHeadBytes, decodeCommit, encodeCommit } from "../state/commit.ts";

export interface PayloadOptions {
  /** Entries above it become objects; Infinity: none. */
  readonly inlineBytesMax: number;
  /** Payloads above it are compressed; Infinity: none. */
  readonly compressFromBytes: number;
}

/** A longer commit is stored as it is: compressed bytes may come to any length, so what they may come to is bounded. */
const plainBytesMax = 1 << 26;

/** The first byte of an entry, before its checksum; a plain one is the commit itself, which leaves these bytes free. */
export const entryForms = { plain: 0, compressed: 1, object: 2 } as const;

/** The bytes of the entry, whose object (if it needs one) has been written. */
export async function storeCommit(
  commit: Commit,
  blobs: Blobs,
  options: PayloadOptions,
  nameOfAttempt = commit.attempt,
): Promise<Uint8Array> {
  const plain = encodeCommit(commit);
  const payload =
    plain.length > options.compressFromBytes && plain.length <= plainBytesMax
      ? withHead(entryForms.compressed, zstdCompressSync(plain))
      : sealed(plain, entryForms.plain);
  if (payload.length <= options.inlineBytesMax) return payload;
  const name = objectName("payloads", commit.task, commit.seq, nameOfAttempt);
  await blobs.put(name, payload);
  return withHead(entryForms.object, Buffer.from(name));
}

function withHead(tag: number, contents: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(commitHeadBytes + contents.length);
  bytes.set(contents, commitHeadBytes);
  return sealed(bytes, tag);
}

/** Fills the head. */
function sealed(bytes: Uint8Array, tag: number): Uint8Array {
  bytes[0] = tag;
  viewOf(bytes).setUint32(1, crc32(bytes.subarray(commitHeadBytes), tag), true);
  return bytes;
}

/** Throws `corrupt` when the bytes are not those that were written. */
function checkSeal(bytes: Uint8Array): void {
  const intact =
    bytes.length >= commitHeadBytes && viewOf(bytes).getUint32(1, true) === crc32(bytes.subarray(commitHeadBytes), bytes[0]);
  if (!intact) throw corrupt("journal entry does not match its checksum");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The name of the object that an entry points to, if it does. Throws `corrupt` for a damaged entry. */
export function payloadOf(entry: Uint8Array): BlobName | undefined {
  checkSeal(entry);
  return entry[0] === entryForms.object ? id<BlobName>(Buffer.from(entry.subarray(commitHeadBytes)).toString()) : undefined;
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
  if (name !== undefined) checkSeal(bytes);
  const commit = decodeEntry(bytes);
  if (commit.task !== task || commit.seq !== entry.seq)
    throw corrupt(`entry ${entry.seq} of ${task} holds commit ${commit.seq} of ${commit.task}`);
  return commit;
}

/** The commit in an entry or in its object, of which the checksum was found right. Throws `corrupt`. */
export function decodeEntry(bytes: Uint8Array): Commit {
  switch (bytes[0]) {
    case entryForms.plain:
      return decodeCommit(bytes);
    case entryForms.compressed:
      return decodeCommit(decompress(bytes.subarray(commitHeadBytes)));
    default:
      throw corrupt(`journal entry of unknown form ${String(bytes[0])}`);
  }
}

function decompress(bytes: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: plainBytesMax });
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
