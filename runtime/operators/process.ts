/** process without keys (Flink's ProcessFunction), with state of its task (CheckpointedFunction). */
import type { ProcessContext, ProcessFunction } from "../api/functions.ts";
import { HandlerContext } from "./context.ts";
import type { Operator, OperatorHost } from "./operator.ts";

export class ProcessOperator implements Operator {
  private readonly fn: ProcessFunction<any, any, any>;
  private readonly context: TaskContext;

  constructor(host: OperatorHost, fn: ProcessFunction<any, any, any>) {
    this.fn = fn;
    this.context = new TaskContext(host, fn);
  }

  onRecord(value: any, timestamp: number): void {
    this.context.moveTo(timestamp);
    this.fn.onRecord(value, this.context as unknown as ProcessContext<any, any>);
  }
}

class TaskContext extends HandlerContext {
  readonly operatorState: Readonly<Record<string, unknown>>;

  constructor(host: OperatorHost, fn: ProcessFunction<any, any, any>) {
    super(host, fn.sideOutputs);
    this.operatorState = host.operatorState?.handles() ?? {};
  }
}
