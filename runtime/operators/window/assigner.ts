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
  /** Records mostly fall into one of two windows: all state of a window shares one object. */
  private recent: readonly [TimeWindow] = [timeWindow(0, 0)];
  private other: readonly [TimeWindow] = this.recent;

  constructor(spec: WindowAssignerSpec & { kind: "tumbling" }) {
    this.eventTime = spec.time === "event";
    this.size = spec.sizeMs;
    this.offset = spec.offsetMs;
  }

  assign(_value: unknown, time: number): readonly TimeWindow[] {
    const window = this.recent[0];
    if (time >= window.start && time < window.end) return this.recent;
    const { other } = this;
    this.other = this.recent;
    if (time >= other[0].start && time < other[0].end) this.recent = other;
    else {
      const start = tumblingStart(time, this.offset, this.size);
      this.recent = [timeWindow(start, start + this.size)];
    }
    return this.recent;
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
