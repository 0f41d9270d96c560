/**
 * What author's handlers are given: one object per operator, moved along with each record and timer.
 *
 * C1 Its functions are its own, made once: `({ emit }) => emit(…)` works as `ctx.emit(…)` does.
 */
import type { OutputTag } from "../api/functions.ts";
import { MillraceError } from "../base/errors.ts";
import type { OperatorHost } from "./operator.ts";

export class HandlerContext {
  protected readonly host: OperatorHost;
  private readonly sideOutputs: ReadonlySet<string>;
  /** NaN: none. */
  protected time = NaN;

  constructor(host: OperatorHost, sideOutputs: readonly OutputTag<any>[] = []) {
    this.host = host;
    this.sideOutputs = new Set(sideOutputs.map((tag) => tag.id));
  }

  moveTo(timestamp: number): void {
    this.time = timestamp;
  }

  readonly emit = (value: unknown): void => {
    this.host.output.emit(value, this.time);
  };

  readonly output = (tag: OutputTag<any>, value: unknown): void => {
    if (!this.sideOutputs.has(tag.id))
      throw new MillraceError("user", `side output ${tag.id} is not declared: list its tag in sideOutputs of ${this.host.uid}`);
    this.host.output.emitTo(tag.id, value, this.time);
  };

  get timestamp(): number | undefined {
    return Number.isNaN(this.time) ? undefined : this.time;
  }

  get watermark(): number {
    return this.host.watermark();
  }

  get processingTime(): number {
    return this.host.processingTime();
  }

  readonly counter = (name: string): { add(n?: number): void } => ({ add: (n = 1) => this.host.count(name, n) });
}
