/**
 * A rolling reduce: one result per record (Flink's StreamGroupedReduceOperator); in batch mode one per key, the last, which carries
 * the final timestamp (BatchGroupedReduceOperator).
 */
import type { ValueState } from "../api/state.ts";
import { CurrentNamespace } from "../state/keyed-access.ts";
import { valueHandle } from "../state/state-handles.ts";
import { maxWatermark } from "../time/watermark.ts";
import type { KeyedOperatorHost, Operator, Output } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

export class ReduceOperator implements Operator {
  private readonly output: Output;
  private readonly reduced: ValueState<any>;
  private readonly reduce: (a: any, b: any) => any;
  private readonly batch: boolean;

  constructor(host: KeyedOperatorHost, reduce: (a: any, b: any) => any, batch: boolean) {
    this.batch = batch;
    this.output = host.output;
    this.reduce = reduce;
    this.reduced = valueHandle(host.access, 0, new CurrentNamespace());
  }

  onRecord(value: any, timestamp: number): void {
    const before = this.reduced.get();
    const result = before === undefined ? value : synchronous(this.reduce(before, value));
    this.reduced.set(result);
    if (!this.batch) this.output.emit(result, timestamp);
  }

  onKeyEnd(): void {
    const result = this.reduced.get();
    if (result !== undefined) this.output.emit(result, maxWatermark);
  }
}
