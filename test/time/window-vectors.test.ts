/** Flink's own expectations of window assignment and merging, run straight at runtime/time. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { addWindow, retireWindow, type MergingWindow } from "../../runtime/time/merging-windows.ts";
import { sessionWindow, slidingWindows, timeWindow, tumblingStart, windowsIntersect } from "../../runtime/time/windows.ts";
import { vectorsOf } from "./vectors.ts";

type Pair = [start: number, end: number];

const pairOf = ({ start, end }: { start: number; end: number }): Pair => [start, end];
const byStart = (a: Pair, b: Pair): number => a[0] - b[0] || a[1] - b[1];

function assign(assigner: any, step: any, stagger: number): Pair[] {
  const at: number = step.ts ?? step.pt;
  const offset: number = (assigner.offsetMs ?? 0) + stagger;
  switch (assigner.type) {
    case "tumbling": {
      const start = tumblingStart(at, offset, assigner.sizeMs);
      return [[start, start + assigner.sizeMs]];
    }
    case "sliding":
      return slidingWindows(at, offset, assigner.sizeMs, assigner.slideMs).map(pairOf);
    default:
      return [pairOf(sessionWindow(at, step.gapMs ?? assigner.gapMs))];
  }
}

describe("assigner vectors", () => {
  // A global window has no bounds to compute.
  for (const vector of vectorsOf("windows", "assigner").filter((v) => v.config.assigner.type !== "global")) {
    it(vector.id, () => {
      const { assigner } = vector.config;
      // A natural stagger shifts all windows to the first record's arrival.
      const first = vector.input[0].pt;
      const stagger = assigner.stagger === "natural" ? first - tumblingStart(first, assigner.offsetMs, assigner.sizeMs) : 0;
      vector.input.forEach((step, index) => {
        const { windows, order } = vector.expected.assignments[index];
        const assigned = assign(assigner, step, stagger);
        if (order === "any") assert.deepEqual(assigned.sort(byStart), windows.sort(byStart));
        else assert.deepEqual(assigned, windows);
      });
    });
  }
});

describe("windowsIntersect vectors", () => {
  for (const vector of vectorsOf("windows", "windowsIntersect")) {
    it(vector.id, () => {
      vector.input.forEach(({ a, b }: { a: Pair; b: Pair }, index) => {
        const [x, y] = [timeWindow(...a), timeWindow(...b)];
        assert.equal(windowsIntersect(x, y), vector.expected.intersects[index]);
        if (vector.expected.symmetric) assert.equal(windowsIntersect(y, x), vector.expected.intersects[index]);
      });
    });
  }
});

describe("mergeWindows vectors", () => {
  for (const vector of vectorsOf("windows", "mergeWindows")) {
    it(vector.id, () => {
      let windows: readonly MergingWindow[] = [];
      for (const [start, end] of vector.input) windows = addWindow(windows, start, end).windows;
      const inside = ({ start, end }: MergingWindow): Pair[] =>
        vector.input.filter(([s, e]: Pair) => s >= start && e <= end) as Pair[];
      const merges = windows
        .map((window) => ({ from: inside(window), into: pairOf(window) }))
        .filter(({ from }) => from.length > 1);
      assert.deepEqual(
        merges.map(({ from, into }) => ({ from: from.sort(byStart), into })),
        vector.expected.merges
          .map(({ from, into }: { from: Pair[]; into: Pair }) => ({ from: from.sort(byStart), into }))
          .sort((a: { into: Pair }, b: { into: Pair }) => byStart(a.into, b.into)),
      );
    });
  }
});

describe("mergingWindowSet vectors", () => {
  for (const vector of vectorsOf("windows", "mergingWindowSet")) {
    it(vector.id, () => {
      let windows: readonly MergingWindow[] = [];
      for (const step of vector.expected.steps) {
        if (step.retire !== undefined) {
          windows = retireWindow(windows, step.retire[0], step.retire[1]);
          assert.deepEqual(
            windows.map(pairOf).filter(([start]) => start === step.retire[0]),
            [],
          );
          continue;
        }
        const added = addWindow(windows, step.add[0], step.add[1]);
        windows = added.windows;
        assert.deepEqual(pairOf(added.window), step.result);
        assert.equal(added.merged.length > 0, step.merged);
        if (step.mergedFrom !== undefined) assert.deepEqual(added.merged.map(pairOf), step.mergedFrom);
      }
    });
  }
});
