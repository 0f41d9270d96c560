/**
 * Holds what tasks commit against what comes of it, at once and independently of what comes out in the end.
 *
 * C2 Watermarks of a channel never go back.
 * C10 Entry n + 1 is written after all effects of n have taken place (R3, R5).
 * C11 A snapshot holds no more records than were sent before its barrier (R7).
 * C12 No task of a generation commits once the next one runs (L1).
 * C15 A child's versions of outside rows begin above its parents' last (L5).
 * C17 A frame is sent only after the entry that sends it is written (R2).
 * C20 The time of a task never goes back (L12).
 * C22 For a checkpoint no more is held than may be (L15).
 * C18 No task commits over an entry of newer code (R9).
 * C24 What a job has put out when it has stopped is what its savepoint contains: whoever begins from that puts out all the rest.
 */
import type { ChannelId, Checkpoint, TaskId } from "../../base/ids.ts";
import type { DeadLetterBatch, SinkEffect } from "../../ports/sink-driver.ts";
import type { JobRecord } from "../../snapshots/job-record.ts";
import type { CommitRead } from "./read-commit.ts";
import type { Manifest } from "../../snapshots/manifest.ts";
import { downstreamOf, generationOf } from "../../streaming/channel.ts";
import { readElement } from "../../streaming/element.ts";
import { readFrame } from "../../streaming/frame.ts";
import { defaultLimits } from "../../task/task-plan.ts";

/** Records sent on a channel, and how many of them before the barrier of each checkpoint. */
interface Sent {
  records: number;
  readonly before: Map<Checkpoint, number>;
  /** The last watermark of each exchange. */
  readonly watermarks: Map<number, number>;
}

export class CommitChecker {
  private readonly fail: (message: string) => void;
  /** By task: effects of its head that have not taken place. */
  private readonly owed = new Map<TaskId, Set<string>>();
  private readonly sent = new Map<ChannelId, Sent>();
  /** By task: the last version of those it follows. */
  /** By channel: the last frame that an entry sends. */
  private readonly promised = new Map<ChannelId, number>();
  /** By task: the code that wrote its head. */
  private readonly deployments = new Map<TaskId, number>();
  private readonly versions = new Map<TaskId, number>();
  /** By task: the version of its last entry that puts something out. */
  private readonly putOut = new Map<TaskId, number>();
  /** By task: processing time of its head. */
  private readonly times = new Map<TaskId, number>();
  /** By task: the frames that are held. */
  private readonly held = new Map<TaskId, readonly Uint8Array[]>();
  private readonly heldBytesMax: number;

  /** Records that came by no channel: dead letters that were given back. */
  private readonly givenBack: () => number;

  constructor(
    fail: (message: string) => void,
    {
      heldBytesMax = defaultLimits.heldBytesMax,
      givenBack = () => 0,
    }: { readonly heldBytesMax?: number; readonly givenBack?: () => number } = {},
  ) {
    this.fail = fail;
    this.heldBytesMax = heldBytesMax;
    this.givenBack = givenBack;
  }

  onCommit(commit: CommitRead, record: JobRecord | undefined): void {
    const { task, seq } = commit;
    const owed = this.owed.get(task) ?? new Set();
    this.owed.set(task, new Set(effectsOf(commit)));
    this.promise(commit);
    if (commit.by === "seal") return;
    this.checkDeployment(commit);
    this.checkTime(commit);
    this.checkHeld(commit);
    if (record?.phase === "running" && generationOf(task) < record.generation)
      this.fail(`C12: entry ${seq} of ${task} was written when generation ${record.generation} ran`);
    for (const effect of owed) return this.fail(`C10: entry ${seq} of ${task} was written before ${effect} of the one before it`);
    this.checkVersion(commit);
    this.count(commit);
    if (commit.effects.some(({ effect }) => effect === "sink" || effect === "deadLetter"))
      this.putOut.set(task, commit.progress.versionOffset + seq);
    for (const effect of commit.effects)
      if (effect.effect === "acknowledge" && !effect.declined) this.onSnapshot(commit, effect.checkpoint);
  }

  /** The job has stopped, with this savepoint of its own. */
  onStopped({ generation, checkpoint, tasks }: Manifest): void {
    const contained = new Map(tasks.map((ack) => [ack.task, ack.lastSeq]));
    for (const [task, version] of this.putOut)
      if (generationOf(task) === generation && version > (contained.get(task) ?? 0))
        this.fail(
          `C24: ${task} has put out by its entry ${version} what savepoint ${checkpoint}, with which the job has stopped, does not contain`,
        );
  }

  private checkVersion({ task, seq, progress: { versionOffset, ended, successors } }: CommitRead): void {
    const version = versionOffset + seq;
    const before = this.versions.get(task) ?? 0;
    if (version <= before) this.fail(`C15: entry ${seq} of ${task} is of version ${version}, its parents' last of ${before}`);
    if (ended) for (const { task: next } of successors) this.versions.set(next, Math.max(version, this.versions.get(next) ?? 0));
  }

  private checkDeployment({ task, seq, deployment }: CommitRead): void {
    const before = this.deployments.get(task) ?? 0;
    if (deployment < before) this.fail(`C18: entry ${seq} of ${task} is of deployment ${deployment}, over one of ${before}`);
    this.deployments.set(task, deployment);
  }

  private checkTime({ task, seq, progress: { now } }: CommitRead): void {
    const before = this.times.get(task) ?? 0;
    if (now < before) this.fail(`C20: the time of ${task} went back from ${before} to ${now}, entry ${seq}`);
    this.times.set(task, now);
  }

  /** What is held for a barrier: other frames wait for their channel's parents, whatever they come to. */
  private checkHeld({ task, seq, held: { added, released }, progress }: CommitRead): void {
    if (added.length === 0 && released.length === 0 && !this.held.has(task)) return;
    const gone = new Set(released);
    const frames = [...(this.held.get(task) ?? []), ...added].filter((_, place) => !gone.has(place));
    this.held.set(task, frames);
    const arrived = new Set(progress.alignment.current?.arrived);
    let bytes = 0;
    if (arrived.size > 0) for (const frame of frames) if (arrived.has(readFrame(frame).channel)) bytes += frame.length;
    if (bytes > this.heldBytesMax) this.fail(`C22: ${bytes} bytes are held at ${task}, entry ${seq}, of ${this.heldBytesMax}`);
  }

  private promise({ effects }: CommitRead): void {
    for (const effect of effects)
      if (effect.effect === "send") for (const frame of effect.frames) this.promised.set(effect.channel, readFrame(frame).seq);
  }

  /** Frames that a stream is to take. */
  beforeAppend(bytes: Uint8Array): void {
    const { channel, seq } = readFrame(bytes);
    if (seq > (this.promised.get(channel) ?? -1)) this.fail(`C17: frame ${seq} of ${channel} is sent, and no entry says so`);
  }

  /** Frames that a stream has taken. */
  onAppended(bytes: Uint8Array): void {
    const { channel, seq } = readFrame(bytes);
    this.happened(channel.slice(0, channel.indexOf(">")) as TaskId, `frame ${seq} of ${channel}`);
  }

  onSink({ operator, task, seq, n }: SinkEffect): void {
    this.happened(task as TaskId, `write ${seq}.${n} of ${operator}`);
  }

  onDeadLetters({ task, seq }: DeadLetterBatch): void {
    this.happened(task as TaskId, `dead letters of ${seq}`);
  }

  private happened(task: TaskId, effect: string): void {
    this.owed.get(task)?.delete(effect);
  }

  private count({ effects }: CommitRead): void {
    for (const effect of effects) {
      if (effect.effect !== "send") continue;
      const sent: Sent = this.sent.get(effect.channel) ?? { records: 0, before: new Map(), watermarks: new Map() };
      this.sent.set(effect.channel, sent);
      for (const frame of effect.frames)
        countElements(frame, sent, (from, to) =>
          this.fail(`C2: the watermark of ${effect.channel} went back from ${from} to ${to}`),
        );
    }
  }

  private onSnapshot({ task, seq, progress }: CommitRead, checkpoint: Checkpoint): void {
    const channels = [...this.sent].filter(([channel]) => downstreamOf(channel) === task);
    if (channels.length === 0) return;
    const most = channels.reduce((sum, [, { records, before }]) => sum + (before.get(checkpoint) ?? records), 0);
    const { records } = progress.totals;
    if (records > most && records > most + this.givenBack())
      this.fail(`C11: checkpoint ${checkpoint} holds ${records} records at ${task}, entry ${seq}, of ${most} before its barrier`);
  }
}

/** Names of effects that others wait for. */
function* effectsOf({ effects, progress, seq }: CommitRead): Generator<string> {
  for (const effect of effects) {
    if (effect.effect === "sink") yield `write ${progress.versionOffset + seq}.${effect.n} of ${effect.operator}`;
    if (effect.effect === "deadLetter") yield `dead letters of ${progress.versionOffset + seq}`;
    if (effect.effect === "send") for (const frame of effect.frames) yield `frame ${readFrame(frame).seq} of ${effect.channel}`;
  }
}

function countElements(frame: Uint8Array, sent: Sent, wentBack: (from: number, to: number) => void): void {
  const { elements } = readFrame(frame);
  while (!elements.done) {
    const element = readElement(elements);
    if (element.kind === "record") sent.records++;
    if (element.kind === "watermark") {
      const before = sent.watermarks.get(element.edge) ?? -Infinity;
      if (element.at < before) wentBack(before, element.at);
      sent.watermarks.set(element.edge, element.at);
    }
    if (element.kind === "barrier") sent.before.set(element.barrier.checkpoint, sent.records);
  }
}
