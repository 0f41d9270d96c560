/** map and flatMap of two inputs: each side has a function of its own (Flink's CoStreamMap, CoStreamFlatMap). */
import type { Operator, OperatorHost, Output } from "./operator.ts";
import { iterable } from "./stateless.ts";
import { synchronous } from "./synchronous.ts";

export class CoMapOperator implements Operator {
  private readonly output: Output;
  private readonly left: (value: any) => any;
  private readonly right: (value: any) => any;

  constructor(host: OperatorHost, left: (value: any) => any, right: (value: any) => any) {
    this.output = host.output;
    this.left = left;
    this.right = right;
  }

  onRecord(value: any, timestamp: number, input: number): void {
    this.output.emit(synchronous(input === 0 ? this.left(value) : this.right(value)), timestamp);
  }
}

export class CoFlatMapOperator implements Operator {
  private readonly output: Output;
  private readonly left: (value: any) => Iterable<any>;
  private readonly right: (value: any) => Iterable<any>;

  constructor(host: OperatorHost, left: (value: any) => Iterable<any>, right: (value: any) => Iterable<any>) {
    this.output = host.output;
    this.left = left;
    this.right = right;
  }

  onRecord(value: any, timestamp: number, input: number): void {
    const results = iterable(input === 0 ? this.left(value) : this.right(value));
    for (const result of results) this.output.emit(result, timestamp);
  }
}
