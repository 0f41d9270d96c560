/** Which windows a record belongs to. */
import type { TimeWindow, WindowAssignerSpec } from "../../api/windows.ts";
import { MillraceError } from "../../base/errors.ts";
import { sessionWindow, timeWindow, tumblingStart } from "../../time/windows.ts";

export interface Assigner {
  readonly eventTime: boolean;
  /** Windows may merge: the record's window is laid over the key's others. */
  readonly merging: boolean;
  /** The windows of a value at `time` (event or processing time as the assigner wants it). */
  assign(value: unknown, time: number): readonly TimeWindow[];
}

export function assignerOf(spec: WindowAssignerSpec): Assigner {
  return spec.kind === "tumbling" ? new TumblingAssigner(spec) : new SessionAssigner(spec);
}

class TumblingAssigner implements Assigner {
  readonly eventTime: boolean;
  readonly merging = false;
  private readonly size: number;
  private readonly offset: number;
  /** Records mostly fall into the window of the one before. */
  private last: readonly [TimeWindow] = [timeWindow(0, 0)];

  constructor(spec: WindowAssignerSpec & { kind: "tumbling" }) {
    this.eventTime = spec.time === "event";
    this.size = spec.sizeMs;
    this.offset = spec.offsetMs;
  }

  assign(_value: unknown, time: number): readonly TimeWindow[] {
    const [window] = this.last;
    if (time >= window.start && time < window.end) return this.last;
    const start = tumblingStart(time, this.offset, this.size);
    this.last = [timeWindow(start, start + this.size)];
    return this.last;
  }
}

class SessionAssigner implements Assigner {
  readonly eventTime: boolean;
  readonly merging = true;
  private readonly gap: number | ((value: any) => number);

  constructor(spec: WindowAssignerSpec & { kind: "session" }) {
    this.eventTime = spec.time === "event";
    this.gap = spec.gap;
  }

  assign(value: unknown, time: number): readonly TimeWindow[] {
    const gap = typeof this.gap === "number" ? this.gap : this.gap(value);
    if (!Number.isSafeInteger(gap) || gap <= 0)
      throw new MillraceError("user", `a session gap must be whole milliseconds above 0: ${String(gap)}`);
    return [sessionWindow(time, gap)];
  }
}
