/**
 * The life of a source's shards in a task: known once their parents are, idle, ended, succeeded by their children.
 *
 * L8 A child's records wait until all its parents have ended.
 * L11 The end of a shard is found by a read of its own.
 * L13 A shard is idle only if a read from its position is empty and nothing is behind.
 */
import { MillraceError } from "../base/errors.ts";
import type { ShardId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Shard } from "../ports/log.ts";
import { instanceOf } from "../streaming/channel.ts";
import type { Successor } from "../streaming/element.ts";
import type { Safeguards } from "../task/safeguards.ts";
import { shardOf } from "../task/source-task.ts";
import type { Task } from "../task/task.ts";
import type { OpenedTask } from "./opened-task.ts";
import { isPast } from "./shard-lineage.ts";
import type { SourceShards } from "./source-shards.ts";
import { taskOfShard } from "./topology.ts";
import type { TurnSteps } from "./turn-steps.ts";

export class ShardLifecycle {
  private readonly job: JobGraph;
  private readonly shards: SourceShards;
  private readonly steps: TurnSteps;
  private readonly safeguards: Safeguards;

  constructor(job: JobGraph, shards: SourceShards, steps: TurnSteps, safeguards: Safeguards) {
    this.job = job;
    this.shards = shards;
    this.steps = steps;
    this.safeguards = safeguards;
  }

  /** The shards of a source that the task reads: all of them in the single stage, its own in a source stage. */
  async shardsOf(task: Task, source: string): Promise<readonly ShardId[]> {
    if (task.plan.stage.kind === "source") {
      const own = shardOf(instanceOf(task.plan.task));
      return own.source === source ? [own.shard] : [];
    }
    const listed = (await this.shards.list(source)).map((shard) => shard.id);
    // One that was deleted before it was read to its end must still be found out, and end: others wait for it.
    const unlisted = [...(task.sources.get(source)?.unended ?? [])].filter((shard) => !listed.includes(shard));
    return [...unlisted, ...listed];
  }

  /** Makes the shard known to its task. "waiting": its parents have not ended. "past": it lies before those that are known. */
  async know(opened: OpenedTask, source: string, shard: ShardId): Promise<"known" | "waiting" | "past"> {
    const { task } = opened;
    const input = task.sources.get(source);
    if (input === undefined) throw new MillraceError("internal", `task ${task.plan.task} does not read ${source}`);
    if (!input.has(shard)) {
      await this.shards.find(source, shard);
      const listed = this.shards.listed(source);
      if (isPast(shard, (other) => input.has(other), listed)) return "past";
      if (task.plan.stage.kind === "single") this.learn(task, source, listed);
      else task.addShard(source, shard, []);
    }
    return input.isLive(shard) || input.isEnded(shard) || !this.safeguards.holds("L8") ? "known" : "waiting";
  }

  /** The single task knows all shards that are listed, parents before children: one that it did not know could not be waited for. */
  private learn(task: Task, source: string, listed: readonly Shard[]): void {
    const input = task.sources.get(source)!;
    const fresh = listed.filter(({ id: shard }) => !input.has(shard) && !isPast(shard, (other) => input.has(other), listed));
    for (const { id: shard, parents } of fresh) task.addShard(source, shard, parents);
  }

  /** L11: the shard has been read to its end. Its children belong to other tasks, or to this one. */
  async end(opened: OpenedTask, source: string, shard: ShardId): Promise<void> {
    const { task } = opened;
    const end = `end of ${source} ${shard}`;
    await this.steps.announce(opened, end, () => task.sources.get(source)!.positionOf(shard));
    const shards = await this.shards.list(source);
    const children = shards.filter((candidate) => candidate.parents.includes(shard));
    if (task.plan.stage.kind === "single") this.learn(task, source, shards);
    task.endShard(source, shard, task.plan.stage.kind === "single" ? [] : this.successorsOf(task, source, children));
    await this.steps.endStep(opened);
    opened.attempts?.forget(end, idleness(source, shard), `${source} ${shard}`);
  }

  /** L13: the read from the shard's position was empty, and nothing is behind. */
  async decideIdle(opened: OpenedTask, source: string, shard: ShardId): Promise<void> {
    const { task } = opened;
    const input = task.sources.get(source)!;
    const due = (input.nextIdleCheck() ?? Infinity) <= task.now;
    if (due) await this.steps.announce(opened, idleness(source, shard), () => input.positionOf(shard), true);
    task.decideIdle(source, shard);
    if (due) await this.steps.endStep(opened);
    else await this.steps.drain(opened);
  }

  /** A shard that had ended before the checkpoint which its task was restored from ends again, before the tasks of this generation. */
  async nameSuccessors(task: Task): Promise<void> {
    if (task.plan.stage.kind !== "source" || task.hasSuccessors) return;
    const { source, shard } = shardOf(instanceOf(task.plan.task));
    const children = (await this.shards.list(source)).filter((candidate) => candidate.parents.includes(shard));
    task.succeededBy(this.successorsOf(task, source, children));
  }

  private successorsOf(task: Task, source: string, children: readonly Shard[]): Successor[] {
    const taskOf = (shard: ShardId) => taskOfShard(this.job, task.plan.generation, source, shard);
    return children.map((child) => ({ task: taskOf(child.id), parents: child.parents.map(taskOf) }));
  }
}

/** What is attempted when a shard may be idle. */
function idleness(source: string, shard: ShardId): string {
  return `idleness of ${source} ${shard}`;
}
