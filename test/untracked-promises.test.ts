/** Tests are run without a hook for every promise: with one they take a fifth longer. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

/** Whether node:test has promises followed: only then what goes on after one is told apart from others. */
const follows = `
  const { executionAsyncId } = require("node:async_hooks");
  require("node:test")("one", async () => {
    await null;
    require("node:fs").writeSync(2, executionAsyncId() === 0 ? "untracked" : "tracked");
  });
`;

function run(...before: readonly string[]): string {
  // Or the child takes itself for a file of the run that this one belongs to.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  return spawnSync(process.execPath, [...before, "-e", follows], { encoding: "utf8", env }).stderr;
}

test("promises are followed by node:test, and not where the tests of this project are run", () => {
  assert.equal(run(), "tracked");
  assert.equal(run("--import", join(import.meta.dirname, "untracked-promises.ts")), "untracked");
});
