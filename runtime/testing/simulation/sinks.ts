/** The two kinds of sink that simulated jobs write to, as declared in a job: a list of rows, and a table of versioned rows. */
import type { Sink } from "../../api/connector.ts";

export interface TableRow {
  readonly key: string;
  readonly value: unknown;
}

/** Rows of one commit go into objects of at most so many. */
const rowsPerObject = 3;

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** Every row once. */
export function appendSink(name: string): Sink<unknown> {
  return {
    kind: "simulatedAppend",
    name,
    guarantee: "exactlyOnce",
    options: {},
    createWriter: () => {
      let rows: unknown[] = [];
      return {
        add: (value) => void rows.push(value),
        flush: () => {
          const payloads: Uint8Array[] = [];
          for (let from = 0; from < rows.length; from += rowsPerObject)
            payloads.push(encode(rows.slice(from, from + rowsPerObject)));
          rows = [];
          return payloads;
        },
        state: () => undefined,
        restore: () => undefined,
      };
    },
  };
}

/** The latest row of every key: one payload per row. `keyed`: the plan is to route by the key, if rows do not stand so already. */
export function tableSink<T>(name: string, key: (row: T) => string, keyed = true): Sink<T> {
  return {
    kind: "simulatedTable",
    name,
    guarantee: "exactlyOnce",
    options: {},
    ...(keyed && { key }),
    createWriter: () => {
      let rows: T[] = [];
      return {
        add: (row) => void rows.push(row as T),
        flush: () => {
          const payloads = rows.map((row) => encode({ key: key(row), value: row } satisfies TableRow));
          rows = [];
          return payloads;
        },
        state: () => undefined,
        restore: () => undefined,
      };
    },
  };
}
