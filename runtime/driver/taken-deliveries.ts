/**
 * Which deliveries of a batch are committed: they have no positions by which a turn that begins anew, after a race that was lost or a function
 * that threw, could tell what it has taken in already. Lives as long as its batch.
 */
import type { Position } from "../base/ids.ts";
import type { SourceRecord } from "../api/connector.ts";
import { comparePositions } from "../streaming/position.ts";

export class TakenDeliveries {
  /** What came of the one step that was a risk (decide-deliveries.ts); undefined: there was none. */
  risked: "passed" | "found" | undefined;
  private readonly records: readonly SourceRecord[];
  private readonly committed = new Set<SourceRecord>();
  private fed: { readonly record: SourceRecord; readonly position: string }[] = [];

  constructor(records: readonly SourceRecord[]) {
    this.records = records;
  }

  /** What is not committed, in its order. */
  get left(): readonly SourceRecord[] {
    return this.committed.size === 0 ? this.records : this.records.filter((record) => !this.committed.has(record));
  }

  /** A turn begins: what was fed before it and is not committed was for nothing. */
  begin(): void {
    this.fed = [];
  }

  /** Numbers records that are fed next, behind a position. */
  number(records: readonly SourceRecord[], after: Position | "horizon"): readonly SourceRecord[] {
    const first = after === "horizon" ? 1 : Number(after) + 1;
    return records.map((record, n) => {
      const position = String(first + n);
      this.fed.push({ record, position });
      return { ...record, position };
    });
  }

  /** All up to a position is committed. */
  committedTo(position: Position | "horizon"): void {
    if (position === "horizon") return;
    const isCommitted = ({ position: own }: { readonly position: string }) => comparePositions(own, position) <= 0;
    for (const fed of this.fed) if (isCommitted(fed)) this.committed.add(fed.record);
    this.fed = this.fed.filter((fed) => !isCommitted(fed));
  }
}
