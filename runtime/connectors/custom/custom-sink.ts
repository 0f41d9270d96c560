/** A sink of the author's own: the pure half. Rows of a commit go to the author's `write` after it, some at once. */
import type { ChangeKind, Mode, Sink, SinkWriter } from "../../api/connector.ts";
import type { Key } from "../../api/key.ts";
import { MillraceError } from "../../base/errors.ts";
import { decodeValue, encodeValue } from "../../base/message-pack.ts";
import * as is from "../../base/shape.ts";

/** One row as `write` gets it. */
export interface CustomRow<T> {
  readonly kind: ChangeKind;
  readonly value: T;
  /** Epoch ms; undefined where the stream has no timestamps. */
  readonly timestamp: number | undefined;
  /** The same whenever this row is given again, and no other row's: a key for what is written once. */
  readonly id: string;
  /** Grows over all rows that one task writes, over restores too: what is written over must have a lower one. */
  readonly version: bigint;
}

/** What a job was restored from. */
export interface CustomRestore {
  /** The generation that is about to write: rows of lower ones beyond the checkpoint do not count. */
  readonly generation: number;
  /** Per task of the generation that took the checkpoint, the last commit it contains, as in the second and third part of ids. */
  readonly lastSeq: ReadonlyMap<string, number>;
  readonly from: number;
}

export interface CustomSinkFunctions<T, M extends Mode = "append"> {
  /** What explain() and error messages call it. */
  readonly name: string;
  /** Default: only "append". */
  readonly accepts?: readonly M[];
  /** What the outside makes of rows that come again: printed by explain(), and as true as `write` makes it. */
  readonly guarantee: "exactlyOnce" | "atLeastOnce";
  /** Of an upsert sink: the plan routes by it, so that one task writes a row. */
  readonly key?: (value: T) => Key;
  /** So many rows at once, at most; default 1,000. */
  readonly rowsPerWrite?: number;
  /** A call is told to give up after so long, ms; default 30,000. */
  readonly timeoutMs?: number;
  /** Called once in a process, before its first `write` or `restored`. */
  open?(): Promise<void> | void;
  /**
   * Writes rows of one commit, in their order. Called again with the same ids after a crash, and by a process that was thought dead long
   * after newer rows. What it throws is taken for something that passes, and it is called again; a MillraceError means what its kind says.
   * The message is logged, since whoever looks after the job needs it: it must not quote rows.
   */
  write(rows: readonly CustomRow<T>[], call: { readonly signal: AbortSignal }): Promise<void> | void;
  /** The job goes on from a checkpoint: what was written after it may be taken back. May be called again. */
  restored?(restore: CustomRestore): Promise<void> | void;
  /** Called once, at the end of a process that wrote. */
  close?(): Promise<void> | void;
}

/** The declaration with the author's functions, which the runtime half calls. */
export interface CustomSink<in T, in M extends Mode> extends Sink<T, M> {
  readonly functions: CustomSinkFunctions<any, any>;
}

const defaultRowsPerWrite = 1_000;

/** A sink that calls the author's functions. Throws `invalid` for one that cannot be. */
export function customSink<T, M extends Mode = "append">(functions: CustomSinkFunctions<T, M>): Sink<T, M> {
  const { name, accepts, guarantee, key, rowsPerWrite = defaultRowsPerWrite, timeoutMs } = functions;
  if (!(Number.isInteger(rowsPerWrite) && rowsPerWrite >= 1))
    throw new MillraceError("invalid", `rowsPerWrite is a whole number, at least 1: ${rowsPerWrite}`);
  if (timeoutMs !== undefined && !(timeoutMs > 0))
    throw new MillraceError("invalid", `timeoutMs is a positive number: ${timeoutMs}`);
  const sink: CustomSink<T, M> = {
    kind: "custom",
    name,
    guarantee,
    options: { rowsPerWrite },
    accepts,
    key,
    functions,
    createWriter: () => new CustomSinkWriter(rowsPerWrite),
  };
  return sink;
}

/** A row as it stands in a payload. */
export type StoredRow = readonly [kind: ChangeKind, timestamp: number | undefined, value: unknown];

const rowsShape = is.listOf(is.tuple(is.oneOf("+I", "-U", "+U", "-D"), is.optional(is.number), is.anything));

/** The rows of a payload. Throws `corrupt`. */
export function decodeRows(payload: Uint8Array): readonly StoredRow[] {
  const rows = decodeValue(payload);
  is.checkShape("a payload of a custom sink", rows, rowsShape);
  return rows as readonly StoredRow[];
}

class CustomSinkWriter implements SinkWriter<unknown> {
  readonly #rowsPerWrite: number;
  #rows: StoredRow[] = [];

  constructor(rowsPerWrite: number) {
    this.#rowsPerWrite = rowsPerWrite;
  }

  add(value: unknown, timestamp: number | undefined, kind: ChangeKind): void {
    // What cannot be stored is refused here, where it is known whose row it is.
    encodeValue(value);
    this.#rows.push([kind, timestamp, value]);
  }

  flush(): readonly Uint8Array[] {
    const payloads: Uint8Array[] = [];
    for (let from = 0; from < this.#rows.length; from += this.#rowsPerWrite)
      payloads.push(encodeValue(this.#rows.slice(from, from + this.#rowsPerWrite)));
    this.#rows = [];
    return payloads;
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {
    this.#rows = [];
  }
}
