/**
 * Which tasks make up a checkpoint, and whether it is complete: a pure decision over what tasks have said.
 *
 * L8 In a manifest a shard is at a position, ended, or unstarted: a task that acknowledged stands for itself; one that ended before
 *    the barrier reached it stands with its final state, and then its successors are asked, those whose parents have all ended.
 */
import type { Checkpoint, TaskId } from "../base/ids.ts";
import type { Acknowledgement } from "./manifest.ts";

/** What is known of tasks. */
export interface Said {
  /** The latest acknowledgement of a task. */
  acknowledged(task: TaskId): Acknowledgement | undefined;
  /** How the task ended. */
  ended(task: TaskId): Acknowledgement | undefined;
}

export type Cut = { /** Every task of the job has ended. */ readonly finished: boolean } & (
  | { readonly outcome: "complete"; readonly tasks: readonly Acknowledgement[] }
  | { readonly outcome: "waiting"; readonly waitingFor: readonly TaskId[] }
  | { readonly outcome: "declined" }
);

/** `checkpoint` undefined: none is pending; only `finished` is of use then. */
export function decideCut(roots: readonly TaskId[], said: Said, checkpoint: Checkpoint | undefined): Cut {
  const tasks = new Map<TaskId, Acknowledgement>();
  const endedTasks = new Set<TaskId>();
  const waitingFor: TaskId[] = [];
  let declined = false;
  let finished = true;
  const asked = new Set<TaskId>(roots);
  const queue = [...roots];
  for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
    const ack = said.acknowledged(task);
    const end = said.ended(task);
    finished &&= end !== undefined;
    if (checkpoint !== undefined && ack?.checkpoint === checkpoint) {
      declined ||= ack.declined;
      tasks.set(task, ack);
    } else if (end !== undefined) {
      tasks.set(task, end);
      endedTasks.add(task);
      for (const successor of end.successors) {
        if (
          asked.has(successor.task) ||
          !successor.parents.every((parent) => endedTasks.has(parent) || !isKnown(said, asked, parent))
        )
          continue;
        asked.add(successor.task);
        queue.push(successor.task);
      }
    } else waitingFor.push(task);
  }
  if (declined) return { finished, outcome: "declined" };
  if (waitingFor.length > 0) return { finished: false, outcome: "waiting", waitingFor };
  return { finished, outcome: "complete", tasks: [...tasks.values()].map((ack) => withoutInherited(ack, endedTasks, tasks)) };
}

function isKnown(said: Said, asked: ReadonlySet<TaskId>, task: TaskId): boolean {
  return asked.has(task) || said.ended(task) !== undefined || said.acknowledged(task) !== undefined;
}

/** The state of an ended task whose successors stand in the cut is theirs: taken over twice, its rows would be doubled. */
function withoutInherited(
  ack: Acknowledgement,
  ended: ReadonlySet<TaskId>,
  tasks: ReadonlyMap<TaskId, Acknowledgement>,
): Acknowledgement {
  if (!ended.has(ack.task) || ack.successors.length === 0) return ack;
  return ack.successors.every(({ task }) => tasks.has(task)) ? { ...ack, index: undefined } : ack;
}
