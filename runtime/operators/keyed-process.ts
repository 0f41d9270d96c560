/** process with keys, state and timers (Flink's KeyedProcessFunction, KeyedProcessOperator). */
import type { KeyedProcessFunction, TimerContext, Timers } from "../api/functions.ts";
import type { Key } from "../api/key.ts";
import { CurrentNamespace, type KeyedAccess } from "../state/keyed-access.ts";
import { voidNamespace } from "../state/namespace.ts";
import { type StateHandle, stateHandles } from "../state/state-handles.ts";
import type { Timer, TimerDomain } from "../state/timer.ts";
import { checkedTime } from "./checked-time.ts";
import { HandlerContext } from "./context.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";

export class KeyedProcessOperator implements Operator {
  private readonly fn: KeyedProcessFunction<any, any, any, any>;
  private readonly context: KeyedHandlerContext;

  constructor(host: KeyedOperatorHost, fn: KeyedProcessFunction<any, any, any, any>) {
    this.fn = fn;
    this.context = new KeyedHandlerContext(host, fn);
  }

  onRecord(value: any, timestamp: number): void {
    this.context.moveTo(timestamp);
    this.fn.onRecord(value, this.context as unknown as TimerContext<any, any, any>);
  }

  /** What an event-time timer emits carries its time; of a processing-time timer, none. */
  onTimer(timer: Timer): void {
    this.context.domain = timer.domain;
    this.context.moveTo(timer.domain === "eventTime" ? timer.at : NaN);
    this.fn.onTimer?.(timer.at, this.context as unknown as TimerContext<any, any, any>);
  }
}

class KeyedHandlerContext extends HandlerContext {
  readonly state: Record<string, StateHandle>;
  readonly timers: Timers;
  domain: TimerDomain = "eventTime";
  private readonly access: KeyedAccess;

  constructor(host: KeyedOperatorHost, fn: KeyedProcessFunction<any, any, any, any>) {
    super(host, fn.sideOutputs);
    this.access = host.access;
    this.state = stateHandles(host.access, new CurrentNamespace());
    this.timers = userTimers(host.access);
  }

  get key(): Key {
    return this.access.row.key;
  }
}

/** The author's timers, outside windows. */
function userTimers(access: KeyedAccess): Timers {
  const set = (domain: TimerDomain) => (at: number) => access.setTimer(domain, checkedTime(at), voidNamespace);
  const cancel = (domain: TimerDomain) => (at: number) => access.cancelTimer(domain, checkedTime(at), voidNamespace);
  return {
    eventTime: set("eventTime"),
    processingTime: set("processingTime"),
    cancelEventTime: cancel("eventTime"),
    cancelProcessingTime: cancel("processingTime"),
  };
}
