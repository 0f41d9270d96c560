/** A window's result put together of slices: the same whatever is kept between windows, and three merges a window. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Aggregator } from "../../runtime/api/functions.ts";
import { SlicedContents } from "../../runtime/operators/window/sliced-contents.ts";
import { SliceTable } from "../../runtime/state/slice-table.ts";
import { type Slices, slicesOf } from "../../runtime/time/slices.ts";
import type { TimeWindow } from "../../runtime/api/windows.ts";

/** Two by two, by rows: their product depends on the order, and not on the brackets. */
type Matrix = [number, number, number, number];
const prime = 10_007;

function product(a: Matrix, b: Matrix): Matrix {
  const [[p, q, r, s], [t, u, v, w]] = [a, b];
  return [(p * t + q * v) % prime, (p * u + q * w) % prime, (r * t + s * v) % prime, (r * u + s * w) % prime];
}

let merges = 0;

/** Merging spoils both of what it merges, and a result is the accumulator itself: Flink allows both. */
const matrices: Aggregator<Matrix, Matrix, Matrix> = {
  create: () => [1, 0, 0, 1],
  add: product,
  merge(a, b) {
    merges++;
    const result = product(a, b);
    a.fill(0);
    b.fill(0);
    return result;
  },
  result: (matrix) => matrix,
};

interface Case {
  readonly slices: Slices;
  readonly first: TimeWindow;
  readonly slideMs: number;
}

const cases: fc.Arbitrary<Case> = fc.oneof(
  fc
    .record({ n: fc.integer({ min: 2, max: 30 }), slideMs: fc.constantFrom(1, 10, 7), rest: fc.nat(6), offsetMs: fc.nat(3) })
    .map(({ n, slideMs, rest, offsetMs }) => {
      const sizeMs = n * slideMs + Math.min(rest, slideMs - 1);
      const slices = slicesOf({ kind: "sliding", time: "event", sizeMs, slideMs, offsetMs: offsetMs % slideMs });
      return { slices, slideMs, first: slices.sliceAt(1_000_000).first };
    }),
  fc.record({ n: fc.integer({ min: 2, max: 30 }), stepMs: fc.constantFrom(1, 10) }).map(({ n, stepMs }) => {
    const slices = slicesOf({ kind: "cumulating", time: "event", sizeMs: n * stepMs, stepMs, offsetMs: 0 });
    return { slices, slideMs: stepMs, first: slices.sliceAt(1_000_000).first };
  }),
);

/** Before each window: records so long before its end (rarely after it, or long before), and whether it is fired. */
const walks = fc.array(
  fc.record({
    back: fc.array(
      fc.record({ by: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -3, max: 2 }) }, fc.nat(35)), m: fc.nat(9) }),
      {
        maxLength: 3,
      },
    ),
    again: fc.boolean(),
    drops: fc.boolean(),
  }),
  { minLength: 1, maxLength: 80, size: "max" },
);

function naive(slices: readonly (readonly [number, Matrix])[], { start, end }: TimeWindow): Matrix {
  const within = slices.filter(([at]) => at >= start && at < end).sort(([a], [b]) => a - b);
  return within.map(([, matrix]) => matrix).reduce(product);
}

/** Goes from window to window as the operator does; `check` is called for each that has slices. */
function walk(
  { slices, first, slideMs }: Case,
  steps: readonly { back: { by: number; m: number }[]; again: boolean; drops: boolean }[],
  fold: (table: SliceTable<any>, start: number, m: number) => void,
  check: (table: SliceTable<any>, window: TimeWindow, again: boolean) => void,
): void {
  const table = new SliceTable<any>();
  let window = first;
  for (const { back, again, drops } of steps) {
    for (const { by, m } of back) fold(table, slices.sliceAt(window.end - 1 - by * slideMs).start, m);
    const from = table.placeOf(window.start);
    if (from < table.placeOf(window.end)) check(table, window, again);
    const next = slices.next(window) ?? slices.sliceAt(window.end).first;
    if (drops) table.dropBefore(next.start);
    window = next;
  }
}

test("a window's result is its slices merged in the order of time, and merging and results spoil nothing", () => {
  fc.assert(
    fc.property(cases, walks, (which, steps) => {
      const contents = new SlicedContents(matrices);
      const all = new Map<number, Matrix>();
      walk(
        which,
        steps,
        (table, start, m) => {
          const matrix: Matrix = [m, 1, 3, (m * 31) % 17];
          table.fold(start, matrix, contents.fold);
          all.set(start, product(all.get(start) ?? [1, 0, 0, 1], matrix));
        },
        (table, window, again) => {
          const expected = naive([...all], window);
          for (const keeps of again ? [true, false, true] : [true]) {
            contents.goTo(table, window.start, which.slices.boundaryOf(window), window.end, keeps);
            const result = contents.result() as Matrix;
            assert.deepEqual(result, expected);
            result.fill(0); // as an author may do with what was emitted
          }
        },
      );
    }),
    { numRuns: 400 },
  );
});

test("U1: what was kept shows in no result, down to the last bit", () => {
  const sums: Aggregator<number, number, number> = {
    create: () => 0,
    add: (total, n) => total + n,
    merge: (a, b) => a + b,
    result: (total) => total,
  };
  fc.assert(
    fc.property(cases, walks, (which, steps) => {
      const [contents, other] = [new SlicedContents(sums), new SlicedContents(sums)];
      walk(
        which,
        steps,
        (table, start, m) => table.fold(start, 0.1 + m / 3, contents.fold),
        (table, window) => {
          const boundary = which.slices.boundaryOf(window);
          contents.goTo(table, window.start, boundary, window.end, true);
          const kept = contents.result();
          for (const keeps of [true, false]) {
            other.goTo(table.copy(), window.start, boundary, window.end, keeps);
            assert.equal(other.result(), kept);
          }
        },
      );
    }),
    { numRuns: 200 },
  );
});

test("a window over sixty slices costs three merges", () => {
  const slices = slicesOf({ kind: "sliding", time: "event", sizeMs: 60, slideMs: 1, offsetMs: 0 });
  const contents = new SlicedContents(matrices);
  const table = new SliceTable<any>();
  let window = slices.sliceAt(0).first;
  const windows = 6_000;
  merges = 0;
  for (let n = 0; n < windows; n++) {
    table.fold(window.end - 1, [1, 1, 0, 1], contents.fold);
    contents.goTo(table, window.start, slices.boundaryOf(window), window.end, true);
    contents.result();
    window = slices.next(window) as TimeWindow;
    table.dropBefore(window.start);
  }
  assert.ok(merges <= 3 * windows, `${merges} merges`);
});

test("U3: of accumulators that collect, nothing is kept", () => {
  const lists: Aggregator<number, number[], number> = {
    create: () => [],
    add: (list, n) => [...list, n],
    merge: (a, b) => [...a, ...b],
    result: (list) => list.length,
  };
  const slices = slicesOf({ kind: "sliding", time: "event", sizeMs: 60, slideMs: 1, offsetMs: 0 });
  const contents = new SlicedContents(lists);
  const table = new SliceTable<any>();
  for (let start = 0; start < 60; start++) for (const n of [1, 2]) table.fold(start, n, contents.fold);
  for (const window of slices.windowsOf(slices.sliceAt(59))) {
    contents.goTo(table, window.start, slices.boundaryOf(window), window.end, true);
    assert.equal(contents.result(), 2 * (60 - Math.max(0, window.start)));
    const kept = table.merged as { readonly before: readonly number[][]; readonly after: unknown } | undefined;
    const elements = kept?.before.reduce((sum, list) => sum + list.length, 0) ?? 0;
    assert.ok(elements < 1_000, `${elements} elements are kept`);
  }
});
