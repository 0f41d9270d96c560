/** The pure half of a sink in the chain: collects rows; at the commit they become payloads of its effects. */
import type { ChangeKind, CommitEnd, SinkWriter } from "../api/connector.ts";
import type { Operator } from "./operator.ts";

interface Row {
  readonly value: unknown;
  readonly timestamp: number | undefined;
  readonly change: ChangeKind;
}

export class SinkOperator implements Operator {
  readonly writer: SinkWriter<unknown>;
  private readonly changelog: boolean;
  private readonly onWritten: () => void;
  private rows: Row[] = [];

  /** `changelog`: values are changes ({kind, value}). `onWritten` is called for each row taken in. */
  constructor(writer: SinkWriter<unknown>, changelog: boolean, onWritten: () => void) {
    this.writer = writer;
    this.changelog = changelog;
    this.onWritten = onWritten;
  }

  onRecord(value: any, timestamp: number): void {
    this.onWritten();
    const at = Number.isNaN(timestamp) ? undefined : timestamp;
    if (this.changelog) this.rows.push({ value: value.value, timestamp: at, change: value.kind });
    else this.rows.push({ value, timestamp: at, change: "+I" });
  }

  /** How many rows the open commit has; `truncate` takes back what came after. */
  get length(): number {
    return this.rows.length;
  }

  truncate(length: number): void {
    this.rows.length = length;
  }

  /** Hands the rows to the writer and answers the payloads; a row that the writer refuses goes to `onRefused`. */
  flush(end: CommitEnd, onRefused: (value: unknown, error: unknown) => void): readonly Uint8Array[] {
    for (const { value, timestamp, change } of this.rows) {
      try {
        this.writer.add(value, timestamp, change);
      } catch (error) {
        onRefused(value, error);
      }
    }
    this.rows = [];
    return this.writer.flush(end);
  }
}
