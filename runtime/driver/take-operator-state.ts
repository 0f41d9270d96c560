/**
 * What a task that begins takes over of its operators' state outside keys: the parts of all tasks before it, and its share of them. A
 * function of durable data that no longer changes. Pure.
 */
import { SparseTable } from "../base/sparse-table.ts";
import { operatorStatesOf } from "../api/operator-states.ts";
import type { StateDeclaration } from "../api/state.ts";
import { assert } from "../base/assert.ts";
import type { TaskId } from "../base/ids.ts";
import { joinOperatorEntries, operatorKey, operatorStoreName, type Share } from "../state/operator-state.ts";
import type { TaskIndex } from "../state/state-index.ts";
import { instanceOf, lastingName, stageOf } from "../streaming/channel.ts";
import type { TaskPlan } from "../task/task-plan.ts";

/** A task of before, and all that it had stored. */
interface Before {
  readonly task: TaskId;
  readonly index: TaskIndex;
}

export function operatorStatesIn(plan: TaskPlan, uid: string): ReadonlyMap<string, StateDeclaration> {
  const spec = plan.job.operators.get(uid)?.node.spec;
  return spec === undefined ? new Map() : operatorStatesOf(spec);
}

interface Tasks {
  /** Those that could have kept state of the operator, if its stage was what it is now. */
  readonly before: readonly TaskId[];
  /** Of every stage; default: the same. */
  readonly all?: readonly TaskId[];
  readonly now: readonly TaskId[];
}

/**
 * Adds to `into` the entries that the task takes over, and says by operator uid which share is its own. `tasks`: those that could have
 * kept state of the operator, and those that go on. Where they are the same, each goes on with its own; else all is dealt out.
 */
export function takeOperatorState(
  plan: TaskPlan,
  before: readonly Before[],
  tasks: (uid: string) => Tasks,
  into: TaskIndex,
): ReadonlyMap<string, Share> {
  const shares = new Map<string, Share>();
  for (const uid of plan.stage.operators) {
    const states = operatorStatesIn(plan, uid);
    if (states.size === 0) continue;
    const { before: known, all = known, now } = tasks(uid);
    const indexes = new Map(before.map(({ task, index }) => [task, index]));
    const parts = inOrder([...indexes.keys()]).flatMap((task) => {
      const index = indexes.get(task)!;
      const entry = index.operators.get(operatorStoreName(uid))?.get(operatorKey);
      return entry === undefined ? [] : [{ task, entry, index }];
    });
    const place = now.indexOf(plan.task);
    assert(place >= 0, `task ${plan.task} is not among those that go on with ${uid}: ${now.join(", ")}`);
    const copied = parts[0] && goesOnWith(plan.task, tasksLike(parts[0].task, all), now);
    const entry = joinOperatorEntries(
      parts.map((part) => part.entry),
      states,
      (entries) => entries[parts.findIndex((part) => lastingName(part.task) === copied)],
    );
    if (entry === undefined) continue;
    for (const { index } of parts)
      for (const [blob, bytes] of index.segments) into.segments.set(blob, Math.max(bytes, into.segments.get(blob) ?? 0));
    into.operators.set(operatorStoreName(uid), new SparseTable([[operatorKey, entry]]));
    shares.set(uid, shareOf(plan.task, parts, known, now, place));
  }
  return shares;
}

function shareOf(
  task: TaskId,
  parts: readonly { readonly task: TaskId }[],
  before: readonly TaskId[],
  now: readonly TaskId[],
  place: number,
): Share {
  const known = new Set(before.map(lastingName));
  if (!isSame(before, now) || parts.some((part) => !known.has(lastingName(part.task))))
    return { kind: "dealt", index: place, of: now.length };
  const part = parts.findIndex((candidate) => lastingName(candidate.task) === lastingName(task));
  return { kind: "own", part: part < 0 ? undefined : part };
}

/**
 * Of the tasks before, by name, the one whose copy of a broadcast state this one goes on with: its own, else one of theirs in turn. It may have
 * had nothing to keep, where it failed on all that it was sent: then there is nothing to go on with either.
 */
export function goesOnWith(task: TaskId, before: readonly TaskId[], now: readonly TaskId[]): string | undefined {
  if (isSame(before, now)) return lastingName(task);
  const from = inOrder(before)[inOrder(now).indexOf(task) % before.length];
  return from && lastingName(from);
}

/** Those of the task's stage, as it was. */
export function tasksLike(task: TaskId, all: readonly TaskId[]): readonly TaskId[] {
  return all.filter((of) => stageOf(of) === stageOf(task));
}

/** Whether the tasks are the same, of whatever generation. */
export function isSame(before: readonly TaskId[], now: readonly TaskId[]): boolean {
  const names = (tasks: readonly TaskId[]) => tasks.map(lastingName).sort().join(" ");
  return names(before) === names(now);
}

/** By instance, numbers as numbers: the order in which tasks said something says nothing. */
export function inOrder(tasks: readonly TaskId[]): readonly TaskId[] {
  const name = (task: TaskId) => instanceOf(task);
  return [...tasks].sort((a, b) => name(a).length - name(b).length || (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0));
}
