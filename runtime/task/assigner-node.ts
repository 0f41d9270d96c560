/**
 * The node of an operator that makes event time (operators/assign-timestamps.ts): the time of what comes before it ends here.
 *
 * A1 What the operator finds due goes out right after the record that moved it. Inside a guarded unit of work it goes out when the unit
 *    is closed: timers that it fires must not be taken back with the unit.
 */
import { assert } from "../base/assert.ts";
import type { OperatorSpec } from "../api/graph.ts";
import type { Key } from "../api/key.ts";
import { AssignTimestampsOperator } from "../operators/assign-timestamps.ts";
import type { StoredSourceWatermarks } from "../time/source-watermarks.ts";
import type { ValveChange } from "../time/watermark-valve.ts";
import { maxWatermark } from "../time/watermark.ts";
import { ChainNode, type TaskShared } from "./chain-node.ts";
import type { NodeOutput } from "./node-output.ts";

type AssignSpec = OperatorSpec & { kind: "assignTimestamps" };

export class AssignerNode extends ChainNode {
  private readonly spec: AssignSpec;
  private readonly stepMs: number;
  private assigner: AssignTimestampsOperator | undefined;

  constructor(uid: string, output: NodeOutput, shared: TaskShared, spec: AssignSpec, stepMs: number) {
    super(uid, output, { keyed: undefined, operator: undefined }, shared);
    this.spec = spec;
    this.stepMs = stepMs;
  }

  /** Called once, before the first element. */
  begin(stored: StoredSourceWatermarks | undefined): void {
    this.assigner = new AssignTimestampsOperator(this, this.spec, this.stepMs, this.shared.now, stored);
    this.run(this.assigner);
    this.current = this.assigner.watermark;
  }

  override record(value: unknown, timestamp: number, input: number, key: Key | undefined): void {
    try {
      super.record(value, timestamp, input, key);
    } finally {
      // Time has moved, whatever becomes of the record.
      const due = this.operatorOfTime.takeDue();
      if (due !== undefined) this.shared.units.afterwards(() => this.send(due));
    }
  }

  /** The end of the input passes; a repeated one is passed on again, as by every node. */
  override advance(at: number): void {
    if (at < maxWatermark) return;
    if (this.current === maxWatermark) this.output.watermark(maxWatermark);
    else this.send(this.operatorOfTime.end());
  }

  /** The status of those before it says nothing of its own. */
  protected override passStatus(): void {}

  get idle(): boolean {
    return this.operatorOfTime.idle;
  }

  /** There was nothing to read. Returns whether that changed anything. */
  decideIdle(): boolean {
    const change = this.operatorOfTime.decideIdle(this.shared.now);
    this.send(change);
    return change.status !== undefined || change.watermark !== undefined;
  }

  nextIdleCheck(): number | undefined {
    return this.operatorOfTime.nextIdleCheck();
  }

  snapshotTime(): StoredSourceWatermarks {
    return this.operatorOfTime.snapshot();
  }

  private send({ status, watermark }: ValveChange): void {
    if (status === "active") this.output.status(true);
    if (watermark !== undefined) {
      this.current = watermark;
      this.output.watermark(watermark);
    }
    if (status === "idle") this.output.status(false);
  }

  private get operatorOfTime(): AssignTimestampsOperator {
    assert(this.assigner !== undefined, `operator ${this.uid} has begun`);
    return this.assigner;
  }
}
