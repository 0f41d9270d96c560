/** process with keys, state and timers (Flink's KeyedProcessFunction, KeyedProcessOperator). */
import type { KeyedProcessFunction, TimerContext } from "../api/functions.ts";
import type { Timer } from "../state/timer.ts";
import { KeyedHandlerContext } from "./keyed-context.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

export class KeyedProcessOperator implements Operator {
  private readonly fn: KeyedProcessFunction<any, any, any, any>;
  private readonly context: KeyedHandlerContext;

  constructor(host: KeyedOperatorHost, fn: KeyedProcessFunction<any, any, any, any>) {
    this.fn = fn;
    this.context = new KeyedHandlerContext(host, fn.sideOutputs);
  }

  onRecord(value: any, timestamp: number): void {
    this.context.moveTo(timestamp);
    synchronous(this.fn.onRecord(value, this.context as unknown as TimerContext<any, any, any>));
  }

  onTimer(timer: Timer): void {
    this.context.beginTimer(timer);
    try {
      synchronous(this.fn.onTimer?.(timer.at, this.context as unknown as TimerContext<any, any, any>));
    } finally {
      this.context.endTimer();
    }
  }
}
