/**
 * Opens a task for a turn: from the cache and what its ring has beyond it, or anew. The cache is only a cache: any other environment may
 * have taken the turn before, or take the next.
 *
 * R5 Whoever did not itself see a head's effects finish repeats all of them before it commits or answers success.
 */
import { isKind, MillraceError } from "../base/errors.ts";
import type { ShardId, TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Ports } from "../ports/ports.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import { instanceOf, stageOf } from "../streaming/channel.ts";
import { fullRange, type HashRange } from "../streaming/hash-range.ts";
import { shardOf } from "../task/source-task.ts";
import type { Task } from "../task/task.ts";
import type { TaskPlan } from "../task/task-plan.ts";
import { AttemptLog } from "./attempt-log.ts";
import { carryOut } from "./carry-out.ts";
import type { AddressedBell, TurnOutcome } from "./doorbell.ts";
import type { EnvironmentOptions } from "./environment-options.ts";
import type { InboxShards } from "./inbox-shards.ts";
import { mayHoldOlder } from "./older-invocations.ts";
import { isSuspended, type OpenedTask } from "./opened-task.ts";
import { isTakenInBefore, provesEffects } from "./proven-effects.ts";
import { type Recovered, recoverTask } from "./recover.ts";
import { isPast } from "./shard-lineage.ts";
import type { SourceShards } from "./source-shards.ts";
import { TimeBudget } from "./time-budget.ts";
import { planTask, taskOfShard } from "./topology.ts";

export class TaskOpener {
  private readonly job: JobGraph;
  private readonly ports: Ports;
  private readonly options: EnvironmentOptions;
  private readonly inboxes: InboxShards;
  private readonly shards: SourceShards;
  private readonly cache = new Map<TaskId, OpenedTask>();
  private readonly proven = new Map<TaskId, Set<string>>();

  constructor(
    job: JobGraph,
    ports: Ports,
    options: EnvironmentOptions,
    known: { readonly inboxes: InboxShards; readonly shards: SourceShards },
  ) {
    this.job = job;
    this.ports = ports;
    this.options = options;
    this.inboxes = known.inboxes;
    this.shards = known.shards;
  }

  /** As its last turn here left it. */
  peek(task: TaskId): Task | undefined {
    return this.cache.get(task)?.task;
  }

  /** What a turn left behind that did not end well is not to be built on. */
  drop(task: TaskId): void {
    this.cache.delete(task);
  }

  dropAll(): void {
    this.cache.clear();
  }

  /** "sealed": the ring belongs to a generation that is over, or may: `anew` says that the job record was read for this. */
  async open(task: TaskId, record: JobRecord, bell: AddressedBell, anew: boolean): Promise<OpenedTask | "sealed" | TurnOutcome> {
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
    const effectsDone = fresh ? recovered.head === undefined : cached.effectsDone;
    // Nobody seals the ring of a task that has ended: its frames must not go into shards of a later generation, and what a mapping brings,
    // which may be such a generation's, must not be answered as if it were nobody's.
    const mayBeOver = !effectsDone || bell.kind !== "poke";
    if (!anew && mayBeOver && recovered.head?.progress.ended === true) return "sealed";
    const isRepetition = !effectsDone && isTakenInBefore(recovered.before, bell);
    const opened: OpenedTask = {
      ...recovered,
      record,
      plan,
      effectsDone,
      base: recovered.head === undefined ? undefined : fresh ? recovered.head.base : cached?.base,
      journalBytes: cached?.journalBytes ?? 0,
      commits: 0,
      batch: undefined,
      attempts: this.openAttempts(recovered, bell),
      isRepetition,
      deliveries: undefined,
      behind: false,
      budget: new TimeBudget(this.ports.clock, this.options.reserveMs, this.options.firstPart),
      unfinished: [],
    };
    this.cache.set(task, opened);
    // Of a task that rests no batch is taken in, and each of many would repeat its effects: what nobody has told of yet, somebody is rung for.
    const isLeft = isRepetition || (bell.kind !== "poke" && isSuspended(opened));
    if (!isLeft) await this.finishHead(opened, bell);
    return opened;
  }

  private openAttempts({ task, messages }: Recovered, bell: AddressedBell): AttemptLog | undefined {
    const { safeguards, attempts: options, id: by } = this.options;
    if (!safeguards.holds("L14")) return undefined;
    const { journal, clock } = this.ports;
    const proven = this.provenOf(task.plan.task);
    return new AttemptLog({ task, journal, clock, by, bell, options }, messages, proven);
  }

  /** By name, of each task, what this environment has done and lived. */
  private provenOf(task: TaskId): Set<string> {
    const known = this.proven.get(task) ?? new Set<string>();
    this.proven.set(task, known);
    return known;
  }

  private async recover(
    plan: TaskPlan,
    record: JobRecord,
    parents: readonly TaskId[] | undefined,
    cached: OpenedTask | undefined,
  ) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await recoverTask(plan, record, parents, this.ports, attempt === 0 ? cached : undefined);
      } catch (error) {
        if (!isMissingObject(error) || attempt === 3) throw error;
      }
    }
  }

  /** R5: repeats the head's effects unless this environment saw them finish, or they are proven done. */
  private async finishHead(opened: OpenedTask, bell: AddressedBell): Promise<void> {
    const { head, plan, record } = opened;
    if (opened.effectsDone || head === undefined) return;
    const { deployment, safeguards, invocationMsMax } = this.options;
    const isOlderHeld = mayHoldOlder(record, this.ports.clock.now(), invocationMsMax);
    const proven = provesEffects(head, bell, { deployment, safeguards, mayHoldOlder: isOlderHeld });
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
    const { range, parents } = await this.shards.find(source, shard);
    const isRoot = (other: ShardId) => topology.roots.get(source)?.some((known) => known.shard === other) ?? false;
    if (isPast(shard, isRoot, this.shards.listed(source))) return "past";
    return { range, parents: parents.map((parent) => taskOfShard(this.job, record.generation, source, parent)) };
  }
}

function isMissingObject(error: unknown): boolean {
  return isKind(error, "unavailable") && error.context.missing !== undefined;
}
