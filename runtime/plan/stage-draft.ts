/**
 * Stages while the graph is being cut: sets of operators that will run together, and the exchanges found so far.
 *
 * Owns: which operator is in which set, and what feeds what. Does not own: the rules of where to cut (cut-stages.ts).
 */
import { assert } from "../base/assert.ts";

/** Operators that will run together. */
export interface StageDraft {
  /** In the order of the graph. */
  readonly operators: readonly string[];
  /** What brings its records: the shards of its sources, or its inbox. */
  readonly fedBy: "shards" | "inbox";
  /** All its records come through `global()`: it is one task. */
  readonly single: boolean;
}

export class StageDrafts {
  readonly #stageOf = new Map<string, StageDraft>();
  readonly #downstream = new Map<string, string[]>();

  of(uid: string): StageDraft {
    const stage = this.#stageOf.get(uid);
    assert(stage, `operator ${uid} has been placed`);
    return stage;
  }

  /** Every stage once, in the order of their first operators. */
  all(): readonly StageDraft[] {
    return [...new Set(this.#stageOf.values())];
  }

  /** Places an operator in one stage with those that it is chained to; all of them must be of this kind. */
  place(uid: string, chainedTo: readonly StageDraft[], kind: Pick<StageDraft, "fedBy" | "single">): void {
    for (const { fedBy, single } of chainedTo)
      assert(fedBy === kind.fedBy && single === kind.single, `${uid} joins stages of its kind`);
    const members = new Set([...new Set(chainedTo)].flatMap(({ operators }) => operators));
    const operators = [...[...this.#stageOf.keys()].filter((placed) => members.has(placed)), uid];
    const stage = { operators, ...kind };
    for (const operator of operators) this.#stageOf.set(operator, stage);
  }

  addExchange(from: string, to: string): void {
    this.#downstream.set(from, [...(this.#downstream.get(from) ?? []), to]);
  }

  /** True when records of `from` may reach `to` through exchanges, or it is the same stage. */
  reaches(from: StageDraft, to: StageDraft, seen = new Set<StageDraft>()): boolean {
    if (from === to) return true;
    if (seen.has(from)) return false;
    seen.add(from);
    return this.fedFrom(from).some((next) => this.reaches(next, to, seen));
  }

  /** The stages that the stage's exchanges lead to. */
  fedFrom(stage: StageDraft): readonly StageDraft[] {
    return stage.operators.flatMap((uid) => this.#downstream.get(uid) ?? []).map((to) => this.of(to));
  }
}
