/**
 * What the page views job must have written, recomputed from what was put into the stream: without windows, watermarks or state, and
 * without a line of Millrace. It imports nothing.
 *
 * Which of several shards is read first is open, so it knows what is late only where that cannot change it: a record that its own shard's
 * watermark has not passed is on time; one that is behind the watermark of the acts before its own, which were worked off when it was put,
 * is late. It throws for input of which neither is true.
 */

export interface PutRecord {
  readonly stream: string;
  readonly shard: number;
  readonly bytes: Uint8Array;
}

/** Lines of JSON by output, each output sorted. Of a record that is no view, its bytes in base64. */
export interface Expected {
  readonly views: readonly string[];
  readonly sessions: readonly string[];
  readonly lateForMinute: readonly string[];
  readonly lateForSession: readonly string[];
  readonly deadLetters: readonly string[];
}

interface View {
  readonly user: string;
  readonly page: string;
  readonly at: number;
}

const minuteMs = 60_000;
const gapMs = 30 * minuteMs;
const boundMs = 60_000;
const timeMax = 8.64e15;

/** `acts`: what was put, in order; each was worked off before the next was begun. `shards` of the stream. */
export function expectPageviews(acts: readonly (readonly PutRecord[])[], shards: number): Expected {
  const watermarks = Array.from({ length: shards }, () => -Infinity);
  let workedOff = -Infinity;
  const minuteViews: View[] = [];
  const sessionViews: View[] = [];
  const lateForMinute: View[] = [];
  const lateForSession: View[] = [];
  const deadLetters: string[] = [];
  for (const act of acts) {
    for (const { shard, bytes } of act) {
      const view = viewOf(bytes);
      if (view === undefined) {
        deadLetters.push(base64(bytes));
        continue;
      }
      const own = watermarks[shard]!;
      const minuteEnd = startOfMinute(view.at) + minuteMs - 1;
      (isLate(minuteEnd, own, workedOff, view) ? lateForMinute : minuteViews).push(view);
      (isLate(view.at + gapMs - 1, own, workedOff, view) ? lateForSession : sessionViews).push(view);
      watermarks[shard] = Math.max(own, view.at - boundMs - 1);
    }
    workedOff = onGrid(Math.min(...watermarks));
  }
  return {
    views: lines(countPerMinute(minuteViews).filter(({ start }) => start + minuteMs - 1 <= workedOff)),
    sessions: lines(findSessions(sessionViews).filter(({ end }) => end - 1 <= workedOff)),
    lateForMinute: lines(lateForMinute),
    lateForSession: lines(lateForSession),
    deadLetters: deadLetters.sort(),
  };
}

function isLate(end: number, own: number, workedOff: number, view: View): boolean {
  if (end <= workedOff) return true;
  if (end > own) return false;
  throw new Error(`the input leaves open whether this is late: ${JSON.stringify(view)}`);
}

/** Undefined: to the dead letters. */
function viewOf(bytes: Uint8Array): View | undefined {
  let parsed: any;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  const { user, page } = parsed;
  if (typeof user !== "string" || typeof page !== "string" || user === "" || page === "") return undefined;
  const at = typeof parsed.at === "string" ? Date.parse(parsed.at) : parsed.at;
  if (!Number.isInteger(at) || Math.abs(at) > timeMax) return undefined;
  return { user, page: page.split(/[?#]/)[0]!, at };
}

function startOfMinute(at: number): number {
  return Math.floor(at / minuteMs) * minuteMs;
}

function countPerMinute(views: readonly View[]) {
  const counts = new Map<string, number>();
  for (const { page, at } of views) {
    const key = JSON.stringify([page, startOfMinute(at)]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => {
    const [page, start] = JSON.parse(key) as [string, number];
    return { page, start, views: count };
  });
}

function findSessions(views: readonly View[]) {
  const byUser = new Map<string, number[]>();
  for (const { user, at } of views) byUser.set(user, [...(byUser.get(user) ?? []), at]);
  const found: { user: string; start: number; end: number; views: number }[] = [];
  for (const [user, times] of byUser) {
    times.sort((a, b) => a - b);
    let open: (typeof found)[number] | undefined;
    for (const at of times) {
      if (open !== undefined && at === open.end) throw new Error(`the input leaves open whether two sessions meet: ${user}`);
      if (open !== undefined && at < open.end) {
        open.end = at + gapMs;
        open.views++;
      } else found.push((open = { user, start: at, end: at + gapMs, views: 1 }));
    }
  }
  return found;
}

/** Watermarks stand on a grid of a second: the last millisecond before it (docs/semantics.md). */
function onGrid(watermark: number): number {
  return Math.floor((watermark + 1) / 1_000) * 1_000 - 1;
}

/** Members in the order of their names. */
function lines(rows: readonly object[]): readonly string[] {
  return rows.map((row) => JSON.stringify(Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))))).sort();
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
