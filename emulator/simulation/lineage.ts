/**
 * What of all that a job has put out counts: what stands in the history of its latest generation. A generation begins with what its checkpoint
 * contains of the one before, and with what that one began with.
 */
import type { TaskId } from "../../runtime/base/ids.ts";
import type { Restored } from "../../runtime/ports/sink-driver.ts";

/** The commit by which something was put out. */
export interface PutOutBy {
  readonly generation: number;
  readonly task: string;
  readonly seq: number;
}

export class Lineage {
  /** By generation. */
  readonly #began = new Map<number, Restored>();

  onRestored(restored: Restored): void {
    if (!this.#began.has(restored.generation)) this.#began.set(restored.generation, restored);
  }

  counts(by: PutOutBy, generation = Math.max(0, ...this.#began.keys())): boolean {
    if (by.generation === generation) return true;
    const began = this.#began.get(generation);
    if (began === undefined || began.from >= generation) return false;
    if (by.generation === began.from) return by.seq <= (began.lastSeq.get(by.task as TaskId) ?? 0);
    return this.counts(by, began.from);
  }
}
