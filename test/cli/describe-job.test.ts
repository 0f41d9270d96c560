/** Where a job in a cloud is: asked of its coordinator with each command, and again where that invocation dies. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeJob } from "../../cli/target/describe-job.ts";
import { type JobDescription, payloadVersion } from "../../functions/contract.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";

const description = { version: payloadVersion, job: "counting" } as JobDescription;
const died = new MillraceError("unavailable", "the process has ended");
const absent = new MillraceError("invalid", "there is no such function");

/** What is asked of a function whose invocations end so, the last one again and again; when each was begun, ms. */
function asked(ends: readonly unknown[]) {
  let now = 0;
  const begunAt: number[] = [];
  const clock: Clock = { now: () => now, sleep: async (ms) => void (now += ms), remainingMs: () => Infinity };
  const call = async () => {
    const end = ends[Math.min(begunAt.length, ends.length - 1)];
    begunAt.push(now);
    if (end instanceof Error) throw end;
    return end;
  };
  return { begunAt, description: describeJob({ call, close: () => undefined }, "coordinator", clock) };
}

describe("where a job is", () => {
  test("is asked again where the invocation died, a little later each time", async () => {
    const { begunAt, description: answer } = asked([died, died, died, description]);
    assert.deepEqual(await answer, description);
    const pauses = begunAt.slice(1).map((at, n) => at - begunAt[n]!);
    assert.ok(pauses[0]! > 0 && pauses[0]! <= 200, `${pauses[0]} ms`);
    assert.ok(pauses[1]! > pauses[0]! && pauses[2]! > pauses[1]!);
  });

  test("is not asked without end: what does not answer for seconds is told", async () => {
    const { begunAt, description: answer } = asked([died]);
    await assert.rejects(answer, died);
    assert.ok(begunAt.length > 2 && begunAt.at(-1)! <= 5_000, `${begunAt.length} times in ${begunAt.at(-1)} ms`);
  });

  test("is asked once of what is not there, or is no coordinator", async () => {
    for (const end of [absent, null, { version: payloadVersion + 1, job: "counting" }, { version: payloadVersion }]) {
      const { begunAt, description: answer } = asked([end]);
      await assert.rejects(answer, (error) => isKind(error, "invalid"));
      assert.equal(begunAt.length, 1);
    }
  });
});
