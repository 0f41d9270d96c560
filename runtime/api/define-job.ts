import { checkGraph } from "./check-graph.ts";
import { GraphBuilder } from "./graph-builder.ts";
import type { JobOptions, LogicalGraph } from "./graph.ts";
import { JobBuilder } from "./job-builder.ts";
import type { Job } from "./job.ts";
import { checkName } from "./names.ts";
import type { ParameterValues } from "./parameters.ts";

type Build = (job: JobBuilder) => void;

/**
 * Defines a job: a module's default export. `build` runs at once and must do nothing but append operators, since the module is
 * imported where the job is deployed, run and tested. Throws `invalid` for a job that cannot work.
 */
export function defineJob(name: string, build: Build, options: JobOptions = {}): Job {
  checkName("job", name);
  return jobOf(name, build, options, {});
}

function jobOf(name: string, build: Build, options: JobOptions, given: ParameterValues): Job {
  const graph = buildGraph(name, build, options, given);
  return { name, options, graph, withParameters: (values) => jobOf(name, build, options, { ...given, ...values }) };
}

function buildGraph(name: string, build: Build, options: JobOptions, given: ParameterValues): LogicalGraph {
  const nodes = new GraphBuilder();
  const job = new JobBuilder(nodes, given);
  build(job);
  const graph = { name, nodes: nodes.close(), parameters: job.parameters() };
  checkGraph(graph, options.mode === "batch");
  return graph;
}
