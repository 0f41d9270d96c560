/**
 * Windows: assign, collect, fire, clean up. After Flink's WindowOperator.
 *
 * Owns which windows of the current key exist (for merging ones as state), their contents and their timers.
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
import { CurrentNamespace, ValueHandle } from "../../state/keyed-access.ts";
import type { Namespace } from "../../state/namespace.ts";
import type { Timer, TimerDomain } from "../../state/timer.ts";
import { addWindow, findWindow, type MergingWindow, retireWindow } from "../../time/merging-windows.ts";
import { cleanupTime, isWindowLate, largestTime, timeWindow } from "../../time/windows.ts";
import type { KeyedOperatorHost, Operator } from "../operator.ts";
import { type Assigner, assignerOf } from "./assigner.ts";
import { type Contents, contentsOf } from "./contents.ts";
import { emitterOf, type WindowEmitter } from "./emitter.ts";
import { type Trigger, type TriggerContext, triggerOf, type TriggerResult } from "./trigger.ts";

const noWindows: readonly MergingWindow[] = [];

export class WindowOperator implements Operator {
  private readonly host: KeyedOperatorHost;
  private readonly spec: WindowSpec;
  private readonly assigner: Assigner;
  private readonly trigger: Trigger;
  private readonly contents: Contents;
  private readonly contentsAt: CurrentNamespace;
  private readonly merging: ValueHandle | undefined;
  private readonly emitter: WindowEmitter;
  private readonly domain: TimerDomain;
  /** The window that the trigger's timers belong to. */
  private window: TimeWindow = timeWindow(0, 0);
  private readonly triggerContext: TriggerContext;

  constructor(host: KeyedOperatorHost, spec: WindowSpec) {
    const states = [...host.access.store.states.keys()];
    this.host = host;
    this.spec = spec;
    this.assigner = assignerOf(spec.assigner);
    this.trigger = triggerOf(spec.trigger);
    this.domain = this.assigner.eventTime ? "eventTime" : "processingTime";
    this.contentsAt = new CurrentNamespace();
    this.contents = contentsOf(spec.contents, host.access, states.indexOf(windowStates.contents), this.contentsAt);
    this.merging = this.assigner.merging
      ? new ValueHandle(host.access, states.indexOf(windowStates.merging), new CurrentNamespace())
      : undefined;
    this.emitter = emitterOf(host, spec, this.contents);
    this.triggerContext = triggerContext(host, () => this.window);
  }

  onRecord(value: any, timestamp: number): void {
    const windows = this.assigner.assign(value, this.timeOf(timestamp));
    let late = true;
    for (let i = 0; i < windows.length; i++) {
      const window = windows[i] as TimeWindow;
      const taken =
        this.merging === undefined ? this.addToWindow(value, timestamp, window) : this.addToMerging(value, timestamp, window);
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
    this.window = window;
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

  private cancelCleanupTimer(window: { start: number; end: number }): void {
    const at = this.cleanupTime(timeWindow(window.start, window.end));
    this.host.access.cancelTimer(this.domain, at, window);
  }

  // ---- merging windows ----

  private windows(): readonly MergingWindow[] {
    return this.merging?.get() ?? noWindows;
  }

  private addToMerging(value: unknown, timestamp: number, opened: TimeWindow): boolean {
    const added = addWindow(this.windows(), opened.start, opened.end);
    const window = timeWindow(added.window.start, added.window.end);
    if (this.isLate(window)) return false;
    if (added.changed) this.merging?.set(added.windows);
    this.contentsAt.namespace = stateOf(added.window);
    if (added.merged.length > 0) this.mergeInto(added.window, added.merged, window);
    this.take(value, timestamp, window);
    return true;
  }

  private mergeInto(into: MergingWindow, merged: readonly MergingWindow[], window: TimeWindow): void {
    for (const old of merged) {
      this.window = timeWindow(old.start, old.end);
      this.trigger.clear(this.window, this.triggerContext);
      this.cancelCleanupTimer(old);
    }
    for (const old of merged.slice(1)) this.moveContents(old, into);
    this.emitter.mergeWindowState(merged.slice(1), into);
    this.window = window;
    this.trigger.onMerge(window, this.triggerContext);
    this.setCleanupTimer(window);
  }

  private moveContents(from: MergingWindow, into: MergingWindow): void {
    this.contentsAt.namespace = stateOf(from);
    const moved = this.contents.empty ? undefined : this.contents.raw();
    this.contents.clear();
    this.contentsAt.namespace = stateOf(into);
    if (moved !== undefined) this.contents.merge(moved);
  }

  // ---- firing ----

  onTimer(timer: Timer): void {
    const window = windowOf(timer.namespace);
    if (!this.moveTo(window)) return;
    this.window = window;
    const result = this.trigger.onTimer(timer.domain, timer.at, window, this.triggerContext);
    if (result !== "continue") this.carryOut(result, window);
    if (timer.domain === this.domain && timer.at === this.cleanupTime(window)) this.clearAll(window);
  }

  /** Stands the contents at the window; false when it was merged away. */
  private moveTo(window: TimeWindow): boolean {
    if (this.merging === undefined) {
      this.contentsAt.namespace = window;
      return true;
    }
    const known = findWindow(this.windows(), window.start, window.end);
    if (known === undefined) return false;
    this.contentsAt.namespace = stateOf(known);
    return true;
  }

  private carryOut(result: TriggerResult, window: TimeWindow): void {
    if (result !== "purge" && !this.contents.empty) this.emitter.emit(window, this.contentsAt.namespace);
    if (result !== "fire") this.contents.clear();
  }

  private clearAll(window: TimeWindow): void {
    this.contents.clear();
    this.trigger.clear(window, this.triggerContext);
    this.emitter.clear(window, this.contentsAt.namespace);
    if (this.merging === undefined) return;
    const left = retireWindow(this.windows(), window.start, window.end);
    if (left.length === 0) this.merging.clear();
    else this.merging.set(left);
  }

  private onLate(value: unknown, timestamp: number): void {
    const { lateTag } = this.spec;
    if (lateTag !== undefined) this.host.output.emitTo(lateTag, value, timestamp);
    else this.host.count("lateDropped", 1);
  }
}

function stateOf(window: MergingWindow): Namespace {
  return { start: window.stateStart, end: window.stateEnd };
}

/** A timer's window: the object it was set with, or one read from storage. */
function windowOf(namespace: Namespace): TimeWindow {
  return "maxTimestamp" in namespace ? (namespace as TimeWindow) : timeWindow(namespace.start, namespace.end);
}

function triggerContext(host: KeyedOperatorHost, window: () => TimeWindow): TriggerContext {
  const { access } = host;
  return {
    get watermark() {
      return host.watermark();
    },
    get processingTime() {
      return host.processingTime();
    },
    setTimer: (domain, at) => access.setTimer(domain, at, window()),
    cancelTimer: (domain, at) => access.cancelTimer(domain, at, window()),
  };
}
