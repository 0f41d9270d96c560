import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { addWindow, findWindow, retireWindow, type MergingWindow } from "../../runtime/time/merging-windows.ts";
import { windowsIntersect } from "../../runtime/time/windows.ts";

/** The sessions of all windows at once: points that touch are one. */
function cover(all: readonly { start: number; end: number }[]): { start: number; end: number }[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of all.toSorted((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}

const bounds = ({ start, end }: { start: number; end: number }) => ({ start, end });
const window = fc
  .tuple(fc.integer({ min: -30, max: 30 }), fc.integer({ min: 1, max: 5 }))
  .map(([start, length]) => ({ start, end: start + length }));

describe("merging windows", () => {
  it("M1, M2: are the sessions of all that was added, and every record's contents are found in their state window", () => {
    fc.assert(
      fc.property(fc.array(window, { maxLength: 30, size: "max" }), (added) => {
        let windows: readonly MergingWindow[] = [];
        // The contents of each state window, kept as an operator would: merged when told, added to when told.
        const contents = new Map<string, { start: number; end: number }[]>();
        const name = (w: MergingWindow) => `${w.stateStart}:${w.stateEnd}`;
        added.forEach((next, index) => {
          const result = addWindow(windows, next.start, next.end);
          const [kept, ...others] = result.merged;
          if (kept !== undefined) assert.equal(name(kept), name(result.window));
          const merged = others.flatMap((other) => contents.get(name(other)) ?? assert.fail("state window lost"));
          for (const other of others) contents.delete(name(other));
          contents.set(name(result.window), [...(contents.get(name(result.window)) ?? []), ...merged, next]);
          windows = result.windows;

          assert.deepEqual(windows.map(bounds), cover(added.slice(0, index + 1)));
          assert.equal(findWindow(windows, result.window.start, result.window.end), result.window);
        });
        assert.equal(contents.size, windows.length);
        for (const w of windows) assert.deepEqual(cover(contents.get(name(w))!), [bounds(w)]);
      }),
      { numRuns: 500 },
    );
  });

  it("merges exactly the windows that the added one touches, and leaves the given list alone", () => {
    fc.assert(
      fc.property(fc.array(window, { maxLength: 12, size: "max" }), window, (added, next) => {
        let windows: readonly MergingWindow[] = [];
        for (const { start, end } of added) windows = addWindow(windows, start, end).windows;
        const before = structuredClone(windows);
        const result = addWindow(windows, next.start, next.end);
        const touched = windows.filter((w) => windowsIntersect(w, next));
        const inside = touched.length === 1 && touched[0]!.start <= next.start && touched[0]!.end >= next.end;
        assert.deepEqual(result.merged, inside ? [] : touched);
        assert.equal(result.changed, !inside);
        assert.deepEqual(windows, before);
        if (inside) assert.equal(result.windows, windows);
      }),
    );
  });

  it("M3: a window equal to a merged one keeps the state window", () => {
    const merged = addWindow(addWindow([], 0, 2).windows, 2, 4);
    assert.deepEqual(merged.window, { start: 0, end: 4, stateStart: 0, stateEnd: 2 });
    const again = addWindow(merged.windows, 0, 4);
    assert.equal(again.changed, false);
    assert.equal(again.window, merged.window);
  });

  it("a window that only touches its neighbours on both sides joins them", () => {
    const windows = addWindow(addWindow([], 0, 2).windows, 4, 6).windows;
    assert.deepEqual(addWindow(windows, 2, 4).windows, [{ start: 0, end: 6, stateStart: 0, stateEnd: 2 }]);
  });

  it("a window that covers all takes over the state of the earliest", () => {
    const windows = addWindow(addWindow([], 1, 3).windows, 5, 8).windows;
    const { window: all, merged } = addWindow(windows, 0, 8);
    assert.deepEqual(all, { start: 0, end: 8, stateStart: 1, stateEnd: 3 });
    assert.deepEqual(merged, windows);
  });

  it("retires a window, and says so when it is not there", () => {
    const windows = addWindow(addWindow([], 1, 3).windows, 5, 8).windows;
    assert.deepEqual(retireWindow(windows, 1, 3).map(bounds), [{ start: 5, end: 8 }]);
    assert.deepEqual(retireWindow(retireWindow(windows, 1, 3), 5, 8), []);
    assert.throws(() => retireWindow(windows, 1, 4), { kind: "internal" });
  });
});
