/**
 * The inbox of one task: frames in, elements out, in the order of each channel.
 *
 * R4 Frame seq of a channel is applied at most once, in order, without gaps: a lower one is dropped, a higher one is a loss and fails
 *    loudly.
 * L2 A frame of a newer generation is answered as such; older ones are dropped.
 * L8 A channel is live when all its parents have ended here and it has not; frames of others are held.
 */
import { corrupt } from "../base/byte-reader.ts";
import { MillraceError } from "../base/errors.ts";
import type { ChannelId, Generation, Position, Seq, TaskId } from "../base/ids.ts";
import type { SourceRecord } from "../api/connector.ts";
import { Alignment } from "../snapshots/alignment.ts";
import { givenChannel } from "../snapshots/given-letters.ts";
import { HeldFrames } from "../snapshots/held-frames.ts";
import { type ChannelProgress, hasReceived, type Progress } from "../state/commit.ts";
import { channelId, upstreamOf } from "../streaming/channel.ts";
import type { Successor } from "../streaming/element.ts";
import { type Frame, readFrame } from "../streaming/frame.ts";
import { comparePositions } from "../streaming/position.ts";
import type { Safeguards } from "./safeguards.ts";

/** Records of the inbox stream, and how far they are fed. */
export interface FramesInput {
  readonly records: readonly SourceRecord[];
  at: number;
}

interface Channel {
  readonly id: ChannelId;
  expected: Seq;
  status: ChannelProgress["status"];
  parents: readonly TaskId[];
}

/** What to do with a record of the inbox. */
export type Received =
  | { readonly outcome: "apply"; readonly frame: Frame }
  | { readonly outcome: "held" | "dropped" }
  /** Of a newer generation: the reader must look at the job record. */
  | { readonly outcome: "newer"; readonly generation: Generation };

export class ChannelInput {
  readonly alignment: Alignment;
  readonly held: HeldFrames;
  position: Position | "horizon";
  private readonly channels = new Map<ChannelId, Channel>();
  private readonly task: TaskId;
  private readonly job: string;
  private readonly generation: Generation;
  private readonly deployment: number;
  private readonly safeguards: Safeguards;

  constructor(
    options: {
      readonly task: TaskId;
      readonly job: string;
      readonly generation: Generation;
      readonly deployment: number;
      readonly safeguards: Safeguards;
    },
    progress: Progress,
    held: readonly Uint8Array[],
  ) {
    this.task = options.task;
    this.job = options.job;
    this.generation = options.generation;
    this.deployment = options.deployment;
    this.safeguards = options.safeguards;
    this.position = progress.inbox;
    this.alignment = new Alignment(progress.alignment);
    this.held = new HeldFrames(held);
    for (const [id, channel] of progress.channels) this.channels.set(id, { id, ...channel });
  }

  /** Drops from the input what is complete already. */
  skipKnown(input: FramesInput): void {
    if (this.position === "horizon") return;
    while (
      input.at < input.records.length &&
      comparePositions((input.records[input.at] as SourceRecord).position, this.position) <= 0
    )
      input.at++;
  }

  /** Whether it is a frame of this generation that was not received before. */
  isNews({ bytes }: SourceRecord): boolean {
    const { generation, channel, seq } = readFrame(bytes);
    return generation === this.generation && seq >= (this.channels.get(channel)?.expected ?? 0);
  }

  /** Whether any has come, of this generation. */
  get hasReceived(): boolean {
    return hasReceived(this.channels);
  }

  receive(record: SourceRecord): Received {
    const frame = readFrame(record.bytes);
    if (frame.job !== this.job) throw corrupt(`the inbox of job ${this.job} holds a frame of job ${frame.job}`);
    if (frame.generation > this.generation && this.safeguards.holds("L2"))
      return { outcome: "newer", generation: frame.generation };
    if (frame.generation !== this.generation) return { outcome: "dropped" };
    if (frame.deployment > this.deployment)
      throw new MillraceError(
        "unavailable",
        `frame of deployment ${frame.deployment} came to code of deployment ${this.deployment}: another environment must take it`,
      );
    const channel = this.channel(frame.channel);
    if (frame.seq < channel.expected && this.safeguards.holds("R4")) return { outcome: "dropped" };
    if (frame.seq > channel.expected)
      throw corrupt(`frames of channel ${frame.channel} are lost: expected ${channel.expected}, got ${frame.seq}`);
    channel.expected = Math.max(channel.expected, frame.seq + 1);
    if (!this.waits(frame.channel)) return { outcome: "apply", frame };
    this.held.add(frame.channel, record.bytes);
    return { outcome: "held" };
  }

  private channel(id: ChannelId): Channel {
    let channel = this.channels.get(id);
    if (channel === undefined) {
      channel = { id, expected: 0, status: this.safeguards.holds("L8") ? "unknown" : "live", parents: [] };
      this.channels.set(id, channel);
    }
    return channel;
  }

  /** True when frames of the channel must wait. */
  waits(id: ChannelId): boolean {
    const status = this.channels.get(id)?.status;
    if (status === "unknown" || status === "waiting") return true;
    return this.safeguards.holds("hold") && this.alignment.holds(id);
  }

  /** Takes out the next held frame that need not wait any longer. */
  releaseHeld(): Frame | undefined {
    const frame = this.held.release((channel) => this.waits(channel));
    return frame && readFrame(frame.bytes);
  }

  /** Dead letters that were given back wait to be taken in, before anything else. */
  get holdsGiven(): boolean {
    return this.held.count > 0 && this.held.has(givenChannel(this.task));
  }

  releaseGiven(): Frame | undefined {
    const given = givenChannel(this.task);
    const frame = this.held.release((channel) => channel !== given);
    return frame && readFrame(frame.bytes);
  }

  get live(): ChannelId[] {
    return [...this.channels.values()].filter((channel) => channel.status === "live").map((channel) => channel.id);
  }

  get allEnded(): boolean {
    for (const channel of this.channels.values()) if (channel.status !== "ended") return false;
    return this.channels.size > 0;
  }

  /** Channels that continue this one, by name, with the channels of all their parents. */
  successorsOf(
    successors: readonly Successor[],
  ): readonly { readonly channel: ChannelId; readonly parents: readonly ChannelId[] }[] {
    return successors.map(({ task, parents }) => ({
      channel: channelId(task, this.task),
      parents: parents.map((parent) => channelId(parent, this.task)),
    }));
  }

  /** The channel has ended; successors become live once all their parents have. */
  end(id: ChannelId, successors: readonly Successor[]): void {
    this.channel(id).status = "ended";
    for (const { task, parents } of successors) {
      const channel = this.channel(channelId(task, this.task));
      if (channel.status !== "unknown" && channel.status !== "waiting") continue;
      channel.parents = parents;
      channel.status = "waiting";
    }
    for (const channel of this.channels.values())
      if (channel.status === "waiting" && this.parentsEnded(channel)) channel.status = "live";
  }

  /** A parent that is unknown here is itself the child of one that has not ended. */
  private parentsEnded(channel: Channel): boolean {
    return channel.parents.every((parent) => this.channels.get(channelId(parent, this.task))?.status === "ended");
  }

  /** The upstream tasks of live channels, for messages. */
  get waitingFor(): TaskId[] {
    return this.live.filter((channel) => !this.alignment.holds(channel)).map(upstreamOf);
  }

  progress(): Pick<Progress, "inbox" | "channels" | "alignment"> {
    const channels = new Map<ChannelId, ChannelProgress>();
    for (const { id, expected, status, parents } of this.channels.values()) channels.set(id, { expected, status, parents });
    return { inbox: this.position, channels, alignment: this.alignment.progress };
  }
}
