/**
 * Barrier alignment over the channels of one task (Chandy–Lamport, as Flink's aligned checkpoints): pure decisions.
 *
 * R7 A snapshot contains exactly the effects of all records before the barrier, on every channel: what comes behind a barrier that
 *    others have not sent yet is held.
 * L8 Alignment waits for exactly the live channels, and is checked again whenever the set of live channels changes.
 * L9 A higher barrier abandons a lower alignment; barriers up to the last are skipped.
 */
import type { ChannelId, Checkpoint } from "../base/ids.ts";
import type { AlignmentProgress } from "../state/commit.ts";
import type { Barrier } from "../streaming/element.ts";

export type BarrierDecision =
  /** An old one: passed over. */
  | "skip"
  /** Others are still to come: this channel's later frames are held. */
  | "wait"
  /** The sender gave it up: nothing waits for it any longer. */
  | "abandon"
  /** All live channels have arrived. */
  | "complete";

export class Alignment {
  last: Checkpoint;
  private current: { readonly checkpoint: Checkpoint; readonly savepoint: boolean; readonly arrived: Set<ChannelId> } | undefined;

  constructor(progress: AlignmentProgress) {
    this.last = progress.last;
    this.current = progress.current && { ...progress.current, arrived: new Set(progress.current.arrived) };
  }

  get progress(): AlignmentProgress {
    return { last: this.last, current: this.current && { ...this.current, arrived: [...this.current.arrived] } };
  }

  /** The checkpoint that is being aligned. */
  get pending(): Barrier | undefined {
    return this.current && { checkpoint: this.current.checkpoint, savepoint: this.current.savepoint, declined: false };
  }

  /** True when frames of this channel come after the barrier that others have not sent yet. */
  holds(channel: ChannelId): boolean {
    return this.current?.arrived.has(channel) ?? false;
  }

  onBarrier(channel: ChannelId, barrier: Barrier, live: Iterable<ChannelId>): BarrierDecision {
    if (barrier.checkpoint <= this.last) return "skip";
    if (barrier.declined) {
      this.abandon(barrier.checkpoint);
      return "abandon";
    }
    if (this.current !== undefined && barrier.checkpoint < this.current.checkpoint) return "skip";
    if (this.current === undefined || barrier.checkpoint > this.current.checkpoint)
      this.current = { checkpoint: barrier.checkpoint, savepoint: barrier.savepoint, arrived: new Set() };
    this.current.arrived.add(channel);
    return this.isComplete(live) ? "complete" : "wait";
  }

  /** Whether every live channel has arrived; asked again when a channel ends. */
  isComplete(live: Iterable<ChannelId>): boolean {
    if (this.current === undefined) return false;
    for (const channel of live) if (!this.current.arrived.has(channel)) return false;
    return true;
  }

  /** The snapshot of the pending checkpoint is being taken. */
  complete(): void {
    if (this.current === undefined) return;
    this.last = this.current.checkpoint;
    this.current = undefined;
  }

  /** Gives up `checkpoint` and whatever is lower. */
  abandon(checkpoint: Checkpoint): void {
    this.last = Math.max(this.last, checkpoint);
    if (this.current !== undefined && this.current.checkpoint <= this.last) this.current = undefined;
  }
}
