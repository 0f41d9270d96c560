/** The kill test in short; `npm run kill-test` is the long one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { withDirectory } from "../connectors/support.ts";
import { coverage, type KillTestOptions, runKillTest } from "./kill-test.ts";

const short: Omit<KillTestOptions, "directory" | "parallelism"> = {
  seed: 3,
  events: 16_000,
  recordsPerRead: 100,
  life: [8, 20],
  killsMin: 5,
};

suite("killed with -9 again and again", () => {
  for (const parallelism of [1, 2]) {
    test(`nothing is lost, repeated or changed, at parallelism ${parallelism}`, () =>
      withDirectory(async (directory) => {
        const report = await runKillTest({ ...short, directory: join(directory, "run"), parallelism });
        assert.deepEqual(report.failures, []);
        const { checkpoint, effects } = coverage(report);
        assert.ok(checkpoint + effects > 0, `kills only at ${JSON.stringify(report.killsAt)}`);
        assert.ok(report.filesChecked > 0);
      }));
  }
  test("without the replay of journal entries the test is red", () =>
    withDirectory(async (directory) => {
      const report = await runKillTest({ ...short, directory: join(directory, "run"), parallelism: 1, replay: false });
      assert.match(report.failures.join("\n"), /views: \d+ rows, expected \d+/);
    }));
});
