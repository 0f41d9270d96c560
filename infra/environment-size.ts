/**
 * Environment variables may have 4 KB together (N2 of functions/contract.ts). Names are given by CloudFormation when it deploys, so what
 * they can come to is reckoned from the longest that it gives.
 */
import { MillraceError } from "../runtime/base/errors.ts";
import { writeSettings } from "../functions/contract.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { type Bound, longestBindingsOf } from "./bindings.ts";
import type { TaskFunctions } from "./task-functions.ts";

const bytesMax = 4096;
/** Lambda's longest name; streams, tables and buckets that CloudFormation names are no longer. */
const longestName = "x".repeat(64);

/** Throws `invalid` where the coordinator's variables, which are the longest, could have too many bytes. */
export function checkEnvironmentSize(job: JobGraph, { cells }: TaskFunctions, props: Bound): void {
  const inboxes: Record<string, string[]> = {};
  const taskFunctions: Record<string, string[]> = {};
  for (const { stage } of cells) {
    (taskFunctions[stage] ??= []).push(longestName);
    if (job.stages.find(({ id }) => id === stage)?.kind === "keyed") (inboxes[stage] ??= []).push(longestName);
  }
  const bindings = longestBindingsOf(props);
  const variables = writeSettings({
    ...{ stateTable: longestName, stateBucket: longestName, deadLetterBucket: longestName, deployment: Number.MAX_SAFE_INTEGER },
    ...{ bindings, inboxes, taskFunctions, stage: longestName, cell: 0 },
  });
  const bytes = Object.entries(variables).reduce((sum, pair) => sum + Buffer.byteLength(pair.join("")), 0);
  if (bytes <= bytesMax) return;
  const advice = "raise tasksPerCell, so that there are fewer functions and streams";
  throw new MillraceError(
    "invalid",
    `the functions' environment variables may have ${bytesMax} bytes and could have ${bytes}: ${advice}`,
  );
}
