import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { sortByHash } from "../../runtime/time/canonical-order.ts";
import { NumberHeap } from "../../runtime/time/number-heap.ts";
import { TimerQueue, type Scheduled } from "../../runtime/time/timer-queue.ts";

class Row implements Scheduled {
  queuedIn: Scheduled["queuedIn"] = undefined;
  readonly timers = new Set<number>();
  readonly key: string;
  readonly hash: number;

  constructor(key: string, hash: number) {
    this.key = key;
    this.hash = hash;
  }

  earliest(): number {
    return Math.min(...this.timers);
  }
}

const canonical = (a: Row, b: Row): number => a.hash - b.hash || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** Eight rows on three hashes, so that hashes collide. */
const eightRows = (): Row[] => Array.from({ length: 8 }, (_, n) => new Row(`k${n}`, n % 3));

type Command =
  | { readonly do: "set" | "delete"; readonly row: number; readonly at: number }
  | { readonly do: "evict"; readonly row: number }
  | { readonly do: "advance"; readonly at: number };

const row = fc.nat(7);
/** Near together, and in several of the spans that the queue tells apart at first. */
const at = fc.oneof(fc.integer({ min: -5, max: 20 }), fc.integer({ min: -3_000, max: 5_000 }));
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("set" as const), row, at }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), row, at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict" as const), row }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("advance" as const), at }) },
);

/** Fires all that is due, as an operator would: the row's timers of that time, then the row is queued at its next. */
function fireDue(queue: TimerQueue<Row>, upTo: number): string[] {
  const fired: string[] = [];
  for (let due = queue.popDue(upTo); due !== undefined; due = queue.popDue(upTo)) {
    for (const row of due.rows) {
      assert.ok(row.timers.delete(due.at), `${row.key} has no timer at ${due.at}`);
      fired.push(`${due.at} ${row.key}`);
      queue.schedule(row, row.earliest());
    }
  }
  return fired;
}

describe("timer queue", () => {
  it("Q2, Q3: fires what a sorted list of all timers would, in the order (time, hash, key)", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80, size: "max" }), (commands) => {
        const rows = eightRows();
        const queue = new TimerQueue<Row>(canonical);
        const expectedUpTo = (upTo: number): string[] =>
          rows
            .flatMap((r) => [...r.timers].map((time) => ({ time, r })))
            .filter(({ time }) => time <= upTo)
            .sort((a, b) => a.time - b.time || canonical(a.r, b.r))
            .map(({ time, r }) => `${time} ${r.key}`);

        for (const step of commands) {
          if (step.do === "advance") {
            const expected = expectedUpTo(step.at);
            assert.deepEqual(fireDue(queue, step.at), expected);
          } else if (step.do === "evict") {
            rows[step.row]!.timers.clear();
            queue.removeAll([rows[step.row]!]);
          } else if (step.do === "set") {
            rows[step.row]!.timers.add(step.at);
            queue.schedule(rows[step.row]!, step.at);
          } else rows[step.row]!.timers.delete(step.at);

          const earliest = Math.min(...rows.map((r) => r.earliest()));
          assert.ok(queue.peek() <= earliest, "peek is not after the earliest timer");
          assert.equal(queue.size, rows.filter((r) => r.queuedIn !== undefined).length);
        }
        const rest = expectedUpTo(10_000);
        assert.deepEqual(fireDue(queue, 10_000), rest);
        assert.deepEqual(queue.footprint(), { entries: 0, times: 0 });
      }),
      { numRuns: 500 },
    );
  });

  it("Q2: fires in the same order whatever the order of scheduling", () => {
    const pairs = fc.array(fc.record({ row, at }), { maxLength: 30, size: "max" });
    fc.assert(
      fc.property(pairs, fc.infiniteStream(fc.nat()), (timers, shuffle) => {
        const fire = (order: typeof timers): string[] => {
          const rows = eightRows();
          const queue = new TimerQueue<Row>(canonical);
          for (const timer of order) {
            rows[timer.row]!.timers.add(timer.at);
            queue.schedule(rows[timer.row]!, timer.at);
          }
          return fireDue(queue, 10_000);
        };
        const ranks = new Map(timers.map((timer) => [timer, shuffle.next().value]));
        assert.deepEqual(fire(timers.toSorted((a, b) => ranks.get(a)! - ranks.get(b)!)), fire(timers));
      }),
    );
  });

  it("fires timers that firing itself has set, as long as they are due", () => {
    const queue = new TimerQueue<Row>(canonical);
    const [a, b] = eightRows() as [Row, Row];
    for (const r of [a, b]) queue.schedule(r, r.timers.add(10) && 10);
    const fired: string[] = [];
    for (let due = queue.popDue(20); due !== undefined; due = queue.popDue(20)) {
      for (const r of due.rows) {
        r.timers.delete(due.at);
        fired.push(`${due.at} ${r.key}`);
        if (due.at < 30 && r === a) r.timers.add(due.at + 10);
        queue.schedule(r, r.earliest());
      }
    }
    assert.deepEqual(fired, ["10 k0", "10 k1", "20 k0"]);
    assert.equal(queue.peek(), 30);
  });

  it("takes out nothing before its time, and all at the final watermark", () => {
    const queue = new TimerQueue<Row>(canonical);
    const only = new Row("k", 0);
    only.timers.add(Number.MAX_SAFE_INTEGER);
    queue.schedule(only, only.earliest());
    assert.equal(queue.popDue(8.64e15), undefined);
    assert.deepEqual(queue.popDue(Number.POSITIVE_INFINITY), { at: Number.MAX_SAFE_INTEGER, rows: [only] });
    assert.equal(queue.popDue(Number.POSITIVE_INFINITY), undefined);
    assert.equal(queue.peek(), Number.POSITIVE_INFINITY);
  });

  it("Q4: does not keep the old entries of rows that leave a time and come back to it", () => {
    const queue = new TimerQueue<Row>(canonical);
    const rows = eightRows();
    for (const r of rows) queue.schedule(r, 1e9);
    for (let round = 0; round < 1_000; round++) {
      queue.remove(rows[round % 8]!);
      queue.schedule(rows[round % 8]!, 1e9);
    }
    const { entries } = queue.footprint();
    assert.ok(entries < 50, String(entries));
  });

  it("Q4: does not keep stale entries of rows that are moved, taken out and put back for ever", () => {
    const queue = new TimerQueue<Row>(canonical);
    const rows = eightRows();
    const bound = { entries: 0, times: 0 };
    for (let round = 0; round < 5_000; round++) {
      const moved = rows[round % 7]!;
      // The last row keeps one bucket alive, through which the others come and go.
      queue.schedule(rows[7]!, 1e9);
      queue.schedule(moved, 1e9);
      queue.schedule(moved, 1e6 - round);
      if (round % 3 === 0) queue.remove(moved);
      const { entries, times } = queue.footprint();
      bound.entries = Math.max(bound.entries, entries);
      bound.times = Math.max(bound.times, times);
    }
    assert.ok(bound.entries < 100 && bound.times < 100, JSON.stringify(bound));
  });
});

describe("canonical order", () => {
  it("is that of the comparison, for few rows and for many, with hashes up to the last bit", () => {
    const hash = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    fc.assert(
      fc.property(fc.array(hash, { maxLength: 300, size: "max" }), (hashes) => {
        const rows = hashes.map((h, n) => new Row(`k${(n * 7919) % hashes.length}:${n}`, h));
        assert.deepEqual(
          sortByHash([...rows], (r) => r.hash, canonical).map((r) => r.key),
          rows.toSorted(canonical).map((r) => r.key),
        );
      }),
    );
  });

  it("is the queue's, with and without the hash at hand", () => {
    const fire = (queue: TimerQueue<Row>): string[] => {
      for (let n = 0; n < 500; n++) {
        const r = new Row(`k${n}`, (n * 40_503) % 97);
        r.timers.add(n % 3);
        queue.schedule(r, n % 3);
      }
      return fireDue(queue, 10_000);
    };
    assert.deepEqual(fire(new TimerQueue<Row>(canonical, (r) => r.hash)), fire(new TimerQueue<Row>(canonical)));
  });
});

describe("number heap", () => {
  it("gives back what it was given, lowest first", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.array(fc.integer()), (first, second) => {
        const heap = new NumberHeap();
        heap.reset(first);
        for (const n of second) heap.push(n);
        const out = Array.from({ length: heap.size }, () => heap.pop());
        assert.deepEqual(
          out,
          [...first, ...second].sort((a, b) => a - b),
        );
        assert.equal(heap.peek(), Number.POSITIVE_INFINITY);
      }),
    );
  });
});
