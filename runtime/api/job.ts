/** A job as a module exports it, and what the builder collected. */
import type { JobOptions, LogicalGraph } from "./graph.ts";

/** A module's default export: pure data and closures; importing it touches no network. */
export interface Job {
  readonly name: string;
  readonly options: JobOptions;
  readonly graph: LogicalGraph;
}
