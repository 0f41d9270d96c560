/** process without keys (Flink's ProcessFunction), with state of its task (CheckpointedFunction). */
import type { ProcessContext, ProcessFunction } from "../api/functions.ts";
import type { Operator, OperatorHost } from "./operator.ts";
import { TaskContext } from "./task-context.ts";
import { synchronous } from "./synchronous.ts";

export class ProcessOperator implements Operator {
  private readonly fn: ProcessFunction<any, any, any>;
  private readonly context: TaskContext;

  constructor(host: OperatorHost, fn: ProcessFunction<any, any, any>) {
    this.fn = fn;
    this.context = new TaskContext(host, fn.sideOutputs);
  }

  onRecord(value: any, timestamp: number): void {
    this.context.moveTo(timestamp);
    synchronous(this.fn.onRecord(value, this.context as unknown as ProcessContext<any, any>));
  }
}
