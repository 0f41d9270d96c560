/**
 * The pure half of a sink in the chain: collects rows; at the commit they become payloads of its effects.
 *
 * K1 A row that a sink with keys is given back is written as what it would have been when it was refused: as the last of that commit, or,
 *    where a later row of the commit has its key, as the last before. So what has overtaken it stays (R8).
 * K2 Into a sink without keys it is a new row, of the commit that takes it in.
 */
import type { ChangeKind, CommitEnd, Sink, SinkWriter } from "../api/connector.ts";
import type { Generation, TaskId } from "../base/ids.ts";
import { MillraceError } from "../base/errors.ts";
import { type MessageAgain, type RowAgain, sinkAgain } from "../snapshots/given-letters.ts";
import type { WrittenAs } from "../api/given-back.ts";
import { canonicalKey } from "../state/key.ts";
import type { Operator } from "./operator.ts";

/** Effects of a commit have lower numbers; those of rows that it refused begin here. */
const refusedFrom = 1 << 23;
/** Of rows that a later one of their commit has overtaken, under the commit before. */
const overtakenFrom = refusedFrom + (1 << 22);

/** A payload for an effect. */
export interface SinkPayload {
  readonly payload: Uint8Array;
  /** K1 */
  readonly as?: WrittenAs;
}

/** What the sink could not write, and how it is given back. `timestamp`: NaN where there is none. */
export interface RefusedRow {
  readonly again: RowAgain | MessageAgain;
  readonly timestamp: number;
  readonly error: unknown;
}

export interface SinkOperatorOptions {
  readonly writer: SinkWriter<unknown>;
  /** Where the rows have one: the same as the plan routes by. */
  readonly key: Sink<any, any>["key"];
  /** Values are changes ({kind, value}). */
  readonly changelog: boolean;
  readonly generation: Generation;
  readonly task: TaskId;
  /** As `SinkWriterContext.seq`. */
  readonly seq: () => number;
  /** Called for each row taken in. */
  readonly onWritten: () => void;
}

export class SinkOperator implements Operator {
  readonly writer: SinkWriter<unknown>;
  private readonly options: SinkOperatorOptions;
  private readonly changelog: boolean;
  private readonly onWritten: () => void;
  /** Row n is the nth of each. `timestamps`: NaN where there is none. */
  private readonly values: any[] = [];
  private readonly timestamps: number[] = [];
  /** What was given back; rows before it are in `values` up to the same place. */
  private readonly given: { readonly again: RowAgain | MessageAgain; readonly timestamp: number }[] = [];

  constructor(options: SinkOperatorOptions) {
    this.options = options;
    this.writer = options.writer;
    this.changelog = options.changelog;
    this.onWritten = options.onWritten;
  }

  onRecord(value: any, timestamp: number): void {
    this.onWritten();
    this.values.push(value);
    this.timestamps.push(timestamp);
  }

  onAgain(value: unknown, timestamp: number): void {
    this.onWritten();
    this.given.push({ again: sinkAgain(value), timestamp });
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
  flush(end: CommitEnd, onRefused: (refused: RefusedRow) => void): readonly SinkPayload[] {
    const before = this.given.length === 0 ? [] : this.flushGiven(onRefused);
    const { values, timestamps } = this;
    let refused = 0;
    for (let n = 0; n < values.length; n++) {
      const timestamp = timestamps[n] as number;
      const value = this.changelog ? values[n].value : values[n];
      const change: ChangeKind = this.changelog ? values[n].kind : "+I";
      try {
        this.writer.add(value, Number.isNaN(timestamp) ? undefined : timestamp, change);
      } catch (error) {
        const as = this.refusedAs(refused++, this.isOvertaken(n));
        onRefused({ again: { what: "row", value, change, as }, timestamp, error });
      }
    }
    this.truncate(0);
    return [...before, ...this.writer.flush(end).map((payload) => ({ payload }))];
  }

  private flushGiven(onRefused: (refused: RefusedRow) => void): readonly SinkPayload[] {
    const payloads: SinkPayload[] = [];
    for (const { again, timestamp } of this.given.splice(0)) {
      try {
        this.addAgain(again, timestamp);
        // A payload of its own, since it has a version of its own.
        if (again.what === "row" && this.options.key !== undefined)
          for (const payload of this.writer.flush("turn")) payloads.push({ payload, as: again.as });
      } catch (error) {
        onRefused({ again, timestamp, error });
      }
    }
    return payloads;
  }

  private addAgain(again: RowAgain | MessageAgain, timestamp: number): void {
    if (again.what === "row") return this.writer.add(again.value, Number.isNaN(timestamp) ? undefined : timestamp, again.change);
    if (this.writer.addAgain === undefined)
      throw new MillraceError("invalid", "the sink sends no messages of this kind any more");
    this.writer.addAgain(again.message);
  }

  private refusedAs(n: number, overtaken: boolean): WrittenAs {
    const { generation, task } = this.options;
    const seq = this.options.seq();
    return overtaken ? { generation, task, seq: seq - 1, n: overtakenFrom + n } : { generation, task, seq, n: refusedFrom + n };
  }

  /** Whether a later row of the commit has the key of the row at this place. */
  private isOvertaken(place: number): boolean {
    const key = this.keyAt(place);
    if (key === undefined) return false;
    for (let n = place + 1; n < this.values.length; n++) if (this.keyAt(n) === key) return true;
    return false;
  }

  /** In words that tell keys apart; undefined: it has none. */
  private keyAt(place: number): string | undefined {
    const value = this.changelog ? this.values[place].value : this.values[place];
    try {
      const key = this.options.key?.(value);
      return key === undefined ? undefined : Buffer.from(canonicalKey(key)).toString("base64");
    } catch {
      return undefined;
    }
  }
}
