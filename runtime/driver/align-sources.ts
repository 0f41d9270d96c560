/**
 * Watermark alignment over several tasks (Flink's SourceCoordinator): the coordinator gathers where the tasks of each group stand, and
 * tells those that are ahead how far the slowest is. A task that was told nothing yet takes itself for the slowest. Alignment delays
 * reading, and nothing else depends on it.
 *
 * A1 The limit that a task knows never goes back: its message's version is the slowest watermark. So messages may come late, twice, and
 *    from two coordinators.
 * A2 The slowest is never ahead of itself, so somebody always reads on.
 */
import { decodeValue, encodeValue } from "../base/message-pack.ts";
import * as is from "../base/shape.ts";
import { id, type Generation, type TaskId } from "../base/ids.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import type { Journal, Message } from "../ports/journal.ts";
import { alignmentMessage, standingPrefix } from "../snapshots/names.ts";
import type { AlignmentReport } from "../state/commit.ts";
import { generationOf } from "../streaming/channel.ts";
import { together } from "./together.ts";

/** Whether any source of the job waits for others. */
export function hasAlignment(job: JobGraph): boolean {
  return [...job.operators.values()].some(
    ({ node: { spec } }) => spec.kind === "source" && spec.watermarks?.alignment !== undefined,
  );
}

const reportShape = is.object({ group: is.text, at: is.optional(is.time) });

/** Where a task said that it stands. Throws `corrupt`. */
export function decodeReport(bytes: Uint8Array): AlignmentReport {
  const report = decodeValue(bytes);
  is.checkShape("a report", report, reportShape);
  return report as AlignmentReport;
}

/** What tasks are to be told: of the group, the slowest watermark. Pure. */
export function decideAlignment(
  messages: readonly Message[],
  generation: Generation,
): readonly { readonly task: TaskId; readonly group: string; readonly slowest: number }[] {
  const reports = messages.flatMap(({ name, bytes }) => {
    if (!name.startsWith(standingPrefix)) return [];
    const task = id<TaskId>(name.slice(standingPrefix.length));
    const { group, at } = decodeReport(bytes);
    return generationOf(task) === generation && at !== undefined ? [{ task, group, at }] : [];
  });
  const slowest = new Map<string, number>();
  for (const { group, at } of reports) slowest.set(group, Math.min(at, slowest.get(group) ?? Infinity));
  return reports.map(({ task, group }) => ({ task, group, slowest: slowest.get(group) as number }));
}

/** Tells each task what is new to it. `told`: what it was told before, kept from call to call. Returns the tasks that may read on. */
export async function announceAlignment(
  messages: readonly Message[],
  generation: Generation,
  told: Map<TaskId, number>,
  journal: Pick<Journal, "post">,
): Promise<readonly TaskId[]> {
  const news = decideAlignment(messages, generation).filter(({ task, slowest }) => slowest > (told.get(task) ?? -Infinity));
  await together(
    news.map(async ({ task, group, slowest }) => {
      await journal.post(task, { name: alignmentMessage(group), version: slowest, bytes: encodeValue(slowest) });
      told.set(task, slowest);
    }),
  );
  return news.map(({ task }) => task);
}

/** What a task was told of its group's slowest; undefined: nothing yet. */
export function announcedAlignment(messages: readonly Message[], group: string): number | undefined {
  return messages.find(({ name }) => name === alignmentMessage(group))?.version;
}
