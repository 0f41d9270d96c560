/** A trigger by the author's handlers. */
import type { Timers } from "../../api/functions.ts";
import type { CustomTrigger, TriggerContext as AuthorsContext, TriggerResult } from "../../api/triggers.ts";
import type { TimeWindow } from "../../api/windows.ts";
import { MillraceError } from "../../base/errors.ts";
import type { CurrentNamespace } from "../../state/keyed-access.ts";
import type { StateHandle } from "../../state/state-handles.ts";
import type { TimerDomain } from "../../state/timer.ts";
import { checkedTime } from "../checked-time.ts";
import type { Trigger, TriggerContext } from "./trigger.ts";

type AnyCustomTrigger = CustomTrigger<any, any, any>;

export function customTrigger(trigger: AnyCustomTrigger, state: Record<string, StateHandle>, at: CurrentNamespace): Trigger {
  const handed = new CustomContext(state, at);
  const ctx = handed as unknown as AuthorsContext<any>;
  return {
    onElement(value, timestamp, window, context) {
      handed.context = context;
      return checked("onElement", trigger.onElement(value, timestamp, window, ctx));
    },
    onTimer(domain, time, window, context) {
      handed.context = context;
      if (domain === "eventTime") return checked("onEventTime", trigger.onEventTime?.(time, window, ctx) ?? "continue");
      return checked("onProcessingTime", trigger.onProcessingTime?.(time, window, ctx) ?? "continue");
    },
    onMerge(window, context) {
      handed.context = context;
      trigger.onMerge?.(window, ctx);
    },
    clear(window, context) {
      handed.context = context;
      trigger.onClear?.(window, ctx);
      for (const handle of Object.values(state)) handle.clear();
    },
  };
}

const results: ReadonlySet<unknown> = new Set<TriggerResult>(["continue", "fire", "purge", "fireAndPurge"]);

function checked(handler: string, result: TriggerResult): TriggerResult {
  if (results.has(result)) return result;
  throw new MillraceError("user", `a trigger says continue, fire, purge or fireAndPurge; ${handler} said ${String(result)}`);
}

class CustomContext {
  readonly state: Record<string, StateHandle>;
  readonly timers: Timers;
  /** Of the call that is under way. */
  context: TriggerContext | undefined;

  constructor(state: Record<string, StateHandle>, at: CurrentNamespace) {
    this.state = state;
    const window = () => at.namespace as TimeWindow;
    const set = (domain: TimerDomain) => (time: number) => this.context?.setTimer(domain, checkedTime(time), window());
    const cancel = (domain: TimerDomain) => (time: number) => this.context?.cancelTimer(domain, checkedTime(time), window());
    this.timers = {
      eventTime: set("eventTime"),
      processingTime: set("processingTime"),
      cancelEventTime: cancel("eventTime"),
      cancelProcessingTime: cancel("processingTime"),
    };
  }

  get watermark(): number {
    return this.context?.watermark ?? -Infinity;
  }

  get processingTime(): number {
    return this.context?.processingTime ?? NaN;
  }
}
