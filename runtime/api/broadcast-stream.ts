import type { BroadcastSpec } from "./co-functions.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { invalid } from "./invalid.ts";
import { checkName } from "./names.ts";
import type { Origin } from "./origin.ts";

/** A stream that every task of what it is connected with sees the whole of, and the states it is kept in there. */
export class BroadcastStream<out B, G extends BroadcastSpec> {
  /** Names the states in each operator that it is connected with. */
  readonly uid: string;
  readonly states: G;
  readonly #graph: GraphBuilder;
  readonly #origins: readonly Origin[];
  declare private readonly value: B;

  constructor(graph: GraphBuilder, origins: readonly Origin[], uid: string, states: G) {
    checkName("broadcast", uid);
    for (const [state, { kind }] of Object.entries(states))
      if (kind !== "map") throw invalid("broadcast state is kept in maps", { broadcast: uid, state, kind });
    this.#graph = graph;
    this.#origins = origins.map((origin) => ({ ...origin, partitioning: { kind: "broadcast" } }));
    this.uid = uid;
    this.states = states;
  }

  get origins(): readonly Origin[] {
    return this.#origins;
  }

  isOf(graph: GraphBuilder): boolean {
    return this.#graph === graph;
  }
}
