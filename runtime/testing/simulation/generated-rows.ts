/** The rows that generated topologies are of, and what steps and ends of them are. */
import type { DataStream } from "../../api/data-stream.ts";
import type { Outside } from "./sinks.ts";

export interface Row {
  readonly id: string;
  readonly key: string;
  readonly value: number;
  /** The record's timestamp. */
  readonly at: number;
  /** Nothing but weight. */
  readonly pad: string;
}

export type Rows = readonly Row[];

/** `uid`: what its operators are named by. */
export interface Block {
  readonly name: string;
  /** Through an exchange: a stage of its own, where there is more than one task. */
  readonly stage: boolean;
  build(rows: DataStream<Row>, uid: string): DataStream<Row>;
  expect(rows: Rows, uid: string): Rows;
}

export interface End {
  readonly name: string;
  /** What comes out when goes by the clock. */
  readonly byClock?: boolean;
  /** Of a list: "some": rows may be missing, for what the clock has not come to by the end of the stream never is; "changes": changes of them. */
  readonly shows?: "some" | "changes";
  build(rows: DataStream<Row>, uid: string, outside: Outside): void;
  /** A list, or a table by its key. */
  expect(rows: Rows): readonly unknown[] | ReadonlyMap<string, unknown>;
}

export const byKey = ({ key }: Row) => key;
export const byId = ({ id }: Row) => id;
export const total = (rows: Rows) => rows.reduce((all, row) => all + row.value, 0);

/** What a window, or a timer, makes of a number: just before its end. */
export const rowOf = (uid: string, key: string, end: number, n: number): Row => ({
  id: `${uid} ${key}@${end}`,
  key,
  value: n % valueMax,
  at: end - 1,
  pad: "",
});

const valueMax = 1_000;
