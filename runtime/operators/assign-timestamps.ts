/**
 * Timestamps and watermarks in the middle of a stream (Flink's TimestampsAndWatermarksOperator).
 *
 * T1 What comes before it has no say in its time: watermarks and statuses that come in go no further. The final watermark does: it
 *    is the end of the input.
 * T2 A watermark follows the record that moved it. The operator only says that it is due; when it goes is the task's to decide.
 * T3 One generator for all that the operator sees in one task, as in Flink: it does not know shards.
 */
import type { OperatorSpec } from "../api/graph.ts";
import { SourceWatermarks, type ShardWatermarks, type StoredSourceWatermarks } from "../time/source-watermarks.ts";
import { isTimestamp, notATimestamp } from "../time/timestamp.ts";
import type { ValveChange } from "../time/watermark-valve.ts";
import type { Operator, OperatorHost } from "./operator.ts";

/** The name of the one input among the watermarks. */
const input = "input";

export class AssignTimestampsOperator implements Operator {
  readonly #host: OperatorHost;
  readonly #timestamps: (value: any, timestamp: number | undefined) => unknown;
  readonly #watermarks: SourceWatermarks;
  readonly #shard: ShardWatermarks;
  #due: ValveChange | undefined;

  /** `stored`: from `snapshot()`. `now`: when a new one begins, processing time. */
  constructor(
    host: OperatorHost,
    spec: OperatorSpec & { kind: "assignTimestamps" },
    stepMs: number,
    now: number,
    stored?: StoredSourceWatermarks,
  ) {
    this.#host = host;
    this.#timestamps = spec.timestamps;
    this.#watermarks = new SourceWatermarks(spec.watermarks, stepMs, stored);
    this.#watermarks.add(input, now);
    this.#shard = this.#watermarks.shard(input);
  }

  get watermark(): number {
    return this.#watermarks.watermark;
  }

  get idle(): boolean {
    return this.#watermarks.status === "idle";
  }

  onRecord(value: any, before: number): void {
    const timestamp = this.#timestamps(value, Number.isNaN(before) ? undefined : before);
    if (!isTimestamp(timestamp)) throw notATimestamp(timestamp, this.#host.uid);
    const { status } = this.#watermarks.onRecordsSeen(input, this.#host.processingTime());
    if (status !== undefined) this.#due = { status, watermark: undefined };
    const watermark = this.#shard.onRecord(value, timestamp);
    if (watermark !== undefined) this.#due = { status, watermark };
    this.#host.output.emit(value, timestamp);
  }

  /** What is to be sent on after the records so far; undefined: nothing. */
  takeDue(): ValveChange | undefined {
    const due = this.#due;
    this.#due = undefined;
    return due;
  }

  /** The input has ended. */
  end(): ValveChange {
    return this.#watermarks.end(input, this.#host.processingTime());
  }

  /** To be asked when there was nothing to read: whether it is idle now, and where the clock takes it then. */
  decideIdle(now: number): ValveChange {
    const change = this.#watermarks.decideIdle(input, now);
    const advanced = this.#watermarks.advanceIdle(now);
    return advanced === undefined ? change : { ...change, watermark: advanced };
  }

  /** When idleness must be looked at; undefined: time changes nothing. */
  nextIdleCheck(): number | undefined {
    return this.#watermarks.nextIdleCheck();
  }

  snapshot(): StoredSourceWatermarks {
    return this.#watermarks.snapshot();
  }
}
