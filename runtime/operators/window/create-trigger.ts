/** The trigger of a spec, with its state. */
import { triggerState, windowStates } from "../../api/operator-states.ts";
import type { FoldingState, ValueState } from "../../api/state.ts";
import type { TriggerSpec } from "../../api/triggers.ts";
import type { CurrentNamespace, KeyedAccess } from "../../state/keyed-access.ts";
import { type StateHandle, stateHandles } from "../../state/state-handles.ts";
import { continuousTrigger } from "./continuous-trigger.ts";
import { countTrigger, deltaTrigger } from "./counting-triggers.ts";
import { customTrigger } from "./custom-trigger.ts";
import { endOfStreamTrigger, eventTimeTrigger, neverTrigger, processingTimeTrigger } from "./end-triggers.ts";
import type { Trigger } from "./trigger.ts";
import { purgingTrigger, timeOutTrigger } from "./wrapping-triggers.ts";

/** `at` is where the operator says which window is meant. */
export function triggerOf(
  spec: TriggerSpec,
  access: KeyedAccess,
  at: CurrentNamespace,
  prefix = windowStates.triggerPrefix as string,
): Trigger {
  const states = (): Record<string, StateHandle> => stateHandles(access, at, prefix);
  const value = (name: string) => states()[name] as ValueState<any>;
  const folded = (name: string) => states()[name] as FoldingState<number, number>;
  switch (spec.kind) {
    case "eventTime":
      return eventTimeTrigger;
    case "processingTime":
      return processingTimeTrigger;
    case "endOfStream":
      return endOfStreamTrigger;
    case "never":
      return neverTrigger;
    case "count":
      return countTrigger(spec, folded(triggerState.count));
    case "continuousEventTime":
      return continuousTrigger("eventTime", spec.everyMs, folded(triggerState.next));
    case "continuousProcessingTime":
      return continuousTrigger("processingTime", spec.everyMs, folded(triggerState.next));
    case "delta":
      return deltaTrigger(spec, value(triggerState.last));
    case "purging":
      return purgingTrigger(triggerOf(spec.inner, access, at, prefix));
    case "timeOut":
      return timeOutTrigger(
        spec,
        triggerOf(spec.inner, access, at, prefix + triggerState.innerPrefix),
        value(triggerState.timeOut),
      );
    case "custom":
      return customTrigger(spec.trigger, states(), at);
  }
}
