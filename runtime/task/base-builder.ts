/**
 * Bases: the segment that makes the journal before it unnecessary, for an aligned snapshot as for a local base (DESIGN §8, §11).
 *
 * Two steps, since loading is the driver's: `wantForBase` names what must be in memory, `buildBase` writes.
 *
 * I2 A checkpoint's index refers to segments only, so for it pages of the state table are copied.
 * I3 A segment whose live share has fallen below a quarter is emptied: its live pages are copied forward.
 */
import type { BlobName, KeyGroup, Seq } from "../base/ids.ts";
import { type SegmentRanges, SegmentWriter } from "../snapshots/segment.ts";
import type { KeyGroupState } from "../state/key-group.ts";
import type { KeyedStore } from "../state/keyed-store.ts";
import { writeRow } from "../state/row-codec.ts";
import type { IndexEntry, OperatorIndex } from "../state/state-index.ts";
import type { Task } from "./task.ts";

const liveShareMin = 0.25;
/** A base copies at most so much forward, so that no single one is slow. */
const copiedBytesMax = 16 << 20;

/** Key groups to write, by operator. */
export type BaseGroups = ReadonlyMap<KeyedStore, readonly KeyGroup[]>;

/** Decides what the next base writes, and notes as missing what of it is not in memory. */
export function wantForBase(task: Task, forCheckpoint: boolean): BaseGroups {
  const dying = dyingSegments(task);
  const groups = new Map<KeyedStore, readonly KeyGroup[]>();
  let budget = copiedBytesMax;
  for (const store of task.chain.stores) {
    const ids = new Set(store.behind(forCheckpoint));
    for (const entry of store.index.values()) {
      if (budget <= 0 || ids.has(entry.keyGroup) || !liesIn(entry, dying)) continue;
      budget -= entry.sizeBytes;
      ids.add(entry.keyGroup);
    }
    const sorted = [...ids].sort((a, b) => a - b);
    store.wantGroups(sorted);
    groups.set(store, sorted);
  }
  return groups;
}

function liesIn(entry: IndexEntry, segments: ReadonlySet<BlobName>): boolean {
  return entry.parts.some((part) => part.kind === "segment" && segments.has(part.range.blob));
}

function dyingSegments(task: Task): ReadonlySet<BlobName> {
  const live = new Map<BlobName, number>();
  for (const store of task.chain.stores)
    for (const entry of store.index.values())
      for (const part of entry.parts)
        if (part.kind === "segment") live.set(part.range.blob, (live.get(part.range.blob) ?? 0) + part.range.length);
  const dying = new Set<BlobName>();
  for (const [blob, bytes] of live) if (bytes < (task.segments.get(blob) ?? 0) * liveShareMin) dying.add(blob);
  return dying;
}

/** Writes the groups, which are loaded, as complete up to `seq`; from then on the index says so. */
export function buildBase(
  task: Task,
  groups: BaseGroups,
  name: BlobName,
  seq: Seq,
): { readonly bytes: Uint8Array; readonly ranges: SegmentRanges } {
  const writer = new SegmentWriter(name);
  for (const [store, ids] of groups)
    for (const id of ids) store.place(id, writeGroup(writer, store, store.group(id) as KeyGroupState, seq));
  const operators = new Map<string, OperatorIndex>();
  for (const store of task.chain.stores) operators.set(store.operator, store.index);
  task.segments.set(name, writer.pageBytes);
  forgetUnused(task);
  return writer.finish({ operators, segments: task.segments }, { held: task.channels.held.all }, task.plan.job.fingerprint);
}

/** Undefined when the group has no rows. */
function writeGroup(writer: SegmentWriter, store: KeyedStore, group: KeyGroupState, seq: Seq): IndexEntry | undefined {
  if (group.rows.length === 0) return undefined;
  const { range, checksum } = writer.page((bytes) => {
    for (const row of group.rows) writeRow(bytes, row);
  });
  group.sizeBytes = range.length;
  const parts = [{ kind: "segment", schema: store.schema, rows: group.rows.length, range, checksum }] as const;
  return entryOf(group, seq, range.length, parts);
}

/** The index entry of a group in memory, whose durable copy lies in `parts`. */
export function entryOf(group: KeyGroupState, version: Seq, sizeBytes: number, parts: IndexEntry["parts"]): IndexEntry {
  let earliestEventTimer = Infinity;
  let earliestProcessingTimer = Infinity;
  for (const row of group.rows) {
    earliestEventTimer = Math.min(earliestEventTimer, row.earliest());
    earliestProcessingTimer = Math.min(earliestProcessingTimer, row.earliestOf("processingTime"));
  }
  return { keyGroup: group.id, version, sizeBytes, earliestEventTimer, earliestProcessingTimer, parts };
}

function forgetUnused(task: Task): void {
  const used = new Set<BlobName>();
  for (const store of task.chain.stores)
    for (const entry of store.index.values())
      for (const part of entry.parts) if (part.kind === "segment") used.add(part.range.blob);
  for (const blob of [...task.segments.keys()]) if (!used.has(blob)) task.segments.delete(blob);
}
