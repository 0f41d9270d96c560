/** The test of resharding in short; `npm run e2e:resharding` is the long one. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Shape } from "./job.ts";
import { runResharding } from "./run.ts";

// Side by side: each waits for the other half of its time.
suite("a stream that is split twice and merged once under load", { concurrency: 2 }, () => {
  for (const shape of ["exchange", "taskPerShard"] as const satisfies readonly Shape[])
    test(`${shape}: counts are those of the input, no event is lost, doubled or overtaken`, async (t) => {
      const { failures, standstills, trouble } = await runResharding({
        shape,
        seed: 3,
        eventsPerSecond: 200,
        inputMs: 8_000,
        killEvery: [2_000, 4_000],
        endsCalmly: true,
        faultChance: 0.002,
        timeoutMs: 3_600_000,
        print: (line) => t.diagnostic(line),
      });
      assert.deepEqual(failures, []);
      assert.equal(standstills.length, 5);
      assert.ok(trouble.kills > 0);
      for (const standstill of standstills) {
        t.diagnostic(JSON.stringify(standstill));
        assert.ok(standstill.waitedMs !== undefined, JSON.stringify(standstill));
      }
    });
});
