/**
 * Which records a window that fires lets go. After Flink's CountEvictor, TimeEvictor and DeltaEvictor.
 *
 * A window with an evictor keeps its records with their timestamps, in the order in which they came.
 */
import type { EvictorSpec } from "../../api/evictors.ts";

/** A record in such a window: its value, and its timestamp or null. Stored as it is. */
export type WindowElement = readonly [value: unknown, timestamp: number | null];

/** Returns those that stay, in their order. */
export type Evict = (elements: readonly WindowElement[]) => readonly WindowElement[];

export function evictorOf(spec: EvictorSpec): Evict {
  switch (spec.kind) {
    case "count":
      return (elements) => (elements.length > spec.keep ? elements.slice(elements.length - spec.keep) : elements);
    case "time":
      return (elements) => keepRecent(elements, spec.keepMs);
    case "delta":
      return (elements) => keepNear(elements, spec);
  }
}

/** The first record says whether there are timestamps at all; one without then counts as older than any. */
function keepRecent(elements: readonly WindowElement[], keepMs: number): readonly WindowElement[] {
  if (elements.length === 0 || elements[0]?.[1] === null) return elements;
  let latest = -Infinity;
  for (const [, timestamp] of elements) if (timestamp !== null && timestamp > latest) latest = timestamp;
  return elements.filter(([, timestamp]) => (timestamp ?? -Infinity) > latest - keepMs);
}

function keepNear(
  elements: readonly WindowElement[],
  { distance, threshold }: EvictorSpec & { kind: "delta" },
): readonly WindowElement[] {
  const last = elements.at(-1);
  return last === undefined ? elements : elements.filter(([value]) => !(distance(value, last[0]) >= threshold));
}
