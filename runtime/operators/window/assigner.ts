/** Which windows a record belongs to. */
import type { TimeWindow, WindowAssignerSpec, WindowTime } from "../../api/windows.ts";
import type { Key } from "../../api/key.ts";
import { MillraceError, shownValue } from "../../base/errors.ts";
import { showKey } from "../../state/key.ts";
import { calendarOf } from "../../time/calendar.ts";
import { cumulativeWindows, globalWindow, largestTime, slidingWindows, timeWindow, tumblingStart } from "../../time/windows.ts";

export interface Assigner {
  readonly eventTime: boolean;
  /** Windows may merge: the record's window is laid over the key's others. */
  readonly merging: boolean;
  /**
   * The windows of a value at `time` (event or processing time as the assigner wants it), in Flink's order. Those of a merging
   * assigner hold until the next call.
   */
  assign(value: unknown, time: number): readonly TimeWindow[];
}

/** `key` says whose record it is, for messages. */
export function assignerOf(spec: WindowAssignerSpec, key: () => Key): Assigner {
  if (spec.kind === "session") return new SessionAssigner(spec, key);
  if (spec.kind === "global" || spec.kind === "count") return new GlobalAssigner();
  return new SpanAssigner(spec.time, spansOf(spec));
}

/** Windows that all times in [from, to) belong to, and to no others. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly windows: readonly TimeWindow[];
}

/** Windows of which time alone decides. */
class SpanAssigner implements Assigner {
  readonly eventTime: boolean;
  readonly merging = false;
  private readonly spanOf: (time: number) => Span;
  /** Records mostly fall into one of two spans: all state of a window shares one object. */
  private recent: Span = { from: Infinity, to: Infinity, windows: [] };
  private other: Span = this.recent;

  constructor(time: WindowTime, spanOf: (time: number) => Span) {
    this.eventTime = time === "event";
    this.spanOf = spanOf;
  }

  assign(_value: unknown, time: number): readonly TimeWindow[] {
    const { recent } = this;
    if (time >= recent.from && time < recent.to) return recent.windows;
    const { other } = this;
    this.other = recent;
    this.recent = time >= other.from && time < other.to ? other : this.spanOf(time);
    return this.recent.windows;
  }
}

type SpanSpec = Exclude<WindowAssignerSpec, { kind: "session" | "global" | "count" }>;

function spansOf(spec: SpanSpec): (time: number) => Span {
  switch (spec.kind) {
    case "tumbling":
      return (time) => {
        const start = tumblingStart(time, spec.offsetMs, spec.sizeMs);
        return spanOf(timeWindow(start, start + spec.sizeMs));
      };
    case "sliding":
      return slidingSpans(spec);
    case "cumulating":
      return (time) => {
        const { offsetMs, stepMs, sizeMs } = spec;
        const from = tumblingStart(time, offsetMs, stepMs);
        return { from, to: from + stepMs, windows: cumulativeWindows(time, offsetMs, stepMs, sizeMs) };
      };
    case "calendarDays": {
      const calendar = calendarOf(spec.timeZone);
      return (time) => spanOf(calendar.dayOf(time));
    }
    case "calendarWeeks": {
      const calendar = calendarOf(spec.timeZone);
      const firstDay = { sunday: 0, monday: 1, saturday: 6 }[spec.startsOn];
      return (time) => spanOf(calendar.weekOf(time, firstDay));
    }
  }
}

function spanOf(window: TimeWindow): Span {
  return { from: window.start, to: window.end, windows: [window] };
}

/** Between two slides, some windows end where the size is no multiple of the slide: the first part is in one window more. */
function slidingSpans({ sizeMs, slideMs, offsetMs }: SpanSpec & { kind: "sliding" }): (time: number) => Span {
  const rest = sizeMs % slideMs;
  return (time) => {
    const start = tumblingStart(time, offsetMs, slideMs);
    const windows = slidingWindows(time, offsetMs, sizeMs, slideMs);
    return time < start + rest
      ? { from: start, to: start + rest, windows }
      : { from: start + rest, to: start + slideMs, windows };
  };
}

class GlobalAssigner implements Assigner {
  readonly eventTime = false;
  readonly merging = false;
  private readonly windows = [globalWindow];

  assign(): readonly TimeWindow[] {
    return this.windows;
  }
}

class SessionAssigner implements Assigner {
  readonly eventTime: boolean;
  readonly merging = true;
  private readonly gap: number | ((value: any) => number);
  /** The window that a record opens is mostly lost in one that is there already: it is the same object each time. */
  private readonly opened = { start: 0, end: 0, maxTimestamp: 0 };
  private readonly windows = [this.opened];

  private readonly key: () => Key;

  constructor(spec: WindowAssignerSpec & { kind: "session" }, key: () => Key) {
    this.eventTime = spec.time === "event";
    this.gap = spec.gap;
    this.key = key;
  }

  assign(value: unknown, time: number): readonly TimeWindow[] {
    const gap = typeof this.gap === "number" ? this.gap : this.gap(value);
    if (!Number.isSafeInteger(gap) || gap <= 0) throw this.error("must be whole milliseconds above 0", gap);
    if (time + gap > largestTime) throw this.error("reaches beyond the largest time", gap);
    const { opened } = this;
    opened.start = time;
    opened.end = time + gap;
    opened.maxTimestamp = time + gap - 1;
    return this.windows;
  }

  private error(problem: string, gap: number): MillraceError {
    return new MillraceError("user", `a session gap ${problem}: ${shownValue(gap)}, key ${showKey(this.key())}`);
  }
}
