/**
 * What is deployed of a job's plan, as far as stored state depends on it: written into the template, and into a file beside the job that is
 * kept with its sources. Synthesis holds the job to the file, so that what could not go on from its state is refused before it is deployed.
 *
 * R1 Synthesis only reads the file; with the context value `millrace:recordPlans` it writes it, after the same comparison.
 * R2 The shards with which inboxes began stay as they were recorded: what comes after is the coordinator's.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, parse } from "node:path";
import { messageOf, MillraceError } from "../runtime/base/errors.ts";
import { compareSchemas, describeDifference, type OperatorSchema, schemasOf } from "../runtime/plan/compatibility.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { cellsOf } from "./cells.ts";

export interface PlanRecord {
  readonly version: 1;
  readonly job: string;
  readonly fingerprint: string;
  readonly keyGroups: number;
  readonly operators: readonly OperatorSchema[];
  /** By stage: the shards with which each cell of its inbox began. */
  readonly inboxes: Readonly<Record<string, readonly number[]>>;
}

/** The context value under which synthesis writes the files. */
export const recordPlansContext = "millrace:recordPlans";

/** Beside the entry, unless it is said. */
export function planFileOf({ entry, planFile }: { readonly entry: string; readonly planFile?: string | undefined }): string {
  const { dir, name } = parse(entry);
  return planFile ?? join(dir, `${name}.plan.json`);
}

/** The plan as it would be recorded after what is recorded already. */
export function planRecordOf(job: JobGraph, tasksPerCell: number, recorded: PlanRecord | undefined): PlanRecord {
  const operators = schemasOf(job.graph).map(({ states, hash, ...schema }) => ({
    ...schema,
    ...(hash !== undefined && { hash }),
    states: states.map(({ migrates: _, ...state }) => state),
  })) as unknown as readonly OperatorSchema[];
  const inboxes = job.stages
    .filter(({ kind }) => kind === "keyed")
    .map((stage) => [stage.id, beginningsOf(stage, tasksPerCell, recorded)] as const);
  return {
    version: 1,
    job: job.name,
    fingerprint: job.fingerprint,
    keyGroups: job.options.keyGroups,
    operators,
    inboxes: { ...recorded?.inboxes, ...Object.fromEntries(inboxes) },
  };
}

/** R2. A cell that is recorded keeps its number, one that comes to it begins with what it needs. */
function beginningsOf(
  stage: JobGraph["stages"][number],
  tasksPerCell: number,
  recorded: PlanRecord | undefined,
): readonly number[] {
  const cells = cellsOf(stage, tasksPerCell);
  const known = recorded?.inboxes[stage.id] ?? [];
  const own = Array.from({ length: cells }, (_, cell) => known[cell] ?? Number(stage.parallelism) / cells);
  return [...own, ...known.slice(cells)];
}

/** Undefined: nothing is recorded. Throws `invalid` for a file that is no record of this version. */
export function readPlanRecord(path: string): PlanRecord | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unreadable(path, messageOf(error));
  }
  try {
    const record = JSON.parse(text) as PlanRecord;
    if (record.version !== 1) throw new Error(`version ${String(record.version)}, this code knows 1`);
    return record;
  } catch (error) {
    throw unreadable(path, messageOf(error));
  }
}

export function writePlanRecord(path: string, record: PlanRecord): void {
  writeFileSync(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** Throws `invalid`, naming the operators, when the job could not go on from the state of what is recorded. */
export function checkAgainst(recorded: PlanRecord, job: JobGraph, path: string): void {
  if (recorded.job !== job.name)
    throw new MillraceError("invalid", `the record is of another job: ${path}: ${recorded.job}, not ${job.name}`);
  if (recorded.keyGroups !== job.options.keyGroups)
    throw new MillraceError(
      "invalid",
      `keyGroups is fixed for a job's life: deployed ${recorded.keyGroups}, declared ${job.options.keyGroups}`,
    );
  const { allowSkippedState } = job.options;
  const fatal = compareSchemas(recorded.operators, schemasOf(job.graph), { allowSkippedState }).filter(
    (difference) => difference.fatal,
  );
  if (fatal.length === 0) return;
  const list = fatal.map(describeDifference).join("; ");
  throw new MillraceError("invalid", `job ${job.name} could not go on from the state of what is deployed (${path}): ${list}`, {
    context: { operator: fatal[0]?.operator ?? "" },
  });
}

function unreadable(path: string, why: string): MillraceError {
  return new MillraceError("invalid", `the record of the deployed plan cannot be read: ${path}: ${why}`);
}
