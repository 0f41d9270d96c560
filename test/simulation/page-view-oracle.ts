/** What the page views job makes of views none of which is late, and no two visits touch: recounted, without a line of Millrace. */

interface View {
  readonly user: string;
  readonly page: string;
  readonly at: number;
}

const minuteMs = 60_000;
const gapMs = 30 * minuteMs;

/** Rows of `views-out`. */
export function perMinute(own: readonly View[]) {
  const counts = new Map<string, { page: string; start: number; views: number }>();
  for (const { page, at } of own) {
    const start = Math.floor(at / minuteMs) * minuteMs;
    const before = counts.get(`${page} ${start}`)?.views ?? 0;
    counts.set(`${page} ${start}`, { page, start, views: before + 1 });
  }
  return [...counts.values()];
}

/** Rows of `sessions-out`. */
export function visits(own: readonly View[]) {
  const found: { user: string; start: number; end: number; views: number }[] = [];
  const open = new Map<string, (typeof found)[number]>();
  for (const { user, at } of own.toSorted((a, b) => a.at - b.at)) {
    const visit = open.get(user);
    if (visit !== undefined && at <= visit.end) {
      visit.end = at + gapMs;
      visit.views++;
      continue;
    }
    const next = { user, start: at, end: at + gapMs, views: 1 };
    open.set(user, next);
    found.push(next);
  }
  return found;
}
