import type { LogicalEdge, Partitioning } from "../api/graph.ts";

/** An edge of the logical graph, once it is known whether it is chained or an exchange, and how its records are partitioned. */
export interface RoutedEdge extends LogicalEdge {
  readonly to: string;
  readonly partitioning: Partitioning;
  readonly exchanged: boolean;
}
