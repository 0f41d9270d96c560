/** Commands that are suggested come out of a shell as they were meant, and say again what was said of the job. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { afterEach, suite, test } from "node:test";
import { jobHere, placeHere } from "../../cli/suggest.ts";
import { isAway } from "../../cli/target/is-away.ts";
import { coordinatorVariable } from "../../cli/target/open-target.ts";

/** The words that a shell makes of a line. */
function wordsIn(line: string): readonly string[] {
  return execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
}

suite("a command that is suggested", () => {
  test("has all that was said of the job, each a word to a shell", () => {
    const said = { state: "my state", output: "it's $HOME", bind: ["in=a b.ndjson"], param: ["n=;1"], batch: true };
    const words = [
      "job.ts",
      "--state",
      "my state",
      "--output",
      "it's $HOME",
      "--param",
      "n=;1",
      "--bind",
      "in=a b.ndjson",
      "--batch",
    ];
    assert.deepEqual(wordsIn(jobHere("job.ts", said)), words);
    assert.deepEqual(wordsIn(placeHere("a(b)", "out")), ["--state", "a(b)", "--output", "out"]);
  });

  test("is as short as it was", () => {
    assert.equal(jobHere("jobs/views.ts", { output: "." }), "jobs/views.ts");
    assert.equal(placeHere(".millrace/views", "."), "--state .millrace/views");
  });
});

suite("a job that is deployed is meant", () => {
  afterEach(() => delete process.env[coordinatorVariable]);

  test("where its coordinator is named, or by the environment where nothing on this machine is", () => {
    assert.equal(isAway("job.ts", { coordinator: "there" }), true);
    assert.equal(isAway(undefined, {}), false);
    process.env[coordinatorVariable] = "there";
    assert.deepEqual([isAway(undefined, {}), isAway("job.ts", {}), isAway(undefined, { state: "here" })], [true, false, false]);
  });
});
