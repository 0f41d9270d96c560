/** A rolling aggregate: after each record, the key's result as a change: −U of the old and +U of the new (Flink's group aggregate).
 * In batch mode the key's last result alone, as +I. */
import type { Aggregator } from "../api/functions.ts";
import type { Key } from "../api/key.ts";
import type { ValueState } from "../api/state.ts";
import { CurrentNamespace } from "../state/keyed-access.ts";
import { valueHandle } from "../state/state-handles.ts";
import { maxWatermark } from "../time/watermark.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

export class AggregateOperator implements Operator {
  private readonly host: KeyedOperatorHost;
  private readonly aggregator: Aggregator<any, any, any>;
  private readonly result: (key: any, value: any) => unknown;
  private readonly accumulator: ValueState<any>;

  private readonly batch: boolean;

  constructor(
    host: KeyedOperatorHost,
    aggregator: Aggregator<any, any, any>,
    result: (key: any, value: any) => unknown,
    batch: boolean,
  ) {
    this.host = host;
    this.batch = batch;
    this.aggregator = aggregator;
    this.result = result;
    this.accumulator = valueHandle(host.access, 0, new CurrentNamespace());
  }

  onRecord(value: any, timestamp: number): void {
    const { aggregator, accumulator } = this;
    const { output } = this.host;
    const { key } = this.host.access.row;
    const known = accumulator.get();
    if (this.batch) return accumulator.set(aggregator.add(known ?? aggregator.create(), value));
    // Taken before the record is added: an accumulator may be changed in place.
    const before = known === undefined ? undefined : this.resultOf(key, known);
    const after = aggregator.add(known ?? aggregator.create(), value);
    accumulator.set(after);
    if (before !== undefined) output.emit({ kind: "-U", value: before.value }, timestamp);
    output.emit({ kind: before === undefined ? "+I" : "+U", value: this.resultOf(key, after).value }, timestamp);
  }

  onKeyEnd(): void {
    const accumulator = this.accumulator.get();
    if (accumulator === undefined) return;
    const { value } = this.resultOf(this.host.access.row.key, accumulator);
    this.host.output.emit({ kind: "+I", value }, maxWatermark);
  }

  private resultOf(key: Key, accumulator: unknown): { readonly value: unknown } {
    return { value: synchronous(this.result(key, synchronous(this.aggregator.result(accumulator)))) };
  }
}
