/** `millrace check`: whether a job's code could go on from a checkpoint, before it is deployed. Changes nothing. */
import { compareSchemas, describeDifference, type OperatorSchema, schemasOf } from "../../runtime/plan/compatibility.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import type { Manifest } from "../../runtime/snapshots/manifest.ts";
import type { Answer } from "../answer.ts";
import { exitCodes } from "../report-error.ts";
import { compareValues, type StoredAt } from "../stored-values.ts";
import { plural } from "../words.ts";

/** `at`: where the checkpoint lies; undefined: there is only its manifest, so what is stored is not looked at. */
export async function check(
  job: JobGraph,
  manifest: Manifest,
  at: StoredAt | undefined,
  allowSkippedState = job.options.allowSkippedState,
): Promise<Answer> {
  const { checkpoint, kind, operators, keyGroups } = manifest;
  const planned = schemasOf(job.graph);
  const found = compareSchemas(operators as unknown as readonly OperatorSchema[], planned, { allowSkippedState });
  const differences = found.map((difference) => ({ ...difference, text: describeDifference(difference) }));
  if (keyGroups !== job.options.keyGroups)
    differences.push({
      operator: "",
      fatal: true,
      text: `keyGroups is fixed for a job's life: stored ${keyGroups}, declared ${job.options.keyGroups}`,
    } as never);
  const isTaken = differences.every(({ fatal }) => !fatal);
  const values = isTaken && at !== undefined ? await compareValues(job, manifest, at) : undefined;
  for (const unlike of values?.found ?? []) differences.push({ ...unlike, fatal: true, difference: "valueUnlike" } as never);
  const fits = differences.every(({ fatal }) => !fatal);
  const known = new Set(operators.map(({ uid }) => uid));
  const added = planned.map(({ uid }) => uid).filter((uid) => !known.has(uid));
  const json = { job: job.name, checkpoint, kind, fits, differences, added, ...(values && { keysRead: values.keys }) };
  const what = `${kind} ${checkpoint}`;
  const lines = [
    fits
      ? `fits: this code would go on from ${what}`
      : isTaken
        ? `does not fit: this code would go on from ${what}, and find values that are not what it takes them for`
        : `does not fit: this code would refuse ${what}, and change nothing`,
    ...differences.map(({ fatal, text }) => `  ${fatal ? (isTaken ? "unlike" : "refused") : "left behind"}  ${text}`),
    ...added.map((uid) => `  begins empty  operator ${uid}`),
  ];
  const read = values === undefined ? [] : [`  compared  ${plural(values.keys, "key")} with what the code declares`];
  return { json, lines: [...lines, ...read], code: fits ? exitCodes.done : exitCodes.doesNotFit };
}
