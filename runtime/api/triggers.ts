/**
 * Triggers as an author names them: when a window fires, and whether it keeps its contents. Declarations alone. After Flink's
 * triggers, whose names they bear.
 */
import type { Duration } from "./duration.ts";
import type { Timers } from "./functions.ts";
import type { States, StateSpec } from "./state.ts";
import type { TimeWindow, Window } from "./windows.ts";

declare const brand: unique symbol;

/** What is to be done with a window: nothing; give its results; drop its contents; both. */
export type TriggerResult = "continue" | "fire" | "purge" | "fireAndPurge";

/** What a custom trigger is given, always of the current key and window. */
export interface TriggerContext<S extends StateSpec> {
  /** Epoch ms; -Infinity before the first. */
  readonly watermark: number;
  /** Epoch ms, fixed for the turn. */
  readonly processingTime: number;
  /** Timers of the window. One that is due already fires next. */
  readonly timers: Timers;
  readonly state: States<S>;
}

export interface CustomTrigger<in T, in W extends Window, S extends StateSpec> {
  /** Per key and window. */
  readonly state?: S;
  /** `timestamp` is NaN for a record without. */
  onElement(value: T, timestamp: number, window: W, ctx: TriggerContext<S>): TriggerResult;
  /** Also called at the window's clean-up, as in Flink. Default: continue. */
  onEventTime?(at: number, window: W, ctx: TriggerContext<S>): TriggerResult;
  /** Default: continue. */
  onProcessingTime?(at: number, window: W, ctx: TriggerContext<S>): TriggerResult;
  /**
   * Windows have merged into `window`, whose state holds theirs, each merged by its own rule. Sets the timers that the window needs;
   * `onClear` follows for each of those merged. Required for windows that merge.
   */
  onMerge?(window: W, ctx: TriggerContext<S>): void;
  /** The window is over or was merged into another: cancels its timers. Its state goes by itself. */
  onClear?(window: W, ctx: TriggerContext<S>): void;
}

/** What the engine knows of a trigger. */
export type TriggerSpec =
  | { readonly kind: "eventTime" | "processingTime" | "endOfStream" | "never" }
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "continuousEventTime" | "continuousProcessingTime"; readonly everyMs: number }
  | { readonly kind: "delta"; readonly threshold: number; readonly distance: (last: any, current: any) => number }
  | { readonly kind: "purging"; readonly inner: TriggerSpec }
  | {
      readonly kind: "timeOut";
      readonly inner: TriggerSpec;
      readonly afterMs: number;
      readonly resetTimerOnNewRecord: boolean;
      readonly shouldClearOnTimeout: boolean;
    }
  | { readonly kind: "custom"; readonly trigger: CustomTrigger<any, any, any> };

export interface Trigger<in T, in W extends Window> {
  readonly spec: TriggerSpec;
  readonly [brand]?: (value: T, window: W) => void;
}

export interface TimeOutOptions {
  /** Each record puts the time-out off; default false. */
  resetTimerOnNewRecord?: boolean;
  /** A timer that fires clears the inner trigger too; default true. */
  shouldClearOnTimeout?: boolean;
}

/** When windows fire. */
export const triggers = {
  /** When the watermark passes the window's end; at once for a late record that is allowed. The default of event-time windows. */
  eventTime(): Trigger<unknown, TimeWindow> {
    return { spec: { kind: "eventTime" } };
  },
  /** When the clock passes the window's end. The default of processing-time windows. */
  processingTime(): Trigger<unknown, TimeWindow> {
    return { spec: { kind: "processingTime" } };
  },
  /** When the input has ended: bounded sources end with a watermark after all time (Flink's EndOfStreamTrigger). */
  endOfStream(): Trigger<unknown, Window> {
    return { spec: { kind: "endOfStream" } };
  },
  /** Never: a window with it gives no results. */
  never(): Trigger<unknown, Window> {
    return { spec: { kind: "never" } };
  },
  /** At every `n` records of the window. Counts of windows that merge add up; a merge alone does not fire. */
  count(n: number): Trigger<unknown, Window> {
    return { spec: { kind: "count", count: n } };
  },
  /** At multiples of `every` that the watermark passes, and at the window's end. */
  continuousEventTime(every: Duration): Trigger<unknown, Window> {
    return { spec: { kind: "continuousEventTime", everyMs: every } };
  },
  /** At multiples of `every` that the clock passes, and at the window's end. */
  continuousProcessingTime(every: Duration): Trigger<unknown, Window> {
    return { spec: { kind: "continuousProcessingTime", everyMs: every } };
  },
  /** When a record is further than `threshold` from the one that fired last, at first from the window's first. */
  delta<T>(threshold: number, distance: (last: T, current: T) => number): Trigger<T, Window> {
    return { spec: { kind: "delta", threshold, distance } };
  },
  /** As `inner`, and drops the contents of a window that fires. */
  purging<T, W extends Window>(inner: Trigger<T, W>): Trigger<T, W> {
    return { spec: { kind: "purging", inner: inner.spec } };
  },
  /** As `inner`, and `after` so much processing time since the first record, or the latest (Flink's ProcessingTimeoutTrigger). */
  timeOut<T, W extends Window>(inner: Trigger<T, W>, after: Duration, options: TimeOutOptions = {}): Trigger<T, W> {
    const { resetTimerOnNewRecord = false, shouldClearOnTimeout = true } = options;
    return { spec: { kind: "timeOut", inner: inner.spec, afterMs: after, resetTimerOnNewRecord, shouldClearOnTimeout } };
  },
  /** By handlers of one's own. */
  custom<T, W extends Window, const S extends StateSpec = {}>(trigger: CustomTrigger<T, W, S>): Trigger<T, W> {
    return { spec: { kind: "custom", trigger } };
  },
};

/** Whether the trigger knows what to do when windows merge (Flink's Trigger.canMerge). */
export function canMerge(spec: TriggerSpec): boolean {
  switch (spec.kind) {
    case "eventTime":
    case "processingTime":
    case "count":
    case "continuousEventTime":
    case "continuousProcessingTime":
      return true;
    case "purging":
      return canMerge(spec.inner);
    case "custom":
      return spec.trigger.onMerge !== undefined;
    default:
      return false;
  }
}

/** Whether the trigger fires by watermarks. */
export function needsWatermarks(spec: TriggerSpec): boolean {
  switch (spec.kind) {
    case "eventTime":
    case "continuousEventTime":
      return true;
    case "purging":
      return needsWatermarks(spec.inner);
    default:
      return false;
  }
}
