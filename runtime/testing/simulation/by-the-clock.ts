/** Windows that go by the clock, of a stream that may end before the clock has come so far. */
import { type Trigger, triggers } from "../../api/triggers.ts";
import type { TimeWindow } from "../../api/windows.ts";

/** After all records, and before no time that a watermark of theirs has. */
export const atTheEnd = 1e12;

export const byClock = { time: "processing" } as const;

/** When the clock has passed the window's end, and at the end of the stream, which comes before the clock may have. */
export function byClockOrAtTheEnd(): Trigger<unknown, TimeWindow> {
  return triggers.custom({
    onElement(_value: unknown, _timestamp, window: TimeWindow, { timers }) {
      timers.processingTime(window.maxTimestamp);
      timers.eventTime(atTheEnd);
      return "continue";
    },
    onProcessingTime: () => "fireAndPurge",
    onEventTime: () => "fireAndPurge",
    onMerge(window, { timers }) {
      timers.processingTime(window.maxTimestamp);
      timers.eventTime(atTheEnd);
    },
    onClear(window, { timers }) {
      timers.cancelProcessingTime(window.maxTimestamp);
      timers.cancelEventTime(atTheEnd);
    },
  });
}
