/**
 * Numbers for the inputs of operators, beside those of exchanges: what is given back to an operator comes to it directly, whether or not
 * an exchange leads to it by the plan as it is now.
 */
import type { Side } from "../api/graph.ts";
import type { JobGraph } from "./job-graph.ts";

/** Undefined: the job has no such operator, or it takes nothing in that was sent. */
export function directEdge(job: JobGraph, to: string, input: Side): number | undefined {
  const at = [...job.operators.keys()].indexOf(to);
  if (at < 0 || job.operators.get(to)!.node.spec.kind === "source") return undefined;
  return job.exchanges.length + 2 * at + input;
}

/** Where what is sent on an edge comes in. */
export interface EdgeEnd {
  /** The operator. */
  readonly to: string;
  readonly input: Side;
}

/** Where an edge leads, be it an exchange or not; undefined: the number is of nothing. */
export function endOf(job: JobGraph, edge: number): EdgeEnd | undefined {
  return job.exchanges[edge] ?? directEnd(job, edge);
}

function directEnd(job: JobGraph, edge: number): EdgeEnd | undefined {
  const place = edge - job.exchanges.length;
  const to = place < 0 ? undefined : [...job.operators.keys()][place >> 1];
  return to === undefined ? undefined : { to, input: (place & 1) as Side };
}
