/** Rows as deltas and pages: a store that reads them stands where the one that wrote them stood, whatever the operations; T3, L7. */
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Key } from "../../runtime/api/key.ts";
import type { ListState, MapState, StateDeclaration, ValueState } from "../../runtime/api/state.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { Activity } from "../../runtime/state/activity.ts";
import { CurrentNamespace, KeyedAccess } from "../../runtime/state/keyed-access.ts";
import { stateHandles } from "../../runtime/state/state-handles.ts";
import { compareRows, KeyedStore } from "../../runtime/state/keyed-store.ts";
import { RowWriter } from "../../runtime/state/row-writer.ts";
import { voidNamespace } from "../../runtime/state/namespace.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { TimerQueue } from "../../runtime/time/timer-queue.ts";
import type { IndexEntry } from "../../runtime/state/state-index.ts";

const declarations = new Map<string, StateDeclaration>([
  ["one", { kind: "value", version: 0 }],
  ["many", { kind: "list", version: 0 }],
  ["pairs", { kind: "map", version: 0 }],
]);

interface Handles {
  readonly one: ValueState<unknown>;
  readonly many: ListState<unknown>;
  readonly pairs: MapState<any, unknown>;
}

/** A store, of one key group if nothing else is said, with its handles, as an operator has them. */
class Stand {
  readonly store: KeyedStore;
  readonly access: KeyedAccess;
  readonly handles: Handles;
  private readonly at = new CurrentNamespace();

  constructor(index?: SparseTable<IndexEntry>, states: ReadonlyMap<string, StateDeclaration> = declarations, keyGroups = 1) {
    const [eventTimers, processingTimers] = [
      new TimerQueue<any>(compareRows, (row) => row.hash),
      new TimerQueue<any>(compareRows, (row) => row.hash),
    ];
    const options = {
      operator: "op",
      states,
      keyGroups,
      hashing: "murmur3",
      range: fullRange,
      activity: new Activity(),
    } as const;
    this.store = new KeyedStore({ ...options, eventTimers, processingTimers }, index);
    this.access = new KeyedAccess(this.store);
    this.handles = stateHandles(this.access, this.at) as unknown as Handles;
  }

  /** Works on one key in one window (0: none). */
  on(key: Key, window: number): this {
    const row = this.store.find(key);
    assert.ok(row, "its key group is loaded");
    this.access.setRow(row);
    this.at.namespace = window === 0 ? voidNamespace : { start: window * 10, end: window * 10 + 10 };
    return this;
  }

  /** Ends a commit; answers its bytes. */
  commit(seq: number): Uint8Array {
    const writer = new ByteWriter();
    this.store.writeChanges(new RowWriter(writer), seq);
    return writer.take();
  }

  page(): Uint8Array {
    const writer = new ByteWriter();
    const rows = new RowWriter(writer);
    for (const row of this.store.group(0)?.rows ?? []) rows.writeRow(row);
    return writer.take();
  }

  timer(domain: "eventTime" | "processingTime", at: number, set: boolean): void {
    const { namespace } = this.at;
    if (set) this.access.setTimer(domain, at, namespace);
    else this.access.cancelTimer(domain, at, namespace);
  }

  /** The earliest timers as the queues have them. */
  get earliest(): readonly number[] {
    return [this.store.earliestTimer("eventTime"), this.store.earliestTimer("processingTime")];
  }

  /** The same, as the rows have them. */
  get earliestOfRows(): readonly number[] {
    const rows = [...(this.store.group(0)?.rows ?? [])];
    return (["eventTime", "processingTime"] as const).map((domain) => Math.min(...rows.map((row) => row.earliestOf(domain))));
  }

  /** Everything in it, in an order that depends on nothing. */
  get contents(): unknown {
    const live = [...(this.store.group(0)?.rows ?? [])].filter((row) => !row.empty);
    const rows = live.map((row) => ({
      key: row.key,
      cells: row.cells
        .flatMap((cell) => (cell === undefined ? [] : [{ state: cell.state, ...cell.namespace, value: cell.value }]))
        .sort((a, b) => a.state - b.state || a.start - b.start),
      timers: row.timers.map(({ domain, at, namespace }) => `${domain} ${at} ${namespace.start} ${namespace.end}`).sort(),
    }));
    return rows.sort((a, b) => (JSON.stringify(a.key) < JSON.stringify(b.key) ? -1 : 1));
  }
}

const step = fc.record({
  key: fc.constantFrom<Key>("a", "b", 1),
  window: fc.nat({ max: 3 }),
  verb: fc.constantFrom(
    "set",
    "set",
    "clear",
    "add",
    "add",
    "update",
    "put",
    "put",
    "delete",
    "empty",
    "wake",
    "wake",
    "sleep",
    "tick",
  ),
  n: fc.nat({ max: 6 }),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function carryOut(stand: Stand, { key, window, verb, n }: Step): void {
  const { one, many, pairs } = stand.on(key, window).handles;
  if (verb === "set") one.set({ n });
  if (verb === "clear") one.clear();
  if (verb === "add") many.add(n);
  if (verb === "update") many.update([n, [n]].slice(0, n % 3));
  if (verb === "put") pairs.set(n, `${n}`);
  if (verb === "delete") pairs.delete(n);
  if (verb === "empty") (n % 2 === 0 ? many : pairs).clear();
  if (verb === "wake") stand.timer("eventTime", n, true);
  if (verb === "sleep") stand.timer(n % 2 === 0 ? "eventTime" : "processingTime", n, false);
  if (verb === "tick") stand.timer("processingTime", n, true);
}

const commits = fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 8 });

/** An entry that says: the group is stored, complete up to `version`. */
function entry(version: number): IndexEntry {
  const parts = [{ kind: "page", schema: "", rows: 1, writer: "t" as never }] as const;
  return {
    keyGroup: 0,
    version,
    sizeBytes: 1,
    earliestEventTimer: Infinity,
    earliestProcessingTimer: Infinity,
    cleanAt: Infinity,
    parts,
  };
}

describe("a store that reads", () => {
  test("a group that lay with a timer knows it by its rows alone", () => {
    const writer = new Stand();
    writer.on("a", 0).timer("eventTime", 5, true);
    writer.commit(1);
    const index = new SparseTable([[0, { ...entry(1), earliestEventTimer: 5 }]]);
    const reader = new Stand(index);
    assert.equal(reader.store.earliestTimer("eventTime"), 5);
    assert.ok(reader.store.wantDue("eventTime", 5));
    reader.store.load(0, [{ schema: reader.store.schema, bytes: writer.page(), version: 1 }]);
    reader.on("a", 0).timer("eventTime", 5, false);
    assert.equal(reader.store.earliestTimer("eventTime"), Infinity);
    assert.equal(reader.store.wantDue("eventTime", 5), false);
  });

  test("the deltas of each commit stands where the writer stands", () => {
    fc.assert(
      fc.property(commits, (list) => {
        const writer = new Stand();
        const reader = new Stand();
        list.forEach((steps, n) => {
          for (const each of steps) carryOut(writer, each);
          reader.store.applyChanges(n + 1, writer.store.schema, writer.commit(n + 1));
          assert.deepEqual(reader.contents, writer.contents);
          assert.ok(
            writer.earliest.every((at, domain) => at <= writer.earliestOfRows[domain]!),
            "no timer is passed over",
          );
          assert.ok(
            reader.earliest.every((at, domain) => at <= reader.earliestOfRows[domain]!),
            "no timer is passed over",
          );
        });
      }),
      { numRuns: 500 },
    );
  });

  test("a page and the deltas above it stands where the writer stands, whichever of them come first (T3, L7)", () => {
    fc.assert(
      fc.property(commits, fc.nat(), fc.nat(), fc.nat(), (list, pageFrom, indexFrom, loadFrom) => {
        const writer = new Stand();
        const deltas: Uint8Array[] = [];
        let page: { bytes: Uint8Array; version: number } = { bytes: new Uint8Array(), version: 0 };
        for (const [n, steps] of list.entries()) {
          for (const each of steps) carryOut(writer, each);
          deltas.push(writer.commit(n + 1));
          if (n + 1 === pageFrom % (list.length + 1)) page = { bytes: writer.page(), version: n + 1 };
        }
        // The index may be older than the page that is read: it was overwritten meanwhile. What the reader knew of the journal when it
        // read the page may be older still.
        const known = Math.min(page.version, indexFrom % (list.length + 1));
        const loadAt = known + (loadFrom % (list.length - known + 1));
        const reader = new Stand(new SparseTable([[0, entry(known)]]));
        const apply = (from: number, to: number) => {
          for (let seq = from + 1; seq <= to; seq++) reader.store.applyChanges(seq, writer.store.schema, deltas[seq - 1]!);
        };
        apply(known, loadAt);
        assert.equal(reader.store.find("a"), undefined);
        assert.deepEqual([...reader.store.missing], [0]);
        reader.store.load(0, [{ schema: writer.store.schema, ...page }]);
        apply(loadAt, list.length);
        assert.deepEqual(reader.contents, writer.contents);
      }),
      { numRuns: 500 },
    );
  });

  test("a unit of work that is taken back leaves what was before it, and the next delta says so", () => {
    fc.assert(
      fc.property(commits, fc.array(step, { maxLength: 8 }), (list, taken) => {
        const writer = new Stand();
        const reader = new Stand();
        list.forEach((steps, n) => {
          for (const each of steps) carryOut(writer, each);
          const before = writer.contents;
          const kept = structuredClone(before);
          writer.store.startUnit();
          for (const each of taken) carryOut(writer, each);
          writer.store.undoUnit();
          assert.deepEqual(
            (writer.contents as { cells: unknown[]; timers: unknown[] }[]).filter(
              ({ cells, timers }) => cells.length + timers.length > 0,
            ),
            (kept as { cells: unknown[]; timers: unknown[] }[]).filter(({ cells, timers }) => cells.length + timers.length > 0),
          );
          reader.store.applyChanges(n + 1, writer.store.schema, writer.commit(n + 1));
          assert.deepEqual(reader.contents, writer.contents);
          assert.ok(
            writer.earliest.every((at, domain) => at <= writer.earliestOfRows[domain]!),
            "no timer is passed over",
          );
          assert.ok(
            reader.earliest.every((at, domain) => at <= reader.earliestOfRows[domain]!),
            "no timer is passed over",
          );
        });
      }),
      { numRuns: 500 },
    );
  });

  test("mutated rows ends with rows or corrupt", () => {
    const writer = new Stand();
    for (const verb of ["set", "add", "put", "wake", "tick"] as const)
      for (const window of [0, 2]) for (const key of ["a", 1]) carryOut(writer, { key, window, verb, n: 5 });
    const page = writer.page();
    const first = writer.commit(1);
    for (const verb of ["add", "put", "delete", "sleep", "clear"] as const) carryOut(writer, { key: "a", window: 2, verb, n: 5 });
    const second = writer.commit(2);
    const { schema } = writer.store;
    const readers = [
      (bytes: Uint8Array) => new Stand(new SparseTable([[0, entry(0)]])).store.load(0, [{ schema, bytes }]),
      (bytes: Uint8Array) => new Stand().store.applyChanges(1, schema, bytes),
      (bytes: Uint8Array) => {
        const reader = new Stand();
        reader.store.applyChanges(1, schema, first);
        reader.store.applyChanges(2, schema, bytes);
      },
    ];
    const property = fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(2), fc.boolean(), (at, byte, which, cut) => {
      const bytes = Buffer.from([page, first, second][which]!);
      if (cut) return attempt(readers[which]!, bytes.subarray(0, at % bytes.length));
      bytes[at % bytes.length] = byte;
      attempt(readers[which]!, bytes);
    });
    fc.assert(property, { numRuns: 4_000 });
  });
});

function attempt(read: (bytes: Uint8Array) => void, bytes: Uint8Array): void {
  try {
    read(bytes);
  } catch (error) {
    assert.ok(error instanceof MillraceError, String((error as Error).stack));
    assert.equal(error.kind, "corrupt", error.message);
  }
}

test("an element appended to a list or map that is not there is corrupt, not a new list", () => {
  const writer = new Stand();
  carryOut(writer, { key: "a", window: 0, verb: "add", n: 1 });
  writer.commit(1);
  carryOut(writer, { key: "a", window: 0, verb: "add", n: 2 });
  const second = writer.commit(2);
  assert.throws(() => new Stand().store.applyChanges(2, writer.store.schema, second), { kind: "corrupt" });
});

test("a state that is cleared before it was stored leaves no trace in the commit", () => {
  const stand = new Stand();
  carryOut(stand, { key: "a", window: 0, verb: "set", n: 1 });
  carryOut(stand, { key: "a", window: 0, verb: "clear", n: 1 });
  carryOut(stand, { key: "a", window: 0, verb: "wake", n: 1 });
  stand.timer("eventTime", 1, false);
  // An empty row stays for a few commits, in case its key comes again.
  for (let seq = 1; seq <= 32; seq++) assert.equal(stand.commit(seq).length, 0);
  assert.equal(stand.store.rowCount, 0);
});

test("a key group is as warm as the last use of any of its keys: those that are colder leave memory first", () => {
  const { store } = new Stand(undefined, declarations, 4);
  store.turn = 1;
  const rows = ["a", "b", "c", "d", "e", "f"].map((key) => store.find(key)!);
  const cold = rows[0]!.group;
  const warm = rows.findLast(({ group }) => group !== cold)!;
  assert.deepEqual([cold.usedAt, warm.group.usedAt], [1, 1]);
  store.turn = 2;
  store.find(warm.key);
  assert.deepEqual([cold.usedAt, warm.group.usedAt], [1, 2]);
});
