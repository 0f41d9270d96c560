import type { Job } from "../api/job.ts";
import type { LogicalEdge, LogicalGraph, LogicalNode } from "../api/graph.ts";
import { invalid } from "../api/invalid.ts";
import { allStatesOf, windowStates } from "../api/operator-states.ts";
import { stateSchema } from "./state-schema.ts";
import { cutStages } from "./cut-stages.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { ExchangePlan, JobGraph, OperatorPlan, OutputEdge } from "./job-graph.ts";
import { hashOf, planSingleStage, planStages } from "./plan-stages.ts";
import { resolveOptions } from "./resolve-options.ts";
import type { RoutedEdge } from "./routed-edge.ts";

/**
 * Cuts a job into stages and numbers its exchanges; the same job gives the same plan everywhere. At parallelism 1 the whole job
 * is one stage without exchanges. Throws `invalid`, naming the operator, for options that contradict the graph.
 */
export function planJob({ name, options, graph }: Pick<Job, "name" | "options" | "graph">): JobGraph {
  const resolved = resolveOptions(options);
  if (resolved.mode === "batch") checkBatch(graph, resolved.parallelism);
  const nodes = new Map(graph.nodes.map((node) => [node.uid, node]));
  const cut = resolved.parallelism === 1 ? undefined : cutStages(graph);
  const stages = cut ? planStages(cut.stages, nodes, resolved) : [planSingleStage(nodes)];
  const routes = numbered(cut?.edges ?? chainedEdges(graph));

  const stageOf = new Map(stages.flatMap(({ id, operators }) => operators.map((uid) => [uid, id] as const)));
  const exchanges = routes.flatMap((route) => exchangeOf(route, stageOf));
  const operators = new Map(graph.nodes.map((node) => [node.uid, operatorPlan(node, stageOf.get(node.uid)!, routes)]));
  const fingerprint = fingerprintOf({ options: resolved, operators, exchanges });
  return { name, fingerprint, options: resolved, graph, operators, stages, exchanges };
}

/** Sorting ends when its input does, and needs all records of a key in one place: a shard's successors bring the same keys again. */
function checkBatch({ nodes }: LogicalGraph, parallelism: number): void {
  for (const { uid, spec, inputs } of nodes) {
    if (spec.kind === "source" && !spec.source.bounded)
      throw invalid("a job in batch mode reads bounded sources only", { source: uid, connector: spec.source.kind });
    if (parallelism > 1 && inputs.some(({ partitioning }) => partitioning.kind === "assumeKeyed"))
      throw invalid("in batch mode at a parallelism above 1, use keyBy() instead of assumeKeyed()", { operator: uid });
  }
}

/** An edge with its exchange's number. */
type Route = RoutedEdge & { readonly exchange: number | undefined };

function chainedEdges(graph: LogicalGraph): readonly RoutedEdge[] {
  return graph.nodes.flatMap(({ uid, inputs }) => inputs.map((edge: LogicalEdge) => ({ ...edge, to: uid, exchanged: false })));
}

function numbered(edges: readonly RoutedEdge[]): readonly Route[] {
  let next = 0;
  return edges.map((edge) => ({ ...edge, exchange: edge.exchanged ? next++ : undefined }));
}

function exchangeOf(
  { exchange, from, tag, to, input, partitioning }: Route,
  stageOf: ReadonlyMap<string, string>,
): ExchangePlan[] {
  if (exchange === undefined) return [];
  const ends = { fromStage: stageOf.get(from)!, toStage: stageOf.get(to)! };
  return [{ number: exchange, from, tag, to, input, partitioning, ...ends }];
}

function operatorPlan(node: LogicalNode, stage: string, routes: readonly Route[]): OperatorPlan {
  const outputs = routes
    .filter(({ from }) => from === node.uid)
    .map(({ tag, to, input, partitioning, exchange }): OutputEdge => ({ tag, to, input, partitioning, exchange }));
  // Shown to people, who have no use for what is kept of failures.
  const states = allStatesOf(node.spec)
    .filter(([name]) => name !== windowStates.owed || node.spec.kind !== "window")
    .map(stateSchema);
  return { node, stage, states, hash: hashOf(node), outputs };
}
