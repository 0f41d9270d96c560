/**
 * Slices: the spans of time between two edges of windows that overlap. Each window is a row of whole slices, so what is kept of a
 * slice serves all its windows. (Flink's SliceAssigners; where the size is no multiple of the slide, two slices for each slide, as in
 * the paired windows of Krishnamurthy et al.)
 *
 * S2 Slices stand in blocks, fixed in time, of which a window lies in one or two: what begins before the boundary between them, or in a
 *    window that begins with its block, before its start, ends at it.
 * S1 A slice's windows are those of its first up to its last, each the next of the one before.
 */
import type { WindowAssignerSpec } from "../api/windows.ts";
import type { TimeWindow } from "../api/windows.ts";
import { timeWindow, tumblingStart } from "./windows.ts";

/** A slice, and the windows that it is part of. */
export interface Slice {
  readonly start: number;
  readonly end: number;
  /** The windows that end first and last. */
  readonly first: TimeWindow;
  readonly last: TimeWindow;
}

export interface Slices {
  sliceAt(time: number): Slice;
  /** The window that ends next and may share slices with this one; undefined: there is none. */
  next(window: TimeWindow): TimeWindow | undefined;
  /** Where the window goes over from one block to the next (S2); its own start, where it is the first of its block. */
  boundaryOf(window: TimeWindow): number;
  /** What begins before is in no window of which the last millisecond is after `time`. */
  keptFrom(time: number): number;
  /** A slice's windows in the order in which Flink's assigner names them. */
  windowsOf(slice: Slice): readonly TimeWindow[];
}

export function slicesOf(spec: WindowAssignerSpec & { kind: "sliding" | "cumulating" }): Slices {
  return spec.kind === "sliding" ? new SlidingSlices(spec) : new CumulatingSlices(spec);
}

class SlidingSlices implements Slices {
  private readonly sizeMs: number;
  private readonly slideMs: number;
  private readonly offsetMs: number;
  private readonly blockMs: number;
  /** So long after a slide's start some windows end. */
  private readonly restMs: number;

  constructor({ sizeMs, slideMs, offsetMs }: WindowAssignerSpec & { kind: "sliding" }) {
    this.sizeMs = sizeMs;
    this.slideMs = slideMs;
    this.offsetMs = offsetMs;
    this.restMs = sizeMs % slideMs;
    this.blockMs = Math.ceil(sizeMs / slideMs) * slideMs;
  }

  sliceAt(time: number): Slice {
    const { sizeMs, slideMs, restMs } = this;
    const slide = tumblingStart(time, this.offsetMs, slideMs);
    const early = time < slide + restMs;
    const start = early ? slide : slide + restMs;
    const end = early ? slide + restMs : slide + slideMs;
    // Windows begin where slides do: the first is the earliest that reaches to the slice's end.
    const firstStart = tumblingStart(end - sizeMs + slideMs - 1, this.offsetMs, slideMs);
    return { start, end, first: timeWindow(firstStart, firstStart + sizeMs), last: timeWindow(slide, slide + sizeMs) };
  }

  next({ start, end }: TimeWindow): TimeWindow {
    return timeWindow(start + this.slideMs, end + this.slideMs);
  }

  boundaryOf({ start }: TimeWindow): number {
    const block = tumblingStart(start, this.offsetMs, this.blockMs);
    return block === start ? start : block + this.blockMs;
  }

  keptFrom(time: number): number {
    return tumblingStart(time - this.sizeMs + 1, this.offsetMs, this.slideMs) + this.slideMs;
  }

  windowsOf({ first, last }: Slice): readonly TimeWindow[] {
    const windows: TimeWindow[] = [];
    for (let { start } = last; start >= first.start; start -= this.slideMs) windows.push(timeWindow(start, start + this.sizeMs));
    return windows;
  }
}

class CumulatingSlices implements Slices {
  private readonly sizeMs: number;
  private readonly stepMs: number;
  private readonly offsetMs: number;

  constructor({ sizeMs, stepMs, offsetMs }: WindowAssignerSpec & { kind: "cumulating" }) {
    this.sizeMs = sizeMs;
    this.stepMs = stepMs;
    this.offsetMs = offsetMs;
  }

  sliceAt(time: number): Slice {
    const { sizeMs, stepMs } = this;
    const whole = tumblingStart(time, this.offsetMs, sizeMs);
    const start = tumblingStart(time, this.offsetMs, stepMs);
    const end = start + stepMs;
    return { start, end, first: timeWindow(whole, end), last: timeWindow(whole, whole + sizeMs) };
  }

  next({ start, end }: TimeWindow): TimeWindow | undefined {
    return end - start === this.sizeMs ? undefined : timeWindow(start, end + this.stepMs);
  }

  boundaryOf({ start }: TimeWindow): number {
    return start;
  }

  keptFrom(time: number): number {
    return tumblingStart(time - this.sizeMs + 1, this.offsetMs, this.sizeMs) + this.sizeMs;
  }

  windowsOf({ first, last }: Slice): readonly TimeWindow[] {
    const windows: TimeWindow[] = [];
    for (let { end } = first; end <= last.end; end += this.stepMs) windows.push(timeWindow(first.start, end));
    return windows;
  }
}
