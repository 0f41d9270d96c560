/** A job's plan as it is run where the target is: a job on this machine may have been rescaled. */
import type { Job } from "../runtime/api/job.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import { recordOf } from "./job-status.ts";
import type { Target } from "./target/target.ts";

export async function planHere(job: Job, target: Target): Promise<JobGraph> {
  const { parallelism } = await recordOf(target);
  return planJob(parallelism === undefined ? job : { ...job, options: { ...job.options, parallelism } });
}
