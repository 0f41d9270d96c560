/** What handlers with keys are given beside the rest: the key, its state, its timers. */
import type { OutputTag, Timers } from "../api/functions.ts";
import type { Key } from "../api/key.ts";
import { CurrentNamespace, type KeyedAccess } from "../state/keyed-access.ts";
import { voidNamespace } from "../state/namespace.ts";
import { type StateHandle, stateHandles } from "../state/state-handles.ts";
import type { Timer, TimerDomain } from "../state/timer.ts";
import { checkedTime } from "./checked-time.ts";
import { HandlerContext } from "./context.ts";
import type { KeyedOperatorHost } from "./operator.ts";
import { TimerChain } from "./timer-chain.ts";

export class KeyedHandlerContext extends HandlerContext {
  readonly state: Record<string, StateHandle>;
  readonly timers: Timers;
  domain: TimerDomain = "eventTime";
  private readonly access: KeyedAccess;
  private readonly chain = new TimerChain("a timer");

  constructor(host: KeyedOperatorHost, sideOutputs: readonly OutputTag<any>[] | undefined) {
    super(host, sideOutputs);
    this.access = host.access;
    this.state = stateHandles(host.access, new CurrentNamespace());
    this.timers = userTimers(host, this.chain);
  }

  get key(): Key {
    return this.access.row.key;
  }

  /** A timer fires: what an event-time timer emits carries its time; of a processing-time timer, none. */
  beginTimer({ domain, at }: Timer): void {
    this.domain = domain;
    this.moveTo(domain === "eventTime" ? at : NaN);
    this.chain.begin(this.access.row, domain, at);
  }

  endTimer(): void {
    this.chain.end();
  }
}

/** The author's timers, outside windows. */
function userTimers(host: KeyedOperatorHost, chain: TimerChain): Timers {
  const { access } = host;
  const set = (domain: TimerDomain) => (at: number) => {
    const time = checkedTime(at, access.row.key);
    chain.note(domain, time, host.watermark());
    access.setTimer(domain, time, voidNamespace);
  };
  const cancel = (domain: TimerDomain) => (at: number) =>
    access.cancelTimer(domain, checkedTime(at, access.row.key), voidNamespace);
  return {
    eventTime: set("eventTime"),
    processingTime: set("processingTime"),
    cancelEventTime: cancel("eventTime"),
    cancelProcessingTime: cancel("processingTime"),
  };
}
