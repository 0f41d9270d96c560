/** The job that a module exports by default, with what the command line says of it. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { withEnvironment } from "../runtime/api/environment-parameters.ts";
import type { Job } from "../runtime/api/job.ts";
import { MillraceError, messageOf } from "../runtime/base/errors.ts";
import { placeOf } from "../runtime/base/place-of.ts";
import { UsageError } from "./report-error.ts";

export interface JobOptionsGiven {
  readonly param?: readonly string[];
  readonly batch?: boolean;
}

/** Throws `invalid` for a module that cannot be loaded or exports no job. */
export async function loadJob(path: string, { param: parameters = [], batch = false }: JobOptionsGiven = {}): Promise<Job> {
  if (!existsSync(path)) throw new MillraceError("invalid", `there is no such file, a job's module is expected: ${path}`);
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
  } catch (error) {
    const place = placeOf(error, path);
    if (error instanceof MillraceError) throw new MillraceError(error.kind, `${error.message} (${place})`, { cause: error });
    throw new MillraceError("invalid", `the job module cannot be loaded: ${place}: ${messageOf(error)}`, { cause: error });
  }
  const job = module.default as Partial<Job> | undefined;
  if (typeof job?.withParameters !== "function")
    throw new MillraceError("invalid", `the module must export a job by default, made by defineJob: ${path}`);
  const values = parameters.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)] as const);
  if (parameters.some((text) => text.indexOf("=") < 1)) throw new UsageError("a parameter is written name=value");
  const given = withEnvironment(job as Job, process.env, Object.fromEntries(values));
  return batch ? { ...given, options: { ...given.options, mode: "batch" } } : given;
}
