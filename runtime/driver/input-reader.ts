/**
 * Takes a task's input in: what a doorbell brought, what lies before it, or what a read finds.
 *
 * L3 When a batch begins after the position, the log is read from the position up to it first. This is left out once nobody can bring a batch
 *    of an earlier generation, and a batch of this shard has been seen here that followed: a task that is only now catching up may still be
 *    behind where its mapping stands. Of a source that is when the position is where a read of this generation found nothing more: what lies
 *    behind that is passed by nobody who has not taken it in here. Or when the generation is older than the longest possible life of an
 *    invocation, or there was none before it. Of an inbox, when a frame of the generation has come.
 *    An inbox outlives generations: of one that has not been read yet, only what can be of this generation is.
 *    A read that brings nothing has not come up to the batch while its stream says that something is there.
 * L11 Where a batch of a child shard comes first, its parents are read to their end by that.
 */
import type { SourceRecord } from "../api/connector.ts";
import { isKind, MillraceError } from "../base/errors.ts";
import { id, type Position, type ShardId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import { clockMarginMs, mayHaveExpired, type ReadLimit, type ReadResult } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { inboxName } from "../snapshots/names.ts";
import { stageOf } from "../streaming/channel.ts";
import { comparePositions, isBefore } from "../streaming/position.ts";
import type { SourceInput } from "../task/source-input.ts";
import type { Task } from "../task/task.ts";
import { announcedAlignment } from "./align-sources.ts";
import { DeliveryLog } from "./delivery-log.ts";
import type { AddressedBell } from "./doorbell.ts";
import type { EnvironmentOptions } from "./environment-options.ts";
import type { InboxShards } from "./inbox-shards.ts";
import { mayHoldOlder } from "./older-invocations.ts";
import { type Fed, mustRest, type OpenedTask } from "./opened-task.ts";
import type { ShardLifecycle } from "./shard-lifecycle.ts";
import { ancestorsOf } from "./shard-lineage.ts";
import type { SourceShards } from "./source-shards.ts";
import type { TakenDeliveries } from "./taken-deliveries.ts";
import type { TurnSteps } from "./turn-steps.ts";

/** Batch mode reads and sorts more at once: a turn's records become one run. */
const batchReadFactor = 8;

export class InputReader {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: EnvironmentOptions;
  private readonly inboxes: InboxShards;
  private readonly shards: SourceShards;
  private readonly lifecycle: ShardLifecycle;
  private readonly steps: TurnSteps;
  /** Reads so far: shards take turns in being read first. */
  private turns = 0;
  /**
   * Tasks' shards of which a mapping's batch has followed on all that was read before, with its first position (L3): what was taken in up
   * to there may not have come to be committed.
   */
  private readonly followed = new Map<string, Position>();

  constructor(
    job: JobGraph,
    ports: Ports,
    options: EnvironmentOptions,
    known: {
      readonly inboxes: InboxShards;
      readonly shards: SourceShards;
      readonly lifecycle: ShardLifecycle;
      readonly steps: TurnSteps;
    },
  ) {
    this.job = job;
    this.ports = ports;
    this.options = options;
    this.inboxes = known.inboxes;
    this.shards = known.shards;
    this.lifecycle = known.lifecycle;
    this.steps = known.steps;
  }

  /** Takes in what a doorbell brought. */
  async feedBell(opened: OpenedTask, bell: Exclude<AddressedBell, { kind: "poke" }>): Promise<Fed> {
    if (bell.kind === "frames") return this.feedInbox(opened, bell.records, bell.after);
    const input = opened.task.sources.get(bell.source);
    if (input !== undefined && input.watermarkOf(bell.shard) > this.alignmentLimit(opened, input))
      throw new MillraceError("unavailable", `shard ${bell.shard} of ${bell.source} waits for slower sources of its group`);
    if (bell.taken !== undefined) return this.feedDeliveries(opened, bell.source, bell.shard, bell.taken);
    return this.feedShard(opened, bell.source, bell.shard, bell.records, bell.after);
  }

  /** Takes in what was given back of dead letters, a commit for each part, before anything else. */
  async feedGiven(opened: OpenedTask): Promise<Fed> {
    const { task, budget } = opened;
    while (task.holdsGiven) {
      if (budget.isOver) return "late";
      await this.steps.announce(opened, "dead letters given back", () => String(task.head));
      const status = await this.steps.feed(opened, () => task.feedGiven());
      if (status !== "done") return status;
      await this.steps.endStep(opened);
      await this.steps.commit(opened);
    }
    return "done";
  }

  /** A poke reads for itself: each live shard, or the inbox, up to a share of a turn's worth. */
  async readInputs(opened: OpenedTask, share = 1): Promise<Fed> {
    const { task } = opened;
    const limit = { records: Math.ceil(this.readLimit.records * share), bytes: Math.ceil(this.readLimit.bytes * share) };
    const shards: { source: string; shard: ShardId }[] = [];
    for (const source of task.sources.keys())
      for (const shard of await this.lifecycle.shardsOf(task, source)) shards.push({ source, shard });
    const recordsBefore = task.taken;
    this.turns++;
    for (let n = 0; n < shards.length; n++) {
      const left = limit.records - (task.taken - recordsBefore);
      opened.behind ||= left <= 0;
      if (left <= 0) break;
      if (opened.budget.isOver || mustRest(task)) return "late";
      const { source, shard } = shards[(this.turns + n) % shards.length]!;
      const records = Math.ceil(left / (shards.length - n));
      const status = await this.readShard(opened, source, shard, { ...limit, records });
      if (status !== "done") return status;
    }
    // Shards that waited for others which turned out to have nothing.
    for (const { source, shard } of shards) {
      const input = task.sources.get(source);
      if (input?.alignment === undefined || task.taken > recordsBefore || !input.isLive(shard)) continue;
      const status = await this.readShard(opened, source, shard, limit);
      if (status !== "done") return status;
    }
    if (task.plan.stage.kind !== "keyed") return "done";
    const stream = inboxName(task.plan.generation, stageOf(task.plan.task));
    const shard = await this.inboxes.of(stream, task.plan.range);
    const { position } = task.channels;
    const { records, behindMs } = await this.ports.log.read(stream, shard, position, { ...this.inboxLimit(opened), ...limit });
    opened.behind = records.length > 0 && behindMs > 0;
    return this.feedInbox(opened, records, position);
  }

  private async feedShard(
    opened: OpenedTask,
    source: string,
    shard: ShardId,
    records: readonly SourceRecord[],
    after: Position | "horizon" | undefined,
    upTo = Infinity,
  ): Promise<Fed> {
    const known = await this.makeKnown(opened, source, shard);
    if (known !== "known") return known;
    const { task } = opened;
    const input = task.sources.get(source)!;
    const mayLack = this.mayHaveLost(source, input.readUpTo(shard));
    const place = `${task.plan.task} ${source} ${shard}`;
    const mayBeBehind = this.mayBringOlder(opened, input, shard) || this.mayBeBehind(place, input.positionOf(shard));
    // The mapping may have passed what expired before it got there: one record shows it.
    const limit = mayLack && !mayBeBehind ? { ...this.readLimit, records: 1 } : this.readLimit;
    const read = (from: Position | "horizon") => this.readSource(opened, source, shard, from, limit);
    const position = () => input.positionOf(shard);
    const feed = (part: readonly SourceRecord[]) => {
      const batch = { source, shard, records: part, at: 0, ...(upTo < Infinity && { upTo }) };
      return this.steps.feed(opened, () => task.feedRecords(batch));
    };
    const feedAll = (part: readonly SourceRecord[]) => this.steps.feedParts(opened, `${source} ${shard}`, part, position, feed);
    if (after === undefined) this.checkFollows(task, source, shard, records, position());
    return this.withGap(opened, place, records, after, position, mayLack || mayBeBehind ? read : undefined, feedAll);
  }

  /** Sees to it that a shard may be read: its ancestors are, if they wait for that. Else says how feeding it has ended. */
  private async makeKnown(opened: OpenedTask, source: string, shard: ShardId): Promise<"known" | Fed> {
    let known = await this.lifecycle.know(opened, source, shard);
    if (known === "waiting") {
      const status = await this.readAncestors(opened, source, shard);
      if (status !== "done") return status;
      known = await this.lifecycle.know(opened, source, shard);
    }
    if (known === "past") return "done";
    // What was read of its ancestors is committed all the same.
    return known === "waiting" ? "late" : "known";
  }

  /** What comes without positions: there is nothing before it that could be read. */
  private async feedDeliveries(opened: OpenedTask, source: string, shard: ShardId, taken: TakenDeliveries): Promise<Fed> {
    const { task, attempts, messages } = opened;
    const isKnown = await this.makeKnown(opened, source, shard);
    if (isKnown !== "known") return isKnown;
    const what = `${source} ${shard}`;
    const alone = `${what} delivery `;
    const { journal, clock } = this.ports;
    const { id: by, invocationMsMax } = this.options;
    const known = attempts && {
      ...{ task: task.plan.task, journal, clock, by, invocationMsMax },
      suspectFrom: this.options.attempts.carefulFrom,
      alone: attempts.deliveries(alone),
      taken,
    };
    taken.begin();
    opened.deliveries = { taken, log: known && new DeliveryLog(what, known, messages) };
    const input = task.sources.get(source)!;
    const position = () => input.positionOf(shard);
    opened.batch = { position, at: position() };
    const feed = (part: readonly SourceRecord[]) => {
      const batch = { source, shard, records: part, at: 0 };
      return this.steps.feed(opened, () => task.feedRecords(batch));
    };
    return this.steps.feedDeliveries(opened, alone, position, feed);
  }

  private async feedInbox(
    opened: OpenedTask,
    records: readonly SourceRecord[],
    after: Position | "horizon" | undefined,
  ): Promise<Fed> {
    const { task } = opened;
    const stream = inboxName(task.plan.generation, stageOf(task.plan.task));
    const shard = await this.inboxes.of(stream, task.plan.range);
    const read = (from: Position | "horizon") => this.ports.log.read(stream, shard, from, this.inboxLimit(opened));
    const position = () => task.channels.position;
    const feed = (part: readonly SourceRecord[]) => {
      const batch = { records: part, at: 0 };
      return this.steps.feed(opened, () => task.feedFrames(batch));
    };
    const feedAll = (part: readonly SourceRecord[]) => this.steps.feedParts(opened, "inbox", part, position, feed);
    if (task.rests && records.some((record) => task.channels.isNews(record))) await this.steps.goOn(opened);
    const mayBeBehind = !task.channels.hasReceived || this.mayBeBehind(task.plan.task, position());
    return this.withGap(opened, task.plan.task, records, after, position, mayBeBehind ? read : undefined, feedAll);
  }

  /** L3: what lies between the position and the batch is read and fed first; `read` is undefined where nothing can. */
  private async withGap(
    opened: OpenedTask,
    place: string,
    records: readonly SourceRecord[],
    after: Position | "horizon" | undefined,
    position: () => Position | "horizon",
    read: ((from: Position | "horizon") => Promise<Pick<ReadResult, "records" | "behindMs" | "next">>) | undefined,
    feed: (records: readonly SourceRecord[]) => Promise<Fed>,
  ): Promise<Fed> {
    const first = records[0];
    if (first === undefined) return "done";
    if (read !== undefined && this.options.safeguards.holds("L3")) {
      const begin = position();
      while (after !== position() && isBefore(position(), first.position)) {
        const from = position();
        const found = await this.readOn(() => read(from), from !== begin);
        if (found === "late") return "late";
        // Nothing yet: what is there may come with a later read.
        if (found.records.length === 0 && found.behindMs > 0 && found.next !== undefined) {
          if (this.ports.clock.remainingMs() < this.options.reserveMs) return "late";
          continue;
        }
        const between = found.records.filter((record) => comparePositions(record.position, first.position) < 0);
        if (between.length === 0) break;
        const status = await feed(between);
        if (status !== "done") return status;
        if (position() === from) break;
      }
    }
    if (after === undefined) {
      opened.batch = { position, at: position() };
      this.followed.set(place, id<Position>(first.position));
    }
    return feed(records);
  }

  /** What was taken in before a read that comes to nothing is kept: else a long way is begun anew again and again. */
  private async readOn<R>(read: () => Promise<R>, isUnderWay: boolean): Promise<R | "late"> {
    try {
      return await read();
    } catch (error) {
      if (isUnderWay && isKind(error, "unavailable")) return "late";
      throw error;
    }
  }

  /**
   * A batch of a child is the first sign that its parents are closed: they are read to their end now, so that the child need not wait for
   * a poke (L11).
   */
  private async readAncestors(opened: OpenedTask, source: string, shard: ShardId): Promise<Fed> {
    const input = opened.task.sources.get(source)!;
    for (const ancestor of ancestorsOf(shard, this.shards.listed(source)))
      while (input.isLive(ancestor) && !(await this.shards.isPolled(source, ancestor))) {
        if (opened.budget.isOver) return "late";
        const before = input.positionOf(ancestor);
        const status = await this.readShard(opened, source, ancestor, this.readLimit);
        if (status !== "done") return status;
        // A long turn loses against short ones again and again where many shards ring one task.
        await this.steps.commit(opened);
        if (input.isLive(ancestor) && input.positionOf(ancestor) === before) break;
      }
    return "done";
  }

  private async readShard(opened: OpenedTask, source: string, shard: ShardId, limit: ReadLimit): Promise<Fed> {
    const { task } = opened;
    if ((await this.lifecycle.know(opened, source, shard)) !== "known") return "done";
    const input = task.sources.get(source)!;
    if (input.isEnded(shard)) return "done";
    const upTo = this.alignmentLimit(opened, input);
    if (input.watermarkOf(shard) > upTo) {
      input.pause(shard, task.now);
      return "done";
    }
    const after = input.positionOf(shard);
    // One record tells where the shard stands among the others.
    const few = input.alignment !== undefined && after === "horizon" ? { ...limit, records: 1 } : limit;
    const result = await this.readSource(opened, source, shard, after, few);
    opened.behind ||= result.records.length > 0 && result.behindMs > 0;
    if (result.records.length > 0) {
      const status = await this.feedShard(opened, source, shard, result.records, after, upTo);
      if (status !== "done") return status;
    }
    const left = result.records.length > 0 && input.positionOf(shard) !== result.records.at(-1)?.position;
    if (left) return "done";
    if (result.next === undefined) await this.lifecycle.end(opened, source, shard);
    else if (result.records.length === 0 && (result.behindMs === 0 || !this.options.safeguards.holds("L13"))) {
      input.noteCaughtUp(shard, task.now);
      await this.lifecycle.decideIdle(opened, source, shard);
    }
    return "done";
  }

  /**
   * How far the shards of a source may go, epoch ms: some way ahead of the slowest of their alignment group, as far as it is known.
   * Infinity: no limit.
   */
  private alignmentLimit({ task, messages }: OpenedTask, { alignment }: SourceInput): number {
    if (alignment === undefined) return Infinity;
    const { group, maxDriftMs } = alignment;
    const announced = task.plan.stage.kind === "single" ? undefined : announcedAlignment(messages, group);
    return maxDriftMs + (announced ?? task.slowestOf(group));
  }

  /** Reads a shard of a source, and reports what can no longer be read, with the range. */
  private async readSource(
    { task, record }: OpenedTask,
    source: string,
    shard: ShardId,
    after: Position | "horizon",
    limit: ReadLimit,
  ): Promise<ReadResult> {
    const input = task.sources.get(source);
    const readUpTo = input?.readUpTo(shard);
    const since = readUpTo === undefined ? {} : { readUpTo };
    const reader = this.ports.source(source);
    const result = await reader.read(this.shards.streamOf(source), shard, after, { ...limit, ...since });
    if (result.gap)
      this.reportLost(task, source, shard, result.lost ?? { after, before: result.records[0]?.position ?? "its end" });
    // A read that brings nothing tells of no end: what cannot be read back, since it is brought, is answered so.
    const last = result.behindMs === 0 ? result.records.at(-1) : undefined;
    if (last !== undefined && record.generation > 1) input?.noteTip(shard, id<Position>(last.position));
    return result;
  }

  /** What is brought and cannot be read back must follow what came before. */
  private checkFollows(
    task: Task,
    source: string,
    shard: ShardId,
    records: readonly SourceRecord[],
    position: Position | "horizon",
  ): void {
    const reader = this.ports.source(source);
    if (reader.lostBetween === undefined || position === "horizon") return;
    const first = records.find((record) => isBefore(position, record.position));
    const lost = first && reader.lostBetween(shard, position, id<Position>(first.position));
    if (lost !== undefined) this.reportLost(task, source, shard, lost);
  }

  private reportLost(task: Task, source: string, shard: ShardId, lost: NonNullable<ReadResult["lost"]>): void {
    const message = "records were lost at the source: their retention passed before they were read";
    const stream = this.shards.streamOf(source);
    this.ports.telemetry.log("error", message, { task: task.plan.task, source, stream, shard, ...lost });
    this.ports.telemetry.add("sourceGap", 1, { source, shard });
  }

  private get readLimit(): ReadLimit {
    const factor = this.job.options.mode === "batch" ? batchReadFactor : 1;
    return { records: this.options.recordsPerTurn * factor, bytes: this.options.bytesPerTurn * factor };
  }

  /** A generation's frames come after it has begun, by whoever's clock. */
  private inboxLimit({ record }: OpenedTask): ReadLimit {
    const begun = Math.min(record.since, this.ports.clock.now());
    return { ...this.readLimit, arrivedFrom: Math.max(0, begun - clockMarginMs) };
  }

  private mayBeBehind(place: string, position: Position | "horizon"): boolean {
    const followed = this.followed.get(place);
    return followed === undefined || isBefore(position, followed);
  }

  /** Whether a batch of the shard may be of an earlier generation, and passed by there (L3). */
  private mayBringOlder({ record }: OpenedTask, input: SourceInput, shard: ShardId): boolean {
    return !input.hasReachedTip(shard) && mayHoldOlder(record, this.ports.clock.now(), this.options.invocationMsMax);
  }

  /** Something that came since a shard of the source was read may be gone. */
  private mayHaveLost(source: string, readUpTo: number): boolean {
    return mayHaveExpired(readUpTo, this.ports.clock.now(), this.ports.source(source).retentionMsMin);
  }
}
