/** What a terminal shows while a job runs. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { suite, test, type TestContext } from "node:test";
import { RunDisplay } from "../../cli/run-display.ts";
import type { RunProgress } from "../../cli/local-run.ts";

const progress: RunProgress = {
  totals: { records: 1_234, deadLetters: 2, lateDropped: 0 },
  watermark: Date.UTC(2015, 4, 17, 10, 5),
  checkpoint: 3,
  checkpointAt: undefined,
  input: { read: 40, total: 100, unit: "bytes" },
  phase: "running",
  reason: undefined,
};

/** A display on this kind of output, the clock in hand, and all that was written. */
function show(t: TestContext, kind: { isTTY?: boolean; columns?: number; rows?: number }) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let written = "";
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.toString();
      done();
    },
  });
  const display = new RunDisplay({
    output: Object.assign(output, kind),
    title: "job",
    progress: () => progress,
    counts: () => [["late", 7]],
  });
  return { display, written: () => written };
}

suite("the display of a run", () => {
  test("on a pipe: a plain line every two seconds, set off from what follows", (t) => {
    const { display, written } = show(t, {});
    display.note("waiting: for a disk");
    t.mock.timers.tick(4_000);
    display.stop();
    const [note, first, second, ...rest] = written().split("\n");
    assert.equal(note, "waiting: for a disk");
    assert.equal(
      first!.replace(/[\d,]+\/s/, "n/s"),
      "1,234 events  n/s  watermark 2015-05-17 10:05:00 UTC  lag 60 bytes  checkpoint 3  late 7  dead letters 2",
    );
    assert.equal(second, first);
    assert.deepEqual(rest, ["", ""]);
  });

  test("on a pipe, of a run that is over before the first line: nothing", (t) => {
    const { display, written } = show(t, {});
    display.stop();
    assert.equal(written(), "");
  });

  for (const size of [{ columns: 100, rows: 40 }, { columns: 0, rows: 0 }, {}])
    test(`on a terminal of size ${JSON.stringify(size)}: a screen that is drawn over itself and taken away`, (t) => {
      const { display, written } = show(t, { isTTY: true, ...size });
      t.mock.timers.tick(400);
      const screens = written().split("\x1b[J").filter(Boolean);
      assert.equal(screens.length, 2);
      for (const part of ["1,234", "60 bytes", "40 %", "Ctrl-C stops with a checkpoint"])
        assert.ok(screens[1]!.includes(part), part);
      const lines = screens[0]!.split("\n").length - 1;
      assert.ok(screens[1]!.startsWith(`\x1b[${lines}A\r`), "up to where the first began");
      display.stop();
      assert.ok(written().endsWith(`\x1b[${lines}A\r\x1b[J`));
    });
});
