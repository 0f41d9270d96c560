/** The stages of a cut graph: their kinds, parallelism and hashes, in an order in which every exchange points forwards (P4). */
import type { LogicalNode } from "../api/graph.ts";
import { invalid } from "../api/invalid.ts";
import { assert } from "../base/assert.ts";
import type { KeyHash, ResolvedJobOptions, StagePlan } from "./job-graph.ts";
import { checkParallelism } from "./resolve-options.ts";
import type { StageDraft, StageDrafts } from "./stage-draft.ts";

type Nodes = ReadonlyMap<string, LogicalNode>;

/** The one stage of a job of parallelism 1. */
export function planSingleStage(nodes: Nodes): StagePlan {
  return { ...describe([...nodes.keys()], nodes), kind: "single", parallelism: 1 };
}

/** Throws `invalid` where operators of one stage, or an operator and its input, want different parallelism. */
export function planStages(stages: StageDrafts, nodes: Nodes, options: ResolvedJobOptions): readonly StagePlan[] {
  return inOrder(stages).map((draft): StagePlan => {
    const stage = describe(draft.operators, nodes);
    const parallelism = parallelismOf(draft, nodes, options);
    return { ...stage, kind: parallelism === "shards" ? "source" : "keyed", parallelism };
  });
}

/** How an operator's keys are hashed: by its source where that partitioned them; undefined without keys. */
export function hashOf({ inputs }: LogicalNode): KeyHash | undefined {
  const keyed = inputs.filter(({ partitioning }) => "key" in partitioning).map(({ partitioning }) => partitioning.kind);
  return keyed.includes("assumeKeyed") ? "md5" : keyed.length > 0 ? "murmur3" : undefined;
}

function describe(operators: readonly string[], nodes: Nodes): Pick<StagePlan, "id" | "operators" | "sources" | "hash"> {
  const [id] = operators;
  assert(id !== undefined, "a stage has operators");
  const hashes = new Set(operators.map((uid) => hashOf(nodes.get(uid)!)));
  const hash = hashes.has("md5") && !hashes.has("murmur3") ? "md5" : "murmur3";
  return { id, operators, sources: operators.filter((uid) => nodes.get(uid)?.spec.kind === "source"), hash };
}

/** First what is fed by nothing that is left; among those, what the author wrote first. */
function inOrder(stages: StageDrafts): readonly StageDraft[] {
  const left = new Set(stages.all());
  const ordered: StageDraft[] = [];
  while (left.size > 0) {
    const fed = new Set([...left].flatMap((stage) => stages.fedFrom(stage)));
    const next = [...left].find((stage) => !fed.has(stage));
    assert(next, "no stage feeds itself through others (P4)");
    left.delete(next);
    ordered.push(next);
  }
  return ordered;
}

function parallelismOf(draft: StageDraft, nodes: Nodes, options: ResolvedJobOptions): number | "shards" {
  const asked = new Map(draft.operators.flatMap((uid) => askedBy(nodes.get(uid))));
  const [operator] = asked.keys();
  const [parallelism = options.parallelism, ...others] = new Set(asked.values());
  if (others.length > 0) {
    const remedy = 'agree on one, or part them with { chain: "new" }';
    throw invalid(`operators that run in one task want different parallelism: ${remedy}`, Object.fromEntries(asked));
  }
  if (draft.fedBy === "shards") {
    if (operator === undefined) return "shards";
    throw invalid("an operator before any exchange runs once per source shard: put keyBy() or rebalance() before it", {
      operator,
      parallelism,
    });
  }
  if (operator !== undefined) checkParallelism(parallelism, options.keyGroups, { operator });
  if (!draft.single) return parallelism;
  if (operator === undefined || parallelism === 1) return 1;
  throw invalid("an operator after global() runs in one task: take its parallelism away", { operator, parallelism });
}

function askedBy(node: LogicalNode | undefined): [string, number][] {
  return node?.options.parallelism === undefined ? [] : [[node.uid, node.options.parallelism]];
}
