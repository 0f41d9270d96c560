/** C2, W5, I4: contents that stay for late records are over by themselves: what a commit says of it, and what of it is written to where it stays. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { StateDeclaration } from "../../runtime/api/state.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import type { KeyGroup } from "../../runtime/base/ids.ts";
import { SparseTable } from "../../runtime/base/sparse-table.ts";
import { Activity } from "../../runtime/state/activity.ts";
import type { KeyGroupState } from "../../runtime/state/key-group.ts";
import { CurrentNamespace, KeyedAccess, ValueHandle } from "../../runtime/state/keyed-access.ts";
import { compareRows, KeyedStore } from "../../runtime/state/keyed-store.ts";
import type { Row } from "../../runtime/state/row.ts";
import { RowWriter } from "../../runtime/state/row-writer.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { TimerQueue } from "../../runtime/time/timer-queue.ts";
import type { IndexEntry } from "../../runtime/state/state-index.ts";

const retentionMs = 100;
const states = new Map<string, StateDeclaration>([["contents", { kind: "value", version: 0 }]]);

function entryOf(version: number, earliestEventTimer: number): IndexEntry {
  const parts = [{ kind: "page", schema: "contents:value:0", rows: 1, writer: "t" as never }] as const;
  const times = { earliestEventTimer, earliestProcessingTimer: Infinity, cleanAt: Infinity };
  return { keyGroup: 0, version, sizeBytes: 1, ...times, parts };
}

/** A store of one key group and one key, whose windows are ten long and stay for a hundred. */
class Stand {
  readonly store: KeyedStore;
  private readonly access: KeyedAccess;
  private readonly at = new CurrentNamespace();
  private readonly value: ValueHandle;
  private seq = 0;

  constructor(index: readonly IndexEntry[] = []) {
    const hashOf = (row: { readonly hash: number }) => row.hash;
    const timers = {
      eventTimers: new TimerQueue<any>(compareRows, hashOf, retentionMs),
      processingTimers: new TimerQueue<any>(compareRows, hashOf),
    };
    this.store = new KeyedStore(
      {
        ...{ operator: "op", states, keyGroups: 1, hashing: "murmur3", range: fullRange, retentionMs },
        ...{ activity: new Activity(), ...timers },
      },
      new SparseTable(index.map((entry) => [entry.keyGroup, entry] as const)),
    );
    this.access = new KeyedAccess(this.store);
    this.value = new ValueHandle(this.access, 0, this.at);
  }

  get row(): Row {
    const row = this.store.find("key");
    assert.ok(row, "its key group is loaded");
    this.access.setRow(row);
    return row;
  }

  get group(): KeyGroupState {
    return this.store.group(0 as KeyGroup) as KeyGroupState;
  }

  private go(start: number): void {
    assert.ok(this.row);
    this.at.namespace = { start, end: start + 10 };
  }

  open(start: number, value: number): this {
    this.go(start);
    this.value.set(value);
    this.access.setTimer("eventTime", start + 9, this.at.namespace);
    return this;
  }

  fire(start: number): this {
    this.go(start);
    this.access.cancelTimer("eventTime", start + 9, this.at.namespace);
    return this;
  }

  passOver(at: number): this {
    this.store.dropOver(this.row, at);
    return this;
  }

  commit(): Uint8Array {
    const writer = new ByteWriter();
    this.store.writeChanges(new RowWriter(writer), ++this.seq);
    return writer.take();
  }

  /** As a base or a page is written, at a watermark. */
  page(watermark: number): Uint8Array {
    const writer = new ByteWriter();
    this.store.dropExpired(this.group, 0, watermark);
    for (const row of this.group.rows) new RowWriter(writer).writeRow(row);
    return writer.take();
  }

  get windows(): unknown {
    return this.row.cells
      .map(({ namespace, value, endTimer }) => [namespace.start, value, endTimer] as const)
      .sort(([a], [b]) => a - b);
  }

  follow(seq: number, bytes: Uint8Array): this {
    this.store.applyChanges(seq, this.store.schema, bytes);
    return this;
  }
}

describe("contents that stay after their windows", () => {
  test("are due when they are over, and before that at the end of their window", () => {
    const stand = new Stand().open(0, 1);
    assert.equal(stand.row.earliest(retentionMs), 9);
    stand.fire(0);
    assert.equal(stand.row.earliest(retentionMs), 109);
    stand.open(20, 2);
    assert.equal(stand.row.earliest(retentionMs), 29);
    stand.fire(20);
    assert.equal(stand.row.earliest(retentionMs), 109);
    stand.passOver(109);
    assert.equal(stand.row.earliest(retentionMs), 129);
  });

  test("are there up to the last millisecond, and then gone", () => {
    const stand = new Stand().open(0, 1).open(10, 2).fire(0).fire(10);
    assert.deepEqual(stand.passOver(108).windows, [
      [0, 1, false],
      [10, 2, false],
    ]);
    assert.deepEqual(stand.passOver(109).windows, [[10, 2, false]]);
    assert.deepEqual(stand.passOver(119).windows, []);
  });

  test("stay as long as the timer of their window is set, however late it is", () => {
    const stand = new Stand().open(0, 1).passOver(1_000);
    assert.deepEqual(stand.windows, [[0, 1, true]]);
  });

  test("never go where the store does not say how long they stay", () => {
    const { row } = new Stand().open(0, 1).fire(0);
    assert.equal(row.dropOver(Infinity, Infinity), false);
    assert.equal(row.earliest(Infinity), Infinity);
  });

  test("W5: go without a word once the durable state knows that the window has fired, and their group counts as changed", () => {
    const stand = new Stand().open(0, 1);
    stand.commit();
    stand.fire(0);
    stand.commit();
    stand.passOver(109);
    assert.equal(stand.commit().length, 0);
    assert.ok(stand.group.hasChangedSince(2), "the next base must leave it out");
    // And still when the row has left memory.
    for (let n = 0; n < 40; n++) stand.commit();
    assert.equal(stand.store.rowCount, 0);
    assert.ok(stand.group.hasChangedSince(2));
  });

  test("W5: that are over in the commit in which their window fires are deleted in it, for a reader would fire it again", () => {
    const stand = new Stand().open(0, 1);
    const first = stand.commit();
    stand.fire(0).passOver(109);
    const reader = new Stand().follow(1, first);
    assert.deepEqual(reader.windows, [[0, 1, true]]);
    assert.deepEqual(reader.follow(2, stand.commit()).windows, []);
  });

  test("W4: the commit in which the last of them goes by itself still deletes another window of the row", () => {
    const stand = new Stand().open(0, 1).open(20, 2);
    const reader = new Stand().follow(1, stand.commit());
    stand.fire(0);
    reader.follow(2, stand.commit());
    stand.row.forget(stand.row.find(0, { start: 20, end: 30 })!);
    assert.ok(stand.passOver(109).row.empty);
    assert.deepEqual(reader.follow(3, stand.commit()).passOver(109).windows, []);
  });

  test("W4: the commit in which the last of them goes by itself still cancels a timer of the row", () => {
    const stand = new Stand().open(0, 1);
    const other = { start: 5, end: 15 };
    stand.row.setTimer("eventTime", 50, other);
    const reader = new Stand().follow(1, stand.commit());
    stand.fire(0);
    reader.follow(2, stand.commit());
    stand.row.cancelTimer("eventTime", 50, other);
    assert.ok(stand.passOver(109).row.empty);
    reader.follow(3, stand.commit());
    assert.equal(reader.row.hasTimer("eventTime", 50, other), false);
  });

  test("go by themselves at a reader, of which no commit has told it", () => {
    const stand = new Stand().open(0, 1);
    const reader = new Stand().follow(1, stand.commit());
    stand.fire(0);
    reader.follow(2, stand.commit());
    assert.equal(reader.store.eventTimers.peek() <= 109, true);
    assert.deepEqual(reader.passOver(109).windows, []);
  });

  test("I4: are in no page written when they are over, whether or not they were dropped before", () => {
    const stand = new Stand().open(0, 1).open(20, 2).fire(0).fire(20);
    stand.commit();
    const reader = new Stand([entryOf(1, 9)]);
    assert.equal(reader.store.find("key"), undefined);
    reader.store.load(0, [{ schema: "contents:value:0", bytes: stand.page(109), version: 1 }]);
    assert.deepEqual(reader.windows, [[20, 2, false]]);
    assert.deepEqual(stand.windows, [[20, 2, false]]);
  });

  test("I4: are fetched for a base that would leave them in a copy from before", () => {
    const { store } = new Stand([entryOf(1, 109)]);
    const entry = store.index.get(0) as IndexEntry;
    assert.equal(store.liesWithOver(entry, 108), false);
    assert.equal(store.liesWithOver(entry, 109), true);
  });

  test("are due in a group that is not loaded, where a delta alone tells of them", () => {
    const stand = new Stand().open(0, 1);
    stand.commit();
    stand.fire(0);
    const reader = new Stand([entryOf(1, Infinity)]).follow(2, stand.commit());
    assert.equal(reader.store.earliestTimer("eventTime"), 109);
    assert.equal(reader.store.wantDue("eventTime", 108), false);
    assert.equal(reader.store.wantDue("eventTime", 109), true);
  });
});

test("a group whose rows went as they were written to a page is still ahead of its copy from before", () => {
  const stand = new Stand().open(0, 1);
  stand.commit();
  stand.row.remove(stand.row.cells[0]!);
  stand.store.markDirty(stand.row);
  stand.row.cancelTimer("eventTime", 9, { start: 0, end: 10 });
  stand.commit();
  assert.equal(stand.page(0).length, 0);
  assert.ok(stand.group.hasChangedSince(1));
});

describe("a row of several windows", () => {
  test("finds each of them whichever goes first", () => {
    for (const gone of [0, 10, 20, 30]) {
      const stand = new Stand();
      for (const start of [0, 10, 20, 30]) stand.open(start, start);
      const cell = stand.row.find(0, { start: gone, end: gone + 10 });
      stand.row.forget(cell!);
      const left = [0, 10, 20, 30].filter((start) => start !== gone);
      assert.deepEqual(
        left.map((start) => stand.row.find(0, { start, end: start + 10 })?.value),
        left,
      );
      assert.equal(stand.row.cells.length, 3);
      assert.deepEqual(
        left.flatMap((start) => stand.row.timersAt("eventTime", start + 9).map(({ namespace }) => namespace.start)),
        left,
      );
      assert.equal(stand.row.earliest(), Math.min(...left) + 9);
    }
  });
});
