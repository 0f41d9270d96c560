/** A key group of one operator in memory: its rows, and up to which commit its durable copy is complete (L7). */
import type { KeyGroup, Seq } from "../base/ids.ts";
import type { Row } from "./row.ts";

export class KeyGroupState {
  readonly id: KeyGroup;
  /** In no order; a row knows its place. */
  readonly rows: Row[] = [];
  /**
   * L7: the commit up to which the rows are complete. A page of the state table may be newer than the journal's head as its reader
   * knows it: deltas up to here are in it.
   */
  completeTo: Seq = 0;
  /** The last commit that took a row away here, or that was laid over the rows; see `changedAt`. */
  droppedAt: Seq = 0;
  /** Of its rows when last written or loaded: for eviction by size. */
  sizeBytes = 0;

  /** The last commit that changed a row here; 0 when none has since the rows were loaded. Kept by the rows, which are at hand. */
  get changedAt(): Seq {
    let changedAt = this.droppedAt;
    for (const row of this.rows) if (row.changedAt > changedAt) changedAt = row.changedAt;
    return changedAt;
  }

  /** The turn that used one of its rows last, for eviction. */
  get usedAt(): number {
    let usedAt = 0;
    for (const row of this.rows) if (row.usedAt > usedAt) usedAt = row.usedAt;
    return usedAt;
  }

  add(row: Row): void {
    row.place = this.rows.length;
    this.rows.push(row);
  }

  remove(row: Row): void {
    const last = this.rows.pop() as Row;
    if (last === row) return;
    this.rows[row.place] = last;
    last.place = row.place;
  }

  constructor(id: KeyGroup) {
    this.id = id;
  }
}
