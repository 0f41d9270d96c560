/** Slices of time as a table, and as it is stored: a reader of deltas and pages stands where the writer stands. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Fold, StateDeclaration } from "../../runtime/api/state.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { Activity } from "../../runtime/state/activity.ts";
import type { Cell } from "../../runtime/state/cell.ts";
import { KeyedAccess } from "../../runtime/state/keyed-access.ts";
import { compareRows, KeyedStore } from "../../runtime/state/keyed-store.ts";
import { RowWriter } from "../../runtime/state/row-writer.ts";
import { SliceTable } from "../../runtime/state/slice-table.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { TimerQueue } from "../../runtime/time/timer-queue.ts";

/** What came, in its order. */
const append: Fold = { first: (n) => [n], add: (list, n) => [...list, n], result: (list) => list };

/** Mostly near the end of what is there, sometimes anywhere. */
const changes = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ fold: fc.integer({ min: -20, max: 12 }), n: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ drop: fc.integer({ min: 0, max: 40 }) }) },
    { weight: 2, arbitrary: fc.constant({ commit: true as const }) },
  ),
  { maxLength: 300, size: "max" },
);

/** Slices by their starts, as a list that is sorted when it is asked for. */
class Model {
  readonly slices = new Map<number, unknown>();
  readonly changed = new Set<number>();
  dropped = NaN;

  get starts(): number[] {
    return [...this.slices.keys()].sort((a, b) => a - b);
  }

  fold(start: number, n: number): boolean {
    const known = this.slices.get(start);
    this.slices.set(start, known === undefined ? append.first(n) : append.add(known, n));
    this.changed.add(start);
    return known === undefined;
  }

  drop(time: number): void {
    const gone = this.starts.filter((start) => start < time);
    for (const start of gone) this.slices.delete(start);
    for (const start of gone) this.changed.delete(start);
    if (gone.length > 0) this.dropped = Math.max(time, Number.isNaN(this.dropped) ? time : this.dropped);
  }
}

const placesOf = (table: SliceTable) => Array.from({ length: table.end - table.first }, (_, n) => table.first + n);

test("a table of slices is what a sorted map would be, and knows what has changed", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const [table, model] = [new SliceTable(), new Model()];
      let latest = 1_700_000_000_000;
      for (const change of list) {
        if ("fold" in change) {
          const start = latest + change.fold;
          latest = Math.max(latest, start);
          assert.equal(table.fold(start, change.n, append), model.fold(start, change.n));
        } else if ("drop" in change) {
          table.dropBefore(latest - change.drop);
          model.drop(latest - change.drop);
        } else {
          table.settle();
          model.changed.clear();
          model.dropped = NaN;
        }
        const { starts } = model;
        const places = placesOf(table);
        assert.deepEqual(
          places.map((place) => [table.startAt(place), table.valueAt(place)]),
          starts.map((start) => [start, model.slices.get(start)]),
        );
        assert.deepEqual(
          places.filter((place) => table.hasChangedAt(place)).map((place) => table.startAt(place)),
          starts.filter((start) => model.changed.has(start)),
        );
        assert.equal(table.changeCount, model.changed.size);
        if (model.changed.size > 0) assert.equal(table.startAt(table.firstChange), Math.min(...model.changed));
        assert.equal(table.droppedBefore, model.dropped);
        for (const time of [latest - 40, latest - 7, latest, latest + 1]) {
          const place = table.first + starts.filter((start) => start < time).length;
          assert.deepEqual([table.placeOf(time), table.placeFromEnd(time)], [place, place]);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("T2: what was put together is forgotten when a slice before its end changes, and stays when a later one does", () => {
  const table = new SliceTable<string>();
  for (const start of [10, 20, 30]) table.fold(start, 1, append);
  const keep = () => {
    table.merged = "kept";
    table.mergedTo = 30;
  };
  keep();
  for (const start of [30, 40]) table.fold(start, 1, append);
  table.dropBefore(15);
  assert.equal(table.merged, "kept");
  for (const start of [20, 25, 5]) {
    keep();
    table.fold(start, 1, append);
    assert.equal(table.merged, undefined, `a change at ${start}`);
  }
});

const states = new Map<string, StateDeclaration>([["table", { kind: "slices", version: 0 }]]);

class Stand {
  readonly store: KeyedStore;
  readonly access: KeyedAccess;

  constructor(stored = false) {
    const [eventTimers, processingTimers] = [new TimerQueue<any>(compareRows), new TimerQueue<any>(compareRows)];
    const options = { operator: "op", states, keyGroups: 1, hashing: "murmur3", range: fullRange } as const;
    const part = { kind: "page", schema: "", rows: 1, writer: "t" as never } as const;
    const times = { earliestEventTimer: Infinity, earliestProcessingTimer: Infinity, cleanAt: Infinity };
    const index = new SparseTable(stored ? [[0, { keyGroup: 0, version: 1, sizeBytes: 1, ...times, parts: [part] }]] : []);
    this.store = new KeyedStore({ ...options, activity: new Activity(), eventTimers, processingTimers }, index);
    this.access = new KeyedAccess(this.store);
  }

  get cell(): Cell | undefined {
    const row = this.store.find("key");
    this.access.setRow(row);
    return row?.cellOf(0);
  }

  fold(start: number, n: number): void {
    const { cell } = this;
    const table: SliceTable = cell?.value ?? new SliceTable();
    table.fold(start, n, append);
    const { row } = this.access;
    const known = cell ?? row.make(0, { start, end: start + 100 }, "slices", table);
    known.dirty = true;
    row.noteChange(known);
    this.store.markDirty(row);
  }

  /** The table goes when it is empty. */
  drop(time: number): void {
    const { cell } = this;
    if (cell === undefined) return;
    const table: SliceTable = cell.value;
    if (table.dropBefore(time)) cell.dirty = true;
    if (table.isEmpty) this.access.row.forget(cell);
    this.store.markDirty(this.access.row);
  }

  /** The window that fires next is another one, earlier or later. */
  move(start: number): void {
    const { cell } = this;
    if (cell !== undefined) this.access.moveCell(cell, { start, end: start + 100 });
  }

  commit(seq: number): Uint8Array {
    const writer = new ByteWriter();
    this.store.writeChanges(new RowWriter(writer), seq);
    return writer.take();
  }

  page(): Uint8Array {
    const writer = new ByteWriter();
    for (const row of this.store.group(0)?.rows ?? []) new RowWriter(writer).writeRow(row);
    return writer.take();
  }

  get contents(): unknown {
    const { cell } = this;
    if (cell === undefined) return undefined;
    const table: SliceTable = cell.value;
    const slices = placesOf(table).map((place) => [table.startAt(place), table.valueAt(place)]);
    return {
      window: { start: cell.namespace.start, end: cell.namespace.end },
      timer: cell.endTimer,
      slices,
      changes: table.changeCount,
    };
  }
}

const near = fc.integer({ min: -50, max: 150 });
/** As far apart as times can be. */
const far = fc.constantFrom(-8_640_000_000_000_000, 8_640_000_000_000_000, 0);
const stored = fc.array(
  fc.array(
    fc.record({
      verb: fc.constantFrom("fold" as const, "fold" as const, "fold" as const, "drop" as const, "move" as const),
      at: fc.oneof({ weight: 20, arbitrary: near }, { weight: 1, arbitrary: far }),
    }),
    { maxLength: 8 },
  ),
  { minLength: 1, maxLength: 8 },
);

test("whoever reads a table's deltas, or a page and those above it, has the table", () => {
  fc.assert(
    fc.property(stored, fc.nat(), (list, pageFrom) => {
      const [writer, follower] = [new Stand(), new Stand()];
      const pageAt = 1 + (pageFrom % list.length);
      let late: Stand | undefined;
      for (const [n, steps] of list.entries()) {
        for (const [i, { verb, at }] of steps.entries()) {
          if (verb === "fold") writer.fold(at, i);
          else if (verb === "drop") writer.drop(at);
          else writer.move(at);
        }
        const delta = writer.commit(n + 1);
        for (const reader of [follower, late]) reader?.store.applyChanges(n + 1, writer.store.schema, delta);
        if (n + 1 === pageAt) {
          late = new Stand(true);
          late.store.find("key");
          late.store.load(0, [{ schema: writer.store.schema, bytes: writer.page(), version: n + 1 }]);
        }
        assert.deepEqual(follower.contents, writer.contents);
        if (late !== undefined) assert.deepEqual(late.contents, writer.contents);
      }
    }),
    { numRuns: 500 },
  );
});

test("a commit writes the slices that have changed, however many there are", () => {
  const stand = new Stand();
  for (let start = 0; start < 1_000; start++) stand.fold(start, 1);
  const all = stand.commit(1).length;
  stand.fold(997, 2);
  stand.fold(999, 2);
  stand.drop(10);
  const some = stand.commit(2).length;
  assert.ok(some < 40 && all > 3_000, `${some} of ${all} bytes`);
});

test("mutated slices end with rows or corrupt", () => {
  const writer = new Stand();
  for (const start of [0, 10, 20, 8_640_000_000_000_000]) writer.fold(start, 1);
  const first = writer.commit(1);
  writer.drop(5);
  writer.fold(10, 2);
  const second = writer.commit(2);
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, byte, later) => {
      const bytes = Buffer.from(later ? second : first);
      bytes[at % bytes.length] = byte;
      const reader = new Stand();
      if (later) reader.store.applyChanges(1, writer.store.schema, first);
      try {
        reader.store.applyChanges(2, writer.store.schema, bytes);
      } catch (error) {
        assert.ok(error instanceof MillraceError && error.kind === "corrupt", String((error as Error).stack));
      }
    }),
    { numRuns: 2_000 },
  );
});
