/** The clock that is turned by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../emulator/virtual-clock.ts";

test("V1, V2: sleepers wake by time, then by turn, each with all that follows at that moment", async () => {
  const clock = new VirtualClock(0);
  const seen: string[] = [];
  const sleeper = async (name: string, ms: number) => {
    await clock.sleep(ms);
    for (let n = 0; n < 5; n++) await Promise.resolve();
    seen.push(`${name} ${clock.now()}`);
  };
  const all = [sleeper("late", 20), sleeper("first", 10), sleeper("second", 10)];
  await clock.advance(15);
  assert.deepEqual(seen, ["first 10", "second 10"]);
  assert.equal(clock.now(), 15);
  await clock.advance(5);
  await Promise.all(all);
  assert.deepEqual(seen, ["first 10", "second 10", "late 20"]);
});

test("an aborted sleep ends at once and is forgotten", async () => {
  const clock = new VirtualClock(0);
  const controller = new AbortController();
  const sleep = clock.sleep(1_000, controller.signal);
  controller.abort();
  await sleep;
  await assert.rejects(clock.until(new Promise(() => {})), /nothing came of it/);
});

test("until turns only as far as it must", async () => {
  const clock = new VirtualClock(0);
  void clock.sleep(100);
  assert.equal(await clock.until(clock.sleep(50).then(() => "done")), "done");
  assert.equal(clock.now(), 50);
  await assert.rejects(clock.until(clock.sleep(1_000), 10), /until 1970-01-01T00:00:00\.060Z/);
  await clock.untilTrue(() => clock.now() >= 100);
  assert.equal(clock.now(), 100);
});
