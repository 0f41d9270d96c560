/** A key group of one operator in memory: its rows, and up to which commit its durable copy is complete (L7). */
import type { KeyGroup, Seq } from "../base/ids.ts";
import type { Row } from "./row.ts";

export class KeyGroupState {
  readonly id: KeyGroup;
  /** The first of its rows, which know their neighbours: most groups are small, and a list of their own would outweigh them. */
  first: Row | undefined = undefined;
  /** The last commit that took a row away here, or that was laid over the rows. */
  droppedAt: Seq = 0;
  /** Of its rows when last written or loaded: for eviction by size. */
  sizeBytes = 0;
  /**
   * L7: the commit up to which the rows are complete. A page of the state table may be newer than the journal's head as its reader
   * knows it: deltas up to here are in it.
   */
  completeTo: Seq = 0;

  constructor(id: KeyGroup) {
    this.id = id;
  }

  /** Its rows, empty ones too, in no order. */
  get rows(): readonly Row[] {
    const rows: Row[] = [];
    for (let row = this.first; row !== undefined; row = row.next) rows.push(row);
    return rows;
  }

  get isEmpty(): boolean {
    for (let row = this.first; row !== undefined; row = row.next) if (!row.empty) return false;
    return true;
  }

  /** Whether a commit after `seq` has changed a row here. Known by the rows, which are at hand; mostly the first one tells. */
  hasChangedSince(seq: Seq): boolean {
    if (this.droppedAt > seq) return true;
    for (let row = this.first; row !== undefined; row = row.next) if (row.changedAt > seq) return true;
    return false;
  }

  /** The turn that used one of its rows last, for eviction. */
  get usedAt(): number {
    let usedAt = 0;
    for (let row = this.first; row !== undefined; row = row.next) if (row.usedAt > usedAt) usedAt = row.usedAt;
    return usedAt;
  }

  add(row: Row): void {
    row.next = this.first;
    if (this.first !== undefined) this.first.previous = row;
    this.first = row;
  }

  remove(row: Row): void {
    if (row.previous === undefined) this.first = row.next;
    else row.previous.next = row.next;
    if (row.next !== undefined) row.next.previous = row.previous;
    row.next = undefined;
    row.previous = undefined;
  }
}
