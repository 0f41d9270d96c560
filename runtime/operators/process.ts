/** process without keys (Flink's ProcessFunction). */
import type { Context, ProcessFunction } from "../api/functions.ts";
import { HandlerContext } from "./context.ts";
import type { Operator, OperatorHost } from "./operator.ts";

export class ProcessOperator implements Operator {
  private readonly fn: ProcessFunction<any, any>;
  private readonly context: HandlerContext;

  constructor(host: OperatorHost, fn: ProcessFunction<any, any>) {
    this.fn = fn;
    this.context = new HandlerContext(host, fn.sideOutputs);
  }

  onRecord(value: any, timestamp: number): void {
    this.context.moveTo(timestamp);
    this.fn.onRecord(value, this.context as Context<any>);
  }
}
