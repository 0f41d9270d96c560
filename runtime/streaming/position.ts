/** The order of positions within a shard: decimal digits without leading zeros, so the longer is the later, then as text. */

/** Negative when `a` comes first, 0 when they are the same, positive when `b` comes first. Both of one shard. */
export function comparePositions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether a shard that stands at `position` has not got to `other`. */
export function isBefore(position: string, other: string): boolean {
  return position === "horizon" || comparePositions(position, other) < 0;
}
