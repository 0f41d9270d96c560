/**
 * Numbers for the inputs of operators, beside those of exchanges: what is given back to an operator comes to it directly, whether or not
 * an exchange leads to it by the plan as it is now.
 */
import type { Side } from "../api/graph.ts";
import type { JobGraph } from "./job-graph.ts";

/** "copy": records of which every task has got one. "again": not records, but a timer, a row or a message that failed. */
export type DirectWay = "record" | "copy" | "again";

/** By the place of their edges among an operator's. */
const slots: readonly { readonly way: DirectWay; readonly input: Side }[] = [
  { way: "record", input: 0 },
  { way: "record", input: 1 },
  { way: "copy", input: 0 },
  { way: "copy", input: 1 },
  { way: "again", input: 0 },
];

/** Undefined: the job has no such operator, or it takes nothing in that was sent. */
export function directEdge(job: JobGraph, to: string, way: DirectWay, input: Side): number | undefined {
  const at = [...job.operators.keys()].indexOf(to);
  if (at < 0 || job.operators.get(to)!.node.spec.kind === "source") return undefined;
  return job.exchanges.length + slots.length * at + slots.findIndex((slot) => slot.way === way && slot.input === input);
}

/** Where what is sent on an edge comes in. */
export interface EdgeEnd {
  /** The operator. */
  readonly to: string;
  readonly input: Side;
  /** Undefined: an exchange. */
  readonly way?: DirectWay;
}

/** Where an edge leads, be it an exchange or not; undefined: the number is of nothing. */
export function endOf(job: JobGraph, edge: number): EdgeEnd | undefined {
  return job.exchanges[edge] ?? directEnd(job, edge);
}

function directEnd(job: JobGraph, edge: number): EdgeEnd | undefined {
  const place = edge - job.exchanges.length;
  const to = place < 0 ? undefined : [...job.operators.keys()][Math.floor(place / slots.length)];
  return to === undefined ? undefined : { to, ...slots[place % slots.length]! };
}
