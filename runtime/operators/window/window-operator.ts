/**
 * Windows: assign, collect, fire, clean up. After Flink's WindowOperator.
 *
 * Owns the windows of the current key: their contents, whose namespaces they are, and their timers.
 *
 * V1 A record is late when its window's cleanup time has passed (judged after merging); late records go to the late side output,
 *    or are counted.
 * V2 A window's state goes at its cleanup time: maxTimestamp + allowed lateness (event time), maxTimestamp (processing time).
 * V3 A result carries the window's maxTimestamp.
 * V4 With the plain trigger of event time and allowed lateness, the timer of the clean-up is set when the window fires at its end, so
 *    that a window has one timer at a time and lateness costs nothing before.
 * V5 A trigger cannot cancel the timer at a window's cleanup time, nor be without it: else nothing would remove the window. (In Flink
 *    a trigger that cancels its own timer at that very time cancels both, and the window stays until its next record.)
 * V6 Contents that go by themselves when their window is over are kept aside when it fails to fire, until its timer is given back, or a
 *    late record has it fire after all.
 */
import type { WindowSpec } from "../../api/graph.ts";
import { contentsName } from "../../api/operator-states.ts";
import type { TriggerResult } from "../../api/triggers.ts";
import type { TimeWindow } from "../../api/windows.ts";
import type { Cell } from "../../state/cell.ts";
import { CurrentNamespace } from "../../state/keyed-access.ts";
import { movedTo, type Namespace } from "../../state/namespace.ts";
import type { Timer, TimerDomain } from "../../state/timer.ts";
import { addWindow, type MergingWindow } from "../../time/merging-windows.ts";
import { cleanupTime, coverWindows, isWindowLate, largestTime, timeWindow, windowsIntersect } from "../../time/windows.ts";
import type { KeyedOperatorHost, Operator } from "../operator.ts";
import { type Assigner, assignerOf } from "./assigner.ts";
import { type Contents, contentsOf } from "./contents.ts";
import { copyValue } from "./copy-value.ts";
import { triggerOf } from "./create-trigger.ts";
import { emitterOf, type WindowEmitter } from "./emitter.ts";
import { eventTimeTrigger } from "./end-triggers.ts";
import { giveLate, timestampFor } from "./late-records.ts";
import { MergedStates } from "./merged-states.ts";
import { OwedResults } from "./owed-results.ts";
import { TimerChain } from "../timer-chain.ts";
import { fires, purges, type Trigger, type TriggerContext } from "./trigger.ts";

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
  /** The trigger is the plain one of event time, whose timer is the window's own. */
  private readonly plain: boolean;
  /** Windows stay for some time after they have fired at their ends. */
  private readonly retains: boolean;
  /** The window's own timer is the only one that it has. Not so where it goes by the clock: another then cleans it up. */
  private readonly keepsOneTimer: boolean;
  /** What a window grows to, for as long as it takes to say so. */
  private readonly grown = { start: 0, end: 0 };
  /** They then go by themselves (Cell C2), so no timer says when. */
  private readonly passes: boolean;
  /** V6 */
  private readonly owed: OwedResults | undefined;
  private readonly mergedStates: MergedStates;
  private readonly chain = new TimerChain("a trigger");

  constructor(host: KeyedOperatorHost, spec: WindowSpec) {
    const states = [...host.access.store.states.keys()];
    this.host = host;
    this.spec = spec;
    this.assigner = assignerOf(spec.assigner, () => host.access.row.key);
    this.domain = this.assigner.eventTime ? "eventTime" : "processingTime";
    this.contentsAt = new CurrentNamespace();
    this.contentsState = states.indexOf(contentsName(spec));
    this.contents = contentsOf(spec, host.access, this.contentsState, this.contentsAt);
    this.trigger = triggerOf(spec.trigger, host.access, this.contentsAt);
    this.plain = this.trigger === eventTimeTrigger;
    this.retains = this.plain && spec.allowedLateness > 0;
    this.keepsOneTimer = this.plain && !this.retains && this.assigner.eventTime;
    this.passes = this.retains && host.access.store.retentionMs < Infinity;
    this.owed = host.access.store.retentionMs < Infinity ? new OwedResults(host.access) : undefined;
    this.emitter = emitterOf(host, spec, this.contents);
    this.mergedStates = new MergedStates(host.access);
    const isCleanup = (domain: TimerDomain, at: number, window: TimeWindow) =>
      domain === this.domain && at === this.cleanupTime(window);
    this.triggerContext = triggerContext(host, this.chain, isCleanup);
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
    if (late) giveLate(this.host, this.spec, value, timestamp);
  }

  private timeOf(timestamp: number): number {
    return this.assigner.eventTime ? timestampFor(timestamp) : this.host.processingTime();
  }

  /** False when the window is over. */
  private addToWindow(value: unknown, timestamp: number, window: TimeWindow): boolean {
    if (this.isLate(window)) return false;
    this.contentsAt.namespace = window;
    this.take(value, timestamp, window);
    return true;
  }

  private take(value: unknown, timestamp: number, window: TimeWindow): void {
    const fresh = this.contents.add(value, timestamp);
    // Nearly every record goes to a window that is there and waits for its end, of which its first record has seen to.
    if (this.plain && !fresh && window.maxTimestamp > this.host.watermark()) return;
    const result = this.trigger.onElement(value, timestamp, window, this.triggerContext, fresh);
    if (result !== "continue") this.carryOut(result, window);
    if (fresh) this.scheduleCleanup(window);
  }

  private isLate(window: TimeWindow): boolean {
    return this.assigner.eventTime && isWindowLate(window.maxTimestamp, this.spec.allowedLateness, this.host.watermark());
  }

  private cleanupTime(window: TimeWindow): number {
    return this.assigner.eventTime ? cleanupTime(window.maxTimestamp, this.spec.allowedLateness) : window.maxTimestamp;
  }

  /** V4: a window that is to fire at its end anyway needs no second timer before it has. */
  private scheduleCleanup(window: TimeWindow): void {
    if (this.retains && window.maxTimestamp > this.host.watermark()) return;
    this.setCleanupTimer(window);
  }

  private setCleanupTimer(window: TimeWindow): void {
    const at = this.cleanupTime(window);
    if (at >= largestTime) return;
    const { access } = this.host;
    if (this.passes) access.store.eventTimers.schedule(access.row, at);
    else access.setTimer(this.domain, at, window);
  }

  private cancelCleanupTimer(window: TimeWindow): void {
    this.host.access.cancelTimer(this.domain, this.cleanupTime(window), window);
  }

  // ---- merging windows: the windows of a key are the namespaces of its contents ----

  private addToMerging(value: unknown, timestamp: number, opened: TimeWindow): boolean {
    const { row } = this.host.access;
    const { only } = row;
    if (this.keepsOneTimer && (only === undefined ? !row.present : this.takesIn(only, opened)))
      return this.addToOnly(value, timestamp, opened, only);
    const window = this.join(opened);
    if (window === undefined) return false;
    this.contentsAt.namespace = window;
    this.take(value, timestamp, window);
    return true;
  }

  private takesIn({ state, namespace }: Cell, opened: TimeWindow): boolean {
    return state === this.contentsState && windowsIntersect(namespace, opened);
  }

  /** The key has one window, or none, and that has one timer, which goes along: no window need be made for it. */
  private addToOnly(value: unknown, timestamp: number, opened: TimeWindow, only: Cell | undefined): boolean {
    const { access } = this.host;
    if (only === undefined && this.isLate(opened)) return false;
    if (only !== undefined) this.grow(only, opened);
    const namespace = only === undefined ? movedTo(undefined, opened.start, opened.end) : only.namespace;
    this.contentsAt.namespace = namespace;
    const fresh = this.contents.add(value, timestamp);
    if (fresh) access.setTimer("eventTime", namespace.end - 1, namespace);
    return true;
  }

  private grow(only: Cell, { start, end }: TimeWindow): void {
    const { namespace } = only;
    if (start >= namespace.start && end <= namespace.end) return;
    const { grown } = this;
    grown.start = Math.min(start, namespace.start);
    grown.end = Math.max(end, namespace.end);
    this.host.access.renameCell(only, grown);
  }

  /** The window that the record goes to; undefined: it is late. Nearly always the key has one window, or none. */
  private join(opened: TimeWindow): TimeWindow | undefined {
    const { row } = this.host.access;
    const { only } = row;
    if (only === undefined ? row.present : only.state !== this.contentsState) return this.joinAny(opened);
    if (only !== undefined && windowsIntersect(only.namespace, opened)) return this.joinOnly(windowOf(only.namespace), opened);
    return this.isLate(opened) ? undefined : timeWindow(opened.start, opened.end);
  }

  /** The key's only window takes the record in. */
  private joinOnly(known: TimeWindow, opened: TimeWindow): TimeWindow {
    if (opened.start >= known.start && opened.end <= known.end) return known;
    const window = coverWindows(known, opened);
    this.extend(known, window);
    return window;
  }

  /** Undefined: the record is late. */
  private joinAny(opened: TimeWindow): TimeWindow | undefined {
    const added = addWindow(this.touching(opened), opened.start, opened.end);
    const window = timeWindow(added.window.start, added.window.end);
    if (this.isLate(window)) return undefined;
    const [first, ...others] = added.merged;
    if (first === undefined) return window;
    const kept = timeWindow(first.start, first.end);
    const gone = others.map(({ start, end }) => timeWindow(start, end));
    for (const other of gone) this.mergeInto(kept, other);
    this.extend(kept, window, gone);
    return window;
  }

  /** The key's windows that the opened one touches. */
  private touching({ start: from, end: to }: TimeWindow): readonly MergingWindow[] {
    return this.host.access.row
      .cellsAround(this.contentsState, from, to)
      .map(({ namespace: { start, end } }) => ({ start, end, stateStart: start, stateEnd: end }));
  }

  /** The window `known` becomes `window`: its state goes with it, and so does the timer at its end. */
  private extend(known: TimeWindow, window: TimeWindow, others: readonly TimeWindow[] = none): void {
    const { access } = this.host;
    access.renameWindow(known, window);
    if (this.keepsOneTimer && others.length === 0) {
      // The window's one timer has gone along.
      this.contentsAt.namespace = window;
      return;
    }
    if (this.retains || !this.plain) access.cancelTimer("eventTime", window.maxTimestamp, window);
    this.contentsAt.namespace = window;
    this.trigger.onMerge(window, this.triggerContext);
    if (!this.plain) this.clearTrigger(known);
    this.cancelCleanupTimer(known);
    for (const other of others) {
      this.clearTrigger(other);
      this.cancelCleanupTimer(other);
    }
    this.scheduleCleanup(window);
  }

  private clearTrigger(window: TimeWindow): void {
    this.contentsAt.namespace = window;
    this.trigger.clear(window, this.triggerContext);
  }

  /** The state of `other` goes into that of `kept`; its timers stay until both are one. */
  private mergeInto(kept: TimeWindow, other: TimeWindow): void {
    this.contentsAt.namespace = other;
    const moved = this.contents.empty ? undefined : this.contents.raw();
    this.contents.clear();
    this.contentsAt.namespace = kept;
    if (moved !== undefined) this.contents.merge(moved);
    this.mergedStates.move(other, kept);
  }

  // ---- firing ----

  onTimer(timer: Timer): void {
    const { domain, at, namespace } = timer;
    // A trigger may leave timers behind of a window that was merged into another.
    if (this.assigner.merging && this.host.access.row.find(this.contentsState, namespace) === undefined) return;
    const window = windowOf(namespace);
    this.contentsAt.namespace = window;
    const result = this.askOnTimer(timer, window);
    if (result !== "continue") this.carryOut(result, window);
    if (domain !== this.domain) return;
    if (at === this.cleanupTime(window)) this.clearAll(window);
    else if (this.retains && !this.passes && at === window.maxTimestamp) this.setCleanupTimer(window);
  }

  onTimerFailed({ namespace }: Timer): void {
    const { owed, host, contentsState } = this;
    const cell = owed && host.access.row.find(contentsState, namespace);
    if (cell === undefined) return;
    const { kind, value } = cell;
    // Late records may still come to it.
    if (!this.retains) host.access.row.forget(cell);
    owed?.keep(namespace, kind, this.retains ? copyValue(value) : value);
  }

  onTimerAgain(timer: Timer): void {
    const { owed, host, contentsState } = this;
    if (owed === undefined) return this.onTimer(timer);
    const { namespace } = timer;
    const kept = owed.take(namespace);
    if (kept === undefined) return;
    const { row } = host.access;
    if (row.find(contentsState, namespace) === undefined) {
      const cell = row.make(contentsState, namespace, kept.kind, kept.value);
      cell.dirty = true;
      row.noteChange(cell);
    }
    this.onTimer(timer);
    if (this.retains && this.isLate(windowOf(namespace))) this.contents.clear();
  }

  private askOnTimer({ domain, at }: Timer, window: TimeWindow): TriggerResult {
    const { chain } = this;
    chain.begin(this.host.access.row, domain, at);
    try {
      return this.trigger.onTimer(domain, at, window, this.triggerContext);
    } finally {
      chain.end();
    }
  }

  private carryOut(result: TriggerResult, window: TimeWindow): void {
    if (fires(result) && !this.contents.empty) {
      this.emitter.emit(window);
      this.contents.given();
      if (this.passes) this.owed?.take(window);
    }
    if (!purges(result)) return;
    // A merging window goes on after a purge: what comes later still joins it.
    if (this.assigner.merging) this.contents.purge();
    else this.contents.clear();
  }

  private clearAll(window: TimeWindow): void {
    this.contents.clear();
    this.trigger.clear(window, this.triggerContext);
    this.emitter.clear(window);
  }
}

const none: readonly TimeWindow[] = [];

/** A timer's window: the object it was set with, or one read from storage. */
function windowOf(namespace: Namespace): TimeWindow {
  return "maxTimestamp" in namespace ? (namespace as TimeWindow) : timeWindow(namespace.start, namespace.end);
}

function triggerContext(
  host: KeyedOperatorHost,
  chain: TimerChain,
  isCleanup: (domain: TimerDomain, at: number, window: TimeWindow) => boolean,
): TriggerContext {
  const { access } = host;
  return {
    get watermark() {
      return host.watermark();
    },
    get processingTime() {
      return host.processingTime();
    },
    setTimer(domain, at, window) {
      chain.note(domain, at, host.watermark());
      access.setTimer(domain, at, window);
    },
    cancelTimer(domain, at, window) {
      if (!isCleanup(domain, at, window)) access.cancelTimer(domain, at, window);
    },
  };
}
