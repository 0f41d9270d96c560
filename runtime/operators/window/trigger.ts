/** When a window fires. After Flink's Trigger, EventTimeTrigger and ProcessingTimeTrigger. */
import type { TimeWindow, TriggerSpec } from "../../api/windows.ts";

export type TriggerResult = "continue" | "fire" | "purge" | "fireAndPurge";

/** What a trigger may ask and do for the current key. */
export interface TriggerContext {
  readonly watermark: number;
  readonly processingTime: number;
  setTimer(domain: "eventTime" | "processingTime", at: number, window: TimeWindow): void;
  cancelTimer(domain: "eventTime" | "processingTime", at: number, window: TimeWindow): void;
}

export interface Trigger {
  /** `fresh`: the window has no contents yet, so none of its timers are set. */
  onElement(value: unknown, timestamp: number, window: TimeWindow, context: TriggerContext, fresh: boolean): TriggerResult;
  onTimer(domain: "eventTime" | "processingTime", at: number, window: TimeWindow, context: TriggerContext): TriggerResult;
  /**
   * The window `known` has grown into `window`, which others may have been merged into (Flink's clear and onMerge). An event-time
   * timer at the end of `known` has gone along and stands at the end of `window`.
   */
  onExtend(known: TimeWindow, window: TimeWindow, context: TriggerContext): void;
  clear(window: TimeWindow, context: TriggerContext): void;
}

export function triggerOf(spec: TriggerSpec): Trigger {
  return spec.kind === "eventTime" ? eventTimeTrigger : processingTimeTrigger;
}

/** Fires when the watermark passes the window's end; at once for a late record that is still allowed. */
const eventTimeTrigger: Trigger = {
  onElement(_value, _timestamp, window, context, fresh) {
    if (window.maxTimestamp <= context.watermark) return "fire";
    if (fresh) context.setTimer("eventTime", window.maxTimestamp, window);
    return "continue";
  },
  onTimer(domain, at, window) {
    return domain === "eventTime" && at === window.maxTimestamp ? "fire" : "continue";
  },
  onExtend(_known, window, context) {
    if (window.maxTimestamp > context.watermark) context.setTimer("eventTime", window.maxTimestamp, window);
    else context.cancelTimer("eventTime", window.maxTimestamp, window);
  },
  clear(window, context) {
    context.cancelTimer("eventTime", window.maxTimestamp, window);
  },
};

/** Fires when processing time passes the window's end. */
const processingTimeTrigger: Trigger = {
  onElement(_value, _timestamp, window, context, fresh) {
    if (fresh) context.setTimer("processingTime", window.maxTimestamp, window);
    return "continue";
  },
  onTimer(domain, at, window) {
    return domain === "processingTime" && at === window.maxTimestamp ? "fire" : "continue";
  },
  onExtend(known, window, context) {
    context.cancelTimer("processingTime", known.maxTimestamp, known);
    if (window.maxTimestamp > context.processingTime) context.setTimer("processingTime", window.maxTimestamp, window);
  },
  clear(window, context) {
    context.cancelTimer("processingTime", window.maxTimestamp, window);
  },
};
