/**
 * Event-time windows that overlap, over slices that they share: a record is added to one slice however many windows it belongs to,
 * and a window's result is put together when it fires. It gives what the WindowOperator gives of the same windows.
 *
 * Owns the slices of the current key and the timers of its windows.
 *
 * L1 A slice that is there has a timer at the end of its first window that has not fired, or an earlier window's timer leads there: a
 *    window that fires sets the timer of the next when both share a slice that is there.
 * L2 A slice stays until its last window is cleaned up, so whatever may fire a window, for the first time or again, finds its slices.
 * L3 A record is late when its last window is.
 */
import type { WindowSpec } from "../../api/graph.ts";
import { contentsName } from "../../api/operator-states.ts";
import type { TimeWindow } from "../../api/windows.ts";
import { assert } from "../../base/assert.ts";
import type { Namespace } from "../../state/namespace.ts";
import type { Timer } from "../../state/timer.ts";
import { type Slice, type Slices, slicesOf } from "../../time/slices.ts";
import { cleanupTime, isWindowLate, largestTime, timeWindow } from "../../time/windows.ts";
import type { KeyedOperatorHost, Operator } from "../operator.ts";
import { emitterOf, type WindowEmitter } from "./emitter.ts";
import { giveLate, timestampFor } from "./late-records.ts";
import { SlicedContents } from "./sliced-contents.ts";

const noSlice: Slice = { start: Infinity, end: Infinity, first: timeWindow(0, 0), last: timeWindow(0, 0) };

export class SlicedWindowOperator implements Operator {
  private readonly host: KeyedOperatorHost;
  private readonly spec: WindowSpec;
  private readonly slices: Slices;
  private readonly contents: SlicedContents;
  private readonly emitter: WindowEmitter;
  private readonly latenessMs: number;
  /** Records mostly fall into one of two slices. */
  private recent = noSlice;
  private other = noSlice;
  /** The window whose timer has fired last, and the one that ends next. */
  private firing = timeWindow(0, 0);
  private next: TimeWindow | undefined;

  constructor(host: KeyedOperatorHost, spec: WindowSpec) {
    const { assigner, contents } = spec;
    assert(assigner.kind === "sliding" || assigner.kind === "cumulating", "windows that share slices overlap");
    assert(contents.kind === "aggregate", "what is kept in slices merges");
    this.host = host;
    this.spec = spec;
    this.slices = slicesOf(assigner);
    const state = [...host.access.store.states.keys()].indexOf(contentsName(spec));
    this.contents = new SlicedContents(host.access, state, contents.aggregator);
    this.emitter = emitterOf(host, spec, this.contents);
    this.latenessMs = spec.allowedLateness;
  }

  onRecord(value: any, timestamp: number): void {
    const slice = this.sliceAt(timestampFor(timestamp));
    const watermark = this.host.watermark();
    if (isWindowLate(slice.last.maxTimestamp, this.latenessMs, watermark))
      return giveLate(this.host, this.spec, value, timestamp);
    const fresh = this.contents.add(slice.start, value);
    const passed = slice.first.maxTimestamp <= watermark;
    if (fresh && !passed) this.setTimer(slice.first.maxTimestamp, slice.first);
    else if (passed) this.onBelated(slice, watermark, fresh);
  }

  private sliceAt(time: number): Slice {
    const { recent, other } = this;
    if (time >= recent.start && time < recent.end) return recent;
    this.other = recent;
    this.recent = time >= other.start && time < other.end ? other : this.slices.sliceAt(time);
    return this.recent;
  }

  /** Some of the record's windows have fired: those that are still allowed fire again, the others' timers go on. */
  private onBelated(slice: Slice, watermark: number, fresh: boolean): void {
    for (const window of this.slices.windowsOf(slice)) {
      if (window.maxTimestamp > watermark || isWindowLate(window.maxTimestamp, this.latenessMs, watermark)) continue;
      this.contents.find(window.start, window.end);
      this.emitter.emit(window);
    }
    if (!fresh) return;
    if (slice.last.maxTimestamp <= watermark) return this.setCleanupTimer(slice.last);
    let window = slice.first;
    while (window.maxTimestamp <= watermark) window = this.slices.next(window) as TimeWindow;
    this.setTimer(window.maxTimestamp, window);
  }

  onTimer({ at, namespace }: Timer): void {
    this.goTo(namespace);
    const { firing, next, contents } = this;
    if (at === firing.maxTimestamp) this.fire(firing, next);
    else if (contents.find(-Infinity, firing.end) > 0) contents.dropFoundBefore(next?.start ?? firing.end);
  }

  /** Most timers of one time are of the same window, each of another key. */
  private goTo({ start, end }: Namespace): void {
    if (this.firing.start === start && this.firing.end === end) return;
    this.firing = timeWindow(start, end);
    this.next = this.slices.next(this.firing);
  }

  /** Gives the window for the first time, and sees to what comes after it. */
  private fire(window: TimeWindow, next: TimeWindow | undefined): void {
    const { contents } = this;
    if (contents.find(window.start, window.end) === 0) return;
    this.emitter.emit(window);
    if (next !== undefined && contents.latest >= next.start) this.setTimer(next.maxTimestamp, next);
    // What is in no later window goes when this one is cleaned up.
    const over = next?.start ?? window.end;
    if (contents.earliest >= over) return;
    if (this.latenessMs > 0) this.setCleanupTimer(window);
    else contents.dropFoundBefore(over);
  }

  private setCleanupTimer(window: TimeWindow): void {
    const at = cleanupTime(window.maxTimestamp, this.latenessMs);
    if (at < largestTime) this.setTimer(at, window);
  }

  private setTimer(at: number, window: TimeWindow): void {
    this.host.access.setOwnTimer("eventTime", at, window);
  }
}
