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
import { instanceOf, stageOf } from "../streaming/channel.ts";
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

/**
 * Adds to `into` the entries that the task takes over, and says by operator uid which share is its own. `tasks`: those that could have
 * kept state of the operator, and those that go on. Where they are the same, each goes on with its own; else all is dealt out.
 */
export function takeOperatorState(
  plan: TaskPlan,
  before: readonly Before[],
  tasks: (uid: string) => { readonly before: readonly TaskId[]; readonly now: readonly TaskId[] },
  into: TaskIndex,
): ReadonlyMap<string, Share> {
  const shares = new Map<string, Share>();
  for (const uid of plan.stage.operators) {
    const states = operatorStatesIn(plan, uid);
    if (states.size === 0) continue;
    const { before: known, now } = tasks(uid);
    const parts = inOrder(before).flatMap(({ task, index }) => {
      const entry = index.operators.get(operatorStoreName(uid))?.get(operatorKey);
      return entry === undefined ? [] : [{ task, entry, index }];
    });
    const place = now.indexOf(plan.task);
    assert(place >= 0, `task ${plan.task} is not among those that go on with ${uid}: ${now.join(", ")}`);
    const entry = joinOperatorEntries(
      parts.map((part) => part.entry),
      states,
      place,
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
  const names = (tasks: readonly TaskId[]) => tasks.map(nameOf).sort().join(" ");
  const known = new Set(before.map(nameOf));
  if (names(before) !== names(now) || parts.some((part) => !known.has(nameOf(part.task))))
    return { kind: "dealt", index: place, of: now.length };
  const part = parts.findIndex((candidate) => nameOf(candidate.task) === nameOf(task));
  return { kind: "own", part: part < 0 ? undefined : part };
}

/** The same in every generation. */
function nameOf(task: TaskId): string {
  return `${stageOf(task)}~${instanceOf(task)}`;
}

/** By instance, numbers as numbers: the order in which tasks said something says nothing. */
function inOrder(before: readonly Before[]): readonly Before[] {
  const name = ({ task }: Before) => instanceOf(task);
  return [...before].sort((a, b) => name(a).length - name(b).length || (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0));
}
