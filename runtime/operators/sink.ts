/** The pure half of a sink in the chain: collects rows; at the commit they become payloads of its effects. */
import type { ChangeKind, CommitEnd, SinkWriter } from "../api/connector.ts";
import type { Operator } from "./operator.ts";

export class SinkOperator implements Operator {
  readonly writer: SinkWriter<unknown>;
  private readonly changelog: boolean;
  private readonly onWritten: () => void;
  /** Row n is the nth of each. `timestamps`: NaN where there is none. */
  private readonly values: any[] = [];
  private readonly timestamps: number[] = [];

  /** `changelog`: values are changes ({kind, value}). `onWritten` is called for each row taken in. */
  constructor(writer: SinkWriter<unknown>, changelog: boolean, onWritten: () => void) {
    this.writer = writer;
    this.changelog = changelog;
    this.onWritten = onWritten;
  }

  onRecord(value: any, timestamp: number): void {
    this.onWritten();
    this.values.push(value);
    this.timestamps.push(timestamp);
  }

  /** How many rows the open commit has; `truncate` takes back what came after. */
  get length(): number {
    return this.values.length;
  }

  truncate(length: number): void {
    this.values.length = length;
    this.timestamps.length = length;
  }

  /** Hands the rows to the writer and answers the payloads; a row that the writer refuses goes to `onRefused`. */
  flush(end: CommitEnd, onRefused: (value: unknown, error: unknown) => void): readonly Uint8Array[] {
    const { values, timestamps } = this;
    for (let n = 0; n < values.length; n++) {
      const timestamp = timestamps[n] as number;
      const value = values[n];
      try {
        this.add(value, Number.isNaN(timestamp) ? undefined : timestamp);
      } catch (error) {
        onRefused(this.changelog ? value.value : value, error);
      }
    }
    this.truncate(0);
    return this.writer.flush(end);
  }

  private add(value: any, timestamp: number | undefined): void {
    if (this.changelog) this.writer.add(value.value, timestamp, (value as { readonly kind: ChangeKind }).kind);
    else this.writer.add(value, timestamp, "+I");
  }
}
