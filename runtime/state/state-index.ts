/**
 * Where the key groups of one operator in one task lie: the part of a task's index that belongs to an operator.
 *
 * X1 An entry's `version` is the journal seq of this task up to which its parts are complete; deltas above it are laid over them.
 * X2 A key group without entry, rows or pending deltas is empty.
 * X3 A key group has several parts only after a restore or a merge of shards, until it is next written.
 */
import type { BlobName, KeyGroup, Seq, TaskId } from "../base/ids.ts";

export interface BlobRange {
  readonly blob: BlobName;
  readonly offset: number;
  readonly length: number;
}

/** Where a part of a key group lies, and under which schema it was written. */
export type Part = { readonly schema: string; readonly rows: number } & (
  | { readonly kind: "segment"; readonly range: BlobRange; readonly checksum: number }
  /** An item of the state table: mutable, so never in a checkpoint's index. */
  | { readonly kind: "page"; readonly writer: TaskId }
);

export interface IndexEntry {
  readonly keyGroup: KeyGroup;
  readonly version: Seq;
  readonly sizeBytes: number;
  /** Epoch ms; Infinity when there is none. */
  readonly earliestEventTimer: number;
  readonly earliestProcessingTimer: number;
  readonly parts: readonly Part[];
}

/** The entries of one operator, by key group. */
export type OperatorIndex = Map<KeyGroup, IndexEntry>;
/** All that a task has stored. */
export interface TaskIndex {
  /** By operator uid. */
  readonly operators: Map<string, OperatorIndex>;
  /** The bytes of pages in each segment referred to, live or not: tells when a segment is mostly dead. */
  readonly segments: Map<BlobName, number>;
}

/** The index of a task that has stored nothing. */
export function emptyIndex(): TaskIndex {
  return { operators: new Map(), segments: new Map() };
}
