/** What can be said of a job only when all of it is there. Throws `invalid`, naming the uids. */
import type { LogicalGraph, LogicalNode } from "./graph.ts";
import { invalid } from "./invalid.ts";
import { needsWatermarks } from "./triggers.ts";

/**
 * Throws `invalid` for a job that reads or writes nothing, and for event time without watermarks, which a job in batch mode does
 * not need.
 */
export function checkGraph({ name, nodes }: LogicalGraph, batch: boolean): void {
  for (const kind of ["source", "sink"] as const)
    if (!nodes.some(({ spec }) => spec.kind === kind)) throw invalid(`a job needs at least one ${kind}`, { job: name });
  if (!batch) checkEventTime(nodes);
}

/** An event-time window below a source without watermarks would never fire. */
function checkEventTime(nodes: readonly LogicalNode[]): void {
  const silent = sourcesWithoutWatermarks(nodes);
  for (const { uid, spec } of nodes) {
    const [source] = silent.get(uid) ?? [];
    if (spec.kind !== "window" || source === undefined) continue;
    const what = spec.assigner.time === "event" ? "window" : needsWatermarks(spec.trigger) ? "trigger" : undefined;
    if (what === undefined) continue;
    const other = what === "window" ? 'the window { time: "processing" }' : "the window another trigger";
    const remedy = `give the source { timestamps, watermarks }, or ${other}`;
    throw invalid(`an event-time ${what} below a source without watermarks never fires: ${remedy}`, { operator: uid, source });
  }
}

/** By node, in one pass, since every edge points backwards (G1). */
function sourcesWithoutWatermarks(nodes: readonly LogicalNode[]): ReadonlyMap<string, ReadonlySet<string>> {
  const silent = new Map<string, ReadonlySet<string>>();
  for (const { uid, spec, inputs } of nodes) {
    const own = spec.kind === "source" && !spec.watermarks ? [uid] : [];
    const before = spec.kind === "assignTimestamps" ? [] : inputs;
    silent.set(uid, new Set([...own, ...before.flatMap(({ from }) => [...(silent.get(from) ?? [])])]));
  }
  return silent;
}
