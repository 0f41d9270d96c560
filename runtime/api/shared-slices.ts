import type { WindowSpec } from "./graph.ts";

/**
 * Whether windows that overlap keep their records once, in slices that they share, and put a window's result together of its slices
 * when it fires. So it is where nothing can tell the difference: the aggregate merges, only the end of its time fires a window, no
 * evictor looks at single records, and the window's function keeps nothing of each window. A reduce is not among them: it may
 * depend on the order in which records came.
 */
export function sharesSlices({ assigner, trigger, evictor, contents, result }: WindowSpec): boolean {
  if (assigner.time !== "event" || !overlap(assigner)) return false;
  if (trigger.kind !== "eventTime" || evictor !== undefined) return false;
  if (contents.kind !== "aggregate" || contents.aggregator.merge === undefined) return false;
  return result.kind !== "process" || (result.fn.onClear === undefined && Object.keys(result.fn.windowState ?? {}).length === 0);
}

function overlap(assigner: WindowSpec["assigner"]): boolean {
  if (assigner.kind === "sliding") return assigner.slideMs < assigner.sizeMs;
  return assigner.kind === "cumulating" && assigner.stepMs < assigner.sizeMs;
}
