/**
 * Keeps what is in memory within bounds: cold key groups leave, least recently used first. One that has changed since its durable
 * copy is first written as a page of the state table, or stays until the next base, as the job's state placement says.
 */
import { id, type OperatorUid } from "../base/ids.ts";
import type { Pages } from "../ports/pages.ts";
import type { KeyedStore } from "../state/keyed-store.ts";
import type { KeyGroupState } from "../state/key-group.ts";
import { noteDue, watermarkOf } from "../task/base-builder.ts";
import type { IndexEntry } from "../state/state-index.ts";
import type { Task } from "../task/task.ts";
import { encodePage } from "./page-codec.ts";

/** What a row is taken to cost in memory beside its bytes. */
const rowOverheadBytes = 200;
/** Longer pages stay in segments: an item of the table has at most 400 KB. */
const pageBytesMax = 256 << 10;

function sizeOf(group: KeyGroupState): number {
  return group.sizeBytes + group.rows.length * rowOverheadBytes;
}

/** To be called after a commit whose effects are done: the state stands at the head. */
export async function evictCold(task: Task, pages: Pages, budgetBytes: number): Promise<void> {
  if (task.chain.stores.reduce((sum, store) => sum + store.rowCount, 0) * rowOverheadBytes <= budgetBytes / 2) return;
  const loaded = task.chain.stores.flatMap((store) => store.groupsInOrder().map((group) => ({ store, group })));
  let bytes = loaded.reduce((sum, { group }) => sum + sizeOf(group), 0);
  if (bytes <= budgetBytes) return;
  loaded.sort((a, b) => a.group.usedAt - b.group.usedAt);
  for (const { store, group } of loaded) {
    if (bytes <= budgetBytes) return;
    const size = sizeOf(group);
    if (await evictGroup(task, store, group, pages)) bytes -= size;
  }
}

/** False when the group must stay in memory for now. */
async function evictGroup(task: Task, store: KeyedStore, group: KeyGroupState, pages: Pages): Promise<boolean> {
  const stored = store.index.get(group.id);
  const behind = stored === undefined ? !group.isEmpty : group.hasChangedSince(stored.version);
  if (behind && !(await writePage(task, store, group, pages))) return false;
  // After a crash a page may be newer than the index: what was due then may have fired since, and would be due again and again.
  if (!behind && stored !== undefined && group.completeTo > stored.version) noteDue(store, group, stored);
  store.evict(group.id);
  return true;
}

/** Writes the group as a page; false when it may not be one, or a newer one is there: this task is behind. */
async function writePage(task: Task, store: KeyedStore, group: KeyGroupState, pages: Pages): Promise<boolean> {
  store.dropExpired(group, task.now, watermarkOf(task, store));
  // A group whose rows are all gone has no page: the next base says that it is empty.
  if (task.plan.job.options.statePlacement === "segments" || group.isEmpty) return false;
  const bytes = encodePage(store.schema, group);
  if (bytes.length > pageBytesMax) return false;
  const writer = task.plan.task;
  const version = task.head;
  if (
    (await pages.put({ writer, operator: id<OperatorUid>(store.operator), keyGroup: group.id, version, bytes })) === "superseded"
  )
    return false;
  const rows = group.rows.filter((row) => !row.empty).length;
  const entry: IndexEntry = {
    keyGroup: group.id,
    version,
    sizeBytes: bytes.length,
    earliestEventTimer: Infinity,
    earliestProcessingTimer: Infinity,
    cleanAt: Infinity,
    parts: [{ kind: "page", schema: store.schema, rows, writer }],
  };
  noteDue(store, group, entry);
  store.place(group.id, entry);
  return true;
}
