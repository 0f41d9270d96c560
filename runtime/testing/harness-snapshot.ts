/**
 * A checkpoint of a harness job, taken out of the harness: what a new harness needs to go on from it, be its code or its
 * parallelism another. It holds the checkpoint's objects, and where the sources stand.
 */
import { MillraceError } from "../base/errors.ts";
import type { BlobName, Checkpoint } from "../base/ids.ts";
import type { Blobs } from "../ports/blobs.ts";
import { type JobRecord, recordOfCheckpoint } from "../snapshots/job-record.ts";
import { noTotals } from "../state/commit.ts";
import { decodeManifest, isTombstone, type Manifest } from "../snapshots/manifest.ts";
import { readReferences } from "../snapshots/segment.ts";
import type { SourceStand } from "./harness-source.ts";

/** Opaque to tests but for its number and size. */
export interface HarnessSnapshot {
  readonly checkpoint: Checkpoint;
  /** Of the manifest and all segments it refers to. */
  readonly sizeBytes: number;
}

/** What the harness knows it as. */
export class TakenSnapshot implements HarnessSnapshot {
  readonly manifest: Manifest;
  readonly name: BlobName;
  readonly blobs: ReadonlyMap<BlobName, Uint8Array>;
  readonly sources: ReadonlyMap<string, SourceStand>;
  /** Processing time, epoch ms. */
  readonly now: number;

  constructor(parts: {
    readonly manifest: Manifest;
    readonly name: BlobName;
    readonly blobs: ReadonlyMap<BlobName, Uint8Array>;
    readonly sources: ReadonlyMap<string, SourceStand>;
    readonly now: number;
  }) {
    this.manifest = parts.manifest;
    this.name = parts.name;
    this.blobs = parts.blobs;
    this.sources = parts.sources;
    this.now = parts.now;
  }

  get checkpoint(): Checkpoint {
    return this.manifest.checkpoint;
  }

  get sizeBytes(): number {
    let bytes = 0;
    for (const blob of this.blobs.values()) bytes += blob.length;
    return bytes;
  }

  /** The job record of a job that has taken this checkpoint and has no tasks: a restore goes on from it. */
  get record(): JobRecord {
    return { ...recordOfCheckpoint(this.name, this.manifest, this.now), totals: noTotals };
  }
}

/** The objects of a complete checkpoint: its manifest, and the segments its indexes lie in and refer to. */
export async function copyCheckpoint(name: BlobName, blobs: Blobs): Promise<Pick<TakenSnapshot, "manifest" | "name" | "blobs">> {
  const copies = new Map<BlobName, Uint8Array>();
  const copy = async (blob: BlobName): Promise<Uint8Array> => {
    const bytes = copies.get(blob) ?? (await blobs.get(blob));
    if (bytes === undefined) throw new MillraceError("corrupt", `checkpoint ${name} refers to an object that is gone: ${blob}`);
    copies.set(blob, bytes);
    return bytes;
  };
  const manifest = decodeManifest(await copy(name));
  if (isTombstone(manifest)) throw new MillraceError("invalid", `the checkpoint was not completed: ${manifest.abandoned}`);
  for (const { index } of manifest.tasks) {
    if (index === undefined) continue;
    const segment = await copy(index.blob);
    for (const blob of readReferences(segment.subarray(index.offset, index.offset + index.length))) await copy(blob);
  }
  return { manifest, name, blobs: copies };
}
