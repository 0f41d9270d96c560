/** Which job a command is about: by a state directory, a coordinator, a job's module, or the one that there is. */
import { readdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { defaultDirectory, storeFile } from "../../runtime/adapters/local/open-local.ts";
import { UsageError } from "../report-error.ts";
import { openLocalTarget } from "./local-target.ts";
import type { Target } from "./target.ts";

/** As it stands on the command line. */
export interface TargetOptions {
  readonly state?: string;
  readonly coordinator?: string;
  readonly output?: string;
}

/** The environment variable that names the coordinator where the command line does not. */
export const coordinatorVariable = "MILLRACE_COORDINATOR";

/** `job`: the name of the job whose module was given. */
export async function openTarget(options: TargetOptions, job?: string): Promise<Target> {
  const { state, output = "." } = options;
  const coordinator = options.coordinator ?? (state === undefined ? process.env[coordinatorVariable] : undefined);
  if (state !== undefined && coordinator !== undefined) throw new UsageError("name one job: by --state, or by --coordinator");
  if (coordinator !== undefined) return (await import("./aws-target.ts")).openAwsTarget(coordinator);
  return openLocalTarget(state ?? (await directoryOf(job)), { output });
}

/** Where the job of this name keeps its state here; without a name, the only job's. */
async function directoryOf(job: string | undefined): Promise<string> {
  if (job !== undefined) return join(defaultDirectory, job);
  const found = (await readdir(defaultDirectory).catch(() => [])).filter((name) =>
    existsSync(join(defaultDirectory, name, storeFile)),
  );
  if (found.length === 1) return join(defaultDirectory, found[0]!);
  if (found.length === 0) throw new UsageError(`name a job: its module, --state DIR, or --coordinator FUNCTION`);
  throw new UsageError(`name one of the jobs here, by --state: ${found.map((name) => join(defaultDirectory, name)).join(", ")}`);
}
