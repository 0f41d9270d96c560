/** Windows that wait for late records: up to which millisecond they take them, and what is left of them afterwards. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  type Aggregator,
  cumulating,
  type DataStream,
  millis,
  sliding,
  tumbling,
  type WindowAssigner,
} from "../../runtime/index.ts";
import type { TimeWindow } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { pipeline } from "./pipeline.ts";

const latenessMs = 5;

/** With `merge`, windows that overlap share slices. */
const total = (merges: boolean): Aggregator<{ n?: number }, number, number> => ({
  create: () => 0,
  add: (sum, { n = 0 }) => sum + n,
  result: (sum) => sum,
  ...(merges && { merge: (a: number, b: number) => a + b }),
});

function job(assigner: WindowAssigner<any, TimeWindow>, merges: boolean) {
  return pipeline((events): DataStream<unknown> => {
    const windows = events.keyBy(({ key }) => key as string).window(assigner);
    return windows
      .allowedLateness(millis(latenessMs))
      .aggregate("sums", total(merges), (key, { start, end }, n) => [key, start, end, n]);
  });
}

const kinds: readonly (readonly [
  what: string,
  assigner: WindowAssigner<any, TimeWindow>,
  merges: boolean,
  windows: number[][],
])[] = [
  ["tumbling windows", tumbling(millis(10)), false, [[0, 10]]],
  ["sliding windows", sliding(millis(10), millis(5)), false, [[-5, 5], [0, 10]]], // prettier-ignore
  ["sliding windows over slices", sliding(millis(10), millis(5)), true, [[-5, 5], [0, 10]]], // prettier-ignore
  ["cumulating windows over slices", cumulating(millis(5), millis(10)), true, [[0, 5], [0, 10]]], // prettier-ignore
];

const record = (key: string, at: number, n: number) => ({ value: { key, at, n } });

/** Goes on from a snapshot, with as many tasks. */
async function restored(run: RunningHarness, which: ReturnType<typeof job>, parallelism: number): Promise<RunningHarness> {
  return (await harness(which, { from: await run.snapshot(), parallelism })) as RunningHarness;
}

/** In the rows that are in memory, and in the copies of others. */
function leftOf(run: RunningHarness): { readonly cells: number; readonly timers: number; readonly stored: number } {
  const stores = [...run.tasks].flatMap((task) => run.runner.environment.peek(task)?.chain.stores ?? []);
  const rows = stores.flatMap((store) => store.groupsInOrder().flatMap((group) => group.rows));
  const stored = stores.reduce((sum, store) => sum + [...store.index.values()].length, 0);
  const timers = rows.reduce((sum, row) => sum + row.timers.length, 0);
  return { cells: rows.reduce((sum, row) => sum + row.cells.length, 0), timers, stored };
}

for (const [what, assigner, merges, windows] of kinds)
  describe(what, () => {
    const which = job(assigner, merges);
    const [first, last] = [windows[0]!, windows.at(-1)!];
    const given = (window: number[], n: number) => ["a", ...window, n];

    for (const [how, between] of Object.entries({
      "at once": async (run: RunningHarness) => run,
      "after a crash each time": async (run: RunningHarness) => (await run.crash(), run),
      "after a restore each time": (run: RunningHarness) => restored(run, which, 1),
      "after a rescale each time": (run: RunningHarness) => restored(run, which, 1 + (run.tasks.size % 3)),
    }))
      test(`take late records until the last millisecond of their lateness, ${how}`, async () => {
        let run = (await harness(which)) as RunningHarness;
        const out: unknown[] = [];
        const next = async () => {
          out.push(...run.output("out"));
          const before = run;
          run = await between(run);
          if (run === before) out.splice(0, out.length); // it still has what it was given
        };
        await run.push("in", record("a", 2, 1), { watermark: first[1]! - 1 });
        await next();
        // The first window has fired; the last one is over at its end and the lateness, less one.
        await run.push("in", { watermark: last[1]! - 1 });
        await next();
        await run.push("in", { watermark: last[1]! - 1 + latenessMs - 1 }, record("a", 3, 10));
        await next();
        await run.push("in", { watermark: last[1]! - 1 + latenessMs }, record("a", 3, 100));
        await next();
        await run.endInput();
        out.push(...run.output("out"));
        const once = windows.map((window) => given(window, 1));
        // At the last millisecond only the last window still takes records.
        assert.deepEqual(out, [...once, given(last, 11)]);
      });

    for (const crashes of [false, true])
      test(`leave nothing behind, in memory or in a checkpoint${crashes ? ", by whoever takes it" : ""}`, async () => {
        const run = (await harness(which)) as RunningHarness;
        for (const key of ["a", "b", "c"]) await run.push("in", record(key, 2, 1), record(key, 7, 1));
        await run.push("in", { watermark: 9 });
        await run.snapshot();
        assert.ok(leftOf(run).cells >= 3 && leftOf(run).stored > 0, "they wait for late records");
        await run.push("in", { watermark: 30 });
        // Another environment knows from the journal alone what has become of them.
        if (crashes) await run.crash();
        await run.snapshot();
        assert.deepEqual(leftOf(run), { cells: 0, timers: 0, stored: 0 });
      });

    test("of keys of which nothing more comes, with others that go on, go too", async () => {
      const run = (await harness(which)) as RunningHarness;
      await run.push("in", record("idle", 2, 1));
      for (let at = 10; at < 200; at += 5) await run.push("in", record("busy", at, 1), { watermark: at });
      const rows = [...run.tasks].flatMap((task) =>
        (run.runner.environment.peek(task)?.chain.stores ?? []).flatMap((store) =>
          store.groupsInOrder().flatMap((group) => group.rows),
        ),
      );
      const of = (key: string) => rows.filter((row) => row.key === key).flatMap((row) => row.cells);
      assert.equal(of("idle").length, 0);
      assert.ok(of("busy").length > 0 && of("busy").length < 6, `${of("busy").length} cells`);
    });
  });

test("windows that wait for late records set no timers for it", async () => {
  const run = (await harness(job(tumbling(millis(10)), false))) as RunningHarness;
  await run.push("in", record("a", 2, 1), { watermark: 9 });
  assert.deepEqual(leftOf(run), { cells: 1, timers: 0, stored: 0 });
});
