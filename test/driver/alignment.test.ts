/** Watermark alignment: who runs ahead waits, nobody for ever, and results are the same. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";
import { announceAlignment, announcedAlignment, decideAlignment } from "../../runtime/driver/align-sources.ts";
import { count, isKind, millis, monotonous, seconds, tumbling, type, type WatermarkStrategy } from "../../runtime/index.ts";
import type { Message } from "../../runtime/ports/journal.ts";
import { harness, type HarnessOptions } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { event, twoSources, type Event } from "../operators/pipeline.ts";

const strategy = (): WatermarkStrategy<Event> => monotonous().withAlignment("group", seconds(10), millis(0));

/** Shows which records were read, in their order. */
const shown = { output: type<unknown>(), onRecord: ({ key, at }: Event, ctx: any) => ctx.emit([key, at]) };

const reading = (watermarks: WatermarkStrategy<Event>) => twoSources((a, b) => a.union(b).process("show", shown), { watermarks });

const secondsOf = (key: string, from: number, to: number): Event[] =>
  Array.from({ length: to - from + 1 }, (_, n) => event(key, (from + n) * 1_000));

async function start(watermarks: WatermarkStrategy<Event>, options: HarnessOptions) {
  const run = (await harness(reading(watermarks), options)) as RunningHarness;
  const read = (key: string) =>
    run
      .output<[string, number]>("out")
      .filter(([of]) => of === key)
      .map(([, at]) => at / 1_000);
  return { run, read, last: (key: string) => read(key).at(-1) };
}

/** How far the records of a ran ahead of those of b before b had ended, at most. */
function aheadMost(rows: readonly (readonly [string, number])[]): number {
  let last = -Infinity;
  let most = 0;
  const lastOfB = rows.findLastIndex(([key]) => key === "b");
  for (const [key, at] of rows.slice(0, lastOfB)) {
    if (key === "b") last = at;
    else if (last > -Infinity) most = Math.max(most, at - last);
  }
  return most;
}

for (const parallelism of [1, 2])
  describe(`alignment at parallelism ${parallelism}`, () => {
    /** a has a record every second, b ten: at the same number of records a goes ten times as fast. */
    const fill = (run: RunningHarness) => {
      run.enqueue("a", ...secondsOf("a", 0, 100).map((value) => ({ value })));
      run.enqueue("b", ...Array.from({ length: 1_001 }, (_, n) => ({ value: event("b", n * 100) })));
    };

    test("a source that runs ahead waits for the slower one", async () => {
      const options = { parallelism, recordsPerTurn: 20 };
      const free = await start(monotonous(), options);
      fill(free.run);
      await free.run.settle();
      assert.ok(aheadMost(free.run.output("out")) > 40_000, "without alignment it runs away");
      const { run, last } = await start(strategy(), options);
      fill(run);
      await run.settle();
      assert.deepEqual([last("a"), last("b")], [100, 100]);
      // The drift, and what the grid and one turn may add.
      const most = aheadMost(run.output("out"));
      assert.ok(most <= 10_000 + 1_000 + 2_000, `a was ${most} ms ahead`);
    });

    test("one that has ended, or has nothing to read, holds nobody back", async () => {
      const { run, last } = await start(strategy(), { parallelism });
      run.enqueue("b", { value: event("b", 0) });
      run.enqueue("a", ...secondsOf("a", 0, 50).map((value) => ({ value })));
      await run.settle();
      assert.equal(last("a"), 50);
      await run.endInput("b");
      await run.push("a", ...secondsOf("a", 51, 100).map((value) => ({ value })));
      assert.equal(last("a"), 100);
    });

    test("tells of its watermark every update interval, and of the last one too", async () => {
      const { run, last } = await start(monotonous().withAlignment("group", seconds(10)), { parallelism, recordsPerTurn: 20 });
      fill(run);
      await run.settle();
      for (let at = 0; at < 60; at++) await run.advanceProcessingTime(seconds(1));
      assert.deepEqual([last("a"), last("b")], [100, 100]);
    });

    test("waiting goes on over crashes and restores", async () => {
      const first = await start(strategy(), { parallelism, recordsPerTurn: 20 });
      fill(first.run);
      for (let n = 0; n < 200; n++) {
        await first.run.runner.step();
        if (n % 3 === 0) await first.run.crash();
      }
      assert.deepEqual([first.last("a"), first.last("b")], [100, 100]);
      assert.ok(aheadMost(first.run.output("out")) <= 20_000, `a was ${aheadMost(first.run.output("out"))} ms ahead`);
      const next = await start(strategy(), { parallelism, recordsPerTurn: 20, from: await first.run.snapshot() });
      next.run.enqueue("a", ...secondsOf("a", 101, 200).map((value) => ({ value })));
      next.run.enqueue("b", ...Array.from({ length: 1_000 }, (_, n) => ({ value: event("b", 100_100 + n * 100) })));
      await next.run.settle();
      assert.deepEqual([next.last("a"), next.last("b")], [200, 200]);
      assert.ok(aheadMost(next.run.output("out")) <= 13_000, `a was ${aheadMost(next.run.output("out"))} ms ahead`);
    });
  });

const windowed = (watermarks: WatermarkStrategy<Event>) =>
  twoSources(
    (a, b) =>
      a
        .union(b)
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(5)))
        .aggregate("count", count(), (key, { start }, n) => [key, start, n]),
    { watermarks },
  );

test("results do not depend on it", async () => {
  const times = fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 30 }).map((list) => list.sort((a, b) => a - b));
  await fc.assert(
    fc.asyncProperty(times, times, fc.integer({ min: 0, max: 20 }), fc.constantFrom(1, 2), async (as, bs, drift, parallelism) => {
      const outputs = [monotonous(), monotonous().withAlignment("group", seconds(drift), millis(0))].map(async (watermarks) => {
        const run = (await harness(windowed(watermarks), { parallelism, recordsPerTurn: 4 })) as RunningHarness;
        run.enqueue("a", ...as.map((at) => ({ value: event("k", at * 1_000) })));
        run.enqueue("b", ...bs.map((at) => ({ value: event("k", at * 1_000) })));
        await run.endInput();
        return run.output("out");
      });
      const windows = new Map<number, number>();
      for (const at of [...as, ...bs]) windows.set(at - (at % 5), (windows.get(at - (at % 5)) ?? 0) + 1);
      const expected = [...windows].sort(([a], [b]) => a - b).map(([start, n]) => ["k", start * 1_000, n]);
      for (const output of await Promise.all(outputs)) assert.deepEqual(output, expected);
    }),
    { numRuns: 40 },
  );
});

describe("the coordinator's part", () => {
  const standing = (task: string, at: number | undefined, group = "g"): Message => ({
    name: `standing/${task}`,
    version: 1,
    bytes: encodeValue({ group, at }),
  });

  test("tells every task of this generation that still runs of the slowest of its group", () => {
    const messages = [
      standing("g2.s~a", 50),
      standing("g2.s~b", 70),
      standing("g2.s~idle", undefined),
      standing("g1.s~a", 10),
      standing("g2.t~a", 5, "other"),
      { name: "ack/g2.s~a", version: 3, bytes: encodeValue({}) },
    ];
    assert.deepEqual(decideAlignment(messages, 2), [
      { task: "g2.s~a", group: "g", slowest: 50 },
      { task: "g2.s~b", group: "g", slowest: 50 },
      { task: "g2.t~a", group: "other", slowest: 5 },
    ]);
  });

  test("says only what is new, and never takes a limit back", async () => {
    const told = new Map<TaskId, number>();
    const box: Message[] = [];
    const journal = {
      post: async (_task: TaskId, message: Message) => {
        box.unshift(message);
        return "posted" as const;
      },
    };
    const [a, b] = [id<TaskId>("g1.s~a"), id<TaskId>("g1.s~b")];
    const announce = (at: number) => announceAlignment([standing(a, at), standing(b, 1_000)], 1, told, journal);
    assert.deepEqual(await announce(-3), [a, b]);
    assert.deepEqual(await announce(-3), []);
    assert.deepEqual(await announce(-5), []);
    assert.equal(announcedAlignment(box, "g"), -3);
    assert.deepEqual(await announce(7), [a, b]);
    assert.equal(announcedAlignment(box, "g"), 7);
    assert.equal(announcedAlignment(box, "other"), undefined);
  });
});

test("an alignment that cannot be meant is refused", () => {
  const refused = (build: () => unknown, words: RegExp) =>
    assert.throws(build, (error) => isKind(error, "invalid") && words.test(error.message));
  refused(() => reading(monotonous().withAlignment("", seconds(1))), /group/);
  refused(() => reading(monotonous().withAlignment("g", millis(-1))), /drift/);
  refused(
    () => twoSources((a, b) => a.union(b).assignTimestamps("t", { timestamps: ({ at }) => at, watermarks: strategy() })),
    /source/,
  );
});
