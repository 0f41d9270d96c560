/** The example as a user starts it, held to a script that recounts the input without the engine. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { pageviews } from "../../examples/pageviews/job.ts";
import { madeUpViews } from "../../examples/pageviews/made-up-views.ts";
import { explain, planJob, seconds } from "../../runtime/index.ts";
import { withDirectory } from "../connectors/support.ts";
import { readEvents, sessions, sortedLines, viewsPerMinute } from "../kill/oracle.mjs";

const run = promisify(execFile);
const main = join(import.meta.dirname, "../../examples/pageviews/main.ts");

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

async function start(...args: readonly string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await run(process.execPath, [main, ...args]);
    return { code: 0, out: stdout, errors: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, errors: stderr };
  }
}

async function rowsOf(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith(".ndjson") && !name.startsWith("."));
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) => text.split("\n").filter(Boolean)).sort();
}

/** Requests out of order by up to 59 seconds, with queries and with an agent that is cut off. */
function accessLog(requests: number): string {
  const lines = Array.from({ length: requests }, (_, n) => {
    const at = new Date(Date.UTC(2025, 4, 17, 10) + n * 7_000 - ((n * 37) % 60) * 1_000);
    const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(at.toUTCString())!;
    const agent = n % 50 === 3 ? '"Mozilla/5.0 (cut off' : '"Mozilla/5.0"';
    return `203.0.113.${n % 40} - - [${day}/${month}/${year}:${time} +0000] "GET /page-${n % 9}?q=${n} HTTP/1.1" 200 5 "-" ${agent}\n`;
  });
  return lines.join("");
}

suite("the page views example", () => {
  for (const parallelism of ["1", "2"])
    test(`counts an access log exactly, at parallelism ${parallelism}, and a second start has nothing to do`, () =>
      withDirectory(async (directory) => {
        const input = join(directory, "access.log.gz");
        const output = join(directory, "out");
        await writeFile(input, gzipSync(accessLog(3_000)));
        const args = ["--input", input, "--output", output, "--parallelism", parallelism];
        const first = await start(...args);
        assert.equal(first.code, 0, first.errors);
        assert.match(first.out, /access\.log\.gz \(accessLog\)/);
        assert.match(first.out, /begins: generation 1, no checkpoint, 0 events so far/);
        assert.match(first.out, /finished: 3,000 events/);
        const events = readEvents(input);
        assert.equal(events.length, 3_000);
        assert.deepEqual(await rowsOf(join(output, "views")), sortedLines(viewsPerMinute(events)));
        assert.deepEqual(await rowsOf(join(output, "sessions")), sortedLines(sessions(events)));
        assert.deepEqual([...(await rowsOf(join(output, "late"))), ...(await rowsOf(join(output, "dead-letters")))], []);
        assert.match((await start(...args)).out, /finished before: nothing is left to do/);
      }));

  test("tells formats by the first line; late events go to a file of their own", () =>
    withDirectory(async (directory) => {
      const csv = join(directory, "events.csv");
      await writeFile(csv, "at,user,page\n2025-01-01T00:10:00Z,a,/x?y=1\n1735689600000,b,/late\n2025-01-01T00:10:01Z,a,/x\n");
      const output = join(directory, "out");
      const { code, out } = await start("--input", csv, "--output", output);
      assert.equal(code, 0);
      assert.match(out, /events\.csv \(csv\)/);
      assert.deepEqual(await rowsOf(join(output, "views")), ['{"page":"/x","start":1735690200000,"views":2}']);
      assert.deepEqual(await rowsOf(join(output, "late")), ['{"user":"b","page":"/late","at":1735689600000}']);
    }));

  test("says what is wrong in one line, and nothing of its insides", () =>
    withDirectory(async (directory) => {
      const strange = join(directory, "strange.txt");
      await writeFile(strange, "what is this\n");
      const out = ["--output", join(directory, "out")];
      const cases: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
        [
          ["--input", join(directory, "missing.log"), ...out],
          1,
          /^error: cannot read a file: no such file or directory: check the path: .*\n$/,
        ],
        [["--input", strange, ...out], 2, /^error: the format is not recognised: name it with --format .*\nsee --help\n$/],
        [["--inptu", strange], 2, /^error: Unknown option '--inptu'.*\nsee --help\n$/],
        [["--input", strange, "--count", "5"], 2, /^error: --count is of made-up events: leave out --input\nsee --help\n$/],
        [["--bound", "soon"], 2, /^error: --bound is a number, at least 0: soon\nsee --help\n$/],
        [["--output", join(strange, "out")], 1, /^error: the path leads through a file, name a directory: .*\n$/],
      ];
      for (const [args, code, message] of cases) {
        const outcome = await start(...args);
        assert.equal(outcome.code, code, outcome.errors);
        assert.match(outcome.errors, message);
      }
      assert.match((await start("--help")).out, /--checkpoint-interval/);
    }));

  test("has a plan: one task, or five at parallelism 2", () => {
    const options = { source: madeUpViews(1_000), bound: seconds(60), checkpointInterval: seconds(1) };
    assert.equal(planJob(pageviews({ ...options, parallelism: 1 })).stages.length, 1);
    assert.match(explain(planJob(pageviews({ ...options, parallelism: 2 }))), /Stage sessions · 2 tasks/);
  });
});
