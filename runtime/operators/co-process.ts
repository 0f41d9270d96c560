/** process of two inputs without keys (Flink's CoProcessFunction, CoProcessOperator). */
import type { CoProcessFunction } from "../api/co-functions.ts";
import type { Context } from "../api/functions.ts";
import { HandlerContext } from "./context.ts";
import type { Operator, OperatorHost } from "./operator.ts";

export class CoProcessOperator implements Operator {
  private readonly fn: CoProcessFunction<any, any, any>;
  private readonly context: HandlerContext;

  constructor(host: OperatorHost, fn: CoProcessFunction<any, any, any>) {
    this.fn = fn;
    this.context = new HandlerContext(host, fn.sideOutputs);
  }

  onRecord(value: any, timestamp: number, input: number): void {
    this.context.moveTo(timestamp);
    const context = this.context as Context<any>;
    if (input === 0) this.fn.onLeft(value, context);
    else this.fn.onRight(value, context);
  }
}
