/**
 * Seals the rings of an old generation, so that none of its environments commits again (L1). May be repeated.
 *
 * R3 holds for a seal too: what the head brings to the outside is published before, so that after it nothing appears that was not
 * there when outputs were taken back. Its frames and messages are of the old generation: nobody waits for them.
 */
import { isKind, MillraceError } from "../base/errors.ts";
import { type AttemptId, id, type TaskId } from "../base/ids.ts";
import type { Ports } from "../ports/ports.ts";
import type { StageTopology } from "../snapshots/job-record.ts";
import type { Commit } from "../state/commit.ts";
import { generationOf } from "../streaming/channel.ts";
import { emptyProgress } from "../task/task-start.ts";
import { publish } from "./carry-out.ts";
import { loadCommit, storeCommit } from "./journal-entry.ts";
import { rootTasks } from "./topology.ts";

/** Above it a seal becomes an object: an item of DynamoDB may have 400 KB. */
const payload = { inlineBytesMax: 256 * 1024, compressFromBytes: 64 * 1024 } as const;

/** Seals every task of the stages, those that never started too, and the successors of those that have ended. */
export async function sealRings(stages: readonly StageTopology[], ports: Ports, by: string): Promise<void> {
  const tasks = new Set<TaskId>(stages.flatMap((stage) => rootTasks(stage).map(({ task }) => task)));
  for (const task of tasks) for (const successor of await sealRing(task, ports, by)) tasks.add(successor);
}

/** Writes the seal at head + 1; returns the successors of an ended task. */
async function sealRing(task: TaskId, ports: Ports, by: string): Promise<readonly TaskId[]> {
  for (let tries = 0; tries < 100; tries++) {
    const { entries } = await ports.journal.tail(task, "head");
    const last = entries[entries.length - 1];
    const head = last && (await loadCommit(task, last, ports.blobs));
    const successors = head?.progress.successors.map((successor) => successor.task) ?? [];
    if (head?.by === "seal") return successors;
    if (head !== undefined) await publishOnce(head, ports);
    if (head?.progress.ended === true) return successors;
    const commit = sealOf(task, head, by);
    const bytes = await storeCommit(commit, ports.blobs, payload);
    const written = await ports.journal.write(task, { seq: commit.seq, attempt: commit.attempt, bytes });
    if (written.outcome === "written") return successors;
  }
  throw new MillraceError("unavailable", `ring of ${task} could not be sealed: it is written without end`);
}

/** A task that has ended has no seal: when sealing is repeated, outputs may have been taken back already, and are closed to its generation. */
async function publishOnce(head: Commit, ports: Ports): Promise<void> {
  try {
    await publish(head, ports);
  } catch (error) {
    if (!head.progress.ended || !isKind(error, "fenced")) throw error;
  }
}

function sealOf(task: TaskId, head: Commit | undefined, by: string): Commit {
  const seq = (head?.seq ?? 0) + 1;
  return {
    generation: generationOf(task),
    deployment: head?.deployment ?? 0,
    task,
    seq,
    attempt: id<AttemptId>(`${by}.seal.${seq}`),
    by: "seal",
    done: seq - 1,
    progress: head?.progress ?? emptyProgress({}),
    held: { added: [], released: [] },
    rows: [],
    effects: [],
    base: head?.base,
  };
}
