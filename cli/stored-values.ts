/**
 * Whether what a checkpoint holds is what a job's code takes it for, as far as the code says: some keys of each operator are read and
 * compared. Types alone are TypeScript's, and leave nothing that could be compared.
 *
 * S1 Held against stored values: the schema of a key, of a state or an accumulator, where one is declared; the shape of an accumulator that
 *    nothing was added to, which every aggregator says; and `migrate`, which must take them.
 * S2 What is found is certain of the value that is shown; that nothing is found says nothing of keys that were not read.
 */
import type { OperatorSpec } from "../runtime/api/graph.ts";
import type { Schema } from "../runtime/api/functions.ts";
import type { StateDeclaration } from "../runtime/api/state.ts";
import type { BlobName } from "../runtime/base/ids.ts";
import { isKind, type MillraceError, messageOf } from "../runtime/base/errors.ts";
import { validator } from "../runtime/connectors/formats/schema.ts";
import { loadMissing } from "../runtime/driver/load-groups.ts";
import { readTasksAt } from "../runtime/driver/read-tasks.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { JobRecord } from "../runtime/snapshots/job-record.ts";
import type { Manifest } from "../runtime/snapshots/manifest.ts";
import type { KeyedStore } from "../runtime/state/keyed-store.ts";
import { ownerOf } from "../runtime/state/operator-state.ts";
import { SliceTable } from "../runtime/state/slice-table.ts";
import type { Task } from "../runtime/task/task.ts";
import { entriesOf, rowsOf } from "./commands/state.ts";
import type { JobPorts } from "./target/target.ts";

/** Keys of an operator that are read in each task, and key groups in which they are looked for. */
const keysPerTask = 100;
const groupsPerTask = 8;
const shownMax = 80;

/** Where the checkpoint lies. */
export interface StoredAt {
  readonly record: JobRecord;
  readonly name: BlobName;
  readonly ports: JobPorts;
}

export interface UnlikeValue {
  readonly operator: string;
  /** Undefined: the key. */
  readonly state: string | undefined;
  readonly text: string;
}

/** The first difference of each operator and state, and how many keys were read. The plan must be able to take the checkpoint over. */
export async function compareValues(
  job: JobGraph,
  manifest: Manifest,
  { record, name, ports }: StoredAt,
): Promise<{ readonly keys: number; readonly found: readonly UnlikeValue[] }> {
  const found = new Map<string, UnlikeValue>();
  let keys = 0;
  for await (const task of readTasksAt(job, record, name, manifest, ports)) {
    const failure = await failureToLoad(task, ports);
    if (failure !== undefined) {
      found.set(failure.operator, failure);
      continue;
    }
    for (const store of task.chain.stores) {
      const operator = ownerOf(store.operator);
      keys += compareStore(store, job.operators.get(operator)!.node.spec, (state, problem) => {
        const text = `operator ${operator}: ${state === undefined ? "its keys" : `state ${state}`}: ${problem}`;
        const id = `${operator} ${state ?? ""}`;
        if (!found.has(id)) found.set(id, { operator, state, text });
      });
    }
  }
  return { keys, found: [...found.values()] };
}

/** Reads some key groups of all that the task keeps; what the author's `migrate` makes of them is said by whoever it fails on first. */
async function failureToLoad(task: Task, { blobs, pages }: JobPorts): Promise<UnlikeValue | undefined> {
  for (const store of task.chain.stores) {
    const groups = new Set<number>();
    for (const { keyGroup } of store.index.values()) if (groups.size < groupsPerTask) groups.add(keyGroup);
    store.wantGroups(groups);
  }
  try {
    await loadMissing(task, blobs, pages);
    return undefined;
  } catch (error) {
    if (!isKind(error, "user")) throw error;
    const { message, context } = error as MillraceError;
    return { operator: String(context.operator), state: undefined, text: message };
  }
}

/** Says how many keys it has looked at. */
function compareStore(store: KeyedStore, spec: OperatorSpec, note: (state: string | undefined, problem: string) => void): number {
  const isKeyed = ownerOf(store.operator) === store.operator;
  const key =
    isKeyed && "fn" in spec
      ? problemWith((spec.fn as { readonly key?: { readonly schema?: Schema<unknown> } }).key?.schema)
      : undefined;
  const states = new Map([...store.states].map(([name, declared]) => [name, checksOf(declared)]));
  let keys = 0;
  for (const row of rowsOf(store)) {
    if (++keys > keysPerTask) return keysPerTask;
    const problem = key?.(row.key);
    if (problem !== undefined) note(undefined, `${problem}, stored ${show(row.key)}`);
    for (const { state, kind, value } of entriesOf(store, row))
      for (const item of itemsOf(kind, value))
        for (const check of states.get(state) ?? []) {
          const unlike = check(item);
          if (unlike !== undefined) note(state, `${unlike}, stored for key ${show(row.key)}: ${show(item)}`);
        }
  }
  return keys;
}

type Check = (value: unknown) => string | undefined;

function checksOf({ schema, initial }: StateDeclaration): readonly Check[] {
  const checks: Check[] = [];
  const valid = problemWith(schema);
  if (valid !== undefined) checks.push(valid);
  if (initial !== undefined) {
    const like = initial();
    checks.push((value) => unlikeness(value, like, "the accumulator"));
  }
  return checks;
}

function problemWith(schema: Schema<unknown> | undefined): Check | undefined {
  const validate = validator(schema);
  return (
    validate &&
    ((value) => {
      try {
        validate(value);
        return undefined;
      } catch (error) {
        return messageOf(error);
      }
    })
  );
}

function itemsOf(kind: string, value: unknown): readonly unknown[] {
  if (value instanceof SliceTable)
    return Array.from({ length: value.end - value.first }, (_, n) => value.valueAt(value.first + n));
  if (kind === "map" || kind === "broadcast") return (value as readonly (readonly [unknown, unknown])[]).map(([, item]) => item);
  return Array.isArray(value) && kind !== "value" && kind !== "reducing" && kind !== "aggregating" ? value : [value];
}

/**
 * In which the stored value is not of the shape of another that nothing was added to; undefined: nothing says so. What is empty or missing
 * in the other may be anything.
 */
export function unlikeness(stored: unknown, like: unknown, what: string): string | undefined {
  if (like === undefined || like === null || stored === undefined || stored === null) return undefined;
  const [is, should] = [kindOf(stored), kindOf(like)];
  if (is !== should) return `${what} is ${is}, this code takes it for ${should}`;
  if (should !== "an object") return undefined;
  for (const [name, part] of Object.entries(like as object)) {
    const held = (stored as Readonly<Record<string, unknown>>)[name];
    if (held === undefined && part !== undefined && part !== null)
      return `${what} has no ${name}, which this code has from the beginning`;
    const problem = unlikeness(held, part, `${what}'s ${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value instanceof Map) return "a map";
  if (value instanceof Set) return "a set";
  if (value instanceof Date) return "a date";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_name, item: unknown) => (typeof item === "bigint" ? String(item) : item)) ?? String(value);
  return text.length <= shownMax ? text : `${text.slice(0, shownMax - 1)}…`;
}
