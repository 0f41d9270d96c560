/**
 * Deletes what generations that are over have left outside of objects: rings and mailboxes, pages, and what their tasks said in the job
 * ring. Objects go by garbage collection, once no ring refers to them.
 *
 * Z1 Nothing goes while somebody may still look at it: a ring tells whoever comes late that it is sealed, and its entries keep the
 *    slots from being written. An environment reads the job record anew when what it knows is older than `recordMsMax`, and its turn
 *    lives `invocationMsMax` at most; when both have passed since the generation ended, nobody is left who knows its tasks.
 * Z2 Successors go before the tasks that name them, so that what is interrupted can be gone on with.
 */
import { isKind } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { Ports } from "../ports/ports.ts";
import type { FormerGeneration } from "../snapshots/job-record.ts";
import { ackMessage, endMessage, floodMessage, jobRing, standingMessage } from "../snapshots/names.ts";
import { loadCommit } from "./journal-entry.ts";
import { rootTasks } from "./topology.ts";

/** Retires those of the generations that ended before `before` (epoch ms). Returns those that stay. */
export async function retireGenerations(
  former: readonly FormerGeneration[],
  before: number,
  ports: Ports,
): Promise<readonly FormerGeneration[]> {
  const due = former.filter(({ endedAt }) => endedAt < before);
  for (const { stages } of due) {
    const tasks = new Set(stages.flatMap((stage) => rootTasks(stage).map(({ task }) => task)));
    for (const task of tasks) for (const successor of await successorsOf(task, ports)) tasks.add(successor);
    for (const task of [...tasks].reverse()) await retireTask(task, ports);
  }
  return former.filter((generation) => !due.includes(generation));
}

async function successorsOf(task: TaskId, ports: Ports): Promise<readonly TaskId[]> {
  const head = (await ports.journal.tail(task, "head")).entries.at(-1);
  if (head === undefined) return [];
  try {
    return (await loadCommit(task, head, ports.blobs)).progress.successors.map((successor) => successor.task);
  } catch (error) {
    if (isKind(error, "unavailable") && error.context.missing !== undefined) return [];
    throw error;
  }
}

async function retireTask(task: TaskId, { pages, journal }: Ports): Promise<void> {
  for (;;) {
    const ids = await pages.list(task);
    if (ids.length === 0) break;
    await pages.delete(ids);
  }
  await journal.withdraw(jobRing, [ackMessage(task), endMessage(task), standingMessage(task), floodMessage(task)]);
  await journal.forget(task);
}
