/** Reads what a task in batch mode wants of its sorted runs, all at once. */
import type { Blobs } from "../ports/blobs.ts";
import type { Task } from "../task/task.ts";
import { missingObject } from "./journal-entry.ts";
import { together } from "./together.ts";

/** Throws `unavailable` when an object is gone: the task has gone on elsewhere. */
export async function loadRuns(task: Task, blobs: Blobs): Promise<void> {
  await together(
    task.sorted.wantedRuns.map(async ({ range, supply }) => {
      const bytes = await blobs.get(range.blob, range);
      if (bytes === undefined) throw missingObject(range.blob);
      supply(bytes);
    }),
  );
}
