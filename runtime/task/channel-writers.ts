/**
 * The channels that a task writes to: a writer for each task that something was sent to, and when frames with nothing but watermarks
 * go out. They wait for one another: a frame a commit for a time that has moved on a little costs more than it tells.
 */
import type { ChannelId, Seq, TaskId } from "../base/ids.ts";
import type { Effect, Progress, WaitingWatermarks } from "../state/commit.ts";
import { channelId } from "../streaming/channel.ts";
import { ChannelWriter } from "../streaming/channel-writer.ts";
import type { Barrier, Successor } from "../streaming/element.ts";
import type { TaskPlan } from "./task-plan.ts";

/** How long the open frames were. */
export type WritersMark = ReadonlyMap<ChannelWriter, ReturnType<ChannelWriter["mark"]>>;

export class ChannelWriters {
  private readonly plan: TaskPlan;
  private readonly start: Progress;
  private readonly writers = new Map<ChannelId, ChannelWriter>();
  /** When frames with nothing but watermarks went out last. */
  private watermarksSentAt: number;

  constructor(plan: TaskPlan, start: Progress) {
    this.plan = plan;
    this.start = start;
    this.watermarksSentAt = start.watermarks?.sentAt ?? -Infinity;
  }

  to(receiver: TaskId): ChannelWriter {
    const { job, generation, deployment, task, limits, safeguards } = this.plan;
    const channel = channelId(task, receiver);
    let writer = this.writers.get(channel);
    if (writer === undefined) {
      const next = this.start.sent.get(channel) ?? 0;
      const waiting = this.start.watermarks?.waiting.get(channel);
      const bytesMax = safeguards.holds("L15") ? limits.frameBytesMax : Infinity;
      writer = new ChannelWriter({ job: job.name, generation, deployment, channel }, next, bytesMax, waiting);
      this.writers.set(channel, writer);
    }
    return writer;
  }

  /** How many bytes of frames the open commit has gathered. */
  get sizeBytes(): number {
    let bytes = 0;
    for (const writer of this.writers.values()) bytes += writer.sizeBytes;
    return bytes;
  }

  barrier(barrier: Barrier): void {
    for (const writer of this.writers.values()) writer.barrier(barrier);
  }

  end(successors: readonly Successor[]): void {
    for (const writer of this.writers.values()) writer.end(successors);
  }

  /** Ends the open frames; those with nothing but watermarks may wait. `now` is processing time. */
  take(now: number): Effect[] {
    const effects: Effect[] = [];
    const watermarksWait = now < this.watermarksDue;
    for (const [channel, writer] of this.writers) {
      if (writer.mayWait) {
        if (watermarksWait) continue;
        this.watermarksSentAt = now;
      }
      const frames = writer.take();
      if (frames.length > 0) effects.push({ effect: "send", channel, frames });
    }
    return effects;
  }

  /** Processing time: when a frame with nothing but watermarks that waits is to go out; Infinity when none does. */
  get wakeUpAt(): number {
    for (const writer of this.writers.values()) if (writer.mayWait) return this.watermarksDue;
    return Infinity;
  }

  private get watermarksDue(): number {
    return this.watermarksSentAt + this.plan.job.options.watermarkIntervalMs;
  }

  progress(): Pick<Progress, "sent" | "watermarks"> {
    const sent = new Map<ChannelId, Seq>();
    for (const [channel, writer] of this.writers) sent.set(channel, writer.next);
    const watermarks = this.waitingWatermarks();
    return { sent, ...(watermarks && { watermarks }) };
  }

  private waitingWatermarks(): WaitingWatermarks | undefined {
    if (this.watermarksSentAt === -Infinity) return undefined;
    const waiting = new Map<ChannelId, Uint8Array>();
    for (const [channel, writer] of this.writers) if (writer.mayWait) waiting.set(channel, writer.waiting);
    return { sentAt: this.watermarksSentAt, waiting };
  }

  mark(): WritersMark {
    return new Map([...this.writers.values()].map((writer) => [writer, writer.mark()]));
  }

  rollback(mark: WritersMark): void {
    for (const [writer, at] of mark) writer.rollback(at);
  }
}
