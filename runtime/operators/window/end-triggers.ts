/** Triggers of a window's end. After Flink's EventTimeTrigger, ProcessingTimeTrigger, and those of GlobalWindows. */
import type { Trigger } from "./trigger.ts";

/** Fires when the watermark passes the window's end; at once for a late record that is still allowed. */
export const eventTimeTrigger: Trigger = {
  onElement(_value, _timestamp, window, context, fresh) {
    if (window.maxTimestamp <= context.watermark) return "fire";
    if (fresh) context.setTimer("eventTime", window.maxTimestamp, window);
    return "continue";
  },
  onTimer(domain, at, window) {
    return domain === "eventTime" && at === window.maxTimestamp ? "fire" : "continue";
  },
  onMerge(window, context) {
    if (window.maxTimestamp > context.watermark) context.setTimer("eventTime", window.maxTimestamp, window);
  },
  clear(window, context) {
    context.cancelTimer("eventTime", window.maxTimestamp, window);
  },
};

/**
 * Fires when processing time passes the window's end; at any other processing-time timer of the window too. A record of a window whose
 * end it has passed, which is one of event time, fires at once: Flink sets a timer that is due already, which comes to the same.
 */
export const processingTimeTrigger: Trigger = {
  onElement(_value, _timestamp, window, context, fresh) {
    if (window.maxTimestamp < context.processingTime) return "fire";
    if (fresh || window.maxTimestamp === context.processingTime) context.setTimer("processingTime", window.maxTimestamp, window);
    return "continue";
  },
  onTimer(domain) {
    return domain === "processingTime" ? "fire" : "continue";
  },
  onMerge(window, context) {
    if (window.maxTimestamp > context.processingTime) context.setTimer("processingTime", window.maxTimestamp, window);
  },
  clear(window, context) {
    context.cancelTimer("processingTime", window.maxTimestamp, window);
  },
};

/** Fires with the watermark after all time. Never at once: the window's end is none that a finite watermark passes. */
export const endOfStreamTrigger: Trigger = {
  onElement(_value, _timestamp, window, context) {
    context.setTimer("eventTime", window.maxTimestamp, window);
    return "continue";
  },
  onTimer(domain, at, window) {
    return domain === "eventTime" && at === window.maxTimestamp ? "fire" : "continue";
  },
  onMerge() {},
  clear(window, context) {
    context.cancelTimer("eventTime", window.maxTimestamp, window);
  },
};

export const neverTrigger: Trigger = {
  onElement: () => "continue",
  onTimer: () => "continue",
  onMerge() {},
  clear() {},
};
