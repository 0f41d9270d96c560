/** What handlers without keys are given beside the rest: the state of their task. */
import type { OutputTag } from "../api/functions.ts";
import { HandlerContext } from "./context.ts";
import type { OperatorHost } from "./operator.ts";

export class TaskContext extends HandlerContext {
  readonly operatorState: Readonly<Record<string, unknown>>;

  constructor(host: OperatorHost, sideOutputs: readonly OutputTag<any>[] | undefined) {
    super(host, sideOutputs);
    this.operatorState = host.operatorState?.handles() ?? {};
  }
}
