/** An order has an invocation at it until it has come about, whatever dies. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attend } from "../../cli/target/attend.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";

/** Invocations that end as they are told, and how much time has passed before each, ms. */
function invocations(ends: readonly ("returns" | MillraceError)[], ended: AbortController) {
  let now = 0;
  const begunAt: number[] = [];
  const clock: Clock = { now: () => now, sleep: async (ms) => void (now += ms), remainingMs: () => Infinity };
  const give = async () => {
    const end = ends[begunAt.length]!;
    begunAt.push(now);
    if (begunAt.length === ends.length) ended.abort();
    if (end !== "returns") throw end;
  };
  return { begunAt, clock, give };
}

const died = new MillraceError("unavailable", "the process has ended");
const refused = new MillraceError("invalid", "the job has stopped");
const isTaken = () => true;

describe("an order in a cloud", () => {
  test("has another invocation at it as soon as one has died, sooner at first", async () => {
    const ended = new AbortController();
    const { begunAt, clock, give } = invocations([died, died, died, "returns"], ended);
    await attend(give, clock, ended.signal, isTaken);
    const pauses = begunAt.slice(1).map((at, n) => at - begunAt[n]!);
    assert.ok(pauses[0]! <= 200, `${pauses[0]} ms`);
    assert.ok(pauses.every((pause, n) => n === 0 || pause > pauses[n - 1]!));
  });

  test("is given again seconds behind an invocation that has looked on for its time", async () => {
    const ended = new AbortController();
    const { begunAt, clock, give } = invocations(["returns", "returns"], ended);
    await attend(give, clock, ended.signal, isTaken);
    assert.ok(begunAt[1]! >= 1_000 && begunAt[1]! <= 10_000);
  });

  test("that is taken is given however often invocations die; one that is not is given up", async () => {
    for (const taken of [true, false]) {
      const ended = new AbortController();
      const { begunAt, clock, give } = invocations(
        Array.from({ length: 50 }, () => died),
        ended,
      );
      const attended = attend(give, clock, ended.signal, () => taken);
      if (taken) await attended;
      else await assert.rejects(attended, (error) => isKind(error, "unavailable"));
      assert.equal(begunAt.length === 50, taken);
    }
  });

  test("that is refused is not given again", async () => {
    const ended = new AbortController();
    const { begunAt, clock, give } = invocations([died, refused, "returns"], ended);
    await assert.rejects(attend(give, clock, ended.signal, isTaken), (error) => isKind(error, "invalid"));
    assert.equal(begunAt.length, 2);
  });
});
