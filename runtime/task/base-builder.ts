/**
 * Bases: the segment that makes the journal before it unnecessary, for an aligned snapshot as for a local base (DESIGN §8, §11).
 *
 * Two steps, since loading is the driver's: `wantForBase` names what must be in memory, `buildBase` writes.
 *
 * I2 A checkpoint's index refers to segments only, so for it pages of the state table are copied.
 * E3 Groups in which much has expired are written anew, what has expired left out; whatever has the time.
 * I4 What is over at the operator's watermark (Cell C2) is in no base, so that none who goes on from it at an earlier one finds it.
 * I3 A segment whose live share has fallen below a quarter is emptied: its live pages are copied forward.
 */
import type { BlobName, KeyGroup, Seq } from "../base/ids.ts";
import { type SegmentRanges, SegmentWriter } from "../snapshots/segment.ts";
import type { KeyGroupState } from "../state/key-group.ts";
import type { KeyedStore } from "../state/keyed-store.ts";
import type { DueTimes, IndexEntry, OperatorIndex, SegmentPart } from "../state/state-index.ts";
import { minWatermark } from "../time/watermark.ts";
import type { Task } from "./task.ts";

const liveShareMin = 0.25;
/** A base copies at most so much forward, so that no single one is slow. */
const copiedBytesMax = 16 << 20;

/** Key groups to write although none of their rows in memory has changed, by operator. */
export type BaseGroups = ReadonlyMap<KeyedStore, ReadonlySet<KeyGroup>>;

/** Decides what the next base copies beside what has changed in memory, and notes as missing what of it is not there. */
export function wantForBase(task: Task, forCheckpoint: boolean): BaseGroups {
  const dying = dyingSegments(task);
  const groups = new Map<KeyedStore, ReadonlySet<KeyGroup>>();
  let budget = copiedBytesMax;
  for (const store of task.chain.stores) {
    const ids = store.scattered(forCheckpoint);
    const over = watermarkOf(task, store);
    for (const entry of store.index.values()) if (store.liesWithOver(entry, over)) ids.add(entry.keyGroup);
    for (const entry of store.index.values()) {
      if (budget <= 0) break;
      if (ids.has(entry.keyGroup) || !(store.mustClean(entry, task.now) || liesIn(entry, dying))) continue;
      budget -= entry.sizeBytes;
      ids.add(entry.keyGroup);
    }
    store.wantGroups(ids);
    groups.set(store, ids);
  }
  return groups;
}

/** Where the operator stands that the store is of. */
export function watermarkOf(task: Task, store: KeyedStore): number {
  return task.chain.nodes.find(({ state }) => state?.store === store)?.current ?? minWatermark;
}

function liesIn(entry: IndexEntry, segments: ReadonlySet<BlobName>): boolean {
  if (segments.size === 0) return false;
  return entry.parts.some((part) => part.kind === "segment" && segments.has(part.blob));
}

function dyingSegments(task: Task): ReadonlySet<BlobName> {
  const dying = new Set<BlobName>();
  for (const [blob, bytes] of liveBytes(task)) if (bytes < (task.segments.get(blob) ?? 0) * liveShareMin) dying.add(blob);
  return dying;
}

/** How much of each segment the index refers to. */
function liveBytes(task: Task): ReadonlyMap<BlobName, number> {
  const live = new Map<BlobName, number>();
  let latest: BlobName | undefined;
  let bytes = 0;
  const note = () => latest !== undefined && live.set(latest, (live.get(latest) ?? 0) + bytes);
  for (const store of task.chain.stores)
    for (const { parts } of store.index.values())
      for (const part of parts) {
        if (part.kind !== "segment") continue;
        // Most lie in one segment, or in runs.
        if (part.blob !== latest) {
          note();
          latest = part.blob;
          bytes = 0;
        }
        bytes += part.length;
      }
  note();
  return live;
}

/** Writes the groups that have changed or are to be copied, as complete up to `seq`; from then on the index says so. */
export function buildBase(
  task: Task,
  copied: BaseGroups,
  name: BlobName,
  seq: Seq,
): { readonly bytes: Uint8Array; readonly ranges: SegmentRanges } {
  const segment = new SegmentWriter(name);
  for (const [store, ids] of copied)
    writeGroups(segment, store, ids, { seq, now: task.now, watermark: watermarkOf(task, store) });
  const operators = new Map<string, OperatorIndex>();
  for (const store of task.chain.stores) operators.set(store.operator, store.index);
  task.segments.set(name, segment.pageBytes);
  forgetUnused(task);
  return segment.finish({ operators, segments: task.segments }, { held: task.channels.held.all }, task.plan.job.fingerprint);
}

/** Where the task stands for which groups are written. */
interface Standing {
  readonly seq: Seq;
  /** Processing time. */
  readonly now: number;
  /** Of the groups' operator. */
  readonly watermark: number;
}

/** So many groups are looked at before they are written: their rows lie scattered in memory, and are then fetched side by side. */
const groupsAhead = 16;

function writeGroups(segment: SegmentWriter, store: KeyedStore, copied: ReadonlySet<KeyGroup>, at: Standing): void {
  const groups = store.groupsInOrder();
  for (let i = 0; i < groups.length; i++) {
    if (i % groupsAhead === 0) lookAtGroups(groups, i);
    const group = groups[i] as KeyGroupState;
    if (copied.has(group.id) || store.isBehind(group)) writeGroup(segment, store, group, at);
  }
}

/** Returns a number of no meaning, so that no look is optimised away. */
function lookAtGroups(groups: readonly KeyGroupState[], from: number): number {
  const to = Math.min(groups.length, from + groupsAhead);
  let seen = 0;
  for (let i = from; i < to; i++) seen += groups[i]?.first?.changedAt ?? 0;
  for (let i = from; i < to; i++) seen += groups[i]?.first?.next?.changedAt ?? 0;
  for (let i = from; i < to; i++) {
    const key = groups[i]?.first?.key;
    if (typeof key === "string") seen += key.length;
  }
  return seen;
}

function writeGroup(segment: SegmentWriter, store: KeyedStore, group: KeyGroupState, { seq, now, watermark }: Standing): void {
  store.dropExpired(group, now, watermark);
  const { rows: writer } = segment;
  const offset = writer.out.length;
  writer.startRun();
  let rows = 0;
  for (let row = group.first; row !== undefined; row = row.next) if (!row.empty && writer.writeRow(row)) rows++;
  if (rows === 0) return store.place(group.id, undefined);
  const { entry, part } = entryToWrite(store, group.id);
  part.rows = rows;
  part.blob = segment.name;
  part.offset = offset;
  part.length = writer.out.length - offset;
  part.checksum = segment.checksum(offset);
  entry.version = seq;
  entry.sizeBytes = part.length;
  noteDue(store, group, entry);
  group.sizeBytes = part.length;
}

/** The group's entry with one part, which is about to be written: what it says already when it is of that shape, else a new one. */
function entryToWrite(store: KeyedStore, keyGroup: KeyGroup): { readonly entry: IndexEntry; readonly part: SegmentPart } {
  const known = store.index.get(keyGroup);
  const known1 = known?.parts[0];
  if (known?.parts.length === 1 && known1?.kind === "segment" && known1.schema === store.schema)
    return { entry: known, part: known1 };
  const part: SegmentPart = {
    kind: "segment",
    schema: store.schema,
    rows: 0,
    blob: "" as BlobName,
    offset: 0,
    length: 0,
    checksum: 0,
  };
  const entry = {
    keyGroup,
    version: 0,
    sizeBytes: 0,
    earliestEventTimer: 0,
    earliestProcessingTimer: 0,
    cleanAt: 0,
    parts: [part],
  };
  store.place(keyGroup, entry);
  return { entry, part };
}

/** Says when something is due in the group, for when it is not in memory. */
export function noteDue(store: KeyedStore, group: KeyGroupState, into: DueTimes): void {
  let event = Infinity;
  let processing = Infinity;
  for (let row = group.first; row !== undefined; row = row.next) {
    event = Math.min(event, row.earliest(store.retentionMs));
    if (row.timers.length > 0) processing = Math.min(processing, row.earliestOf("processingTime"));
  }
  into.earliestEventTimer = event;
  into.earliestProcessingTimer = processing;
  into.cleanAt = store.cleanAt(group);
}

function forgetUnused(task: Task): void {
  const live = liveBytes(task);
  for (const blob of [...task.segments.keys()]) if (!live.has(blob)) task.segments.delete(blob);
}
