/** `millrace check`: whether a job's code could go on from a checkpoint, before it is deployed. Changes nothing. */
import { compareSchemas, describeDifference, type OperatorSchema, schemasOf } from "../../runtime/plan/compatibility.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import type { Manifest } from "../../runtime/snapshots/manifest.ts";
import type { Answer } from "../answer.ts";
import { exitCodes } from "../report-error.ts";

export function check(job: JobGraph, manifest: Manifest, allowSkippedState = job.options.allowSkippedState): Answer {
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
  const fits = differences.every(({ fatal }) => !fatal);
  const known = new Set(operators.map(({ uid }) => uid));
  const added = planned.map(({ uid }) => uid).filter((uid) => !known.has(uid));
  const json = { job: job.name, checkpoint, kind, fits, differences, added };
  const what = `${kind} ${checkpoint}`;
  const lines = [
    fits ? `fits: this code would go on from ${what}` : `does not fit: this code would refuse ${what}, and change nothing`,
    ...differences.map(({ fatal, text }) => `  ${fatal ? "refused" : "left behind"}  ${text}`),
    ...added.map((uid) => `  begins empty  operator ${uid}`),
  ];
  return { json, lines, code: fits ? exitCodes.done : exitCodes.doesNotFit };
}
