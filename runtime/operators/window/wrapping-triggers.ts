/** Triggers around others. After Flink's PurgingTrigger and ProcessingTimeoutTrigger. */
import type { ValueState } from "../../api/state.ts";
import type { TriggerResult, TriggerSpec } from "../../api/triggers.ts";
import type { TimeWindow } from "../../api/windows.ts";
import { fires, purges, type Trigger, type TriggerContext } from "./trigger.ts";

/** As `inner`; what fires is purged. */
export function purgingTrigger(inner: Trigger): Trigger {
  const purging = (result: TriggerResult): TriggerResult => (fires(result) ? "fireAndPurge" : result);
  return {
    onElement: (value, timestamp, window, context, fresh) => purging(inner.onElement(value, timestamp, window, context, fresh)),
    onTimer: (domain, at, window, context) => purging(inner.onTimer(domain, at, window, context)),
    onMerge: (window, context) => inner.onMerge(window, context),
    clear: (window, context) => inner.clear(window, context),
  };
}

/**
 * As `inner`, and once so much processing time has passed since the window's first record (or its latest). Any timer of the window
 * fires it, of whatever domain.
 */
export function timeOutTrigger(spec: TriggerSpec & { kind: "timeOut" }, inner: Trigger, deadline: ValueState<number>): Trigger {
  const clear = (window: TimeWindow, context: TriggerContext): void => {
    const at = deadline.get();
    if (at !== undefined) {
      context.cancelTimer("processingTime", at, window);
      deadline.clear();
    }
    inner.clear(window, context);
  };
  const startTime = (window: TimeWindow, context: TriggerContext): void => {
    const at = deadline.get();
    if (at !== undefined && !spec.resetTimerOnNewRecord) return;
    if (at !== undefined) context.cancelTimer("processingTime", at, window);
    const then = context.processingTime + spec.afterMs;
    deadline.set(then);
    context.setTimer("processingTime", then, window);
  };
  return {
    onElement(value, timestamp, window, context) {
      // What the trigger cleared when it fired last is to be set again, so the window counts as fresh.
      const result = inner.onElement(value, timestamp, window, context, true);
      if (fires(result)) clear(window, context);
      else startTime(window, context);
      return result;
    },
    onTimer(domain, at, window, context) {
      const result = inner.onTimer(domain, at, window, context);
      if (spec.shouldClearOnTimeout) clear(window, context);
      return purges(result) ? "fireAndPurge" : "fire";
    },
    onMerge() {},
    clear,
  };
}
