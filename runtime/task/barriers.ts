/** Barriers as a task meets them: the one that its open commit must end at, and those that it declines. */
import type { ChannelId, Checkpoint } from "../base/ids.ts";
import type { Effect } from "../state/commit.ts";
import type { Barrier } from "../streaming/element.ts";
import type { ChannelInput } from "./channel-input.ts";
import type { ChannelWriters } from "./channel-writers.ts";
import type { TaskPlan } from "./task-plan.ts";

export class Barriers {
  private readonly plan: TaskPlan;
  private readonly channels: ChannelInput;
  private readonly writers: ChannelWriters;
  /** The barrier that the commit must end at. */
  due: Barrier | undefined;
  private declined: Barrier | undefined;

  constructor(plan: TaskPlan, channels: ChannelInput, writers: ChannelWriters) {
    this.plan = plan;
    this.channels = channels;
    this.writers = writers;
  }

  /** Whether the commit has to tell of one. */
  get mustBeTold(): boolean {
    return this.due !== undefined || this.declined !== undefined;
  }

  /** Whether the checkpoint is older than what this task has seen. */
  hasSeen(checkpoint: Checkpoint): boolean {
    return checkpoint <= this.channels.alignment.last;
  }

  /** A source's task takes part in a checkpoint because it was asked to. */
  trigger(barrier: Barrier): void {
    if (!this.hasSeen(barrier.checkpoint)) this.due = barrier;
  }

  onBarrier(channel: ChannelId, barrier: Barrier): void {
    const { alignment } = this.channels;
    if (!this.plan.safeguards.holds("L9") && alignment.pending !== undefined && barrier.checkpoint > alignment.pending.checkpoint)
      return;
    const decision = alignment.onBarrier(channel, barrier, this.channels.live);
    if (decision === "complete") this.due = alignment.pending;
    if (decision === "abandon") this.decline(barrier);
  }

  /** Another channel has ended: its barrier is not waited for any more. */
  onEnd(): void {
    const { alignment, live } = this.channels;
    if (this.plan.safeguards.holds("L8") && alignment.isComplete(live)) this.due = alignment.pending;
  }

  declineWhenTooMuchIsHeld(): void {
    const { alignment, held } = this.channels;
    const { pending } = alignment;
    if (pending === undefined || held.sizeBytes <= this.plan.limits.heldBytesMax) return;
    if (!this.plan.safeguards.holds("L15.held")) return;
    alignment.abandon(pending.checkpoint);
    this.decline({ ...pending, declined: true });
  }

  private decline(barrier: Barrier): void {
    this.declined = barrier;
    this.writers.barrier(barrier);
  }

  /** The commit ends at the one that is due. */
  pass(): void {
    if (this.due !== undefined) this.channels.alignment.pass(this.due);
    this.due = undefined;
  }

  /** What the coordinator is told of those that were declined. */
  takeDeclined(): readonly Effect[] {
    if (this.declined === undefined) return [];
    const { checkpoint } = this.declined;
    this.declined = undefined;
    return [{ effect: "acknowledge", checkpoint, index: undefined, declined: true }];
  }
}
