/** Triggers of what has come. After Flink's CountTrigger and DeltaTrigger. */
import type { FoldingState, ValueState } from "../../api/state.ts";
import type { TriggerSpec } from "../../api/triggers.ts";
import type { Trigger } from "./trigger.ts";

/** Fires at every `count` records; counts of windows that merge are added. */
export function countTrigger(spec: TriggerSpec & { kind: "count" }, counted: FoldingState<number, number>): Trigger {
  return {
    onElement() {
      if ((counted.get() ?? 0) + 1 < spec.count) {
        counted.add(1);
        return "continue";
      }
      counted.clear();
      return "fire";
    },
    onTimer: () => "continue",
    onMerge() {},
    clear: () => counted.clear(),
  };
}

/** Fires when a record is further than the threshold from the one that fired last; the first one counts as such. */
export function deltaTrigger({ distance, threshold }: TriggerSpec & { kind: "delta" }, last: ValueState<any>): Trigger {
  return {
    onElement(value) {
      const known = last.get();
      if (known === undefined) {
        last.set(value);
        return "continue";
      }
      if (!(distance(known, value) > threshold)) return "continue";
      last.set(value);
      return "fire";
    },
    onTimer: () => "continue",
    onMerge() {},
    clear: () => last.clear(),
  };
}
