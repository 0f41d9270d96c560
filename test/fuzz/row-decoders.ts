/** Rows and their changes, as a store of key groups takes them in; sorted records of batch mode. */
import { inspect } from "node:util";
import fc from "fast-check";
import type { StateDeclaration } from "../../runtime/api/state.ts";
import { ByteReader } from "../../runtime/base/byte-reader.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { Activity } from "../../runtime/state/activity.ts";
import { CurrentNamespace, KeyedAccess } from "../../runtime/state/keyed-access.ts";
import { compareRows, KeyedStore } from "../../runtime/state/keyed-store.ts";
import { RowReader } from "../../runtime/state/row-reader.ts";
import { RowWriter } from "../../runtime/state/row-writer.ts";
import { stateHandles } from "../../runtime/state/state-handles.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { TimerQueue } from "../../runtime/time/timer-queue.ts";
import type { Decoder } from "./decoder.ts";

const states = new Map<string, StateDeclaration>([
  ["one", { kind: "value", version: 0 }],
  ["many", { kind: "list", version: 0 }],
  ["pairs", { kind: "map", version: 0 }],
]);

/** Any store of one key group. */
function openStore(): KeyedStore {
  const line = () => new TimerQueue<any>(compareRows, (row) => row.hash);
  const options = {
    operator: "op",
    states,
    keyGroups: 1,
    hashing: "murmur3",
    range: fullRange,
    activity: new Activity(),
  } as const;
  return new KeyedStore({ ...options, eventTimers: line(), processingTimers: line() }, new SparseTable());
}

const key = fc.constantFrom<any>("a", "b", 1, 2n, ["a", 1], true);
const step = fc.record({
  key,
  window: fc.nat(3),
  what: fc.constantFrom("set", "append", "put", "clear", "event", "processing"),
  value: fc.oneof(fc.integer(), fc.string(), fc.constant({ a: [1, 2] })),
  at: fc.integer({ min: -5, max: 2_000 }),
});
type Did = typeof step extends fc.Arbitrary<infer D> ? D : never;

interface Handles {
  readonly one: { set(value: unknown): void; clear(): void };
  readonly many: { add(value: unknown): void };
  readonly pairs: { set(key: unknown, value: unknown): void };
}

/** Carries the steps out on a store of its own. */
function after(steps: readonly Did[]): KeyedStore {
  const store = openStore();
  const access = new KeyedAccess(store);
  const place = new CurrentNamespace();
  const handles = stateHandles(access, place) as unknown as Handles;
  for (const { key: of, window, what, value, at } of steps) {
    access.setRow(store.find(of)!);
    place.namespace = window === 0 ? place.namespace : { start: window * 10, end: window * 10 + 10 };
    if (what === "set") handles.one.set(value);
    else if (what === "append") handles.many.add(value);
    else if (what === "put") handles.pairs.set(at, value);
    else if (what === "clear") handles.one.clear();
    else access.setTimer(what === "event" ? "eventTime" : "processingTime", at, place.namespace);
  }
  return store;
}

function changesOf(store: KeyedStore, seq: number): Uint8Array {
  const writer = new ByteWriter();
  store.writeChanges(new RowWriter(writer), seq);
  return writer.take();
}

function pageOf(store: KeyedStore): Uint8Array {
  const writer = new ByteWriter();
  const rows = new RowWriter(writer);
  for (const row of store.group(0)?.rows ?? []) if (!row.empty) rows.writeRow(row);
  return writer.take();
}

/** All that a store holds, in an order that does not depend on how it came there. */
function contentsOf(store: KeyedStore): unknown {
  const rows = [...(store.group(0)?.rows ?? [])].filter((row) => !row.empty).sort(compareRows);
  return rows.map((row) => ({
    key: row.key,
    cells: inOrder(
      row.cells.map(({ state, namespace, value, endTimer }) => ({ state, namespace, value: value as unknown, endTimer })),
    ),
    timers: inOrder(row.timers.map(({ domain, at, namespace }) => ({ domain, at, namespace }))),
  }));
}

function inOrder<T>(list: readonly T[]): readonly T[] {
  return [...list].sort((a, b) => (inspect(a) < inspect(b) ? -1 : 1));
}

const steps = fc.array(step, { minLength: 1, maxLength: 12 });

export const rowDecoders: readonly Decoder[] = [
  {
    name: "rows of a page",
    valid: steps.map((list) => {
      const store = after(list);
      changesOf(store, 1);
      return pageOf(store);
    }),
    decode: (bytes) => {
      const store = openStore();
      store.load(0, [{ schema: store.schema, bytes }]);
      return store;
    },
    encode: pageOf,
    essence: contentsOf,
  },
  {
    name: "rows of a commit",
    valid: fc.tuple(steps, steps).map(([list, more]) => {
      const store = after(list);
      changesOf(store, 1);
      const access = new KeyedAccess(store);
      const handles = stateHandles(access, new CurrentNamespace()) as unknown as Handles;
      for (const { key: of, value, at } of more) {
        access.setRow(store.find(of)!);
        handles.many.add(value);
        handles.pairs.set(at, value);
      }
      return changesOf(store, 2);
    }),
    decode: (bytes) => {
      const store = after([]);
      store.applyChanges(2, store.schema, bytes);
      return store;
    },
    encode: pageOf,
    essence: contentsOf,
  },
  {
    name: "rows that are passed over",
    valid: steps.map((list) => changesOf(after(list), 1)),
    decode: (bytes) => {
      const reader = new RowReader(new ByteReader(bytes));
      const times: number[] = [];
      while (!reader.done) reader.skip((_domain, at) => times.push(at), 0);
      return times;
    },
  },
];
