/** A trigger alone, with the state of one key and timers that are kept in a list. */
import { CurrentNamespace, KeyedAccess } from "../../../runtime/state/keyed-access.ts";
import { KeyedStore } from "../../../runtime/state/keyed-store.ts";
import { statesOf } from "../../../runtime/api/operator-states.ts";
import type { TriggerResult } from "../../../runtime/index.ts";
import { triggerOf } from "../../../runtime/operators/window/create-trigger.ts";
import { MergedStates } from "../../../runtime/operators/window/merged-states.ts";
import type { Trigger, TriggerContext } from "../../../runtime/operators/window/trigger.ts";
import type { TimeWindow } from "../../../runtime/index.ts";
import type { TimerDomain } from "../../../runtime/state/timer.ts";
import { fullRange } from "../../../runtime/streaming/hash-range.ts";
import { timeWindow } from "../../../runtime/time/windows.ts";
import { compare } from "../compare.ts";
import { pointOf, type Failure, type Vector } from "../vector.ts";
import { triggerSpecOf } from "./window-jobs.ts";

/** What stands for "MIN": where watermark and clock begin, and records without timestamp are. "MAX" is as far off. */
const least = -(2 ** 52);

const timeOf = (time: number | string): number => pointOf(time, -least);

interface SetTimer {
  readonly domain: TimerDomain;
  readonly at: number;
  readonly window: TimeWindow;
}

const noQueue = { schedule() {}, remove() {}, peek: () => Infinity };

/** The state of one key of an operator with this trigger. */
function accessOf(trigger: ReturnType<typeof triggerSpecOf>): KeyedAccess {
  const states = statesOf({
    ...{ kind: "window", keyed: true, assigner: { kind: "global", time: undefined }, trigger, evictor: undefined },
    ...{ allowedLateness: 0, lateTag: undefined, contents: { kind: "list" }, result: { kind: "value" } },
  });
  const store = new KeyedStore({
    ...{ operator: "trigger", states, keyGroups: 1, hashing: "murmur3", range: fullRange },
    ...{ eventTimers: noQueue, processingTimers: noQueue, activity: { count: 0 } },
  });
  const access = new KeyedAccess(store);
  access.setRow(store.find("key"));
  return access;
}

/** As Flink's own test of triggers: an advance takes all timers that are due out, and then has the trigger asked for each. */
class TriggerBench implements TriggerContext {
  watermark = least;
  processingTime = least;
  private timers: SetTimer[] = [];
  private readonly access: KeyedAccess;
  private readonly trigger: Trigger;
  private readonly merged: MergedStates;
  private readonly at = new CurrentNamespace();

  constructor(spec: ReturnType<typeof triggerSpecOf>) {
    this.access = accessOf(spec);
    this.trigger = triggerOf(spec, this.access, this.at);
    this.merged = new MergedStates(this.access);
  }

  setTimer(domain: TimerDomain, at: number, window: TimeWindow): void {
    if (!this.timers.some(is(domain, at, window))) this.timers.push({ domain, at, window });
  }

  cancelTimer(domain: TimerDomain, at: number, window: TimeWindow): void {
    const cancelled = this.timers.find(is(domain, at, window));
    this.timers = this.timers.filter((timer) => timer !== cancelled);
  }

  /** How many timers are set. */
  count(domain: TimerDomain, window: TimeWindow | undefined): number {
    return this.timers.filter((timer) => timer.domain === domain && (window === undefined || same(timer.window, window))).length;
  }

  element(timestamp: number, window: TimeWindow): TriggerResult {
    this.at.namespace = window;
    return this.trigger.onElement(1, timestamp, window, this, true);
  }

  /** What the trigger says to each timer that is due. */
  advance(domain: TimerDomain, to: number): { readonly window: TimeWindow; readonly result: TriggerResult }[] {
    if (domain === "eventTime") this.watermark = to;
    else this.processingTime = to;
    const due = this.timers.filter((timer) => timer.domain === domain && timer.at <= to).sort((a, b) => a.at - b.at);
    this.timers = this.timers.filter((timer) => !due.includes(timer));
    return due.map(({ at, window }) => {
      this.at.namespace = window;
      return { window, result: this.trigger.onTimer(domain, at, window, this) };
    });
  }

  /** A timer that the trigger did not set: that of the window's clean-up. */
  fire(domain: TimerDomain, at: number, window: TimeWindow): TriggerResult {
    this.at.namespace = window;
    return this.trigger.onTimer(domain, at, window, this);
  }

  merge(into: TimeWindow, from: readonly TimeWindow[]): void {
    const [first, ...others] = from;
    for (const other of others) this.merged.move(other, first as TimeWindow);
    if (first !== undefined) this.access.renameWindow(first, into);
    this.at.namespace = into;
    this.trigger.onMerge(into, this);
    for (const window of from) this.clear(window);
  }

  clear(window: TimeWindow): void {
    this.at.namespace = window;
    this.trigger.clear(window, this);
  }
}

function same(a: TimeWindow, b: TimeWindow): boolean {
  return a.start === b.start && a.end === b.end;
}

function is(domain: TimerDomain, at: number, window: TimeWindow) {
  return (timer: SetTimer) => timer.domain === domain && timer.at === at && same(timer.window, window);
}

const results: Readonly<Record<string, string>> = {
  continue: "CONTINUE",
  fire: "FIRE",
  purge: "PURGE",
  fireAndPurge: "FIRE_AND_PURGE",
};

export function runTrigger(vector: Vector): Failure | undefined {
  const bench = new TriggerBench(triggerSpecOf(vector.config.trigger));
  // Two looks at the same timers that differ: in between is something that the vector does not tell, and nothing can be said of later ones.
  let looks = new Map<string, string>();
  let told = true;
  for (const [index, op] of vector.expected.ops.entries()) {
    const window = op.window === undefined ? undefined : timeWindow(op.window[0], op.window[1]);
    if (op.op === "check") {
      for (const [name, domain] of [["eventTimers", "eventTime"] as const, ["processingTimers", "processingTime"] as const]) {
        if (op[name] === undefined) continue;
        const look = `${name} ${op.window}`;
        if ((looks.get(look) ?? String(op[name])) !== String(op[name])) told = false;
        looks.set(look, String(op[name]));
        const failure = told ? compare(bench.count(domain, window), op[name], `op ${index + 1}, ${look}`) : undefined;
        if (failure !== undefined) return failure;
      }
      continue;
    }
    looks = new Map();
    const result = carryOut(bench, op, window);
    if (op.result === undefined || !told) continue;
    const failure = compare(result, op.result, `op ${index + 1}`);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function carryOut(bench: TriggerBench, op: any, window: TimeWindow | undefined): string | undefined {
  switch (op.op) {
    case "element":
      return results[bench.element(timeOf(op.ts ?? "MIN"), window as TimeWindow)];
    case "advanceWatermark":
    case "advanceProcessingTime": {
      const fired = bench.advance(op.op === "advanceWatermark" ? "eventTime" : "processingTime", timeOf(op.to));
      const ofWindow = fired.filter((one) => window === undefined || same(one.window, window));
      return ofWindow.length === 0 ? "NO_TIMER_FIRED" : results[(ofWindow.at(-1) as { result: TriggerResult }).result];
    }
    case "merge":
      bench.merge(
        timeWindow(op.into[0], op.into[1]),
        op.from.map(([start, end]: [number, number]) => timeWindow(start, end)),
      );
      return undefined;
    case "clear":
      bench.clear(window as TimeWindow);
      return undefined;
    case "invokeOnEventTime":
    case "onEventTime":
    case "eventTimer":
      return results[bench.fire("eventTime", timeOf(op.time ?? op.ts ?? op.at ?? op.to), window as TimeWindow)];
    case "invokeOnProcessingTime":
    case "onProcessingTime":
    case "processingTimer":
      return results[bench.fire("processingTime", timeOf(op.time ?? op.ts ?? op.at ?? op.to), window as TimeWindow)];
    default:
      throw new Error(`no operation ${op.op} of a trigger`);
  }
}
