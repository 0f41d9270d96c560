import { createHash } from "node:crypto";
import type { ExchangePlan, OperatorPlan, ResolvedJobOptions } from "./job-graph.ts";

/** The parts of a plan that stored state and frames in flight depend on. */
export interface FingerprintedPlan {
  readonly options: Pick<ResolvedJobOptions, "keyGroups" | "mode">;
  readonly operators: ReadonlyMap<string, OperatorPlan>;
  readonly exchanges: readonly ExchangePlan[];
}

/**
 * 32 hex digits that change when state stored or frames sent under one plan could not be taken over by another: with uids, kinds,
 * states (with whether their contents expire), edges, exchanges, hashes, key groups, and what a source reads. They do not change with parallelism, options of
 * operation, or the text of a closure.
 */
export function fingerprintOf({ options, operators, exchanges }: FingerprintedPlan): string {
  const parts = {
    version: 1,
    keyGroups: options.keyGroups,
    ...(options.mode === "batch" && { mode: options.mode }),
    operators: [...operators.values()].map(describe).sort(byFirst),
    exchanges: exchanges.map(({ from, tag, to, input, partitioning }) => [from, tag ?? null, to, input, partitioning.kind]),
  };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

function describe({ node: { uid, spec }, states, hash, outputs }: OperatorPlan): readonly [string, ...unknown[]] {
  const connector = spec.kind === "source" ? [spec.source.kind, spec.source.name] : spec.kind === "sink" ? [spec.sink.kind] : [];
  const stored = states.map(({ name, kind, version, ttlMs }) => [name, kind, version, ...(ttlMs === undefined ? [] : ["ttl"])]);
  const edges = outputs.map(({ tag, to, input, partitioning, exchange }) => [
    tag ?? null,
    to,
    input,
    partitioning.kind,
    exchange ?? null,
  ]);
  return [uid, spec.kind, connector, hash ?? null, stored, edges];
}

/** By uid, so that the order in which an author writes independent operators does not matter. */
function byFirst([a]: readonly [string, ...unknown[]], [b]: readonly [string, ...unknown[]]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
