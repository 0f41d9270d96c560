/**
 * Cuts the logical graph into stages: says of every edge whether it is chained or an exchange.
 *
 * One pass in the order of the graph, since every edge points backwards (G1). Chaining is maximal under these rules:
 * C1 An edge that is keyed, rebalanced, global or broadcast is an exchange; one behind `assumeKeyed` never is.
 * C2 What an exchange feeds cannot be fed by source shards too (P1): a source's edge to it becomes a rebalance.
 * C3 Chaining must not make a stage feed itself through others (P4): its barriers would wait for one another.
 * C4 A sink with a key gets its records keyed by it, so that one task writes a row, unless they are so keyed already.
 * C5 A stage that all records reach through `global()` is one task, and only stages that are one task are chained to it.
 * C6 The sides of a co-process meet in one task: where they come from different sources, each task of which reads but one of them,
 *    an exchange brings them together. (Functions that see one record and nothing else need not meet.)
 */
import { assert } from "../base/assert.ts";
import { invalid } from "../api/invalid.ts";
import { type LogicalEdge, type LogicalGraph, type LogicalNode, type Partitioning, sides } from "../api/graph.ts";
import type { RoutedEdge } from "./routed-edge.ts";
import { StageDrafts, type StageDraft } from "./stage-draft.ts";

export interface Cut {
  /** Every edge of the graph, in the order of the receiving operators and their inputs. */
  readonly edges: readonly RoutedEdge[];
  readonly stages: StageDrafts;
}

/** The cut of a job whose parallelism is above 1. Throws `invalid` for options that contradict the graph. */
export function cutStages(graph: LogicalGraph): Cut {
  const cutter = new Cutter(graph);
  return { edges: graph.nodes.flatMap((node) => cutter.place(node)), stages: cutter.stages };
}

const rebalance: Partitioning = { kind: "rebalance" };

class Cutter {
  readonly stages = new StageDrafts();
  readonly #nodes: ReadonlyMap<string, LogicalNode>;
  readonly #routed = new Map<string, readonly RoutedEdge[]>();

  constructor(graph: LogicalGraph) {
    this.#nodes = new Map(graph.nodes.map((node) => [node.uid, node]));
  }

  /** Places one operator, and says what becomes of its input edges. */
  place(node: LogicalNode): readonly RoutedEdge[] {
    const single = this.#isSingle(node);
    const apart = node.spec.kind === "coProcess" && !this.#sidesMeet(node);
    const wanted = node.inputs.map((edge) => this.#wanted(node, edge, single) ?? (apart ? rebalance : undefined));
    const fedBy = node.inputs.some((edge, i) => wanted[i] || this.stages.of(edge.from).fedBy === "inbox") ? "inbox" : "shards";
    const chained = this.#chainable(node, wanted, { fedBy, single });
    const edges = node.inputs.map((edge, i): RoutedEdge => {
      const exchanged = wanted[i] !== undefined || !chained.has(this.stages.of(edge.from));
      const partitioning = exchanged ? (wanted[i] ?? this.#spread(node)) : edge.partitioning;
      return { ...edge, to: node.uid, exchanged, partitioning };
    });
    this.stages.place(node.uid, [...chained], { fedBy, single });
    for (const { from, to, exchanged } of edges) if (exchanged) this.stages.addExchange(from, to);
    this.#routed.set(node.uid, edges);
    return edges;
  }

  /** C5. A source is not: it has as many tasks as shards. */
  #isSingle({ inputs }: LogicalNode): boolean {
    if (inputs.some(({ partitioning }) => partitioning.kind === "global")) return true;
    return inputs.length > 0 && inputs.every((edge) => edge.partitioning.kind === "forward" && this.stages.of(edge.from).single);
  }

  /** The exchange that this edge asks for whatever its neighbours do; undefined when it may be chained. */
  #wanted(node: LogicalNode, edge: LogicalEdge, single: boolean): Partitioning | undefined {
    const { kind } = edge.partitioning;
    const split =
      node.options.chain === "new" || node.options.chain === "never" || this.#node(edge.from).options.chain === "never";
    if (kind === "assumeKeyed") {
      if (split) throw invalid("what follows assumeKeyed() runs with its source: take `chain` away", { operator: node.uid });
      return undefined;
    }
    if (kind === "keyed" || kind === "global" || kind === "broadcast") return edge.partitioning;
    return kind === "rebalance" || split || (!single && this.#mustBeKeyed(node, edge)) ? this.#spread(node) : undefined;
  }

  /** C6: both sides come from the same sources, or one of them through an exchange, which the other then needs too (C2). */
  #sidesMeet({ inputs }: LogicalNode): boolean {
    if (inputs.some(({ from }) => this.stages.of(from).fedBy === "inbox")) return true;
    const [left, right] = sides.map((_, side) => {
      const edges = inputs.filter(({ input }) => input === side);
      return new Set(edges.flatMap(({ from }) => this.#sourcesOf(from)));
    }) as [Set<string>, Set<string>];
    return left.size === right.size && [...left].every((source) => right.has(source));
  }

  /** The sources whose shards feed the operator without an exchange. */
  #sourcesOf(uid: string): readonly string[] {
    const inputs = this.#routed.get(uid) ?? [];
    if (inputs.length === 0) return [uid];
    return inputs.filter(({ exchanged }) => !exchanged).flatMap(({ from }) => this.#sourcesOf(from));
  }

  /** How records are spread over the operator's tasks where its author did not say: C4, or evenly. */
  #spread({ spec }: LogicalNode): Partitioning {
    const key = spec.kind === "sink" ? spec.sink.key : undefined;
    if (spec.kind !== "sink" || key === undefined) return rebalance;
    return { kind: "keyed", key: spec.changelog === undefined ? key : ({ value }) => key(value) };
  }

  /** C4 */
  #mustBeKeyed({ spec }: LogicalNode, edge: LogicalEdge): boolean {
    return spec.kind === "sink" && spec.sink.key !== undefined && !this.#isKeyedBy(spec.sink.key, edge);
  }

  /** True when the values on this edge are where an exchange by `key` would bring them: the same function, and values unchanged since. */
  #isKeyedBy(key: (value: any) => unknown, { from }: LogicalEdge): boolean {
    const { spec } = this.#node(from);
    const unchanged = spec.kind === "filter" || spec.kind === "reduce";
    const inputs = this.#routed.get(from) ?? [];
    return unchanged && inputs.every((edge) => isBy(key, edge) || (!edge.exchanged && this.#isKeyedBy(key, edge)));
  }

  /** The stages before the operator that it may join: those of its kind, and C3: no path leads on to what else feeds it. */
  #chainable(node: LogicalNode, wanted: readonly unknown[], kind: Pick<StageDraft, "fedBy" | "single">): ReadonlySet<StageDraft> {
    const upstream = node.inputs.map(({ from }, i) => ({ stage: this.stages.of(from), exchanged: wanted[i] !== undefined }));
    const candidates = upstream
      .filter(({ stage, exchanged }) => !exchanged && stage.fedBy === kind.fedBy && stage.single === kind.single)
      .map(({ stage }) => stage);
    const feedsItself = (candidate: StageDraft) =>
      upstream.some(({ stage, exchanged }) => (exchanged || stage !== candidate) && this.stages.reaches(candidate, stage));
    return new Set(candidates.filter((candidate) => !feedsItself(candidate)));
  }

  #node(uid: string): LogicalNode {
    const node = this.#nodes.get(uid);
    assert(node, `edges point backwards, to ${uid}`);
    return node;
  }
}

function isBy(key: unknown, { partitioning }: RoutedEdge): boolean {
  return partitioning.kind === "keyed" && partitioning.key === key;
}
