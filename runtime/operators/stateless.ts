/** map, filter and flatMap: one result, none or one, any number, at the input's timestamp. */
import { MillraceError } from "../base/errors.ts";
import type { Operator, OperatorHost, Output } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

export class MapOperator implements Operator {
  private readonly output: Output;
  private readonly fn: (value: any) => any;

  constructor(host: OperatorHost, fn: (value: any) => any) {
    this.output = host.output;
    this.fn = fn;
  }

  onRecord(value: any, timestamp: number): void {
    this.output.emit(synchronous(this.fn(value)), timestamp);
  }
}

export class FilterOperator implements Operator {
  private readonly output: Output;
  private readonly keep: (value: any) => boolean;

  constructor(host: OperatorHost, keep: (value: any) => boolean) {
    this.output = host.output;
    this.keep = keep;
  }

  onRecord(value: any, timestamp: number): void {
    if (synchronous(this.keep(value))) this.output.emit(value, timestamp);
  }
}

export class FlatMapOperator implements Operator {
  private readonly output: Output;
  private readonly fn: (value: any) => Iterable<any>;

  constructor(host: OperatorHost, fn: (value: any) => Iterable<any>) {
    this.output = host.output;
    this.fn = fn;
  }

  onRecord(value: any, timestamp: number): void {
    for (const result of iterable(this.fn(value))) this.output.emit(result, timestamp);
  }
}

/** What a function gave that gives any number; throws `user` when it is nothing to go through. */
export function iterable(results: Iterable<any>): Iterable<any> {
  synchronous(results);
  if (results === undefined || results === null || typeof results[Symbol.iterator] !== "function")
    throw new MillraceError("user", "the function must return an iterable: return [] for no result");
  return results;
}
