/**
 * Windows: assign, collect, fire, clean up. After Flink's WindowOperator.
 *
 * Owns the windows of the current key: their contents, whose namespaces they are, and their timers.
 *
 * V1 A record is late when its window's cleanup time has passed (judged after merging); late records go to the late side output,
 *    or are counted.
 * V2 A window's state goes at its cleanup time: maxTimestamp + allowed lateness (event time), maxTimestamp (processing time).
 * V3 A result carries the window's maxTimestamp.
 */
import type { WindowSpec } from "../../api/graph.ts";
import { windowStates } from "../../api/operator-states.ts";
import type { TimeWindow } from "../../api/windows.ts";
import { MillraceError } from "../../base/errors.ts";
import { CurrentNamespace } from "../../state/keyed-access.ts";
import { type Namespace } from "../../state/namespace.ts";
import type { Timer, TimerDomain } from "../../state/timer.ts";
import { addWindow, type MergingWindow } from "../../time/merging-windows.ts";
import { cleanupTime, coverWindows, isWindowLate, largestTime, timeWindow, windowsIntersect } from "../../time/windows.ts";
import type { KeyedOperatorHost, Operator } from "../operator.ts";
import { type Assigner, assignerOf } from "./assigner.ts";
import { type Contents, contentsOf } from "./contents.ts";
import { emitterOf, type WindowEmitter } from "./emitter.ts";
import { type Trigger, type TriggerContext, triggerOf, type TriggerResult } from "./trigger.ts";

export class WindowOperator implements Operator {
  private readonly host: KeyedOperatorHost;
  private readonly spec: WindowSpec;
  private readonly assigner: Assigner;
  private readonly trigger: Trigger;
  private readonly contents: Contents;
  private readonly contentsAt: CurrentNamespace;
  /** The place of the contents among the operator's states. */
  private readonly contentsState: number;
  private readonly emitter: WindowEmitter;
  private readonly domain: TimerDomain;
  private readonly triggerContext: TriggerContext;

  constructor(host: KeyedOperatorHost, spec: WindowSpec) {
    const states = [...host.access.store.states.keys()];
    this.host = host;
    this.spec = spec;
    this.assigner = assignerOf(spec.assigner);
    this.trigger = triggerOf(spec.trigger);
    this.domain = this.assigner.eventTime ? "eventTime" : "processingTime";
    this.contentsAt = new CurrentNamespace();
    this.contentsState = states.indexOf(windowStates.contents);
    this.contents = contentsOf(spec.contents, host.access, this.contentsState, this.contentsAt);
    this.emitter = emitterOf(host, spec, this.contents);
    this.triggerContext = triggerContext(host);
  }

  onRecord(value: any, timestamp: number): void {
    const windows = this.assigner.assign(value, this.timeOf(timestamp));
    let late = true;
    for (let i = 0; i < windows.length; i++) {
      const window = windows[i] as TimeWindow;
      const taken = this.assigner.merging
        ? this.addToMerging(value, timestamp, window)
        : this.addToWindow(value, timestamp, window);
      late = late && !taken;
    }
    if (late) this.onLate(value, timestamp);
  }

  private timeOf(timestamp: number): number {
    if (!this.assigner.eventTime) return this.host.processingTime();
    if (Number.isNaN(timestamp))
      throw new MillraceError("user", "an event-time window got a record without timestamp: give the source timestamps");
    return timestamp;
  }

  /** False when the window is over. */
  private addToWindow(value: unknown, timestamp: number, window: TimeWindow): boolean {
    if (this.isLate(window)) return false;
    this.contentsAt.namespace = window;
    this.take(value, timestamp, window);
    return true;
  }

  private take(value: unknown, timestamp: number, window: TimeWindow): void {
    const fresh = this.contents.add(value);
    const result = this.trigger.onElement(value, timestamp, window, this.triggerContext, fresh);
    if (result !== "continue") this.carryOut(result, window);
    if (fresh) this.setCleanupTimer(window);
  }

  private isLate(window: TimeWindow): boolean {
    return this.assigner.eventTime && isWindowLate(window.maxTimestamp, this.spec.allowedLateness, this.host.watermark());
  }

  private cleanupTime(window: TimeWindow): number {
    return this.assigner.eventTime ? cleanupTime(window.maxTimestamp, this.spec.allowedLateness) : window.maxTimestamp;
  }

  private setCleanupTimer(window: TimeWindow): void {
    const at = this.cleanupTime(window);
    if (at < largestTime) this.host.access.setTimer(this.domain, at, window);
  }

  private cancelCleanupTimer(window: TimeWindow): void {
    this.host.access.cancelTimer(this.domain, this.cleanupTime(window), window);
  }

  // ---- merging windows: the windows of a key are the namespaces of its contents ----

  private addToMerging(value: unknown, timestamp: number, opened: TimeWindow): boolean {
    const { only } = this.host.access.row;
    const window =
      only?.state === this.contentsState && windowsIntersect(only.namespace, opened)
        ? this.joinOnly(windowOf(only.namespace), opened)
        : this.joinAny(opened);
    if (window === undefined) return false;
    this.contentsAt.namespace = window;
    this.take(value, timestamp, window);
    return true;
  }

  /** The key's only window takes the record in: nearly always so. */
  private joinOnly(known: TimeWindow, opened: TimeWindow): TimeWindow {
    if (opened.start >= known.start && opened.end <= known.end) return known;
    const window = coverWindows(known, opened);
    this.extend(known, window);
    return window;
  }

  /** Undefined: the record is late. */
  private joinAny(opened: TimeWindow): TimeWindow | undefined {
    const added = addWindow(this.windows(), opened.start, opened.end);
    const window = timeWindow(added.window.start, added.window.end);
    if (this.isLate(window)) return undefined;
    const [first, ...others] = added.merged;
    if (first === undefined) return added.changed ? opened : window;
    const kept = timeWindow(first.start, first.end);
    for (const other of others) this.mergeInto(kept, timeWindow(other.start, other.end));
    this.extend(kept, window);
    return window;
  }

  private windows(): readonly MergingWindow[] {
    return this.host.access.row.cells
      .filter((cell) => cell.state === this.contentsState)
      .map(({ namespace: { start, end } }) => ({ start, end, stateStart: start, stateEnd: end }))
      .sort((a, b) => a.start - b.start);
  }

  /** The window `known` becomes `window`: its state and timers go with it. */
  private extend(known: TimeWindow, window: TimeWindow): void {
    this.host.access.renameWindow(known, window);
    this.trigger.onExtend(known, window, this.triggerContext);
    this.cancelCleanupTimer(known);
    this.setCleanupTimer(window);
  }

  /** The contents of `other` go into `kept`, and its timers go. */
  private mergeInto(kept: TimeWindow, other: TimeWindow): void {
    this.trigger.clear(other, this.triggerContext);
    this.cancelCleanupTimer(other);
    this.contentsAt.namespace = other;
    const moved = this.contents.empty ? undefined : this.contents.raw();
    this.contents.clear();
    this.emitter.forget(other);
    this.contentsAt.namespace = kept;
    if (moved !== undefined) this.contents.merge(moved);
  }

  // ---- firing ----

  onTimer(timer: Timer): void {
    const window = windowOf(timer.namespace);
    this.contentsAt.namespace = window;
    const result = this.trigger.onTimer(timer.domain, timer.at, window, this.triggerContext);
    if (result !== "continue") this.carryOut(result, window);
    if (timer.domain === this.domain && timer.at === this.cleanupTime(window)) this.clearAll(window);
  }

  private carryOut(result: TriggerResult, window: TimeWindow): void {
    if (result !== "purge" && !this.contents.empty) this.emitter.emit(window);
    if (result === "fire") return;
    // A merging window goes on after a purge: what comes later still joins it.
    if (this.assigner.merging) this.contents.purge();
    else this.contents.clear();
  }

  private clearAll(window: TimeWindow): void {
    this.contents.clear();
    this.trigger.clear(window, this.triggerContext);
    this.emitter.clear(window);
  }

  private onLate(value: unknown, timestamp: number): void {
    const { lateTag } = this.spec;
    if (lateTag !== undefined) this.host.output.emitTo(lateTag, value, timestamp);
    else this.host.count("lateDropped", 1);
  }
}

/** A timer's window: the object it was set with, or one read from storage. */
function windowOf(namespace: Namespace): TimeWindow {
  return "maxTimestamp" in namespace ? (namespace as TimeWindow) : timeWindow(namespace.start, namespace.end);
}

function triggerContext(host: KeyedOperatorHost): TriggerContext {
  const { access } = host;
  return {
    get watermark() {
      return host.watermark();
    },
    get processingTime() {
      return host.processingTime();
    },
    setTimer: (domain, at, window) => access.setTimer(domain, at, window),
    cancelTimer: (domain, at, window) => access.cancelTimer(domain, at, window),
  };
}
