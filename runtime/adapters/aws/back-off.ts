/** How long to wait before a part of a request is tried again: exponential with full jitter, within the invocation's budget. */
import type { Clock } from "../../ports/clock.ts";
import { isThrottled } from "./aws-error.ts";

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

/** Waits before attempt `attempt` (from 1); false when it has been tried often enough or the invocation's time does not allow it. */
export async function backOff({ clock, random }: Pace, attempt: number): Promise<boolean> {
  const ceilingMs = Math.min(longestMs, firstMs * 2 ** attempt);
  if (attempt > attemptsMax || clock.remainingMs() < ceilingMs + reserveMs) return false;
  await clock.sleep(Math.ceil(random() * ceilingMs));
  return true;
}

/** Makes a call, and makes it again as long as AWS asks to slow down. Throws what the call throws. */
export async function untilAdmitted<T>(pace: Pace, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!isThrottled(error) || !(await backOff(pace, attempt))) throw error;
    }
  }
}
