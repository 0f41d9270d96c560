/** Command lines that are wrong: what is said, where, and with which exit code. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { createProgram } from "../../cli/program.ts";
import { exitCodes, UsageError } from "../../cli/report-error.ts";

const main = join(import.meta.dirname, "../../cli/main.ts");

function millrace(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [main, ...args], (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err })),
  );
}

test("the version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as { version: string };
  assert.deepEqual(await millrace("--version"), { code: exitCodes.done, out: `${version}\n`, err: "" });
});

suite("a command line that is wrong", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["rnu", /^unknown command 'rnu'\s+\(Did you mean run\?\)$/],
    ["rollback", /^required option '--to <checkpoint>' not specified$/],
    ["fork --to local --state nowhere", /--into DIR$/],
    ["fork --to green --into there --state nowhere", /--to local: green$/],
    ["rollback job.ts --to 1 --order back", /^--order is of a job that is deployed$/],
  ];
  for (const [line, says] of wrong)
    test(`is told to programs in one document, and to people with a hint: ${line}`, async () => {
      const [people, programs] = await Promise.all([millrace(...line.split(" ")), millrace(...line.split(" "), "--json")]);
      assert.deepEqual([people.code, people.out], [exitCodes.usage, ""]);
      assert.match(people.err, /^error: .*\n[^]*see --help\n$/);
      assert.deepEqual([programs.code, programs.err.includes("    at ")], [exitCodes.usage, false]);
      const { error } = JSON.parse(programs.out) as { error: { kind: string; message: string } };
      assert.equal(error.kind, "usage");
      assert.match(error.message, says);
    });
});

suite("options that do not go together, or are none", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["rescale --coordinator there --parallelism 3", /^--parallelism: for a job on this machine; .*its deployment$/],
    ["start --coordinator there --bind in=a.ndjson --param n=1", /^--param, --bind: for a job on this machine/],
    ["deadletters redrive --coordinator there --output out", /^--output: for a job on this machine/],
    ["start --coordinator there --state here", /^name one job: by --state, or by --coordinator$/],
    ["status --coordinator there --state here", /^name one job: by --state, or by --coordinator$/],
    ["stop --state here --timeout soon", /^--timeout is a number, at least 0: soon$/],
    ["run job.ts --parallelism 2.5", /^--parallelism is a whole number, at least 1: 2\.5$/],
    ["deadletters list --state here --limit=", /^--limit is a whole number, at least 0: $/],
    ["deadletters redrive --state here", /^redrive needs the job's module on this machine, or --coordinator$/],
  ];
  for (const [line, says] of wrong)
    test(`are refused before anything is done: ${line}`, async () => {
      const program = createProgram(() => assert.fail("it was done"));
      await assert.rejects(program.parseAsync(line.split(" "), { from: "user" }), (error) => {
        return error instanceof UsageError && says.test(error.message);
      });
    });
});
