/** An event on its way into the stream, from `put` to its place there or the reason why it has none. */

/** Where an event lies. Several that lie in one record have the same sequence number. */
export interface Placement {
  readonly shardId: string;
  readonly sequenceNumber: string;
}

/** Events that were put between two flushes, and how many of them are not settled yet. */
export interface Epoch {
  unsettled: number;
}

export interface Event {
  readonly key: string;
  /** The key's place in the hash space, as `hashOf`. */
  readonly hash: string;
  readonly bytes: Uint8Array;
  /** What it takes of the buffer. */
  readonly heldBytes: number;
  /** Epoch ms at which it is given up. */
  readonly expiresAt: number;
  /** Epoch ms from which on it does not wait for others to share a record with. */
  readonly dueAt: number;
  readonly epoch: Epoch;
  resolve(placement: Placement): void;
  reject(error: unknown): void;
}
