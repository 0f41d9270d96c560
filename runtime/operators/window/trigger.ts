/**
 * When a window fires, as the operator asks it: what a trigger is to it.
 *
 * G1 A trigger's own state lies under the window's namespace, at which the operator has set `at` before every call.
 * G2 Windows that merge: the operator merges the states of all into that of the new window and calls `onMerge` with it, then `clear`
 *    with each of the merged ones, whose state is empty then.
 */
import type { TriggerResult } from "../../api/triggers.ts";
import type { TimeWindow } from "../../api/windows.ts";
import type { TimerDomain } from "../../state/timer.ts";

/** What a trigger may ask and do for the current key. */
export interface TriggerContext {
  readonly watermark: number;
  readonly processingTime: number;
  setTimer(domain: TimerDomain, at: number, window: TimeWindow): void;
  cancelTimer(domain: TimerDomain, at: number, window: TimeWindow): void;
}

/** After Flink's Trigger. */
export interface Trigger {
  /** `fresh`: the window has no contents yet, so none of its timers need be set. */
  onElement(value: unknown, timestamp: number, window: TimeWindow, context: TriggerContext, fresh: boolean): TriggerResult;
  /** Any timer of the window has fired, that of its clean-up too. */
  onTimer(domain: TimerDomain, at: number, window: TimeWindow, context: TriggerContext): TriggerResult;
  /** Windows have become `window` (G2). */
  onMerge(window: TimeWindow, context: TriggerContext): void;
  clear(window: TimeWindow, context: TriggerContext): void;
}

export function fires(result: TriggerResult): boolean {
  return result === "fire" || result === "fireAndPurge";
}

export function purges(result: TriggerResult): boolean {
  return result === "purge" || result === "fireAndPurge";
}
