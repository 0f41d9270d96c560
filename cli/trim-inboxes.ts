/**
 * Drops from the inboxes what their tasks have taken in, so that a local job's memory and disk are bounded by its state and not by
 * its input. On AWS the streams' retention does this.
 *
 * T1 Only what a task's committed head has passed is dropped. No restore goes back to it: a restored generation has inboxes of its
 *    own and reads its sources again.
 */
import type { ProvisionedLog } from "../runtime/adapters/log-provisioning.ts";
import { isKind } from "../runtime/base/errors.ts";
import { id, type Position, type TaskId } from "../runtime/base/ids.ts";
import type { JobRecord } from "../runtime/snapshots/job-record.ts";
import { inboxName } from "../runtime/snapshots/names.ts";
import { stageOf } from "../runtime/streaming/channel.ts";
import type { Task } from "../runtime/task/task.ts";

/** Trims the inboxes of the record's generation. `peek` answers what this process last saw of a task, between turns. */
export async function trimInboxes(
  record: JobRecord,
  log: ProvisionedLog,
  peek: (task: TaskId) => Task | undefined,
): Promise<void> {
  for (const { kind, stage, tasks } of record.topology) {
    if (kind !== "keyed") continue;
    const stream = inboxName(record.generation, stage);
    const shards = await log.shards(stream);
    for (const { task, range } of tasks) {
      const position = peek(task)?.channels.position ?? "horizon";
      const shard = shards.find((candidate) => candidate.range.from <= range.from && candidate.range.to >= range.from);
      if (shard !== undefined && position !== "horizon") await log.trim(stream, shard.id, position);
    }
  }
}

/** Empties the inboxes of generations that are over: their rings are sealed, nobody reads them again. */
export async function emptyOldInboxes(record: JobRecord, log: ProvisionedLog): Promise<void> {
  const everything = id<Position>(String(Number.MAX_SAFE_INTEGER));
  const stages = new Set(record.topology.filter(({ kind }) => kind === "keyed").map(({ tasks }) => stageOf(tasks[0]!.task)));
  for (let generation = 1; generation < record.generation; generation++)
    for (const stage of stages)
      for (const { id: shard } of await shardsOf(log, inboxName(generation, stage)))
        await log.trim(inboxName(generation, stage), shard, everything);
}

async function shardsOf(log: ProvisionedLog, stream: string) {
  try {
    return await log.shards(stream);
  } catch (error) {
    if (isKind(error, "invalid")) return [];
    throw error;
  }
}
