/**
 * The vectors of the areas that are built, from the data in data/: the given ones, and in `further-*.json` what else Flink's tests of the
 * same classes say, by class and method; those without a class are ours. A line is added when an area is ready.
 */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { readExclusions, selectVectors } from "./exclusions.ts";
import { runVector } from "./run-vector.ts";
import { readVectors, type Area } from "./vector.ts";

const ready: readonly Area[] = ["windows", "watermarks", "process-timers", "ttl"];

const { run, refused } = selectVectors(readVectors(fileURLToPath(new URL("./data", import.meta.url))), readExclusions());

for (const area of ready) {
  describe(`vectors of ${area}`, () => {
    it("leave out at most one in twenty", () => assert.ok(!refused.includes(area)));
    for (const vector of run.filter((one) => one.area === area)) {
      it(vector.id, async () => {
        const failure = await runVector(vector);
        if (failure !== undefined) assert.fail(inspect(failure, { depth: null }));
      });
    }
  });
}
