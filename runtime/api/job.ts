/** A job as a module exports it, and what the builder collected. */
import type { JobOptions, LogicalGraph } from "./graph.ts";
import type { ParameterValues } from "./parameters.ts";

/** A module's default export: pure data and closures; importing it touches no network. */
export interface Job {
  readonly name: string;
  readonly options: JobOptions;
  readonly graph: LogicalGraph;
  /** The same job built with other parameters. Throws `invalid` for a name that the job does not ask for, or a wrong type. */
  withParameters(values: ParameterValues): Job;
}
