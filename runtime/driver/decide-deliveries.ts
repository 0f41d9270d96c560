/**
 * Which of the deliveries that a batch brings are taken in together, where environments have died of some of them (L14). Pure.
 *
 * Deliveries have no places: each time they come in other batches, in another order. So an environment that dies leaves behind which of them it
 * was at, and they are narrowed down by what they are known by.
 *
 * D1 Of those that somebody has died of, a batch risks one step, before anything else: half of those that are left of the smallest such
 *    set, down to one alone. When it is passed, the others of them are left to be brought again, as is what comes often, and the rest is
 *    taken in; when what killed is found, all else is left. So a death takes nothing along that is committed and would come again.
 * D2 What another environment is at, which may live, is left to it.
 * D3 Nothing is taken in while something before it of its group is left.
 */
import type { SourceRecord } from "../api/connector.ts";

/** What is known by ids. */
export type Deliveries = ReadonlySet<string>;

export interface Suspicions {
  /** Of each environment that died, what it was at. */
  readonly deaths: readonly Deliveries[];
  /** What others are at that may live. */
  readonly occupied: Deliveries;
  /** What came of the step of this batch that was a risk; undefined: there was none so far. */
  readonly risked: "passed" | "found" | undefined;
  /** What has come so often that somebody may have died of it. */
  readonly comesOften: (record: SourceRecord) => boolean;
}

export interface DeliveryStep {
  readonly records: readonly SourceRecord[];
  /** Somebody has died of some of them, or they stand before such ones. */
  readonly isRisk: boolean;
}

/** The next step over what is left of a batch, all with deliveries; undefined: the rest is to be brought again. */
export function decideDeliveries(left: readonly SourceRecord[], suspicions: Suspicions): DeliveryStep | undefined {
  const { deaths, occupied, risked, comesOften } = suspicions;
  if (risked === "found") return undefined;
  const open = left.filter((record) => !occupied.has(idOf(record)));
  if (risked === undefined) {
    const smallest = smallestOf(deaths, open);
    const step = smallest && risk(left, open, smallest, occupied);
    if (step !== undefined) return step;
  }
  const isPlain = (record: SourceRecord) => deaths.every((ids) => !ids.has(idOf(record)));
  const plain = open.filter((record) => isPlain(record) && !(risked === "passed" && comesOften(record)));
  const records = closed(plain, left);
  return records.length === 0 ? undefined : { records, isRisk: false };
}

/** Undefined: what it would begin with is left to others. */
function risk(
  left: readonly SourceRecord[],
  open: readonly SourceRecord[],
  ids: Deliveries,
  occupied: Deliveries,
): DeliveryStep | undefined {
  const members = open.filter((record) => ids.has(idOf(record)));
  const half = members.slice(0, Math.ceil(members.length / 2));
  const records = closed(half, left);
  if (records.length > 0) return { records, isRisk: true };
  // The first of its group that is suspected has others before it: they go first, alone.
  const first = half[0] as SourceRecord;
  const before = left.slice(0, left.indexOf(first)).filter((record) => groupOf(record) === groupOf(first));
  const free = closed(
    before.filter((record) => !occupied.has(idOf(record))),
    left,
  );
  return free.length === 0 ? undefined : { records: free, isRisk: true };
}

function smallestOf(deaths: readonly Deliveries[], open: readonly SourceRecord[]): Deliveries | undefined {
  let smallest: Deliveries | undefined;
  for (const ids of deaths)
    if ((smallest === undefined || ids.size < smallest.size) && open.some((record) => ids.has(idOf(record)))) smallest = ids;
  return smallest;
}

/** Those of them before which nothing of their group is left out (D3), in the order of the batch. */
function closed(chosen: readonly SourceRecord[], left: readonly SourceRecord[]): readonly SourceRecord[] {
  const among = new Set(chosen);
  const held = new Set<string>();
  return left.filter((record) => {
    const group = groupOf(record);
    if (among.has(record) && (group === undefined || !held.has(group))) return true;
    if (group !== undefined) held.add(group);
    return false;
  });
}

export function idOf({ delivery }: SourceRecord): string {
  return delivery?.id ?? "";
}

function groupOf({ delivery }: SourceRecord): string | undefined {
  return delivery?.group;
}
