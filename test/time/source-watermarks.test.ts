import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { millis } from "../../runtime/api/duration.ts";
import { boundedOutOfOrderness, customWatermarks, monotonous } from "../../runtime/api/watermarks.ts";
import { SourceWatermarks } from "../../runtime/time/source-watermarks.ts";
import { floorToGrid } from "../../runtime/time/watermark-grid.ts";
import { maxWatermark, minWatermark } from "../../runtime/time/watermark.ts";

const bounded = boundedOutOfOrderness(millis(10));
const nothing = { watermark: undefined, status: undefined };

function sourceOf(strategy: { spec: any }, step: number, shards: readonly string[], now = 0): SourceWatermarks {
  const source = new SourceWatermarks(strategy.spec, step);
  for (const id of shards) source.add(id, now);
  return source;
}

/** The source as another process would find it: through JSON, which keeps least. */
function restored(strategy: { spec: any }, step: number, source: SourceWatermarks): SourceWatermarks {
  return new SourceWatermarks(strategy.spec, step, JSON.parse(JSON.stringify(source.snapshot())));
}

describe("source watermarks", () => {
  it("S1: are the lowest of the shards' highest timestamps less the bound, on the grid, after every record, however restored", () => {
    const record = fc.record({ shard: fc.nat(2), ahead: fc.integer({ min: -8, max: 8 }) });
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 60, size: "max" }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(5),
        (records, step, restoreEvery) => {
          let source = sourceOf(bounded, step, ["0", "1", "2"]);
          const highest = [minWatermark, minWatermark, minWatermark];
          let last = minWatermark;
          records.forEach(({ shard, ahead }, index) => {
            // Close to what the shard has brought, on both sides of zero, so that the grid's points are met and missed by one.
            const at = Math.max(highest[shard]!, -20) + ahead;
            highest[shard] = Math.max(highest[shard]!, at);
            const expected = floorToGrid(Math.min(...highest) - 11, step);
            assert.equal(source.shard(String(shard)).onRecord(undefined, at), expected > last ? expected : undefined);
            assert.equal(source.watermark, expected);
            last = expected;
            if (index % (restoreEvery + 1) === restoreEvery) source = restored(bounded, step, source);
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  it("a custom generator's watermarks go through the grid and never back; its state goes on after a restore", () => {
    const everyThird = customWatermarks<number, { n: number }>({
      create: () => ({ n: 0 }),
      onRecord: (state, value) => (++state.n % 3 === 0 ? value : undefined),
    });
    let source = sourceOf(everyThird, 10, ["a"]);
    const watermarks: (number | undefined)[] = [];
    for (const value of [1, 2, 25, 90, 91, 12, 90, 91, 39]) {
      watermarks.push(source.shard("a").onRecord(value, value));
      source = restored(everyThird, 10, source);
    }
    assert.deepEqual(watermarks, [undefined, undefined, 19, undefined, undefined, undefined, undefined, undefined, 39]);
  });

  it("a timestamp that is no number moves nothing", () => {
    const source = sourceOf(monotonous(), 1, ["a"]);
    assert.equal(source.shard("a").onRecord(undefined, Number.NaN), undefined);
    assert.equal(source.shard("a").onRecord(undefined, 5), 4);
  });

  it("S2: a shard is idle once more than the time has passed, and not without withIdleness", () => {
    const strategy = bounded.withIdleness(millis(100));
    const source = sourceOf(strategy, 1, ["a", "b"], 1_000);
    source.shard("a").onRecord(undefined, 50);
    assert.equal(source.nextIdleCheck(), 1_101);
    source.onRecordsSeen("a", 1_050);
    assert.deepEqual(source.decideIdle("b", 1_100), nothing);
    assert.deepEqual(source.decideIdle("b", 1_101), { watermark: 39, status: undefined });
    assert.equal(source.nextIdleCheck(), 1_151);
    assert.deepEqual(source.decideIdle("b", 1_151), nothing);
    assert.deepEqual(source.decideIdle("a", 1_151), { watermark: undefined, status: "idle" });
    assert.equal(source.nextIdleCheck(), undefined);
    assert.deepEqual(restored(strategy, 1, source).onRecordsSeen("b", 1_200), { watermark: undefined, status: "active" });

    const never = sourceOf(bounded, 1, ["a"]);
    assert.equal(never.nextIdleCheck(), undefined);
    assert.deepEqual(never.decideIdle("a", 1e12), nothing);
    assert.equal(never.advanceIdle(1e12), undefined);
  });

  it("S2: an idle time of zero is refused", () => {
    assert.throws(() => sourceOf(bounded.withIdleness(millis(0)), 1, []), { kind: "invalid" });
  });

  it("S3: an idle shard that brings records again holds the watermark back at once", () => {
    const source = sourceOf(monotonous().withIdleness(millis(100)), 1, ["a", "b"]);
    source.decideIdle("b", 101);
    assert.equal(source.shard("a").onRecord(undefined, 51), 50);
    source.onRecordsSeen("b", 200);
    assert.equal(source.shard("b").onRecord(undefined, 20), undefined);
    assert.equal(source.shard("a").onRecord(undefined, 81), undefined);
    assert.equal(source.shard("b").onRecord(undefined, 61), 60);
  });

  it("S4: a source that advances when idle follows now − bound on the grid, stays active, and never goes back", () => {
    const strategy = bounded.withIdleness(millis(100)).advanceWhenIdle();
    let source = sourceOf(strategy, 50, ["a", "b"]);
    assert.equal(source.advanceIdle(1_000), undefined);
    assert.deepEqual(source.decideIdle("a", 101), nothing);
    assert.deepEqual(source.decideIdle("b", 101), nothing);
    assert.equal(source.status, "active");
    assert.equal(source.advanceIdle(1_000), 949);
    source = restored(strategy, 50, source);
    assert.equal(source.nextIdleCheck(), 1_009);
    assert.equal(source.advanceIdle(1_008), undefined);
    assert.equal(source.advanceIdle(1_009), 999);
    assert.equal(source.advanceIdle(500), undefined);
    assert.deepEqual(source.onRecordsSeen("a", 1_020), nothing);
    assert.equal(source.advanceIdle(5_000), undefined);
    assert.equal(source.shard("a").onRecord(undefined, 900), undefined);
    assert.equal(source.shard("a").onRecord(undefined, 1_060), 1_049);
  });

  it("S4: a custom generator has no bound to stay behind", () => {
    const none = customWatermarks({ create: () => 0, onRecord: () => undefined });
    const source = sourceOf(none.withIdleness(millis(1)).advanceWhenIdle(), 1, ["a"]);
    source.decideIdle("a", 10);
    assert.equal(source.advanceIdle(1_000), 1_000);
  });

  it("S5: a child waits for its parents and starts at their lowest, at the time they ended", () => {
    const strategy = monotonous().withIdleness(millis(100));
    let source = sourceOf(strategy, 1, ["a", "b"]);
    source.shard("a").onRecord(undefined, 31);
    source.shard("b").onRecord(undefined, 21);
    assert.deepEqual(source.add("c", 0, ["a", "b"]), nothing);
    const child = source.shard("c");
    assert.equal(child.live, false);
    assert.deepEqual(source.end("a", 500), nothing);
    assert.equal(child.live, false);
    source.end("b", 600);
    assert.equal(child.live, true);
    assert.deepEqual(source.liveShards(), ["c"]);
    assert.equal(source.nextIdleCheck(), 701);
    source = restored(strategy, 1, source);
    assert.equal(source.shard("c").onRecord(undefined, 21), undefined);
    assert.equal(source.shard("c").onRecord(undefined, 22), 21);
    source.forget("a");
    assert.equal(source.has("a"), false);
    assert.deepEqual(source.end("c", 700), { watermark: maxWatermark, status: undefined });
  });

  it("refuses records of a shard that waits, is idle or has ended", () => {
    const source = sourceOf(monotonous().withIdleness(millis(1)), 1, ["waited for", "idle", "ended"]);
    source.add("waiting", 0, ["waited for"]);
    source.decideIdle("idle", 10);
    source.end("ended", 10);
    for (const id of ["waiting", "idle", "ended"])
      assert.throws(() => source.shard(id).onRecord(undefined, 5), { kind: "internal" });
  });

  it("S5: the last shard's end is not the end of event time when it goes on in another task", () => {
    const source = sourceOf(monotonous(), 1, ["a"]);
    source.shard("a").onRecord(undefined, 31);
    assert.deepEqual(source.end("a", 0, true), nothing);
    assert.equal(source.watermark, 30);
  });

  it("goes on when the job's step has changed in between", () => {
    const source = sourceOf(monotonous(), 7, ["a"]);
    source.shard("a").onRecord(undefined, 30);
    assert.equal(source.watermark, 27);
    const coarser = new SourceWatermarks(monotonous().spec, 10, source.snapshot());
    assert.equal(coarser.shard("a").onRecord(undefined, 29), undefined);
    assert.equal(coarser.shard("a").onRecord(undefined, 31), 29);
  });

  it("has no watermark until every shard has brought one", () => {
    const source = sourceOf(monotonous(), 1, ["a", "b"]);
    assert.equal(source.shard("a").onRecord(undefined, 5), undefined);
    assert.equal(source.watermark, minWatermark);
  });

  it("is waited for where it has not read all, though it is idle: while it is held back it may have something to read", () => {
    const source = sourceOf(monotonous().withIdleness(millis(5)), 1, ["a"]);
    source.onRecordsSeen("a", 0);
    source.shard("a").onRecord(undefined, 31);
    assert.equal(source.slowest, 30);
    source.onCaughtUp("a");
    source.decideIdle("a", 10);
    assert.equal(source.slowest, Infinity);
    source.onPaused("a", 20);
    assert.deepEqual([source.slowest, source.slowestSeenAt, source.status], [30, 20, "idle"]);
    source.onCaughtUp("a");
    assert.equal(source.slowest, Infinity);
    source.onPaused("a", 30);
    source.onRecordsSeen("a", 40);
    source.onCaughtUp("a");
    source.decideIdle("a", 50);
    assert.equal(source.slowest, Infinity, "it has been read since");
  });
});
