/** What handlers with keys are given beside the rest: the key, its state, its timers. */
import type { OutputTag, Timers } from "../api/functions.ts";
import type { Key } from "../api/key.ts";
import { MillraceError } from "../base/errors.ts";
import { CurrentNamespace, type KeyedAccess, type StateHandle, stateHandles } from "../state/keyed-access.ts";
import { voidNamespace } from "../state/namespace.ts";
import type { Timer, TimerDomain } from "../state/timer.ts";
import { isTimestamp } from "../time/timestamp.ts";
import { HandlerContext } from "./context.ts";
import type { KeyedOperatorHost } from "./operator.ts";

export class KeyedHandlerContext extends HandlerContext {
  readonly state: Record<string, StateHandle>;
  readonly timers: Timers;
  domain: TimerDomain = "eventTime";
  private readonly access: KeyedAccess;

  constructor(host: KeyedOperatorHost, sideOutputs: readonly OutputTag<any>[] | undefined) {
    super(host, sideOutputs);
    this.access = host.access;
    this.state = stateHandles(host.access, new CurrentNamespace());
    this.timers = userTimers(host.access);
  }

  get key(): Key {
    return this.access.row.key;
  }

  /** What an event-time timer emits carries its time; of a processing-time timer, none. */
  moveToTimer(timer: Timer): void {
    this.domain = timer.domain;
    this.moveTo(timer.domain === "eventTime" ? timer.at : NaN);
  }
}

/** The author's timers, outside windows. */
function userTimers(access: KeyedAccess): Timers {
  const set = (domain: TimerDomain) => (at: number) => access.setTimer(domain, checkedTime(at, access), voidNamespace);
  const cancel = (domain: TimerDomain) => (at: number) => access.cancelTimer(domain, checkedTime(at, access), voidNamespace);
  return {
    eventTime: set("eventTime"),
    processingTime: set("processingTime"),
    cancelEventTime: cancel("eventTime"),
    cancelProcessingTime: cancel("processingTime"),
  };
}

function checkedTime(at: number, { row }: KeyedAccess): number {
  if (isTimestamp(at)) return at;
  const hint = at === -Infinity ? " (before the first watermark?)" : "";
  throw new MillraceError(
    "user",
    `a timer's time must be whole epoch milliseconds within ±8.64e15: ${String(at)}${hint}, key ${showKey(row.key)}`,
    { context: { key: row.key } },
  );
}

function showKey(key: Key): string {
  return JSON.stringify(key, (_name, part) => (typeof part === "bigint" ? `${part}n` : part));
}
