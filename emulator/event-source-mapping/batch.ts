/** Which records of a queue make up the next batch: by number, by bytes and by window. */

/** A record on its way through the mapping. */
export interface Delivery {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  /** Epoch milliseconds. */
  readonly arrivedAt: number;
  /** Its part of the event, as JSON, and that in bytes. */
  readonly text: string;
  readonly bytes: number;
  /** Delivered with success, filtered out or discarded: the checkpoint may pass it. */
  isDone: boolean;
}

export interface BatchLimits {
  readonly batchSize: number;
  /** Left for records in the payload. */
  readonly payloadBytes: number;
  /** Records that arrived then or later are of a later tumbling window. */
  readonly arrivedBefore: number;
}

export interface Cut {
  readonly count: number;
  /** Nothing that comes later could be added: there is no reason to wait. */
  readonly isFull: boolean;
}

/** From the head of the queue. A record that is too large by itself makes a batch of one, which cannot be sent. */
export function cutBatch(queue: readonly Delivery[], limits: BatchLimits): Cut {
  let bytes = 0;
  for (const [at, { arrivedAt, bytes: own }] of queue.entries()) {
    bytes += own + (at > 0 ? 1 : 0);
    const isBeyond = bytes > limits.payloadBytes || arrivedAt >= limits.arrivedBefore;
    if (at === limits.batchSize || (isBeyond && at > 0)) return { count: at, isFull: true };
  }
  return { count: queue.length, isFull: queue.length === limits.batchSize };
}
