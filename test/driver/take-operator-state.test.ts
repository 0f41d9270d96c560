/** Which parts of state outside keys a task takes over, and which share of them (O1, O2). */
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { evenSplitList, type OperatorStateSpec, planJob, type, unionList } from "../../runtime/index.ts";
import { broadcastStates, type OperatorStateDescriptor } from "../../runtime/api/operator-scoped-state.ts";
import { map, type ListState, type StateDeclaration } from "../../runtime/api/state.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import type { BlobName, TaskId } from "../../runtime/base/ids.ts";
import { takeOperatorState } from "../../runtime/driver/take-operator-state.ts";
import { Activity } from "../../runtime/state/activity.ts";
import { joinOperatorEntries, OperatorState, operatorKey, operatorStoreName } from "../../runtime/state/operator-state.ts";
import { RowWriter } from "../../runtime/state/row-writer.ts";
import { emptyIndex, type IndexEntry, type TaskIndex } from "../../runtime/state/state-index.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { defaultLimits, type TaskPlan } from "../../runtime/task/task-plan.ts";
import { pipeline } from "../operators/pipeline.ts";

const states = { items: evenSplitList<number>(), all: unionList<number>() };
const job = planJob(
  pipeline((events) => events.process("fn", { operatorState: states, output: type<unknown>(), onRecord: () => {} })),
);
const stage = { ...job.stages[0]!, kind: "source" as const };

function planOf(task: string): TaskPlan {
  const common = { job, stage, generation: 1, since: 0, deployment: 1, range: fullRange, downstream: [] };
  return { ...common, task: task as TaskId, limits: defaultLimits, safeguards: allSafeguards };
}

const pages = new Map<string, Uint8Array>();

type Lists = { readonly [P in keyof typeof states]: ListState<number> };

/** A task's state, written as a base does. */
function stored(task: string, state: OperatorState): { readonly task: TaskId; readonly index: TaskIndex } {
  const writer = new ByteWriter();
  const rowWriter = new RowWriter(writer);
  const rows = state.store.group(operatorKey)?.rows.filter((row) => !row.empty) ?? [];
  for (const row of rows) rowWriter.writeRow(row);
  const index = emptyIndex();
  if (rows.length === 0) return { task: task as TaskId, index };
  pages.set(task, writer.take());
  const part = {
    kind: "segment",
    schema: state.store.schema,
    rows: 1,
    blob: task as BlobName,
    offset: 0,
    length: 1,
    checksum: 0,
  } as const;
  const due = { earliestEventTimer: Infinity, earliestProcessingTimer: Infinity, cleanAt: Infinity };
  const entry: IndexEntry = { keyGroup: operatorKey, version: 7, sizeBytes: 1, ...due, parts: [part] };
  index.operators.set(operatorStoreName("fn"), new SparseTable([[operatorKey, entry]]));
  index.segments.set(part.blob, 1);
  return { task: task as TaskId, index };
}

function created(items: readonly number[], all: readonly number[] = []): OperatorState {
  const state = new OperatorState({ operator: "fn", states: declared(states), share: undefined, activity: new Activity() });
  assert.ok(state.open());
  const lists = state.handles() as unknown as Lists;
  lists.items.addAll(items);
  lists.all.addAll(all);
  settle(state);
  return state;
}

function settle(state: OperatorState): void {
  state.store.writeChanges(new RowWriter(new ByteWriter()), 1);
}

function declared(spec: OperatorStateSpec): ReadonlyMap<string, StateDeclaration> {
  return new Map(Object.entries(spec as Record<string, OperatorStateDescriptor<unknown>>));
}

/** What a task goes on with. */
function goingOn(task: string, before: ReturnType<typeof stored>[], tasks: { before: string[]; now: string[] }): OperatorState {
  const into = emptyIndex();
  const shares = takeOperatorState(planOf(task), before, () => tasks as { before: TaskId[]; now: TaskId[] }, into);
  const entries = into.operators.get(operatorStoreName("fn"));
  const state = new OperatorState(
    { operator: "fn", states: declared(states), share: shares.get("fn"), activity: new Activity() },
    entries,
  );
  if (entries !== undefined) {
    assert.equal(state.open(), false, "it is to be loaded first");
    const { parts } = entries.get(operatorKey)!;
    for (const part of parts) assert.ok(part.kind === "segment" && into.segments.has(part.blob));
    const loaded = parts.map((part) => ({ schema: part.schema, bytes: pages.get(part.kind === "segment" ? part.blob : "")! }));
    state.store.load(operatorKey, loaded);
  }
  assert.ok(state.open());
  return state;
}

const listsOf = (state: OperatorState) => {
  const { items, all } = state.handles() as unknown as Lists;
  return { items: [...items.get()], all: [...all.get()] };
};

describe("a shard", () => {
  test("that splits deals its items out to its children, who all know the union", () => {
    const before = [stored("g1.s~in:0", created([1, 2, 3, 4, 5], [8, 9]))];
    const tasks = { before: ["g1.s~in:0"], now: ["g1.s~in:1", "g1.s~in:2"] };
    const children = tasks.now.map((task) => listsOf(goingOn(task, before, tasks)));
    assert.deepEqual(children, [
      { items: [1, 3, 5], all: [8, 9] },
      { items: [2, 4], all: [8, 9] },
    ]);
  });

  test("that comes of two has what both had", () => {
    const parents = ["g1.s~in:1", "g1.s~in:2", "g1.s~in:3"];
    const before = parents.map((task, n) => stored(task, created([n, 10 + n], [20 + n])));
    const tasks = { before: parents, now: ["g1.s~in:4"] };
    assert.deepEqual(listsOf(goingOn("g1.s~in:4", before, tasks)), { items: [0, 10, 1, 11, 2, 12], all: [20, 21, 22] });
  });
});

test("a split and a merge leave a union as it was", () => {
  const parent = stored("g1.s~in:0", created([], [1, 2]));
  const split = { before: ["g1.s~in:0"], now: ["g1.s~in:1", "g1.s~in:2"] };
  const children = split.now.map((task) => {
    const state = goingOn(task, [parent], split);
    settle(state);
    return stored(task, state);
  });
  const merge = { before: split.now, now: ["g1.s~in:3"] };
  assert.deepEqual(listsOf(goingOn("g1.s~in:3", children, merge)).all, [1, 2]);
});

test("whatever the tasks before and after, each item goes to one of them, evenly; the order of what was said does not matter", () => {
  const lists = fc.array(fc.array(fc.nat(99), { maxLength: 6 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(lists, fc.integer({ min: 1, max: 13 }), fc.boolean(), (held, count, sameStage) => {
      const name = (generation: number, n: number) => `g${generation}.${sameStage || generation === 2 ? stage.id : "other"}~${n}`;
      const tasks = { before: held.map((_, n) => name(1, n)), now: Array.from({ length: count }, (_, n) => name(2, n)) };
      const before = held.map((items, n) => stored(tasks.before[n]!, created(items)));
      const after = tasks.now.map((task) => listsOf(goingOn(task, before, tasks)).items);
      const reversed = tasks.now.map((task) => listsOf(goingOn(task, before.toReversed(), tasks)).items);
      assert.deepEqual(reversed, after);
      const numeric = (a: number, b: number) => a - b;
      assert.deepEqual(after.flat().sort(numeric), held.flat().sort(numeric));
      if (sameStage && count === held.length) assert.deepEqual(after, held, "each goes on with its own");
      else {
        const sizes = after.map((items) => items.length);
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join(" "));
      }
    }),
    { numRuns: 200 },
  );
});

test("of broadcast state a task takes the copy of one, wherever it goes on", () => {
  const rules = broadcastStates({ rules: map<string, number>() });
  const before = [0, 1, 2].map((n) => {
    const state = new OperatorState({ operator: "fn", states: rules, share: undefined, activity: new Activity() });
    assert.ok(state.open());
    (state.handles().rules as unknown as { set(key: string, value: number): void }).set("r", 5);
    settle(state);
    return stored(`g1.s~${n}`, state);
  });
  const entries = before.map(({ index }) => index.operators.get(operatorStoreName("fn"))!.get(operatorKey)!);
  for (let place = 0; place < 5; place++) {
    const entry = joinOperatorEntries(entries, rules, (all) => all[place % 3])!;
    assert.deepEqual([entry.version, entry.parts], [0, entries[place % 3]!.parts]);
    const state = new OperatorState(
      { operator: "fn", states: rules, share: undefined, activity: new Activity() },
      new SparseTable([[operatorKey, entry]]),
    );
    assert.equal(state.open(), false);
    state.store.load(operatorKey, [{ schema: state.store.schema, bytes: pages.get(`g1.s~${place % 3}`)! }]);
    assert.ok(state.open());
    assert.deepEqual([...(state.handles().rules as any).entries()], [["r", 5]]);
  }
});
