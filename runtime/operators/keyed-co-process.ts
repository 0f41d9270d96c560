/** process of two inputs with keys: state and timers are the key's, for both sides (Flink's KeyedCoProcessFunction, KeyedCoProcessOperator). */
import type { KeyedCoProcessFunction } from "../api/co-functions.ts";
import type { TimerContext } from "../api/functions.ts";
import type { Timer } from "../state/timer.ts";
import { KeyedHandlerContext } from "./keyed-context.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

export class KeyedCoProcessOperator implements Operator {
  private readonly fn: KeyedCoProcessFunction<any, any, any, any, any>;
  private readonly context: KeyedHandlerContext;

  constructor(host: KeyedOperatorHost, fn: KeyedCoProcessFunction<any, any, any, any, any>) {
    this.fn = fn;
    this.context = new KeyedHandlerContext(host, fn.sideOutputs);
  }

  onRecord(value: any, timestamp: number, input: number): void {
    this.context.moveTo(timestamp);
    const context = this.context as unknown as TimerContext<any, any, any>;
    synchronous(input === 0 ? this.fn.onLeft(value, context) : this.fn.onRight(value, context));
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
