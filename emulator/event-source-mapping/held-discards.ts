/** What of a batch is given up, until the destination is told: neighbours may be told of in one. */
import type { Delivery } from "./batch.ts";
import type { WindowPart } from "./kinesis-event.ts";
import type { Discard } from "./on-failure.ts";

/** Records that are given up, and what the destination is told of them; its event is made when it is sent. */
export interface Held {
  /** None: a window's last invocation. */
  readonly given: readonly Delivery[];
  /** As it was then. */
  readonly window: WindowPart | undefined;
  readonly discard: Omit<Discard, "payload">;
}

/**
 * Joins what lies side by side in the batch and was given up for one reason. Of how often the function was invoked, the last of them
 * tells.
 */
export function joinNeighbours(held: readonly Held[], batch: readonly Delivery[]): readonly Held[] {
  const joined: Held[] = [];
  for (const next of held) {
    const before = joined.at(-1);
    if (before === undefined || !areNeighbours(before, next, batch)) {
      joined.push(next);
      continue;
    }
    const given = [...before.given, ...next.given];
    joined.splice(-1, 1, { ...next, given, discard: { ...next.discard, first: before.discard.first, count: given.length } });
  }
  return joined;
}

function areNeighbours(left: Held, right: Held, batch: readonly Delivery[]): boolean {
  const [last, next] = [left.given.at(-1), right.given[0]];
  if (last === undefined || next === undefined || left.discard.condition !== right.discard.condition) return false;
  return batch.indexOf(next) === batch.indexOf(last) + 1;
}
