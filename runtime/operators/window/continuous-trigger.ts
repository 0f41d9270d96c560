/**
 * Fires at the multiples of an interval that time passes, and at the window's end. Of windows that merge, the earliest next time
 * holds. After Flink's ContinuousEventTimeTrigger and ContinuousProcessingTimeTrigger.
 *
 * In a window for all time, the watermark after all time fires once and no more: Flink would go on until the largest time. Nor does it
 * end where the clock has passed the end of a window of event time, at which Flink would fire again and again: it goes on after it.
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
  const fireAfter = (at: number, window: TimeWindow, context: TriggerContext, endIsAhead = true): void => {
    const then = endIsAhead ? Math.min(at + everyMs, window.maxTimestamp) : at + everyMs;
    next.add(then);
    context.setTimer(domain, then, window);
  };
  const isOver = (window: TimeWindow, context: TriggerContext): boolean =>
    domain === "eventTime" && window.maxTimestamp === largestTime && context.watermark >= largestTime;

  return {
    onElement(_value, timestamp, window, context) {
      const now = domain === "eventTime" ? timestamp : context.processingTime;
      if (Number.isNaN(now))
        throw new MillraceError("user", "an event-time trigger got a record without timestamp: give the source timestamps");
      if (domain === "eventTime") {
        if (window.maxTimestamp <= context.watermark) return "fire";
        if (window.maxTimestamp < largestTime) context.setTimer(domain, window.maxTimestamp, window);
      }
      const endIsAhead = domain === "eventTime" || now <= window.maxTimestamp;
      if (next.get() === undefined) fireAfter(now - (now % everyMs), window, context, endIsAhead);
      return "continue";
    },
    onTimer(firing, at, window, context) {
      if (firing !== domain) return "continue";
      if (domain === "eventTime" && at === window.maxTimestamp) return "fire";
      if (next.get() !== at) return "continue";
      next.clear();
      if (!isOver(window, context)) fireAfter(at, window, context, domain === "eventTime" || at < window.maxTimestamp);
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
