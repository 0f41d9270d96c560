import type { Duration } from "./duration.ts";

declare const brand: unique symbol;

export interface Window {
  readonly maxTimestamp: number;
}
/** [start, end), epoch ms. */
export interface TimeWindow extends Window {
  readonly start: number;
  readonly end: number;
}

export interface WindowOptions {
  /** Shifts the windows' edges; |offset| < size. */
  offset?: Duration;
  /** Default "event". */
  time?: "event" | "processing";
}

/** What the engine knows of an assigner. */
export type WindowAssignerSpec =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs: number; readonly time: "event" | "processing" }
  | { readonly kind: "session"; readonly gap: number | ((value: any) => number); readonly time: "event" | "processing" };

/** What the engine knows of a trigger. */
export type TriggerSpec = { readonly kind: "eventTime" } | { readonly kind: "processingTime" };

export interface WindowAssigner<in T, out W extends Window> {
  readonly spec: WindowAssignerSpec;
  readonly [brand]?: (value: T) => W;
}

/** Windows of fixed size, side by side, aligned to the epoch plus offset (Flink's TumblingEventTimeWindows). */
export function tumbling(size: Duration, options: WindowOptions = {}): WindowAssigner<unknown, TimeWindow> {
  return { spec: { kind: "tumbling", sizeMs: size, offsetMs: options.offset ?? 0, time: options.time ?? "event" } };
}
/** Windows of activity, closed by `gap` without a record; they merge, also when they only touch (Flink's EventTimeSessionWindows). */
export function session<T = unknown>(
  gap: Duration | ((value: T) => Duration),
  options: Pick<WindowOptions, "time"> = {},
): WindowAssigner<T, TimeWindow> {
  return { spec: { kind: "session", gap, time: options.time ?? "event" } };
}
