/** Loads the key groups that a task lacks: many at once, neighbours in one read. */
import { crc32 } from "../base/crc32.ts";
import { corrupt } from "../base/byte-reader.ts";
import { type BlobName, id, type KeyGroup, type OperatorUid } from "../base/ids.ts";
import type { Blobs } from "../ports/blobs.ts";
import type { PageId, Pages } from "../ports/pages.ts";
import type { KeyedStore, LoadedPart } from "../state/keyed-store.ts";
import type { BlobRange, Part } from "../state/state-index.ts";
import type { Task } from "../task/task.ts";
import { missingObject } from "./journal-entry.ts";
import { decodePage } from "./page-codec.ts";
import { together } from "./together.ts";

/** Ranges this near are read as one: a request costs more than the bytes between. */
const gapBytesMax = 64 << 10;

interface Wanted {
  readonly store: KeyedStore;
  readonly group: KeyGroup;
  readonly parts: readonly Part[];
}

/** Loads everything the task names as missing. Throws `unavailable` when an object is gone. */
export async function loadMissing(task: Task, blobs: Blobs, pages: Pages): Promise<void> {
  const wanted: Wanted[] = task.missing.flatMap(({ store, groups }) =>
    groups.map((group) => ({ store, group, parts: store.index.get(group)?.parts ?? [] })),
  );
  const [segments, table] = await together([readSegments(wanted, blobs), readPages(wanted, pages)]);
  for (const { store, group, parts } of wanted) {
    const loaded = parts.map((part) =>
      part.kind === "segment" ? fromSegment(part, segments) : fromTable(store, group, part, table),
    );
    task.load(store, group, task.plan.safeguards.holds("L7") ? loaded : loaded.map(({ schema, bytes }) => ({ schema, bytes })));
  }
}

function fromSegment(part: Part & { kind: "segment" }, segments: ReadonlyMap<BlobRange, Uint8Array>): LoadedPart {
  const bytes = segments.get(part) as Uint8Array;
  if (bytes.length !== part.length || crc32(bytes) !== part.checksum)
    throw corrupt(`page does not match its checksum: ${part.blob} at ${part.offset}`);
  return { schema: part.schema, bytes };
}

function fromTable(
  store: KeyedStore,
  group: KeyGroup,
  part: Part & { kind: "page" },
  table: ReadonlyMap<string, LoadedPart>,
): LoadedPart {
  const page = table.get(pageKey({ writer: part.writer, operator: id<OperatorUid>(store.operator), keyGroup: group }));
  const expected = store.index.get(group)?.version ?? 0;
  if (page === undefined || (page.version ?? 0) < expected)
    throw corrupt(
      `page of key group ${group} of ${store.operator} is older than its index: ${page?.version ?? "none"} < ${expected}`,
    );
  return page;
}

async function readSegments(wanted: readonly Wanted[], blobs: Blobs): Promise<ReadonlyMap<BlobRange, Uint8Array>> {
  const byBlob = new Map<BlobName, BlobRange[]>();
  for (const { parts } of wanted)
    for (const part of parts) {
      if (part.kind !== "segment") continue;
      const ranges = byBlob.get(part.blob);
      if (ranges === undefined) byBlob.set(part.blob, [part]);
      else ranges.push(part);
    }
  const read = new Map<BlobRange, Uint8Array>();
  const reads = [...byBlob].flatMap(([blob, ranges]) => coalesce(ranges).map((run) => readRun(blob, run, blobs, read)));
  await together(reads);
  return read;
}

/** Neighbouring ranges in runs. */
function coalesce(ranges: BlobRange[]): BlobRange[][] {
  ranges.sort((a, b) => a.offset - b.offset);
  const runs: BlobRange[][] = [];
  let end = -Infinity;
  for (const range of ranges) {
    if (range.offset - end <= gapBytesMax) runs[runs.length - 1]?.push(range);
    else runs.push([range]);
    end = Math.max(end, range.offset + range.length);
  }
  return runs;
}

async function readRun(blob: BlobName, run: readonly BlobRange[], blobs: Blobs, into: Map<BlobRange, Uint8Array>): Promise<void> {
  const from = (run[0] as BlobRange).offset;
  const last = run[run.length - 1] as BlobRange;
  const bytes = await blobs.get(blob, { offset: from, length: last.offset + last.length - from });
  if (bytes === undefined) throw missingObject(blob);
  for (const range of run) into.set(range, bytes.subarray(range.offset - from, range.offset - from + range.length));
}

function pageKey({ writer, operator, keyGroup }: PageId): string {
  return `${writer} ${operator} ${keyGroup}`;
}

async function readPages(wanted: readonly Wanted[], pages: Pages): Promise<ReadonlyMap<string, LoadedPart>> {
  const ids: PageId[] = [];
  for (const { store, group, parts } of wanted)
    for (const part of parts)
      if (part.kind === "page") ids.push({ writer: part.writer, operator: id<OperatorUid>(store.operator), keyGroup: group });
  const table = new Map<string, LoadedPart>();
  if (ids.length === 0) return table;
  const stored = await pages.get(ids);
  stored.forEach((page, n) => {
    if (page !== undefined) table.set(pageKey(ids[n] as PageId), { ...decodePage(page.bytes), version: page.version });
  });
  return table;
}
