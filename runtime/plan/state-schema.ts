import type { StateDeclaration } from "../api/state.ts";
import type { StateSchema } from "./job-graph.ts";

/** What the plan says of a declared state. */
export function stateSchema([name, { kind, version, ttl }]: readonly [string, StateDeclaration]): StateSchema {
  return { name, kind, version, ...(ttl && { ttlMs: ttl.afterMs }) };
}
