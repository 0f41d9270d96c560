/** A trigger as an author writes one: with state, timers, and a way to merge. Its oracle is `weighed`. */
import { millis, reducing, triggers, type Trigger, type TimeWindow } from "../../../runtime/index.ts";
import type { Event } from "./oracle.ts";
import { weightOf } from "./trigger-oracles.ts";

export function weighedTrigger(afterMs: number): Trigger<Event, TimeWindow> {
  return triggers.custom({
    state: { weight: reducing<number>((a, b) => a + b), due: reducing<number>((a, b) => Math.min(a, b)) },
    onElement(e: Event, timestamp: number, window: TimeWindow, { state, timers, watermark }) {
      if (window.maxTimestamp > watermark) timers.eventTime(window.maxTimestamp);
      if (state.due.get() === undefined) {
        state.due.add(timestamp + millis(afterMs));
        timers.eventTime(timestamp + afterMs);
      }
      state.weight.add(weightOf(e));
      const full = (state.weight.get() ?? 0) >= 20;
      if (full) state.weight.clear();
      return full || window.maxTimestamp <= watermark ? "fire" : "continue";
    },
    onEventTime(at, window, { state }) {
      const due = state.due.get() === at;
      if (due) state.due.clear();
      return due || at === window.maxTimestamp ? "fire" : "continue";
    },
    onMerge(window, { state, timers, watermark }) {
      const due = state.due.get();
      if (due !== undefined) timers.eventTime(due);
      if (window.maxTimestamp > watermark) timers.eventTime(window.maxTimestamp);
    },
    onClear(window, { state, timers }) {
      const due = state.due.get();
      if (due !== undefined) timers.cancelEventTime(due);
      timers.cancelEventTime(window.maxTimestamp);
    },
  });
}
