/**
 * `millrace state list|get|export`: keyed state as it stands in journal, pages and segments, or in a checkpoint. Read by the job's own code,
 * which knows its shapes; nothing is written, and the job goes on meanwhile.
 */
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Key } from "../../runtime/api/key.ts";
import { windowStates } from "../../runtime/api/operator-states.ts";
import type { StateDeclaration } from "../../runtime/api/state.ts";
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";
import { loadMissing } from "../../runtime/driver/load-groups.ts";
import { readTasks, readTasksAt } from "../../runtime/driver/read-tasks.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import type { Cell } from "../../runtime/state/cell.ts";
import { globalNamespace, type Namespace, sameNamespace, voidNamespace } from "../../runtime/state/namespace.ts";
import type { KeyedStore } from "../../runtime/state/keyed-store.ts";
import { ownerOf } from "../../runtime/state/operator-state.ts";
import type { Row } from "../../runtime/state/row.ts";
import type { Task } from "../../runtime/task/task.ts";
import type { Answer } from "../answer.ts";
import { numberOf, readManifest, recordOf } from "../job-status.ts";
import { table } from "../layout.ts";
import { UsageError } from "../report-error.ts";
import type { Target } from "../target/target.ts";
import { grouped, moment, plural } from "../words.ts";
import { checkpointOf } from "./checkpoints.ts";

export interface StateOptions {
  /** A checkpoint, as text; undefined: as it stands, or the savepoint of a job that has stopped. */
  readonly at: string | undefined;
}

/** The contents of one state of one key, in one window if it is a window's. */
export interface StateEntry {
  readonly operator: string;
  readonly state: string;
  readonly kind: string;
  /** Undefined: state outside keys. */
  readonly key: Key | undefined;
  /** Epoch ms; undefined: of no window. */
  readonly window: { readonly start: number; readonly end: number } | "global" | undefined;
  /** A list's is an array, a map's an array of pairs; slices' a table of them. */
  readonly value: unknown;
}

export interface TimerEntry {
  readonly operator: string;
  readonly domain: string;
  /** Epoch ms. */
  readonly at: number;
}

// ---- list ----

export async function listState(target: Target, job: JobGraph, options: StateOptions): Promise<Answer> {
  const counts = new Map<string, { operator: string; state: string; kind: string; keys: number; entries: number }>();
  const { what, tasks } = await tasksOf(target, job, options);
  for await (const task of tasks)
    for (const store of task.chain.stores) {
      await loadAll(task, store, target);
      for (const [name, { kind }] of store.states) {
        const id = `${store.operator} ${name}`;
        if (!counts.has(id)) counts.set(id, { operator: ownerOf(store.operator), state: name, kind, keys: 0, entries: 0 });
      }
      for (const row of rowsOf(store)) {
        const states = new Map<string, number>();
        for (const { state } of entriesOf(store, row)) states.set(state, (states.get(state) ?? 0) + 1);
        for (const [state, entries] of states) {
          const count = counts.get(`${store.operator} ${state}`)!;
          count.keys++;
          count.entries += entries;
        }
      }
    }
  // Of what failed there is mostly nothing.
  const found = [...counts.values()].filter(({ state, keys }) => state !== windowStates.owed || keys > 0);
  if (found.length === 0) return { json: { at: what, states: [] }, lines: ["the job keeps no state"] };
  const rows = found.map(({ operator, state, kind, keys, entries }) => [operator, state, kind, grouped(keys), grouped(entries)]);
  const lines = [what, "", ...table(["operator", "state", "kind", "keys", "entries"], rows, [3, 4])];
  return { json: { at: what, states: found }, lines };
}

// ---- get ----

export async function getState(
  target: Target,
  job: JobGraph,
  operator: string,
  text: string,
  options: StateOptions,
): Promise<Answer> {
  checkOperator(job, operator);
  const { what, tasks } = await tasksOf(target, job, options);
  for await (const task of tasks)
    for (const store of task.chain.stores) {
      if (ownerOf(store.operator) !== operator) continue;
      const row = await findRow(task, store, text, target);
      if (row === undefined) continue;
      const entries = [...entriesOf(store, row)];
      const timers = timersOf(store, row);
      return { json: { at: what, key: row.key, entries: entries.map(toJson), timers }, lines: describe(row, entries, timers) };
    }
  throw new MillraceError("invalid", `operator ${operator} keeps nothing of this key: ${text}`);
}

/** A key as it is written on a command line: a text, or JSON for keys of other types. */
async function findRow(task: Task, store: KeyedStore, text: string, { ports }: Target): Promise<Row | undefined> {
  for (const key of keysOf(text)) {
    store.want(key);
    await loadMissing(task, ports.blobs, ports.pages);
    for (const row of rowsOf(store)) if (sameKey(row.key, key)) return row;
  }
  return undefined;
}

function keysOf(text: string): readonly Key[] {
  try {
    const parsed = JSON.parse(text) as Key;
    if (typeof parsed === "string") return [parsed];
    return /^-?\d+$/.test(text) ? [text, parsed, BigInt(text)] : [text, parsed];
  } catch {
    return [text];
  }
}

function sameKey(a: Key, b: Key): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && JSON.stringify(a, plain) === JSON.stringify(b, plain));
}

function describe(row: Row, entries: readonly StateEntry[], timers: readonly TimerEntry[]): readonly string[] {
  const rows = entries.map(({ state, window, value }) => [state, windowText(window), JSON.stringify(value, plain)]);
  const timerRows = timers.map(({ domain, at }) => [domain === "eventTime" ? "event time" : "processing time", moment(at)]);
  return [
    `key ${JSON.stringify(row.key, plain)}`,
    "",
    ...(rows.length === 0 ? ["  no state"] : table(["state", "window", "value"], rows)),
    ...(timerRows.length === 0 ? [] : ["", ...table(["timer", "at"], timerRows)]),
  ];
}

function windowText(window: StateEntry["window"]): string {
  if (window === undefined) return "";
  return window === "global" ? "global" : `${moment(window.start)} to ${moment(window.end)}`;
}

// ---- export ----

export interface ExportOptions extends StateOptions {
  readonly operator: string | undefined;
  readonly format: string;
  /** A file; undefined: standard output. */
  readonly to: string | undefined;
}

export async function exportState(target: Target, job: JobGraph, options: ExportOptions): Promise<Answer> {
  const { operator, format, to } = options;
  if (operator !== undefined) checkOperator(job, operator);
  if (format !== "ndjson" && format !== "parquet") throw new UsageError(`--format is ndjson or parquet: ${format}`);
  if (format === "parquet" && to === undefined) throw new UsageError("parquet is written to a file: --to FILE");
  const { what, tasks } = await tasksOf(target, job, options);
  const entries = allEntries(tasks, operator, target);
  const count = format === "parquet" ? await writeParquet(entries, to!) : await writeLines(entries, to);
  // What was asked for has been printed already.
  const json = to === undefined ? undefined : { at: what, entries: count, format, to };
  return { json, lines: to === undefined ? [] : [`${plural(count, "entry", "entries")} in ${to} (${what})`] };
}

async function* allEntries(tasks: AsyncIterable<Task>, operator: string | undefined, target: Target): AsyncGenerator<StateEntry> {
  for await (const task of tasks)
    for (const store of task.chain.stores) {
      if (operator !== undefined && ownerOf(store.operator) !== operator) continue;
      await loadAll(task, store, target);
      for (const row of rowsOf(store)) yield* entriesOf(store, row);
    }
}

async function writeLines(entries: AsyncIterable<StateEntry>, to: string | undefined): Promise<number> {
  let count = 0;
  const lines = async function* () {
    for await (const entry of entries) {
      count++;
      yield `${JSON.stringify(toJson(entry), plain)}\n`;
    }
  };
  await (to === undefined
    ? pipeline(lines, process.stdout, { end: false })
    : writing(to, pipeline(lines, createWriteStream(to))));
  return count;
}

/** Throws `invalid` for a file that cannot be written. */
async function writing(to: string, written: Promise<void>): Promise<void> {
  try {
    await written;
  } catch (error) {
    const isOfFiles = typeof (error as NodeJS.ErrnoException).syscall === "string";
    throw isOfFiles ? new MillraceError("invalid", `the file cannot be written: ${messageOf(error)}`, { cause: error }) : error;
  }
}

/** One column for each part of an entry; keys and values as JSON, since they are of any type. */
async function writeParquet(entries: AsyncIterable<StateEntry>, to: string): Promise<number> {
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  const columns = { operator: [], state: [], kind: [], key: [], window_start: [], window_end: [], value: [] } as {
    [name: string]: unknown[];
  };
  let count = 0;
  for await (const { operator, state, kind, key, window, value } of entries) {
    const [start, end] = typeof window === "object" ? [new Date(window.start), new Date(window.end)] : [null, null];
    const row = { operator, state, kind, key: text(key), window_start: start, window_end: end, value: text(value) };
    for (const [name, cell] of Object.entries(row)) columns[name]!.push(cell);
    count++;
  }
  const typeOf = (name: string) => (name.startsWith("window") ? "TIMESTAMP" : "STRING") as "TIMESTAMP" | "STRING";
  const columnData = Object.entries(columns).map(([name, data]) => ({
    name,
    data: data as any[],
    type: typeOf(name),
    nullable: true,
  }));
  await writing(to, writeFile(to, new Uint8Array(parquetWriteBuffer({ columnData }))));
  return count;
}

function text(value: unknown): string | null {
  return JSON.stringify(value, plain) ?? null;
}

// ---- what all of them read ----

async function tasksOf(target: Target, job: JobGraph, { at }: StateOptions) {
  const record = await recordOf(target);
  const rests = record.phase === "stopped" || record.phase === "restoring" ? (record.savepoint ?? record.manifest) : undefined;
  const name = at === undefined ? rests : await checkpointOf(target, at);
  if (name === undefined) return { what: `as it stands: ${describeRecord(record)}`, tasks: readTasks(job, record, target.ports) };
  const manifest = await readManifest(name, target.ports);
  return { what: `${manifest.kind} ${numberOf(name)}`, tasks: readTasksAt(job, record, name, manifest, target.ports) };
}

function describeRecord({ job, generation, phase }: JobRecord): string {
  return `job ${job}, generation ${generation}, ${phase}`;
}

function checkOperator({ operators }: JobGraph, uid: string): void {
  if (operators.has(uid)) return;
  throw new MillraceError(
    "invalid",
    `the job has no operator ${JSON.stringify(uid)}; there are: ${[...operators.keys()].join(", ")}`,
  );
}

async function loadAll(task: Task, store: KeyedStore, { ports }: Target): Promise<void> {
  const ids = new Set(store.scattered(true));
  for (const { keyGroup } of store.index.values()) ids.add(keyGroup);
  store.wantGroups(ids);
  await loadMissing(task, ports.blobs, ports.pages);
}

export function* rowsOf(store: KeyedStore): Generator<Row> {
  for (const group of store.groupsInOrder()) for (const row of group.rows) if (!row.empty) yield row;
}

export function* entriesOf(store: KeyedStore, row: Row): Generator<StateEntry> {
  const declarations = [...store.states];
  const isKeyed = ownerOf(store.operator) === store.operator;
  for (const cell of row.cells) {
    const [state, declaration] = declarations[cell.state] as [string, StateDeclaration];
    const { kind, ttl } = declaration;
    const value = contentsOf(cell, ttl !== undefined);
    const window = windowOf(cell.namespace);
    yield { operator: ownerOf(store.operator), state, kind, key: isKeyed ? row.key : undefined, window, value };
  }
}

/** Without the times at which they were written, which contents that expire carry along. */
function contentsOf({ kind, value }: Cell, timed: boolean): unknown {
  const plainOf = (item: any): unknown => (timed ? item[1] : item);
  if (kind === "list") return (value as readonly unknown[]).map(plainOf);
  if (kind === "map") return [...(value as Map<unknown, unknown>)].map(([key, item]) => [key, plainOf(item)]);
  return plainOf(value);
}

function windowOf(namespace: Namespace): StateEntry["window"] {
  if (sameNamespace(namespace, voidNamespace)) return undefined;
  if (sameNamespace(namespace, globalNamespace)) return "global";
  return { start: namespace.start, end: namespace.end };
}

function timersOf(store: KeyedStore, row: Row): readonly TimerEntry[] {
  const operator = ownerOf(store.operator);
  const flagged = row.cells.filter((cell) => cell.endTimer).map(({ namespace }) => namespace.end - 1);
  const ends = [...new Set(flagged)].map((at) => ({ operator, domain: "eventTime", at }));
  const others = row.timers.filter(({ live }) => live).map(({ domain, at }) => ({ operator, domain: domain as string, at }));
  return [...ends, ...others].sort((a, b) => a.at - b.at);
}

function toJson({ value, ...entry }: StateEntry): object {
  return { ...entry, value: value === undefined ? null : value };
}

/** What JSON has no form for. */
function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Map) return [...value];
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}
