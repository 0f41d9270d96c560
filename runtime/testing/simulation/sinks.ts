/** The kinds of sink that simulated jobs write to, as declared in a job: a list of rows, a table of versioned rows, an author's own. */
import type { Change } from "../../api/changelog-stream.ts";
import type { Sink } from "../../api/connector.ts";
import { customSink, type CustomSinkFunctions } from "../../connectors/custom/custom-sink.ts";

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

/** The latest row of every key of a table that changes; one that was deleted is null. */
export function changedTable<T>(name: string, key: (row: T) => string): Sink<T, "upsert"> {
  return {
    kind: "simulatedTable",
    name,
    guarantee: "exactlyOnce",
    options: {},
    accepts: ["append", "upsert"],
    key,
    createWriter: () => {
      let payloads: Uint8Array[] = [];
      return {
        add: (row: T, _timestamp, kind) =>
          void payloads.push(encode({ key: key(row), value: kind === "-D" ? null : row } satisfies TableRow)),
        flush: () => payloads.splice(0),
        state: () => undefined,
        restore: () => void (payloads = []),
      };
    },
  };
}

/** Every change of a table, as it is. */
export function changesSink<T>(name: string): Sink<T, "append" | "upsert" | "retract"> {
  return {
    kind: "simulatedChanges",
    name,
    guarantee: "exactlyOnce",
    options: {},
    accepts: ["append", "upsert", "retract"],
    createWriter: () => {
      let changes: Change<T>[] = [];
      return {
        add: (value: T, _timestamp, kind) => void changes.push({ kind, value }),
        flush: () => (changes.length === 0 ? [] : [encode(changes.splice(0))]),
        state: () => undefined,
        restore: () => void (changes = []),
      };
    },
  };
}

/** What sinks of an author's kind write to: by uid, the functions and the rows. */
export type Outside = Map<string, OwnTable>;

export interface OwnTable {
  readonly functions: CustomSinkFunctions<any>;
  readonly rows: Map<string, { readonly row: unknown; readonly version: bigint }>;
}

/** A table that an author keeps: the latest row of every key, by the versions that `customSink` gives. */
export function customTable<T>(uid: string, key: (row: T) => string, outside: Outside): Sink<T> {
  const rows: OwnTable["rows"] = outside.get(uid)?.rows ?? new Map();
  const functions: CustomSinkFunctions<T> = {
    name: uid,
    guarantee: "exactlyOnce",
    key,
    rowsPerWrite: 4,
    write: (written) => {
      for (const { value: row, version } of written)
        if ((rows.get(key(row))?.version ?? -1n) < version) rows.set(key(row), { row, version });
    },
  };
  outside.set(uid, { functions, rows });
  return customSink(functions);
}
