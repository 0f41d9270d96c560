/** A key group of one operator in memory: its rows, and up to which commit its durable copy is complete (L7). */
import type { KeyGroup, Seq } from "../base/ids.ts";
import type { Row } from "./row.ts";

export class KeyGroupState {
  readonly id: KeyGroup;
  readonly rows = new Set<Row>();
  /** The last commit that changed a row here; 0 when none has since the rows were loaded. */
  changedAt: Seq = 0;
  /** Of its rows when last written or loaded: for eviction by size. */
  sizeBytes = 0;

  /** The turn that used one of its rows last, for eviction. */
  get usedAt(): number {
    let usedAt = 0;
    for (const row of this.rows) if (row.usedAt > usedAt) usedAt = row.usedAt;
    return usedAt;
  }

  constructor(id: KeyGroup) {
    this.id = id;
  }
}
