/**
 * Fires at the multiples of an interval that time passes, and at the window's end. Of windows that merge, the earliest next time
 * holds. After Flink's ContinuousEventTimeTrigger and ContinuousProcessingTimeTrigger.
 *
 * In a window for all time, the watermark after all time fires once and no more: Flink would go on until the largest time. Where the
 * clock has passed the end of a window of event time, only a record sets the next time, and a multiple of the interval again: the end
 * lies behind.
 */
import type { FoldingState } from "../../api/state.ts";
import type { TimeWindow } from "../../api/windows.ts";
import { MillraceError } from "../../base/errors.ts";
import { largestTime } from "../../time/windows.ts";
import type { Trigger, TriggerContext } from "./trigger.ts";

export function continuousTrigger(
  domain: "eventTime" | "processingTime",
  everyMs: number,
  next: FoldingState<number, number>,
): Trigger {
  const fireAfter = (at: number, window: TimeWindow, context: TriggerContext, latest = window.maxTimestamp): void => {
    const then = Math.min(at + everyMs, latest);
    next.add(then);
    context.setTimer(domain, then, window);
  };
  const isOver = (at: number, window: TimeWindow, context: TriggerContext): boolean =>
    domain === "eventTime" ? window.maxTimestamp === largestTime && context.watermark >= largestTime : at >= window.maxTimestamp;

  return {
    onElement(_value, timestamp, window, context) {
      const now = domain === "eventTime" ? timestamp : context.processingTime;
      if (Number.isNaN(now))
        throw new MillraceError("user", "an event-time trigger got a record without timestamp: give the source timestamps");
      if (domain === "eventTime") {
        if (window.maxTimestamp <= context.watermark) return "fire";
        if (window.maxTimestamp < largestTime) context.setTimer(domain, window.maxTimestamp, window);
      }
      if (next.get() !== undefined) return "continue";
      const endIsAhead = domain === "eventTime" || now <= window.maxTimestamp;
      fireAfter(now - (now % everyMs), window, context, endIsAhead ? window.maxTimestamp : Infinity);
      return "continue";
    },
    onTimer(firing, at, window, context) {
      if (firing !== domain) return "continue";
      if (domain === "eventTime" && at === window.maxTimestamp) return "fire";
      if (next.get() !== at) return "continue";
      next.clear();
      if (!isOver(at, window, context)) fireAfter(at, window, context);
      return "fire";
    },
    onMerge(window, context) {
      const then = next.get();
      if (then !== undefined) context.setTimer(domain, then, window);
    },
    clear(window, context) {
      const then = next.get();
      if (then === undefined) return;
      context.cancelTimer(domain, then, window);
      next.clear();
    },
  };
}
