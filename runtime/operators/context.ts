/** What author's handlers are given: one object per operator, moved along with each record and timer. */
import type { OutputTag } from "../api/functions.ts";
import { MillraceError } from "../base/errors.ts";
import type { OperatorHost } from "./operator.ts";

export class HandlerContext {
  protected readonly host: OperatorHost;
  private readonly sideOutputs: ReadonlySet<string>;
  /** NaN: none. */
  protected at = NaN;

  constructor(host: OperatorHost, sideOutputs: readonly OutputTag<any>[] = []) {
    this.host = host;
    this.sideOutputs = new Set(sideOutputs.map((tag) => tag.id));
  }

  moveTo(timestamp: number): void {
    this.at = timestamp;
  }

  emit(value: unknown): void {
    this.host.output.emit(value, this.at);
  }

  output(tag: OutputTag<any>, value: unknown): void {
    if (!this.sideOutputs.has(tag.id))
      throw new MillraceError("user", `side output ${tag.id} is not declared: list its tag in sideOutputs of ${this.host.uid}`);
    this.host.output.emitTo(tag.id, value, this.at);
  }

  get timestamp(): number | undefined {
    return Number.isNaN(this.at) ? undefined : this.at;
  }

  get watermark(): number {
    return this.host.watermark();
  }

  get processingTime(): number {
    return this.host.processingTime();
  }

  counter(name: string): { add(n?: number): void } {
    return { add: (n = 1) => this.host.count(name, n) };
  }
}
