/** process of two inputs without keys (Flink's CoProcessFunction, CoProcessOperator). */
import type { CoProcessFunction } from "../api/co-functions.ts";
import type { ProcessContext } from "../api/functions.ts";
import type { Operator, OperatorHost } from "./operator.ts";
import { TaskContext } from "./task-context.ts";
import { synchronous } from "./synchronous.ts";

export class CoProcessOperator implements Operator {
  private readonly fn: CoProcessFunction<any, any, any, any>;
  private readonly context: TaskContext;

  constructor(host: OperatorHost, fn: CoProcessFunction<any, any, any, any>) {
    this.fn = fn;
    this.context = new TaskContext(host, fn.sideOutputs);
  }

  onRecord(value: any, timestamp: number, input: number): void {
    this.context.moveTo(timestamp);
    const context = this.context as unknown as ProcessContext<any, any>;
    synchronous(input === 0 ? this.fn.onLeft(value, context) : this.fn.onRight(value, context));
  }
}
