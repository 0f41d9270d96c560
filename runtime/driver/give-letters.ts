/**
 * What a generation takes in of dead letters that were given back to operators (snapshots/given-letters.ts): decided by the job record,
 * and held by its tasks before they take in anything else.
 */
import { MillraceError } from "../base/errors.ts";
import { corrupt } from "../base/byte-reader.ts";
import type { BackLine } from "../api/given-back.ts";
import { isKeyed } from "../api/operator-states.ts";
import type { TaskId } from "../base/ids.ts";
import { directEdge } from "../plan/direct-edge.ts";
import type { JobGraph } from "../plan/job-graph.ts";
import { namesUnder } from "../ports/blobs.ts";
import type { Ports } from "../ports/ports.ts";
import {
  decodeGiven,
  framesOfGiven,
  type GivenLetter,
  givenName,
  givenPrefix,
  isBefore,
  hasCopy,
  inputOf,
  keyOf,
  parseGiven,
  wayOf,
} from "../snapshots/given-letters.ts";
import type { JobRecord } from "../snapshots/job-record.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import { hashKeyOf } from "../state/key.ts";
import type { TaskPlan } from "../task/task-plan.ts";
import { lastingName } from "../streaming/channel.ts";
import { goesOnWith, inOrder, isSame, operatorStatesIn, tasksLike } from "./take-operator-state.ts";
import { rootTasks } from "./topology.ts";

/** The number of the object that was given back last; 0: none was. */
export async function lastGiven({ blobs }: Pick<Ports, "blobs">): Promise<number> {
  const found = await namesUnder(blobs, givenPrefix);
  return found.reduce((last, name) => Math.max(last, parseGiven(name) ?? 0), 0);
}

/** What a generation that begins from the checkpoint takes in, in its order. Throws `corrupt`. */
async function readLetters(upTo: number, manifest: Manifest, { blobs }: Pick<Ports, "blobs">): Promise<readonly GivenLetter[]> {
  const letters: GivenLetter[] = [];
  for (let n = (manifest.given ?? 0) + 1; n <= upTo; n++) {
    const bytes = await blobs.get(givenName(n));
    if (bytes === undefined) throw corrupt(`dead letters that were given back are gone: ${givenName(n)}`);
    for (const letter of decodeGiven(bytes)) if (isBefore(manifest, letter)) letters.push(letter);
  }
  return letters;
}

/** Throws `invalid` where something was given back that the job has no operator for, unless it may be `skipped`: then it says which. */
export async function checkGiven(
  job: JobGraph,
  upTo: number,
  manifest: Manifest,
  ports: Pick<Ports, "blobs">,
  skipped: boolean,
): Promise<readonly string[]> {
  const lost = new Set<string>();
  for (const letter of await readLetters(upTo, manifest, ports))
    if (!isTaken(job, letter.back) || !hasCopy(manifest, letter)) lost.add(letter.back.to);
  if (lost.size > 0 && !skipped)
    throw new MillraceError(
      "invalid",
      `dead letters were given back to an operator that cannot take them in, start code in which it stands behind a keyBy, nothing was changed: ${[...lost].join(", ")}`,
      { context: { operator: [...lost][0]! } },
    );
  return [...lost];
}

/** Tasks of source shards keep state beside their shards: which of them has a key changes with every split. */
function isTaken(job: JobGraph, back: BackLine): boolean {
  const operator = job.operators.get(back.to);
  if (operator === undefined || edgeOf(job, back) === undefined) return false;
  const { spec } = operator.node;
  if (back.what === "timer" && !isKeyed(spec)) return false;
  if ((back.what === "row" || back.what === "message") && spec.kind !== "sink") return false;
  return job.stages.find(({ id }) => id === operator.stage)?.kind !== "source" || operator.hash === undefined;
}

function edgeOf(job: JobGraph, back: BackLine): number | undefined {
  return directEdge(job, back.to, wayOf(back), inputOf(back));
}

/** What the task holds of it when it begins. */
export async function givenTo(
  plan: TaskPlan,
  record: JobRecord,
  manifest: Manifest,
  ports: Pick<Ports, "blobs">,
): Promise<readonly Uint8Array[]> {
  const upTo = record.given ?? 0;
  if (upTo <= (manifest.given ?? 0)) return [];
  const topology = record.topology.find(({ stage }) => stage === plan.stage.id);
  const tasks = topology === undefined ? [] : rootTasks(topology).map(({ task }) => task);
  const letters = (await readLetters(upTo, manifest, ports)).filter((letter, n) => {
    const operator = plan.job.operators.get(letter.back.to);
    if (operator?.stage !== plan.stage.id || !isTaken(plan.job, letter.back)) return false;
    if (letter.back.what === "copy") return takesCopyOf(letter, plan, manifest, tasks);
    const key = keyOf(letter);
    if (key === undefined || operator.hash === undefined) return tasks[n % tasks.length] === plan.task;
    const hash = hashKeyOf(key, operator.hash);
    return hash >= plan.range.from && hash <= plan.range.to;
  });
  return framesOfGiven(letters, { ...plan, job: plan.job.name }, ({ back }) => edgeOf(plan.job, back)!);
}

/** Whether the task goes on with what the one kept of it that could not take its copy in; where nothing is kept, one task takes it. */
function takesCopyOf({ task, back }: GivenLetter, plan: TaskPlan, manifest: Manifest, now: readonly TaskId[]): boolean {
  const all = manifest.tasks.map((ack) => ack.task);
  const before = tasksLike(task, all);
  if (operatorStatesIn(plan, back.to).size > 0) return goesOnWith(plan.task, before, now) === lastingName(task);
  const place = inOrder(before).findIndex((of) => lastingName(of) === lastingName(task));
  return isSame(before, now) ? lastingName(plan.task) === lastingName(task) : inOrder(now)[place % now.length] === plan.task;
}
