/**
 * Where the key groups of one operator in one task lie: the part of a task's index that belongs to an operator.
 *
 * X1 An entry's `version` is the journal seq of this task up to which its parts are complete; deltas above it are laid over them.
 * X2 A key group without entry, rows or pending deltas is empty.
 * X3 A key group has several parts only after a restore or a merge of shards, until it is next written.
 */
import type { SparseTable } from "../base/sparse-table.ts";
import type { BlobName, KeyGroup, Seq, TaskId } from "../base/ids.ts";

export interface BlobRange {
  readonly blob: BlobName;
  readonly offset: number;
  readonly length: number;
}

/** Where a part of a key group lies, and under which schema it was written. */
export type Part = SegmentPart | PagePart;

/** A page within a segment. */
export interface SegmentPart extends BlobRange {
  readonly kind: "segment";
  readonly schema: string;
  rows: number;
  blob: BlobName;
  offset: number;
  length: number;
  checksum: number;
}

/** An item of the state table: mutable, so never in a checkpoint's index. */
export interface PagePart {
  readonly kind: "page";
  readonly schema: string;
  readonly rows: number;
  readonly writer: TaskId;
}

/** There may be very many: a base that writes a group again changes its entry in place. */
export interface IndexEntry {
  readonly keyGroup: KeyGroup;
  version: Seq;
  sizeBytes: number;
  /** Epoch ms; Infinity when there is none. */
  earliestEventTimer: number;
  earliestProcessingTimer: number;
  /** From then on half of what can expire in it has (E3); epoch ms, Infinity when nothing can. */
  cleanAt: number;
  readonly parts: readonly Part[];
}

/** What is due in the rows of a key group, and when; Infinity where there is nothing. */
export type DueTimes = Pick<IndexEntry, "earliestEventTimer" | "earliestProcessingTimer" | "cleanAt">;

/** The entries of one operator, by key group. */
export type OperatorIndex = SparseTable<IndexEntry>;
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

/** The index where objects have other names: its entries are changed in place. */
export function renameObjects({ operators, segments }: TaskIndex, nameOf: (name: BlobName) => BlobName): TaskIndex {
  const renamed = new Map([...segments].map(([name, bytes]) => [nameOf(name), bytes] as const));
  for (const entries of operators.values())
    for (const { parts } of entries.values())
      for (const part of parts) if (part.kind === "segment") part.blob = nameOf(part.blob);
  return { operators, segments: renamed };
}
