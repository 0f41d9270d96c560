/**
 * An environment: one process, or one Lambda environment, that runs turns of a job's tasks. Its cache is only a cache: any other
 * environment may take the next turn.
 *
 * R9 Who meets a head of a higher deployment stops.
 * L1 Who meets a seal, or the end of a task, reloads the job record, and never answers success from a ring whose generation is over.
 * L2 A newer frame, or an unknown shard, makes it reload the job record.
 * L11 A batch of a child shard is the first sign that its parents are closed.
 * L16 No promise is left pending at the end of a turn.
 *
 * The rules of what a turn does stand where it is done: opening in task-opener.ts (R5), input in input-reader.ts (L3) and shard-lifecycle.ts
 * (L8, L11, L13), deaths in turn-steps.ts (L14), committing in committer.ts (R3).
 */
import { isKind, MillraceError } from "../base/errors.ts";
import { encodeValue } from "../base/message-pack.ts";
import { id, type Position, type ShardId, type TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import { decodeRequest } from "../snapshots/checkpoint-request.ts";
import { type JobRecord, tasksRun } from "../snapshots/job-record.ts";
import { checkpointMessage, floodMessage, inboxName, jobRing } from "../snapshots/names.ts";
import { generationOf } from "../streaming/channel.ts";
import type { Barrier } from "../streaming/element.ts";
import { isBefore } from "../streaming/position.ts";
import { isPoison } from "../task/blame.ts";
import type { Task } from "../task/task.ts";
import { Committer } from "./committer.ts";
import type { AddressedBell, Doorbell, RingOutcome, TurnOutcome } from "./doorbell.ts";
import type { EnvironmentOptions } from "./environment-options.ts";
import { idOf } from "./decide-deliveries.ts";
import { evictCold } from "./evict.ts";
import { InboxShards } from "./inbox-shards.ts";
import { InputReader } from "./input-reader.ts";
import { readJobRecord } from "./job-ring.ts";
import { loadMissing } from "./load-groups.ts";
import { loadRuns } from "./load-runs.ts";
import { LostRace } from "./lost-race.ts";
import { type Fed, isSuspended, mustRest, type OpenedTask } from "./opened-task.ts";
import { ShardLifecycle } from "./shard-lifecycle.ts";
import { SourceShards } from "./source-shards.ts";
import { TaskOpener } from "./task-opener.ts";
import { TakenDeliveries } from "./taken-deliveries.ts";
import { together } from "./together.ts";
import { hasTasksOf, isPlannedBy, stageWith, taskOfShard } from "./topology.ts";
import { TurnSteps } from "./turn-steps.ts";

const attemptsMax = 50;

/** So long a turn steps back that has lost a race: at first, and at most. */
const stepBackMsMin = 25;
const stepBackMsMax = 400;

/** Who reads what nobody brings is rung again when it has committed nothing for so long. */
const pollAgainMs = 5_000;

/** Batch mode: after so many commits over sorted input a turn ends, so that others get theirs and a stop is heard. */
const sortedCommitsPerTurn = 16;

export class Environment {
  readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: EnvironmentOptions;
  private record: JobRecord | undefined;
  /** Tasks that have ended, or will never begin. */
  private readonly over = new Set<TaskId>();
  private recordReadAt = -Infinity;
  private recordReads = 0;
  private readonly inboxes: InboxShards;
  private readonly shards: SourceShards;
  private readonly committer: Committer;
  private readonly steps: TurnSteps;
  private readonly lifecycle: ShardLifecycle;
  private readonly opener: TaskOpener;
  private readonly reader: InputReader;

  constructor(job: JobGraph, ports: Ports, options: EnvironmentOptions) {
    this.job = job;
    this.ports = ports;
    this.options = options;
    const inboxes = new InboxShards(ports.log, options.safeguards);
    const shards = new SourceShards(job, ports);
    const committer = new Committer(ports, options, inboxes);
    const steps = new TurnSteps(ports, committer);
    const lifecycle = new ShardLifecycle(job, shards, steps, options.safeguards);
    this.inboxes = inboxes;
    this.shards = shards;
    this.committer = committer;
    this.steps = steps;
    this.lifecycle = lifecycle;
    this.opener = new TaskOpener(job, ports, options, { inboxes, shards });
    this.reader = new InputReader(job, ports, options, { inboxes, shards, lifecycle, steps });
  }

  /** Runs one turn. Throws `unavailable` to be rung again, `user` under the policy "fail", `corrupt` when durable data is wrong. */
  async turn(bell: Doorbell): Promise<TurnOutcome> {
    const heard = withTaken(bell);
    const outcome = await this.turnOnce(heard);
    if (outcome.outcome !== "waiting" || bell.kind !== "records" || !(await this.endParents(bell.source, bell.shard)))
      return outcome;
    return this.turnOnce(heard);
  }

  private async turnOnce(bell: Doorbell): Promise<TurnOutcome> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      try {
        const outcome = await this.attempt(bell, false, attempt > 0);
        if (outcome !== "again") return outcome;
      } catch (error) {
        if (!(error instanceof LostRace)) throw error;
        this.ports.telemetry.add("turn.racesLost", 1);
        await this.stepBack(attempt);
      }
    }
    throw new MillraceError("unavailable", `turn of ${JSON.stringify(bell.kind)} lost ${attemptsMax} races: ring again`);
  }

  /** Who has lost a race lets the winner come to its end: it would repeat the effects that are under way, and lose the next race to others. */
  private async stepBack(attempt: number): Promise<void> {
    const { clock } = this.ports;
    const ms = Math.min(stepBackMsMax, stepBackMsMin * 2 ** attempt);
    if (clock.remainingMs() - ms > this.options.reserveMs) await clock.sleep(ms);
  }

  /**
   * Something has come at a source whose batches do not say where it stands: its tasks read until they find nothing more. "late": time was
   * over before that. As `turn` otherwise.
   */
  async ring(source: string): Promise<RingOutcome> {
    for (;;) {
      const reads = this.recordReads;
      const record = await this.jobRecord();
      if (record === undefined) return { outcome: "waiting" };
      const tasks = await this.tasksReading(source, record);
      const outcome = await this.ringAll(tasks);
      if (outcome.outcome !== "done") return outcome;
      // L1 None of them lives: that may be of a generation which is over.
      const isOld = tasks.every((task) => this.over.has(task)) && this.recordReads === reads;
      if (isOld) this.record = undefined;
      else if (this.record === undefined) return { outcome: "waiting" };
      else if (this.record.generation === record.generation) return outcome;
    }
  }

  private async ringAll(tasks: readonly TaskId[]): Promise<RingOutcome> {
    let outcome: RingOutcome = { outcome: "done" };
    for (const task of tasks) {
      const rung = await this.readOut(task);
      if (rung.outcome === "fenced" || rung.outcome === "late") return rung;
      if (rung.outcome !== "done") outcome = rung;
    }
    return outcome;
  }

  /** Parents first, without those that are known to be over. */
  private async tasksReading(source: string, { generation }: JobRecord): Promise<readonly TaskId[]> {
    const isSingle = stageWith(this.job, source).kind === "single";
    const shards = isSingle ? [id<ShardId>("")] : (await this.shards.list(source)).map((shard) => shard.id);
    return shards.map((shard) => taskOfShard(this.job, generation, source, shard)).filter((task) => !this.over.has(task));
  }

  private async readOut(task: TaskId): Promise<RingOutcome> {
    while (this.ports.clock.remainingMs() > this.options.reserveMs) {
      const outcome = await this.turnOnce({ kind: "poke", task });
      if (outcome.outcome === "stale" || (outcome.outcome === "done" && outcome.ended)) this.over.add(task);
      if (outcome.outcome === "stale") return { outcome: "done" };
      if (outcome.outcome !== "done") return outcome;
      if (outcome.ended || outcome.records === 0) return { outcome: "done" };
    }
    return { outcome: "late" };
  }

  /** Reads the job record anew at the next turn. */
  forgetJobRecord(): void {
    this.record = undefined;
  }

  /** What is known of a task from its last turn here, for progress displays. */
  peek(task: TaskId): Task | undefined {
    return this.opener.peek(task);
  }

  private async attempt(bell: Doorbell, guarded: boolean, anew: boolean): Promise<TurnOutcome | "again"> {
    const reads = this.recordReads;
    const record = await this.jobRecord();
    if (record !== undefined && record.deployment > this.options.deployment && this.options.safeguards.holds("R9"))
      return { outcome: "fenced", deployment: record.deployment };
    // Newer code whose plan is another, or that has other inboxes, waits until its coordinator has moved the job to a generation of its own.
    if (record === undefined || !tasksRun(record) || !isPlannedBy(record, this.job) || !hasTasksOf(record, this.job)) {
      this.record = undefined;
      // Rings of a job that has stopped are sealed, and it goes on in another generation: what lies in an inbox is nobody's any more. The
      // record was read behind the batch, so no frame in it is of a generation that came later.
      return { outcome: bell.kind === "inbox" && record?.phase === "stopped" ? "stale" : "waiting" };
    }
    const addressed = await this.address(bell, record, anew);
    if (addressed === "again") return this.again();
    if ("outcome" in addressed) return addressed;
    try {
      return await this.turnOf(addressed, record, guarded, this.recordReads > reads);
    } catch (error) {
      if (!(await this.isOver(record, error))) throw error;
      return this.again();
    }
  }

  /**
   * L1 Whether a turn failed that is of a generation which is over, as that of a job that has stopped is. A rescale changes the shards of
   * inboxes when it has sealed the rings, a fork the listings of sources: what does not fit together for a turn that wakes up after that says
   * nothing of the job, and its frames are dropped. In the generation that lives it stays an error.
   */
  private async isOver({ generation }: JobRecord, error: unknown): Promise<boolean> {
    if (!isKind(error, "corrupt") && !isKind(error, "invalid")) return false;
    const now = await readJobRecord(this.ports, this.job.name);
    return now !== undefined && (now.generation > generation || now.phase === "stopped");
  }

  private async turnOf(bell: AddressedBell, record: JobRecord, guarded: boolean, anew: boolean): Promise<TurnOutcome | "again"> {
    const task = bell.kind === "records" ? taskOfShard(this.job, record.generation, bell.source, bell.shard) : bell.task;
    if (generationOf(task) < record.generation) return { outcome: "stale" };
    if (generationOf(task) > record.generation) return this.options.safeguards.holds("L2") ? this.again() : { outcome: "stale" };
    const opened = await this.opener.open(task, record, bell, anew);
    if (opened === "sealed") return this.again();
    if ("outcome" in opened) return opened;
    if (isSuspended(opened)) return { outcome: "waiting" };
    if (opened.isRepetition) return this.nothingNew(opened);
    if (opened.plan.stage.kind !== "keyed") opened.task.goOn();
    try {
      return await this.run(opened, bell, guarded);
    } catch (error) {
      this.opener.drop(task);
      await this.steps.takeAttemptsBack(opened).catch(() => undefined);
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

  /**
   * What is known of the job; not older than the options say, since what is over is forgotten some time. That its tasks do not run is looked
   * up each time: it may be over by the next batch.
   */
  private async jobRecord(): Promise<JobRecord | undefined> {
    const now = this.ports.clock.now();
    // A clock that has gone back says nothing about how old it is.
    const isFresh = now >= this.recordReadAt && now - this.recordReadAt <= this.options.recordMsMax;
    if (this.record !== undefined && isFresh) return this.record;
    this.recordReadAt = now;
    this.recordReads++;
    const record = await readJobRecord(this.ports, this.job.name);
    this.record = record !== undefined && tasksRun(record) ? record : undefined;
    return record;
  }

  private again(): "again" {
    this.record = undefined;
    this.opener.dropAll();
    this.shards.forget();
    return "again";
  }

  // ---- parents of a shard ----

  /**
   * A batch of a child is the first sign that its parents are closed: their tasks are rung until they have ended, so that the child need
   * not wait for a poke (L11). Whether all of them have. Who reads what nobody brings is rung for that, and comes to its end in its time.
   */
  private async endParents(source: string, shard: ShardId): Promise<boolean> {
    const { record } = this;
    if (record === undefined || stageWith(this.job, source).kind === "single") return false;
    const { parents } = await this.shards.find(source, shard);
    for (const parent of parents) if (!(await this.readToEnd(record, source, parent))) return false;
    return parents.length > 0;
  }

  private async readToEnd(record: JobRecord, source: string, shard: ShardId): Promise<boolean> {
    if (await this.shards.isPolled(source, shard)) return false;
    const task = taskOfShard(this.job, record.generation, source, shard);
    let parentsEnded = false;
    while (this.ports.clock.remainingMs() > this.options.reserveMs) {
      const outcome = await this.turnOnce({ kind: "poke", task });
      if (outcome.outcome === "stale" || outcome.outcome === "fenced") return false;
      if (outcome.outcome === "done") {
        if (outcome.ended) return true;
        if (outcome.records === 0) return false;
      } else {
        // It waits for something else: the job is being stopped.
        if (parentsEnded) return false;
        parentsEnded = await this.endParents(source, shard);
        if (!parentsEnded) return false;
      }
    }
    return false;
  }

  // ---- running ----

  /** Of a turn that had nothing to do. */
  private nothingNew({ task }: OpenedTask): TurnOutcome {
    return {
      outcome: "done",
      successors: task.successors,
      task: task.plan.task,
      commits: 0,
      records: 0,
      ended: task.ended,
      wakeAt: task.nextWakeUp(),
      polls: false,
      behind: false,
      unprocessed: undefined,
      left: [],
    };
  }

  private async run(opened: OpenedTask, bell: AddressedBell, guarded: boolean): Promise<TurnOutcome | "again"> {
    const { task } = opened;
    const before = { ...task.summary };
    let unprocessed: Position | undefined;
    let polls = false;
    if (!task.ended) {
      await this.steps.begin(opened, guarded);
      await this.askToPoll(task);
      const takenBefore = task.taken;
      const status = await this.feed(opened, bell);
      if (status === "newer") return this.again();
      if (status === "late") {
        unprocessed = firstLeft(task, bell);
        if (mustRest(task)) await this.answerRequests(opened);
      } else {
        if (bell.kind === "poke" && task.taken === takenBefore && !task.rests) await this.decideIdleOperators(opened);
        await this.answerRequests(opened);
      }
      polls = await this.askToPoll(task);
      await this.settle(opened);
      if (task.isFlooded) await this.reportFlood(task);
      await this.steps.endAttempts(opened);
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
      wakeAt: task.sorted.haveMore ? this.ports.clock.now() : task.nextWakeUp(),
      polls,
      behind: opened.behind,
      unprocessed,
      left: bell.kind === "records" ? (bell.taken?.left.map(idOf) ?? []) : [],
    };
  }

  private async feed(opened: OpenedTask, bell: AddressedBell): Promise<Fed> {
    const given = opened.task.holdsGiven ? await this.reader.feedGiven(opened) : "done";
    if (given !== "done") return given;
    return bell.kind === "poke" ? this.reader.readInputs(opened, bell.share) : this.reader.feedBell(opened, bell);
  }

  /** Sees to it that a task is rung again that reads what nobody brings. Whether it does. */
  private async askToPoll(task: Task): Promise<boolean> {
    const polls = await this.shards.polls(task.sources);
    task.pollBy = polls ? this.ports.clock.now() + pollAgainMs : Infinity;
    return polls;
  }

  /** The coordinator lets the job pause; who reads a source rests already. */
  private async reportFlood(task: Task): Promise<void> {
    const bytes = encodeValue(task.lettersThisMinute);
    await this.ports.journal.post(jobRing, { name: floodMessage(task.plan.task), version: task.head, bytes });
  }

  private report({ task, commits, base }: OpenedTask, before: Task["summary"]): void {
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

  /** A checkpoint that was asked for begins at the tasks that read sources. */
  private async answerRequests(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    // A checkpoint contains what was given back before it.
    if (task.plan.stage.kind === "keyed" || task.holdsGiven) return;
    const request = opened.messages.find((message) => message.name === checkpointMessage);
    if (request === undefined || task.barriers.hasSeen(request.version)) return;
    const { savepoint, stop } = decodeRequest(request.bytes);
    const barrier: Barrier = { checkpoint: request.version, savepoint, stop, declined: false };
    task.barriers.trigger(barrier);
    await this.committer.commit(opened);
  }

  /** A poke found nothing to read (L13). */
  private async decideIdleOperators(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    if (task.nextIdleCheckOfOperators() <= task.now) await this.steps.announce(opened, "idle operators", () => String(task.head));
    task.decideIdleOperators();
    await this.steps.endStep(opened);
  }

  /** Ends the turn: what was gathered is committed; a task whose inputs have ended ends. */
  private async settle(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    if (task.changed) await this.committer.commit(opened);
    // What its end brings about would not be in the savepoint.
    if (task.rests) return;
    await this.processSorted(opened);
    if (!task.inputEnded || task.ended || task.sorted.haveMore) return;
    await this.lifecycle.nameSuccessors(task);
    // Others may commit what comes again meanwhile: the end is not left by that.
    await this.steps.announce(opened, "end", () => "");
    task.endTime();
    await this.steps.drain(opened);
    await this.processSorted(opened);
    if (task.sorted.haveMore) return;
    task.end();
    await this.committer.commit(opened);
  }

  /** Batch mode: gives sorted input to operators, for so many commits of a turn. */
  private async processSorted(opened: OpenedTask): Promise<void> {
    const { task } = opened;
    let announced = false;
    for (let commits = 0; task.sorted.haveMore && commits < sortedCommitsPerTurn;) {
      if (commits > 0 && this.ports.clock.remainingMs() < this.options.reserveMs) return;
      if (!announced) await this.steps.announce(opened, "sorted input", () => task.sorted.place);
      announced = true;
      const status = task.feedSorted();
      if (status === "reads") await loadRuns(task, this.ports.blobs);
      if (task.missing.length > 0) await loadMissing(task, this.ports.blobs, this.ports.pages);
      await this.steps.drain(opened);
      if (status === "reads" || status === "waits") continue;
      await this.committer.commit(opened);
      opened.attempts?.stepPassed();
      announced = false;
      commits++;
    }
  }
}

/** With what tells which of its deliveries are committed, if it brings any. */
function withTaken(bell: Doorbell): Doorbell {
  if (bell.kind !== "records" || bell.records[0]?.delivery === undefined) return bell;
  return { ...bell, taken: new TakenDeliveries(bell.records) };
}

/** The position of the first record that the doorbell brought and the task did not get to: the rest is to be brought again. */
function firstLeft(task: Task, bell: AddressedBell): Position | undefined {
  if (bell.kind === "poke" || (bell.kind === "records" && bell.taken !== undefined)) return undefined;
  const at = bell.kind === "frames" ? task.channels.position : task.sources.get(bell.source)?.positionOf(bell.shard);
  const first = bell.records.find((record) => isBefore(at ?? "horizon", record.position));
  return first && id<Position>(first.position);
}
