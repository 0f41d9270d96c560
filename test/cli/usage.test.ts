/** Command lines that are wrong: what is said, where, and with which exit code. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { exitCodes } from "../../cli/report-error.ts";

const main = join(import.meta.dirname, "../../cli/main.ts");

function millrace(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [main, ...args], (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err })),
  );
}

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
