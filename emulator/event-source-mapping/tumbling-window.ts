/**
 * The tumbling window of a shard: its bounds, and the state that the function hands from one invocation to the next.
 *
 * W1 A record's window is the one of its time of arrival; windows begin at multiples of their length since 1970.
 * W2 The state begins empty, is what the last invocation returned, and goes when the window's last invocation succeeded.
 * W3 A state above 1 MB ends the window early: the function gets it once more, flagged, then the window goes on with an empty one.
 *
 * A record that arrived before the window that is open counts to it: AWS says nothing of records out of the order of arrival.
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html
 */
import type { Delivery } from "./batch.ts";

/** Above it the window is terminated early. */
export const stateBytesMax = 1024 * 1024;
const emptyState = "{}";

export class TumblingWindow {
  /** Epoch milliseconds; `end` is of the next window. */
  readonly start: number;
  readonly end: number;
  /** JSON. */
  state = emptyState;
  /** How many records it was handed, and the first and last of them. */
  count = 0;
  first: Delivery | undefined;
  last: Delivery | undefined;

  /** The window of a record. */
  constructor(of: Delivery, lengthMs: number) {
    this.start = Math.floor(of.arrivedAt / lengthMs) * lengthMs;
    this.end = this.start + lengthMs;
  }

  add(deliveries: readonly Delivery[]): void {
    this.first ??= deliveries[0];
    this.last = deliveries.at(-1) ?? this.last;
    this.count += deliveries.length;
  }

  get isStateTooLarge(): boolean {
    return Buffer.byteLength(this.state) > stateBytesMax;
  }

  dropState(): void {
    this.state = emptyState;
  }
}
