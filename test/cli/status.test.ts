/** How a job stands, as `millrace status` says it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { status } from "../../cli/commands/status.ts";
import { LocalRun } from "../../cli/local-run.ts";
import { type JobStatus, readStatus } from "../../cli/job-status.ts";
import { openLocalTarget } from "../../cli/target/local-target.ts";
import { consoleSink, defineJob, generator, seconds } from "../../runtime/index.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import { withDirectory } from "../connectors/support.ts";
import { Writable } from "node:stream";

function numbers({ ratePerSecond, parallelism = 1 }: { readonly ratePerSecond?: number; readonly parallelism?: number } = {}) {
  // With a rate, more than any run gets to.
  const pace = ratePerSecond === undefined ? { count: 500 } : { count: 1_000_000, ratePerSecond };
  return defineJob(
    "numbers",
    (job) =>
      job
        .source("numbers", generator({ seed: 1, next: (n) => n, ...pace }))
        .rebalance()
        .sinkTo("out", consoleSink()),
    { parallelism, checkpoints: { interval: seconds(1) } },
  );
}

async function statusIn(directory: string) {
  const target = await openLocalTarget(join(directory, "state"), { output: directory });
  try {
    const { json, lines } = await status(target);
    const { finished, sources } = json as JobStatus;
    return { finished, watermarks: sources.map(({ watermark }) => watermark), text: lines.join("\n") };
  } finally {
    await target.close();
  }
}

/** Runs it until it has finished, or until some of it is done. */
async function run(directory: string, job: ReturnType<typeof numbers>, enough = Infinity): Promise<void> {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const running = await LocalRun.open(job, { state: join(directory, "state"), output: directory, console: sink });
  const ending = new AbortController();
  const ended = running.run(ending.signal);
  while (enough < Infinity && running.progress().totals.records < enough) await new Promise((resolve) => setTimeout(resolve, 5));
  if (enough < Infinity) ending.abort();
  await ended;
  await running.close();
}

suite("how a job stands", () => {
  test("one that has read all is finished, and nobody is told to run it", () =>
    withDirectory(async (directory) => {
      await run(directory, numbers());
      const { finished, text } = await statusIn(directory);
      assert.ok(finished);
      assert.match(text, /phase +finished: nothing is left to do/);
      assert.doesNotMatch(text, /millrace run/);
    }));

  test("one that was left on its way is not", () =>
    withDirectory(async (directory) => {
      await run(directory, numbers({ ratePerSecond: 200 }), 20);
      const { finished, text, watermarks } = await statusIn(directory);
      assert.ok(!finished);
      // To programs, what is not there yet is absent, as everywhere.
      assert.deepEqual(watermarks, [undefined]);
      assert.match(text, /phase +running, as it was left/);
      assert.match(text, /run it: +millrace run JOB/);
    }));

  test("the heads of a generation's tasks are read side by side, since one after the other they would keep who asks waiting", () =>
    withDirectory(async (directory) => {
      await run(directory, numbers({ parallelism: 4 }));
      const target = await openLocalTarget(join(directory, "state"), { output: directory });
      try {
        const { journal } = target.ports;
        let inFlight = 0;
        let most = 0;
        const tail: Journal["tail"] = async (task, after) => {
          most = Math.max(most, ++inFlight);
          await new Promise(setImmediate);
          inFlight--;
          return journal.tail(task, after);
        };
        const { tasks } = await readStatus({ ...target, ports: { ...target.ports, journal: { ...journal, tail } } });
        assert.ok(tasks.length > 4, `${tasks.length} tasks`);
        assert.equal(most, tasks.length);
      } finally {
        await target.close();
      }
    }));
});
