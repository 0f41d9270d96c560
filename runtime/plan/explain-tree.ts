/**
 * The operators of one stage as trees: each stands below the first operator that feeds it without an exchange, and the others
 * that feed it point to it.
 */
import type { ExplainedEdge, ExplainedOperator } from "./explain-json.ts";
import { describeKind, describeOperator, describePartitioning } from "./explain-words.ts";

/** A line: what stands in each column. */
export interface TreeRow {
  readonly tree: string;
  readonly kind: string;
  readonly words: string;
}

export function treeRows(operators: readonly ExplainedOperator[]): readonly TreeRow[] {
  const tree = new StageTree(operators);
  return tree.roots().flatMap((root) => tree.rowsOf(root));
}

class StageTree {
  readonly #operators: ReadonlyMap<string, ExplainedOperator>;
  readonly #parents = new Map<string, string>();
  readonly #shown = new Set<string>();

  constructor(operators: readonly ExplainedOperator[]) {
    this.#operators = new Map(operators.map((operator) => [operator.uid, operator]));
    for (const { uid, outputs } of operators)
      for (const { to, exchange } of outputs) if (exchange === null && !this.#parents.has(to)) this.#parents.set(to, uid);
  }

  /** What is fed by nothing in this stage. */
  roots(): readonly ExplainedOperator[] {
    return [...this.#operators.values()].filter(({ uid }) => !this.#parents.has(uid));
  }

  /** `branch` leads to the operator, `indent` stands before all that is below it. */
  rowsOf(operator: ExplainedOperator, branch = "", indent = "", notes: readonly string[] = []): readonly TreeRow[] {
    const { uid, kind, outputs } = operator;
    this.#shown.add(uid);
    const { words, more } = describeOperator(operator);
    const trunk = outputs.length > 0 ? `${indent}│` : indent;
    return [
      { tree: branch + uid, kind: describeKind(kind), words: [words, ...notes].filter(Boolean).join(" · ") },
      ...more.map((words) => ({ tree: trunk, kind: "", words })),
      ...outputs.flatMap((edge, i) => this.#rowsBelow(uid, edge, indent, i === outputs.length - 1)),
    ];
  }

  #rowsBelow(from: string, edge: ExplainedEdge, indent: string, last: boolean): readonly TreeRow[] {
    const { to, exchange } = edge;
    const corner = indent + (last ? "└" : "├");
    const tag = edge.tag === null ? "" : `side output ${edge.tag}`;
    const side = edge.side === null ? "" : `${edge.side} side`;
    const notes = [tag, side, describePartitioning(edge.partitioning)].filter(Boolean);
    if (exchange !== null)
      return [{ tree: `${corner}─▶ ${to}`, kind: "", words: [`exchange ${exchange}`, ...notes].join(" · ") }];
    const operator = this.#operators.get(to);
    if (operator && this.#parents.get(to) === from && !this.#shown.has(to))
      return this.rowsOf(operator, `${corner}── `, indent + (last ? "   " : "│  "), notes);
    return [
      { tree: `${corner}── ${to}`, kind: "", words: [this.#shown.has(to) ? "as above" : "as below", ...notes].join(" · ") },
    ];
  }
}
