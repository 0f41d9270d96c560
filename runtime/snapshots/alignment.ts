/**
 * Barrier alignment over the channels of one task (Chandy–Lamport, as Flink's aligned checkpoints): pure decisions.
 *
 * R7 A snapshot contains exactly the effects of all records before the barrier, on every channel: what comes behind a barrier that
 *    others have not sent yet is held.
 * L8 Alignment waits for exactly the live channels, and is checked again whenever the set of live channels changes.
 * L9 A higher barrier abandons a lower alignment; barriers up to the last are skipped.
 *
 * A1 Behind the barrier of a stop the task rests, until something comes behind it: who sends that has been let go on, so the stop was given
 *    up. A checkpoint of which one sender no longer heard as a stop's is none.
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

/** A checkpoint that is being aligned. */
interface Aligning extends Pick<Barrier, "checkpoint" | "savepoint"> {
  /** All barriers so far were of a stop. */
  readonly stop: boolean;
  readonly arrived: Set<ChannelId>;
}

export class Alignment {
  last: Checkpoint;
  /** The barrier of `last` was of a stop, and nothing has come in behind it (A1). */
  rests: boolean;
  private current: Aligning | undefined;

  constructor({ last, rests = false, current }: AlignmentProgress) {
    this.last = last;
    this.rests = rests;
    this.current = current && { ...current, stop: current.stop ?? false, arrived: new Set(current.arrived) };
  }

  get progress(): AlignmentProgress {
    const { last, rests, current } = this;
    return { last, ...(rests && { rests }), current: current && stored(current) };
  }

  /** The checkpoint that is being aligned. */
  get pending(): Barrier | undefined {
    if (this.current === undefined) return undefined;
    const { checkpoint, savepoint, stop } = this.current;
    return { checkpoint, savepoint, stop, declined: false };
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
    const { checkpoint, savepoint, stop } = barrier;
    const before = this.current?.checkpoint === checkpoint ? this.current : { stop: true, arrived: new Set<ChannelId>() };
    this.current = { checkpoint, savepoint, stop: before.stop && stop, arrived: before.arrived.add(channel) };
    return this.isComplete(live) ? "complete" : "wait";
  }

  /** Whether every live channel has arrived; asked again when a channel ends. */
  isComplete(live: Iterable<ChannelId>): boolean {
    if (this.current === undefined) return false;
    for (const channel of live) if (!this.current.arrived.has(channel)) return false;
    return true;
  }

  /** The task has made its part of the checkpoint. */
  pass({ checkpoint, stop }: Barrier): void {
    this.abandon(checkpoint);
    this.rests = stop;
  }

  /** The stop was given up. */
  goOn(): void {
    this.rests = false;
  }

  /** Gives up `checkpoint` and whatever is lower. */
  abandon(checkpoint: Checkpoint): void {
    this.last = Math.max(this.last, checkpoint);
    if (this.current !== undefined && this.current.checkpoint <= this.last) this.current = undefined;
  }
}

function stored({ checkpoint, savepoint, stop, arrived }: Aligning): AlignmentProgress["current"] {
  return { checkpoint, savepoint, ...(stop && { stop }), arrived: [...arrived] };
}
