/** How long to wait before a part of a request is tried again: exponential with full jitter, within the invocation's budget. */
import type { Clock } from "../ports/clock.ts";

export interface Pace {
  readonly clock: Clock;
  /** From 0 to below 1; jitter comes from here. */
  readonly random: () => number;
}

const firstMs = 25;
const longestMs = 2_000;
const attemptsMax = 8;
/** What a turn keeps of its time for what comes after. */
const reserveMs = 1_000;

/**
 * Waits before attempt `attempt` (from 1), at least `leastMs` where the other side asks for it; false when it has been tried often enough or
 * the invocation's time does not allow it.
 */
export async function backOff({ clock, random }: Pace, attempt: number, leastMs = 0): Promise<boolean> {
  const ceilingMs = Math.max(leastMs, Math.min(longestMs, firstMs * 2 ** attempt));
  if (attempt > attemptsMax || clock.remainingMs() < ceilingMs + reserveMs) return false;
  await clock.sleep(Math.max(leastMs, Math.ceil(random() * ceilingMs)));
  return true;
}
