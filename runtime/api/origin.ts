import type { LogicalEdge } from "./graph.ts";

/** An output that feeds a stream, and how its records get to whatever operator comes next. */
export type Origin = Omit<LogicalEdge, "input">;

/** An operator's main output, or the side output of that tag, before anything is said of partitioning. */
export function outputOf(uid: string, tag?: string): Origin {
  return { from: uid, tag, partitioning: { kind: "forward" } };
}
