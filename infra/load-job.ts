/** Imports a job at synthesis, as its functions and the local runner do: a job module is data, and importing it touches no network. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { Job } from "../runtime/api/job.ts";
import { messageOf, MillraceError } from "../runtime/base/errors.ts";
import { placeOf } from "../runtime/base/place-of.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { StreamJobProps } from "./stream-job-props.ts";

/** The job's plan. At once, since constructs are. Throws `invalid` for a module that is not there, fails, waits, or exports no job. */
export function loadJob({ entry, parameters = {} }: Pick<StreamJobProps, "entry" | "parameters">): JobGraph {
  if (!existsSync(entry)) throw new MillraceError("invalid", `the job's module is not there: ${resolve(entry)}`);
  const job = importNow(resolve(entry)).default as Partial<Job> | undefined;
  if (typeof job?.withParameters !== "function")
    throw new MillraceError("invalid", `the module must export a job by default, made by defineJob: ${entry}`);
  return planJob(Object.keys(parameters).length === 0 ? (job as Job) : job.withParameters(parameters));
}

function importNow(path: string): { readonly default?: unknown } {
  try {
    return createRequire(import.meta.url)(path) as { default?: unknown };
  } catch (error) {
    const place = placeOf(error, path);
    if (error instanceof MillraceError) throw new MillraceError(error.kind, `${error.message} (${place})`, { cause: error });
    const waits = (error as NodeJS.ErrnoException).code === "ERR_REQUIRE_ASYNC_MODULE";
    const why = waits ? "it waits for something at its top level, which a job module must not" : messageOf(error);
    throw new MillraceError("invalid", `the job's module cannot be loaded: ${place}: ${why}`, { cause: error });
  }
}
