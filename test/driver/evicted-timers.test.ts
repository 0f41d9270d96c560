/** Timers of key groups that are not in memory: a task at rest stays at rest, wherever it was restarted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyedProcess, millis, type } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import type { RunningHarness } from "../../runtime/testing/harness.ts";
import { event, pipeline } from "../operators/pipeline.ts";

const job = pipeline((events) =>
  events
    .keyBy(({ key }) => key as string)
    .process(
      "wait",
      keyedProcess({
        key: type<string>(),
        output: type<number>(),
        onRecord(_event, ctx) {
          ctx.timers.processingTime(ctx.processingTime + 100);
          ctx.timers.processingTime(ctx.processingTime + 1_000_000);
        },
        onTimer: (at, ctx) => ctx.emit(at),
      }),
    ),
);

test("a timer that has fired is not due again when what the index says of its key group is older than the group's page", async () => {
  // A base is taken before the firing, and after it none: at some of these bounds.
  for (let journalBytesMax = 500; journalBytesMax <= 6_000; journalBytesMax += 250) {
    const running = (await harness(job, { environment: { cacheBytesMax: 0, journalBytesMax } })) as RunningHarness;
    for (let n = 0; n < 6; n++) await running.push("in", { value: event("a", n) });
    await running.advanceProcessingTime(millis(200));
    await running.crash();
    await running.push("in", { value: event("b", 1) });
    assert.equal((await running.runner.step()).worked, false, `it goes on without an input, base at ${journalBytesMax}`);
    await running.advanceProcessingTime(millis(2_000_000));
    assert.deepEqual([...running.output("out")].sort(), [100, 1_000_000, 1_000_200, 300].sort());
  }
});
