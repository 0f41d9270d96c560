/** Events for a function that is being replaced. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AsyncInvocations } from "../../../emulator/lambda/async-invocations.ts";

test("an event whose function is being replaced waits for what comes after it", async () => {
  const pauses: number[] = [];
  const clock = {
    now: () => 0,
    sleep: async (ms: number) => void pauses.push(ms),
  };
  const events = new AsyncInvocations({ clock });
  let invocations = 0;
  const returned = new Promise<void>((resolve) => {
    const invoke = async () => {
      invocations++;
      if (invocations <= 2) throw new Error("the pool of environments is stopped");
      resolve();
      return { outcome: "returned", payload: new Uint8Array(0) } as never;
    };
    events.put("counting", { invoke }, new Uint8Array(0));
  });
  await returned;
  await events.stop();
  assert.equal(invocations, 3);
  assert.deepEqual(pauses, [1_000, 2_000]);
});
