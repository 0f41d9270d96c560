/**
 * EventBridge Scheduler's recurring schedules that invoke a function: an event at once, and then at a fixed rate.
 *
 * Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html. Not here: cron expressions, flexible windows,
 * one-time schedules.
 */
import { MillraceError } from "../../runtime/base/errors.ts";
import type { Clock } from "../clock.ts";

const unitMs = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** Milliseconds between two events. Throws `invalid` for an expression that is no rate. */
export function intervalOf(expression: string): number {
  const [, count, unit, plural] = /^rate\((\d+) (minute|hour|day)(s?)\)$/.exec(expression) ?? [];
  const number = Number(count);
  if (unit === undefined || number < 1 || (number === 1) !== (plural === "")) {
    throw new MillraceError(
      "invalid",
      `a schedule is written rate(1 minute), rate(5 minutes), and so with hours and days: ${expression}`,
    );
  }
  return number * unitMs[unit as keyof typeof unitMs];
}

/** Calls `fire` after each interval until the signal is aborted. */
export async function runSchedule(intervalMs: number, clock: Clock, signal: AbortSignal, fire: () => void): Promise<void> {
  for (let due = clock.now() + intervalMs; ; due += intervalMs) {
    while (clock.now() < due && !signal.aborted) await clock.sleep(due - clock.now(), signal);
    if (signal.aborted) return;
    fire();
  }
}
