/**
 * An environment: one process, or one Lambda environment, that runs turns of a job's tasks. Its cache is only a cache: any other
 * environment may take the next turn.
 *
 * R3 Entry n + 1 is written only after all effects of n are done.
 * R5 Whoever did not itself see a head's effects finish repeats all of them before it commits or answers success.
 * R9 Who meets a head of a higher deployment stops.
 * L1 Who meets a seal reloads the job record, and never answers success from a sealed ring.
 * L2 A newer frame, or an unknown shard, makes it reload the job record.
 * L3 When a batch begins after the position, the log is read from the position up to it first.
 * L11 The end of a shard is found by a read of its own; where a batch of a child comes first, by that.
 * L13 A shard is idle only if a read from its position is empty and nothing is behind.
 * L14 What kills environments without an exception is narrowed down, and goes to the dead letters (attempt-log.ts).
 * L16 No promise is left pending at the end of a turn.
 */
import type { SourceRecord } from "../api/connector.ts";
import { isKind, MillraceError } from "../base/errors.ts";
import { encodeValue } from "../base/message-pack.ts";
import { type AttemptId, type BlobName, id, type Position, type Seq, type ShardId, type TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import { mayHaveExpired, type ReadLimit, type ReadResult, type Shard } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { decodeRequest } from "../snapshots/checkpoint-request.ts";
import { checkpointMessage, floodMessage, inboxName, jobRing, objectName } from "../snapshots/names.ts";
import { type JobRecord, tasksRun } from "../snapshots/job-record.ts";
import type { Base, Commit, Effect } from "../state/commit.ts";
import { generationOf, instanceOf, stageOf } from "../streaming/channel.ts";
import { comparePositions } from "../streaming/position.ts";
import type { Barrier, Successor } from "../streaming/element.ts";
import { fullRange, type HashRange } from "../streaming/hash-range.ts";
import { buildBase, wantForBase } from "../task/base-builder.ts";
import { isPoison } from "../task/blame.ts";
import type { SourceInput } from "../task/source-input.ts";
import type { FeedStatus, Task } from "../task/task.ts";
import { allSafeguards, type Safeguards } from "../task/safeguards.ts";
import { defaultLimits, type TaskLimits, type TaskPlan } from "../task/task-plan.ts";
import { type Attempt, AttemptLog, type AttemptOptions, defaultAttempts } from "./attempt-log.ts";
import { announcedAlignment } from "./align-sources.ts";
import { carryOut } from "./carry-out.ts";
import type { AddressedBell, Doorbell, TurnOutcome } from "./doorbell.ts";
import { evictCold } from "./evict.ts";
import { type PayloadOptions, storeCommit } from "./journal-entry.ts";
import { readJobRecord } from "./job-ring.ts";
import { loadMissing } from "./load-groups.ts";
import { loadRuns } from "./load-runs.ts";
import { LostRace } from "./lost-race.ts";
import { type Recovered, recoverTask } from "./recover.ts";
import { provesEffects } from "./proven-effects.ts";
import { InboxShards } from "./inbox-shards.ts";
import { ancestorsOf, isPast } from "./shard-lineage.ts";
import { TimeBudget } from "./time-budget.ts";
import { together } from "./together.ts";
import { isPlannedBy, planTask, stageWith, taskOfShard } from "./topology.ts";
import { shardOf } from "../task/source-task.ts";

export interface EnvironmentOptions {
  /** Tells environments apart: part of every attempt's name (L16). */
  readonly id: string;
  /** The ordinal of the code that runs. */
  readonly deployment: number;
  readonly payload: PayloadOptions;
  /** Acknowledgements above it become objects: an item of DynamoDB may have 400 KB. */
  readonly messageBytesMax: number;
  /** Key groups in memory, all tasks of the environment, approximately. */
  readonly cacheBytesMax: number;
  /** A local base is taken when so many bytes of entries lie above the last. */
  readonly journalBytesMax: number;
  /** Records that a poke reads at once. */
  readonly recordsPerTurn: number;
  readonly bytesPerTurn: number;
  /** The longest that an invocation can live: once a generation is older, no batch of an earlier one can come (L3). */
  readonly invocationMsMax: number;
  /** The job record is read anew when it was read so long ago. */
  readonly recordMsMax: number;
  /** What is kept of an invocation's time for a commit and its effects: then no more is taken in. */
  readonly reserveMs: number;
  /** So many records are fed at first where time is limited: how long they take is not known yet. */
  readonly firstPart: number;
  readonly attempts: AttemptOptions;
  readonly limits: TaskLimits;
  readonly safeguards: Safeguards;
}

export const defaultEnvironment: Omit<EnvironmentOptions, "id"> = {
  deployment: 1,
  payload: { inlineBytesMax: Infinity, compressFromBytes: Infinity },
  messageBytesMax: 256 * 1024,
  cacheBytesMax: 256 << 20,
  journalBytesMax: 32 << 20,
  recordsPerTurn: 10_000,
  bytesPerTurn: 4 << 20,
  invocationMsMax: 20 * 60_000,
  recordMsMax: 20 * 60_000,
  reserveMs: 5_000,
  firstPart: 32,
  attempts: defaultAttempts,
  limits: defaultLimits,
  safeguards: allSafeguards,
};

interface Cached extends Recovered {
  head: Commit | undefined;
  readonly plan: TaskPlan;
  /** This environment saw the head's effects finish. */
  effectsDone: boolean;
  base: Base | undefined;
  /** Bytes of entries above the base. */
  journalBytes: number;
  /** Commits of this turn. */
  commits: number;
  /** The mapping's batch that is being taken in, and where its shard stood at the last commit. */
  batch: { readonly position: () => Position | "horizon"; at: Position | "horizon" } | undefined;
  /** Undefined when this environment has committed before, and nobody has died here (L14). */
  attempts: AttemptLog | undefined;
  readonly budget: TimeBudget;
  /** Effects that are still being carried out; always empty but without R3. */
  readonly unfinished: Promise<void>[];
}

/** How a feeding ended: as the task says, or because the turn's time is over, or that of the shard has not come. */
type Fed = FeedStatus | "late";

const attemptsMax = 50;

/** Batch mode: after so many commits over sorted input a turn ends, so that others get theirs and a stop is heard. */
const sortedCommitsPerTurn = 16;

/** Batch mode reads and sorts more at once: a turn's records become one run. */
const batchReadFactor = 8;

export class Environment {
  readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: EnvironmentOptions;
  private readonly cache = new Map<TaskId, Cached>();
  private record: JobRecord | undefined;
  private recordReadAt = -Infinity;
  private readonly shards = new Map<string, readonly Shard[]>();
  private attempts = 0;
  private readonly inboxes: InboxShards;
  /** Tasks on which this environment has committed: it does not die of starting them. */
  private readonly proven = new Set<TaskId>();
  /** Turns so far: shards take turns in being read first. */
  private turns = 0;

  constructor(job: JobGraph, ports: Ports, options: EnvironmentOptions) {
    this.job = job;
    this.ports = ports;
    this.inboxes = new InboxShards(ports.log);
    this.options = options;
  }

  /** Runs one turn. Throws `unavailable` to be rung again, `user` under the policy "fail", `corrupt` when durable data is wrong. */
  async turn(bell: Doorbell): Promise<TurnOutcome> {
    const outcome = await this.turnOnce(bell);
    if (outcome.outcome !== "waiting" || bell.kind !== "records" || !(await this.endParents(bell.source, bell.shard)))
      return outcome;
    return this.turnOnce(bell);
  }

  private async turnOnce(bell: Doorbell): Promise<TurnOutcome> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      try {
        const outcome = await this.attempt(bell, false, attempt > 0);
        if (outcome !== "again") return outcome;
      } catch (error) {
        if (!(error instanceof LostRace)) throw error;
        this.ports.telemetry.add("turn.racesLost", 1);
      }
    }
    throw new MillraceError("unavailable", `turn of ${JSON.stringify(bell.kind)} lost ${attemptsMax} races: ring again`);
  }

  /** Reads the job record anew at the next turn. */
  forgetJobRecord(): void {
    this.record = undefined;
  }

  /** What is known of a task from its last turn here, for progress displays. */
  peek(task: TaskId): Task | undefined {
    return this.cache.get(task)?.task;
  }

  private async attempt(bell: Doorbell, guarded: boolean, anew: boolean): Promise<TurnOutcome | "again"> {
    const record = await this.jobRecord();
    if (record !== undefined && record.deployment > this.options.deployment)
      return { outcome: "fenced", deployment: record.deployment };
    // Newer code whose plan is another waits until its coordinator has moved the job to a generation of that plan.
    if (record === undefined || !tasksRun(record) || !isPlannedBy(record, this.job)) {
      this.record = undefined;
      return { outcome: "waiting" };
    }
    const addressed = await this.address(bell, record, anew);
    if (addressed === "again") return this.again();
    if ("outcome" in addressed) return addressed;
    return this.turnOf(addressed, record, guarded);
  }

  private async turnOf(bell: AddressedBell, record: JobRecord, guarded: boolean): Promise<TurnOutcome | "again"> {
    const task = bell.kind === "records" ? taskOfShard(this.job, record.generation, bell.source, bell.shard) : bell.task;
    if (generationOf(task) < record.generation) return { outcome: "stale" };
    if (generationOf(task) > record.generation) return this.options.safeguards.holds("L2") ? this.again() : { outcome: "stale" };
    const opened = await this.open(task, record, bell);
    if (opened === "sealed") return this.again();
    if ("outcome" in opened) return opened;
    if (isSuspended(opened)) return { outcome: "waiting" };
    try {
      return await this.run(opened, bell, guarded);
    } catch (error) {
      this.cache.delete(task);
      await opened.attempts?.takeBack().catch(() => undefined);
      if (guarded || !isPoison(error)) throw error;
      this.ports.telemetry.add("turn.rerun", 1);
      return this.attempt(bell, true, true);
    }
  }

  /** L2: whose inbox a shard is may have changed with the generation, so what is unknown is looked up in the job record as it is now. */
  private async address(bell: Doorbell, record: JobRecord, anew: boolean): Promise<AddressedBell | TurnOutcome | "again"> {
    if (bell.kind !== "inbox") return bell;
    const { stage, shard, records } = bell;
    const tasks = record.topology.find((known) => known.stage === stage)?.tasks ?? [];
    const task = await this.inboxes.taskOf(inboxName(record.generation, stage), shard, tasks);
    if (task !== undefined) return { kind: "frames", task, records };
    if (!anew) return "again";
    if (await this.inboxes.isClosed(inboxName(record.generation, stage), shard)) return { outcome: "stale" };
    this.record = undefined;
    return { outcome: "waiting" };
  }

  /** What is known of the job; not older than the options say, since what is over is forgotten some time. */
  private async jobRecord(): Promise<JobRecord | undefined> {
    const now = this.ports.clock.now();
    // A clock that has gone back says nothing about how old it is.
    const isFresh = now >= this.recordReadAt && now - this.recordReadAt <= this.options.recordMsMax;
    if (this.record !== undefined && isFresh) return this.record;
    this.recordReadAt = now;
    return (this.record = await readJobRecord(this.ports, this.job.name));
  }

  private again(): "again" {
    this.record = undefined;
    this.cache.clear();
    this.shards.clear();
    return "again";
  }

  // ---- opening ----

  private async open(task: TaskId, record: JobRecord, bell: AddressedBell): Promise<Cached | "sealed" | TurnOutcome> {
    const cached = this.cache.get(task);
    const { deployment, limits, safeguards } = this.options;
    const place = await this.placeOf(task, record);
    if (place === "past") return { outcome: "stale" };
    const plan = cached?.plan ?? planTask(this.job, record, task, { deployment, limits, safeguards, range: place.range });
    this.cache.delete(task);
    const recovery = await this.recover(plan, record, place.parents, cached);
    if (recovery.outcome === "sealed") return "sealed";
    if (recovery.outcome !== "ready") return recovery;
    const { recovered } = recovery;
    const fresh = recovered.task !== cached?.task;
    const opened: Cached = {
      ...recovered,
      plan,
      effectsDone: fresh ? recovered.head === undefined : cached.effectsDone,
      base: recovered.head === undefined ? undefined : fresh ? recovered.head.base : cached?.base,
      journalBytes: cached?.journalBytes ?? 0,
      commits: 0,
      batch: undefined,
      attempts: this.openAttempts(recovered, bell),
      budget: new TimeBudget(this.ports.clock, this.options.reserveMs, this.options.firstPart),
      unfinished: [],
    };
    this.cache.set(task, opened);
    await this.finishHead(opened, bell);
    return opened;
  }

  private openAttempts({ task, messages }: Recovered, bell: AddressedBell): AttemptLog | undefined {
    const { safeguards, attempts: options, id: by } = this.options;
    if (!safeguards.holds("L14")) return undefined;
    const { journal, clock } = this.ports;
    return AttemptLog.open({ task, journal, clock, by, bell, options }, messages, this.proven.has(task.plan.task));
  }

  private async recover(plan: TaskPlan, record: JobRecord, parents: readonly TaskId[] | undefined, cached: Cached | undefined) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await recoverTask(plan, record, parents, this.ports, attempt === 0 ? cached : undefined);
      } catch (error) {
        if (!isMissingObject(error) || attempt === 3) throw error;
      }
    }
  }

  /** R5: repeats the head's effects unless this environment saw them finish, or they are proven done. */
  private async finishHead(opened: Cached, bell: AddressedBell): Promise<void> {
    const { head, plan } = opened;
    if (opened.effectsDone || head === undefined) return;
    const { deployment, safeguards } = this.options;
    const proven = provesEffects(head, bell, deployment, safeguards);
    if (!proven && safeguards.holds("R5")) {
      this.ports.telemetry.add("turn.effectsRepeated", head.effects.length);
      await carryOut(head, plan, this.ports, this.inboxes, this.options.messageBytesMax);
    }
    opened.effectsDone = true;
  }

  /**
   * The hash range of a task, and the tasks of its shard's parents where it is not among those the generation began with. "past": its
   * shard lies before them.
   */
  private async placeOf(
    task: TaskId,
    record: JobRecord,
  ): Promise<{ readonly range: HashRange; readonly parents: readonly TaskId[] | undefined } | "past"> {
    const topology = record.topology.find(({ stage }) => stage === stageOf(task));
    if (topology === undefined) throw new MillraceError("invalid", `the job has no stage for task ${task}`);
    if (topology.kind !== "source")
      return { range: topology.tasks.find((known) => known.task === task)?.range ?? fullRange, parents: undefined };
    const { source, shard } = shardOf(instanceOf(task));
    const root = topology.roots.get(source)?.find((known) => known.shard === shard);
    if (root !== undefined) return { range: root.range, parents: undefined };
    const { range, parents } = await this.shard(source, shard);
    const isRoot = (other: ShardId) => topology.roots.get(source)?.some((known) => known.shard === other) ?? false;
    if (isPast(shard, isRoot, this.shards.get(source) ?? [])) return "past";
    return { range, parents: parents.map((parent) => taskOfShard(this.job, record.generation, source, parent)) };
  }

  /**
   * A batch of a child is the first sign that its parents are closed: their tasks are rung until they have ended, so that the child need
   * not wait for a poke (L11). Whether all of them have.
   */
  private async endParents(source: string, shard: ShardId): Promise<boolean> {
    const { record } = this;
    if (record === undefined || stageWith(this.job, source).kind === "single") return false;
    const { parents } = await this.shard(source, shard);
    for (const parent of parents) if (!(await this.readToEnd(record, source, parent))) return false;
    return parents.length > 0;
  }

  private async readToEnd(record: JobRecord, source: string, shard: ShardId): Promise<boolean> {
    const task = taskOfShard(this.job, record.generation, source, shard);
    while (this.ports.clock.remainingMs() > this.options.reserveMs) {
      const outcome = await this.turnOnce({ kind: "poke", task });
      if (outcome.outcome === "stale" || outcome.outcome === "fenced") return false;
      if (outcome.outcome === "done") {
        if (outcome.ended) return true;
        if (outcome.records === 0) return false;
      } else if (!(await this.endParents(source, shard))) return false;
    }
    return false;
  }

  private async shard(source: string, shard: ShardId): Promise<Shard> {
    const known = this.shards.get(source)?.find((candidate) => candidate.id === shard);
    if (known !== undefined) return known;
    const found = (await this.listShards(source)).find((candidate) => candidate.id === shard);
    if (found === undefined) throw new MillraceError("invalid", `source ${source} has no shard ${shard}`);
    return found;
  }

  private async listShards(source: string): Promise<readonly Shard[]> {
    const shards = await this.ports.source(source).shards(this.streamOf(source));
    this.shards.set(source, shards);
    return shards;
  }

  private streamOf(source: string): string {
    const spec = this.job.operators.get(source)?.node.spec;
    return spec?.kind === "source" ? spec.source.name : source;
  }

  // ---- running ----

  private async run(opened: Cached, bell: AddressedBell, guarded: boolean): Promise<TurnOutcome | "again"> {
    const { task } = opened;
    const before = { ...task.summary };
    let unprocessed: Position | undefined;
    if (!task.ended) {
      await this.begin(opened, guarded);
      const takenBefore = task.taken;
      const status = bell.kind === "poke" ? await this.readInputs(opened) : await this.feedBell(opened, bell);
      if (status === "newer") return this.again();
      if (status === "late") {
        unprocessed = firstLeft(task, bell);
        if (mustRest(task)) await this.answerRequests(opened);
      } else {
        if (bell.kind === "poke" && task.taken === takenBefore) await this.decideIdleOperators(opened);
        await this.answerRequests(opened);
      }
      await this.settle(opened);
      if (task.isFlooded) await this.reportFlood(task);
      await this.endAttempts(opened);
      await together(opened.unfinished);
    }
    await evictCold(task, this.ports.pages, this.options.cacheBytesMax);
    this.report(opened, before);
    return {
      outcome: "done",
      successors: task.successors,
      task: task.plan.task,
      commits: opened.commits,
      records: task.summary.records - before.records,
      ended: task.ended,
      wakeAt: task.sorts ? this.ports.clock.now() : task.nextWakeUp(),
      unprocessed,
    };
  }

  /** The coordinator lets the job pause; who reads a source rests already. */
  private async reportFlood(task: Task): Promise<void> {
    const bytes = encodeValue(task.lettersThisMinute);
    await this.ports.journal.post(jobRing, { name: floodMessage(task.plan.task), version: task.head, bytes });
  }

  private report({ task, commits, base }: Cached, before: Task["summary"]): void {
    const { telemetry, clock, journal } = this.ports;
    const { records, lateDropped, deadLetters } = task.summary;
    telemetry.add("turn.records", records - before.records);
    telemetry.add("turn.commits", commits);
    telemetry.add("turn.lateDropped", lateDropped - before.lateDropped);
    telemetry.add("turn.deadLetters", deadLetters - before.deadLetters);
    const lagMs = clock.now() - task.watermark;
    if (Number.isFinite(lagMs)) telemetry.gauge("turn.watermarkLagMs", lagMs);
    telemetry.gauge("turn.ringUse", (100 * (task.head - (base?.seq ?? 0))) / journal.ringSize);
  }

  /** Time moves on in the task; timers that are due fire. */
  private async begin(opened: Cached, guarded: boolean): Promise<void> {
    const { task } = opened;
    const now = this.ports.clock.now();
    const attempt = task.nextWakeUp() <= now ? opened.attempts?.of("time", String(task.head)) : undefined;
    if (attempt?.careful === true) await attempt.beginStep(String(task.head), 0);
    else await attempt?.begin();
    task.begin(now, guarded || attempt?.careful === true);
    await this.endStep(opened);
  }

  // ---- steps, where environments have died (L14) ----

  /** Before a step that takes in no records. `at`: its place, a new one after each commit unless it `stays`. */
  private async announce(opened: Cached, what: string, at: () => string, stays = false): Promise<void> {
    const attempt = opened.attempts?.of(what, at(), stays);
    if (attempt?.careful === true) await this.beginCareful(opened, attempt, at, 0);
    else await attempt?.begin();
  }

  /** Begins a careful step, at a commit. Returns how many records it takes in. */
  private async beginCareful(opened: Cached, attempt: Attempt, at: () => string, records: number): Promise<number> {
    if (opened.task.changed) await this.commit(opened);
    return attempt.beginStep(at(), records);
  }

  /** After a step: what waits is finished; a careful one ends in a commit of its own. */
  private async endStep(opened: Cached): Promise<void> {
    await this.drain(opened);
    const { attempts, task } = opened;
    if (attempts?.current?.careful !== true) return;
    if (task.changed) await this.commit(opened);
    attempts.stepPassed();
  }

  /** What this environment attempted has not killed it. */
  private async endAttempts(opened: Cached): Promise<void> {
    const { attempts } = opened;
    opened.attempts = undefined;
    await attempts?.end();
  }

  private async feedBell(opened: Cached, bell: Exclude<AddressedBell, { kind: "poke" }>): Promise<Fed> {
    if (bell.kind === "frames") return this.feedInbox(opened, bell.records, bell.after);
    const input = opened.task.sources.get(bell.source);
    if (input !== undefined && input.watermarkOf(bell.shard) > this.alignmentLimit(opened, input))
      throw new MillraceError("unavailable", `shard ${bell.shard} of ${bell.source} waits for slower sources of its group`);
    return this.feedShard(opened, bell.source, bell.shard, bell.records, bell.after);
  }

  private async feedShard(
    opened: Cached,
    source: string,
    shard: ShardId,
    records: readonly SourceRecord[],
    after: Position | "horizon" | undefined,
    upTo = Infinity,
  ): Promise<Fed> {
    const { task } = opened;
    let known = await this.knowShard(opened, source, shard);
    if (known === "waiting") {
      const status = await this.readAncestors(opened, source, shard);
      if (status !== "done") return status;
      known = await this.knowShard(opened, source, shard);
    }
    if (known === "past") return "done";
    // What was read of its ancestors is committed all the same.
    if (known === "waiting") return "late";
    const input = task.sources.get(source)!;
    const mayLack = this.mayHaveLost(source, input.readUpTo(shard));
    // The mapping may have passed what expired before it got there: one record shows it.
    const limit = mayLack && !this.isYoung ? { ...this.readLimit, records: 1 } : this.readLimit;
    const read = (from: Position | "horizon") => this.readSource(task, source, shard, from, limit);
    const position = () => input.positionOf(shard);
    const feed = (part: readonly SourceRecord[]) => {
      const batch = { source, shard, records: part, at: 0, ...(upTo < Infinity && { upTo }) };
      return this.feed(opened, () => task.feedRecords(batch));
    };
    const feedAll = (part: readonly SourceRecord[]) => this.feedParts(opened, `${source} ${shard}`, part, position, feed);
    return this.withGap(opened, records, after, position, mayLack || this.isYoung ? read : undefined, feedAll);
  }

  private async feedInbox(
    opened: Cached,
    records: readonly SourceRecord[],
    after: Position | "horizon" | undefined,
  ): Promise<Fed> {
    const { task } = opened;
    const stream = inboxName(task.plan.generation, stageOf(task.plan.task));
    const shard = await this.inboxes.of(stream, task.plan.range);
    const read = (from: Position | "horizon") => this.ports.log.read(stream, shard, from, this.readLimit);
    const position = () => task.channels.position;
    const feed = (part: readonly SourceRecord[]) => {
      const batch = { records: part, at: 0 };
      return this.feed(opened, () => task.feedFrames(batch));
    };
    const feedAll = (part: readonly SourceRecord[]) => this.feedParts(opened, "inbox", part, position, feed);
    return this.withGap(opened, records, after, position, this.isYoung ? read : undefined, feedAll);
  }

  private get readLimit(): ReadLimit {
    const factor = this.job.options.mode === "batch" ? batchReadFactor : 1;
    return { records: this.options.recordsPerTurn * factor, bytes: this.options.bytesPerTurn * factor };
  }

  /** So young is the generation that batches of an earlier one may come (L3). */
  private get isYoung(): boolean {
    return this.ports.clock.now() - (this.record?.since ?? 0) <= this.options.invocationMsMax;
  }

  /** Something that came since a shard of the source was read may be gone. */
  private mayHaveLost(source: string, readUpTo: number): boolean {
    return mayHaveExpired(readUpTo, this.ports.clock.now(), this.ports.source(source).retentionMsMin);
  }

  /** L3: what lies between the position and the batch is read and fed first; `read` is undefined where nothing can. */
  private async withGap(
    opened: Cached,
    records: readonly SourceRecord[],
    after: Position | "horizon" | undefined,
    position: () => Position | "horizon",
    read: ((from: Position | "horizon") => Promise<{ readonly records: readonly SourceRecord[] }>) | undefined,
    feed: (records: readonly SourceRecord[]) => Promise<Fed>,
  ): Promise<Fed> {
    const first = records[0];
    if (first === undefined) return "done";
    if (read !== undefined && this.options.safeguards.holds("L3")) {
      while (after !== position() && isBefore(position(), first.position)) {
        const from = position();
        const between = (await read(from)).records.filter((record) => comparePositions(record.position, first.position) < 0);
        if (between.length === 0) break;
        const status = await feed(between);
        if (status !== "done") return status;
        if (position() === from) break;
      }
    }
    if (after === undefined) opened.batch = { position, at: position() };
    return feed(records);
  }

  /** Feeds a batch in as many parts as the time, or caution, asks for. */
  private async feedParts(
    opened: Cached,
    what: string,
    batch: readonly SourceRecord[],
    position: () => Position | "horizon",
    feed: (part: readonly SourceRecord[]) => Promise<Fed>,
  ): Promise<Fed> {
    const { budget } = opened;
    const first = batch.findIndex((record) => isBefore(position(), record.position));
    if (first < 0) return "done";
    for (let from = first; from < batch.length;) {
      const attempt = opened.attempts?.of(what, position());
      const careful = attempt?.careful === true;
      if (budget.isOver || mustRest(opened.task) || (careful && attempt.occupied)) return "late";
      const left = budget.begin(batch.length - from);
      const taken = careful ? await this.beginCareful(opened, attempt, position, left) : left;
      if (!careful) await attempt?.begin();
      const part = taken === batch.length ? batch : batch.slice(from, from + taken);
      const status = await feed(part);
      if (status !== "done") return status;
      if (careful) await this.endStep(opened);
      budget.end(taken);
      // A source that runs ahead of others stops within a batch.
      if (position() !== part.at(-1)?.position) return "done";
      from += taken;
    }
    return "done";
  }

  /** Feeds until the input is taken in, committing wherever a commit must end. */
  private async feed(opened: Cached, step: () => FeedStatus): Promise<Fed> {
    for (;;) {
      const status = step();
      await this.drain(opened);
      if (status === "newer") return status;
      if (status === "barrier" || status === "full" || opened.task.barrier !== undefined) await this.commit(opened);
      else if (status === "done") return status;
      if (status === "full" && mustRest(opened.task)) return "late";
    }
  }

  /** Loads what elements wait for, and lets them go on, until nothing waits. */
  private async drain(opened: Cached): Promise<void> {
    const { task } = opened;
    while (task.blocked || task.units.held !== undefined) {
      if (task.units.held !== undefined) await opened.attempts?.current?.allowMore();
      if (!task.blocked) return;
      await loadMissing(task, this.ports.blobs, this.ports.pages);
      task.resume();
    }
  }

  /** A poke reads for itself: each live shard, or the inbox, up to a turn's worth. */
  private async readInputs(opened: Cached): Promise<Fed> {
    const { task } = opened;
    const shards: { source: string; shard: ShardId }[] = [];
    for (const source of task.sources.keys())
      for (const shard of await this.shardsOf(task, source)) shards.push({ source, shard });
    const recordsBefore = task.taken;
    this.turns++;
    for (let n = 0; n < shards.length; n++) {
      const left = this.readLimit.records - (task.taken - recordsBefore);
      if (left <= 0) break;
      if (opened.budget.isOver || mustRest(task)) return "late";
      const { source, shard } = shards[(this.turns + n) % shards.length]!;
      const share = Math.ceil(left / (shards.length - n));
      const status = await this.readShard(opened, source, shard, { records: share, bytes: this.readLimit.bytes });
      if (status !== "done") return status;
    }
    // Shards that waited for others which turned out to have nothing.
    for (const { source, shard } of shards) {
      const input = task.sources.get(source);
      if (input?.alignment === undefined || task.taken > recordsBefore || !input.isLive(shard)) continue;
      const status = await this.readShard(opened, source, shard, this.readLimit);
      if (status !== "done") return status;
    }
    if (task.plan.stage.kind !== "keyed") return "done";
    const stream = inboxName(task.plan.generation, stageOf(task.plan.task));
    const shard = await this.inboxes.of(stream, task.plan.range);
    const { position } = task.channels;
    const { records } = await this.ports.log.read(stream, shard, position, this.readLimit);
    return this.feedInbox(opened, records, position);
  }

  /** The shards of a source that the task reads: all of them in the single stage, its own in a source stage. */
  private async shardsOf(task: Task, source: string): Promise<readonly ShardId[]> {
    if (task.plan.stage.kind === "source") {
      const own = shardOf(instanceOf(task.plan.task));
      return own.source === source ? [own.shard] : [];
    }
    const listed = (await this.listShards(source)).map((shard) => shard.id);
    // One that was deleted before it was read to its end must still be found out, and end: others wait for it.
    const unlisted = [...(task.sources.get(source)?.unended ?? [])].filter((shard) => !listed.includes(shard));
    return [...unlisted, ...listed];
  }

  /** Makes the shard known to its task. "waiting": its parents have not ended. "past": it lies before those that are known. */
  private async knowShard(opened: Cached, source: string, shard: ShardId): Promise<"known" | "waiting" | "past"> {
    const { task } = opened;
    const input = task.sources.get(source);
    if (input === undefined) throw new MillraceError("internal", `task ${task.plan.task} does not read ${source}`);
    if (!input.has(shard)) {
      await this.shard(source, shard);
      const listed = this.shards.get(source) ?? [];
      if (isPast(shard, (other) => input.has(other), listed)) return "past";
      if (task.plan.stage.kind === "single") this.learnShards(task, source, listed);
      else task.addShard(source, shard, []);
    }
    return input.isLive(shard) || input.isEnded(shard) || !this.options.safeguards.holds("L8") ? "known" : "waiting";
  }

  /**
   * A batch of a child is the first sign that its parents are closed: they are read to their end now, so that the child need not wait for
   * a poke (L11).
   */
  private async readAncestors(opened: Cached, source: string, shard: ShardId): Promise<Fed> {
    const input = opened.task.sources.get(source)!;
    for (const ancestor of ancestorsOf(shard, this.shards.get(source) ?? []))
      while (input.isLive(ancestor)) {
        if (opened.budget.isOver) return "late";
        const before = input.positionOf(ancestor);
        const status = await this.readShard(opened, source, ancestor, this.readLimit);
        if (status !== "done") return status;
        if (input.isLive(ancestor) && input.positionOf(ancestor) === before) break;
      }
    return "done";
  }

  /** The single task knows all shards that are listed, parents before children: one that it did not know could not be waited for. */
  private learnShards(task: Task, source: string, listed: readonly Shard[]): void {
    const input = task.sources.get(source)!;
    const fresh = listed.filter(({ id: shard }) => !input.has(shard) && !isPast(shard, (other) => input.has(other), listed));
    for (const { id: shard, parents } of fresh) task.addShard(source, shard, parents);
  }

  private async readShard(opened: Cached, source: string, shard: ShardId, limit: ReadLimit): Promise<Fed> {
    const { task } = opened;
    if ((await this.knowShard(opened, source, shard)) !== "known") return "done";
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
    const result = await this.readSource(task, source, shard, after, few);
    if (result.records.length > 0) {
      const status = await this.feedShard(opened, source, shard, result.records, after, upTo);
      if (status !== "done") return status;
    }
    const left = result.records.length > 0 && input.positionOf(shard) !== result.records.at(-1)?.position;
    if (left) return "done";
    if (result.next === undefined) await this.endShard(opened, source, shard);
    else if (result.records.length === 0 && result.behindMs === 0) {
      input.noteCaughtUp(shard, task.now);
      await this.decideIdle(opened, source, shard);
    }
    return "done";
  }

  /**
   * How far the shards of a source may go, epoch ms: some way ahead of the slowest of their alignment group, as far as it is known.
   * Infinity: no limit.
   */
  private alignmentLimit({ task, messages }: Cached, { alignment }: SourceInput): number {
    if (alignment === undefined) return Infinity;
    const { group, maxDriftMs } = alignment;
    const announced = task.plan.stage.kind === "single" ? undefined : announcedAlignment(messages, group);
    return maxDriftMs + (announced ?? task.slowestOf(group));
  }

  /** Reads a shard of a source, and reports what can no longer be read, with the range. */
  private async readSource(
    task: Task,
    source: string,
    shard: ShardId,
    after: Position | "horizon",
    limit: ReadLimit,
  ): Promise<ReadResult> {
    const readUpTo = task.sources.get(source)?.readUpTo(shard);
    const since = readUpTo === undefined ? {} : { readUpTo };
    const result = await this.ports.source(source).read(this.streamOf(source), shard, after, { ...limit, ...since });
    if (result.gap) {
      const message = "records were lost at the source: their retention passed before they were read";
      const { lost = { after, before: result.records[0]?.position ?? "its end" } } = result;
      const stream = this.streamOf(source);
      this.ports.telemetry.log("error", message, { task: task.plan.task, source, stream, shard, ...lost });
      this.ports.telemetry.add("sourceGap", 1, { source, shard });
    }
    return result;
  }

  /** L11: the shard has been read to its end. Its children belong to other tasks, or to this one. */
  private async endShard(opened: Cached, source: string, shard: ShardId): Promise<void> {
    const { task } = opened;
    const end = `end of ${source} ${shard}`;
    await this.announce(opened, end, () => task.sources.get(source)!.positionOf(shard));
    const shards = await this.listShards(source);
    const children = shards.filter((candidate) => candidate.parents.includes(shard));
    if (task.plan.stage.kind === "single") this.learnShards(task, source, shards);
    task.endShard(source, shard, task.plan.stage.kind === "single" ? [] : this.successorsOf(task, source, children));
    await this.endStep(opened);
    opened.attempts?.forget(end, idleness(source, shard), `${source} ${shard}`);
  }

  /** L13: the read from the shard's position was empty, and nothing is behind. */
  private async decideIdle(opened: Cached, source: string, shard: ShardId): Promise<void> {
    const { task } = opened;
    const input = task.sources.get(source)!;
    const due = (input.nextIdleCheck() ?? Infinity) <= task.now;
    if (due) await this.announce(opened, idleness(source, shard), () => input.positionOf(shard), true);
    task.decideIdle(source, shard);
    if (due) await this.endStep(opened);
    else await this.drain(opened);
  }

  /** A shard that had ended before the checkpoint which its task was restored from ends again, before the tasks of this generation. */
  private async nameSuccessors(task: Task): Promise<void> {
    if (task.plan.stage.kind !== "source" || task.hasSuccessors) return;
    const { source, shard } = shardOf(instanceOf(task.plan.task));
    const children = (await this.listShards(source)).filter((candidate) => candidate.parents.includes(shard));
    task.succeededBy(this.successorsOf(task, source, children));
  }

  private successorsOf(task: Task, source: string, children: readonly Shard[]): Successor[] {
    const taskOf = (shard: ShardId) => taskOfShard(this.job, task.plan.generation, source, shard);
    return children.map((child) => ({ task: taskOf(child.id), parents: child.parents.map(taskOf) }));
  }

  /** A checkpoint that was asked for begins at the tasks that read sources. */
  private async answerRequests(opened: Cached): Promise<void> {
    const { task } = opened;
    if (task.plan.stage.kind === "keyed") return;
    const request = opened.messages.find((message) => message.name === checkpointMessage);
    if (request === undefined || task.hasSeen(request.version)) return;
    const { savepoint } = decodeRequest(request.bytes);
    const barrier: Barrier = { checkpoint: request.version, savepoint, declined: false };
    task.trigger(barrier);
    await this.commit(opened);
  }

  /** A poke found nothing to read (L13). */
  private async decideIdleOperators(opened: Cached): Promise<void> {
    const { task } = opened;
    if (task.nextIdleCheckOfOperators() <= task.now) await this.announce(opened, "idle operators", () => String(task.head));
    task.decideIdleOperators();
    await this.endStep(opened);
  }

  /** Ends the turn: what was gathered is committed; a task whose inputs have ended ends. */
  private async settle(opened: Cached): Promise<void> {
    const { task } = opened;
    if (task.changed) await this.commit(opened);
    await this.processSorted(opened);
    if (!task.inputEnded || task.ended || task.sorts) return;
    await this.nameSuccessors(task);
    await this.announce(opened, "end", () => String(task.head));
    task.endTime();
    await this.drain(opened);
    await this.processSorted(opened);
    if (task.sorts) return;
    task.end();
    await this.commit(opened);
  }

  /** Batch mode: gives sorted input to operators, for so many commits of a turn. */
  private async processSorted(opened: Cached): Promise<void> {
    const { task } = opened;
    let announced = false;
    for (let commits = 0; task.sorts && commits < sortedCommitsPerTurn;) {
      if (commits > 0 && this.ports.clock.remainingMs() < this.options.reserveMs) return;
      if (!announced) await this.announce(opened, "sorted input", () => String(task.head));
      announced = true;
      const status = task.feedSorted();
      if (status === "reads") await loadRuns(task, this.ports.blobs);
      if (task.missing.length > 0) await loadMissing(task, this.ports.blobs, this.ports.pages);
      await this.drain(opened);
      if (status === "reads" || status === "waits") continue;
      await this.commit(opened);
      opened.attempts?.stepPassed();
      announced = false;
      commits++;
    }
  }

  // ---- committing ----

  private async commit(opened: Cached): Promise<void> {
    const { task } = opened;
    const { barrier } = task;
    const attempt = id<AttemptId>(`${this.options.id}.${++this.attempts}`);
    const groups = this.needsBase(opened) ? await this.loadForBase(opened, barrier !== undefined || task.ended) : undefined;
    const runsBefore = task.runBlobs;
    await this.spill(task, objectName("runs", task.plan.task, task.head + 1, attempt));
    const draft = task.finish();
    const base = groups === undefined ? opened.base : await this.writeBase(opened, groups, draft.seq, attempt);
    const effects: Effect[] = [...draft.effects];
    if (barrier !== undefined)
      effects.push({ effect: "acknowledge", checkpoint: barrier.checkpoint, index: base?.index, declined: false });
    if (task.ended) effects.push({ effect: "ended", index: base?.index });
    const done = draft.seq - 1;
    const commit: Commit = { ...draft, effects, attempt, by: takesFromBatch(opened) ? "mapping" : "poke", done, base };
    const bytes = await storeCommit(commit, this.ports.blobs, this.options.payload);
    await this.write(task.plan.task, draft.seq, attempt, bytes);
    opened.head = commit;
    opened.base = base;
    opened.commits++;
    this.proven.add(task.plan.task);
    await opened.attempts?.committed();
    opened.journalBytes = groups === undefined ? opened.journalBytes + bytes.length : 0;
    opened.effectsDone = false;
    const effectsCarriedOut = carryOut(commit, opened.plan, this.ports, this.inboxes, this.options.messageBytesMax);
    if (this.options.safeguards.holds("R3")) await effectsCarriedOut;
    else this.leave(opened, effectsCarriedOut);
    opened.effectsDone = true;
    const runs = task.runBlobs;
    const spent = [...runsBefore].filter((blob) => !runs.has(blob));
    if (spent.length > 0) await this.ports.blobs.delete(spent);
  }

  private async spill(task: Task, name: BlobName): Promise<void> {
    const bytes = task.spill(name);
    if (bytes !== undefined) await this.ports.blobs.put(name, bytes);
  }

  /** Without R3: the next entry does not wait, only the turn's end does. */
  private leave(opened: Cached, work: Promise<void>): void {
    work.catch(() => undefined);
    opened.unfinished.push(work);
  }

  private needsBase(opened: Cached): boolean {
    const { task } = opened;
    if (task.barrier !== undefined || task.ended) return true;
    const above = task.head + 1 - (opened.base?.seq ?? 0);
    return above >= this.ports.journal.ringSize - 8 || opened.journalBytes > this.options.journalBytesMax;
  }

  private async loadForBase(opened: Cached, forCheckpoint: boolean) {
    const groups = wantForBase(opened.task, forCheckpoint);
    if (opened.task.missing.length > 0) await loadMissing(opened.task, this.ports.blobs, this.ports.pages);
    return groups;
  }

  private async writeBase(opened: Cached, groups: ReturnType<typeof wantForBase>, seq: Seq, attempt: AttemptId): Promise<Base> {
    const { task } = opened;
    if (task.chain.stores.length === 0 && task.channels.held.count === 0) return { seq, index: undefined, local: undefined };
    const name = objectName("segments", task.plan.task, seq, attempt);
    const { bytes, ranges } = buildBase(task, groups, name, seq);
    await this.ports.blobs.put(name, bytes);
    return { seq, ...ranges };
  }

  /** The one write that decides. A lost response is told from a lost race by the attempt. */
  private async write(task: TaskId, seq: Seq, attempt: AttemptId, bytes: Uint8Array): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        const result = await this.ports.journal.write(task, { seq, attempt, bytes });
        if (result.outcome === "written" || (result.by === attempt && result.seq === seq)) return;
        throw new LostRace(`entry ${seq} of ${task} was written by ${result.by}`);
      } catch (error) {
        if (!isKind(error, "unavailable") || tries === 2) throw error;
      }
    }
  }
}

function isBefore(position: Position | "horizon", other: string): boolean {
  return position === "horizon" || comparePositions(position, other) < 0;
}

/** The position of the first record that the doorbell brought and the task did not get to: the rest is to be brought again. */
function firstLeft(task: Task, bell: AddressedBell): Position | undefined {
  if (bell.kind === "poke") return undefined;
  const at = bell.kind === "frames" ? task.channels.position : task.sources.get(bell.source)?.positionOf(bell.shard);
  const first = bell.records.find((record) => isBefore(at ?? "horizon", record.position));
  return first && id<Position>(first.position);
}

/** Whether the open commit advances the position by records of the mapping's batch; asked once per commit. */
function takesFromBatch({ batch }: Cached): boolean {
  if (batch === undefined) return false;
  const before = batch.at;
  batch.at = batch.position();
  return batch.at !== before;
}

/** What is attempted when a shard may be idle. */
function idleness(source: string, shard: ShardId): string {
  return `idleness of ${source} ${shard}`;
}

/** Too much was put aside: a task that reads sources takes nothing more in until the job has paused and goes on. */
function mustRest(task: Task): boolean {
  return task.isFlooded && task.plan.stage.kind !== "keyed";
}

/** The job is being stopped, and the task has made its part of the savepoint: what came in now would not be in it. */
function isSuspended({ task, messages }: Cached): boolean {
  const request = messages.find((message) => message.name === checkpointMessage);
  return request !== undefined && task.hasSeen(request.version) && decodeRequest(request.bytes).stop;
}

function isMissingObject(error: unknown): boolean {
  return isKind(error, "unavailable") && error.context.missing !== undefined;
}
