/** Text with halves of surrogate pairs, which JSON may hold and UTF-8 may not: kept as it is, in keys, in state and on the way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline, steps } from "./pipeline.ts";

const keys = ["b\ud800", "b\ud801", "b\ufffd", "\udc00b", "b\u{1f600}", "b"];

test("each such key has its own state, whatever interrupts it", async () => {
  const job = pipeline((events) =>
    events
      .keyBy(({ key }) => key as string)
      .process(
        "last",
        keyedProcess({
          state: { last: value<string>() },
          output: type<unknown>(),
          onRecord({ key, n }: Event, ctx) {
            ctx.emit([ctx.key, n, ctx.state.last.get() ?? null]);
            ctx.state.last.set(`${key as string} ${n}`);
          },
        }),
      ),
  );
  const rounds = [1, 2, 3];
  await verifyOperator(job, {
    steps: steps(...rounds.flatMap((n) => keys.map((key) => event(key, n, n)))),
    expected: { out: rounds.flatMap((n) => keys.map((key) => [key, n, n === 1 ? null : `${key} ${n - 1}`])) },
  });
  assert.equal(new Set(keys).size, keys.length);
});
