/** What is wrong with a job's module is said with the place in it. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import { loadJob } from "../../cli/load-job.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { withDirectory } from "../connectors/support.ts";

const surface = pathToFileURL(join(import.meta.dirname, "../../runtime/index.ts")).href;

suite("loading a job's module", () => {
  for (const [what, code, says] of [
    [
      "a mistake of the author's",
      "const options = undefined;\n  options.path;",
      /cannot be loaded: .*job\.mjs:3:11: Cannot read/,
    ],
    ["an option that is missing", "kinesis({ stream: 's' });", /cannot be loaded: .*job\.mjs:2:3: Cannot read/],
    ["what the engine refuses", "defineJob('x', () => {});", /a job needs at least one source: job "x" \(.*job\.mjs:2:3\)$/],
  ] as const)
    test(`${what} is said with its line`, () =>
      withDirectory(async (directory) => {
        const path = join(directory, "job.mjs");
        await writeFile(path, `import { defineJob, kinesis } from ${JSON.stringify(surface)};\n  ${code}\n`);
        await assert.rejects(loadJob(path), (error) => {
          assert.ok(isKind(error, "invalid"));
          assert.match(error.message, says);
          return true;
        });
      }));

  test("a path that leads nowhere is said without anything of its insides", async () => {
    await assert.rejects(loadJob("nowhere/job.ts"), {
      kind: "invalid",
      message: "there is no such file, a job's module is expected: nowhere/job.ts",
    });
  });
});
