/** The clock that is turned by hand, and the machine's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";

/** Lets everything run that is ready to. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("manual clock", () => {
  it("wakes sleepers in the order of their times, and only once it has passed them", async () => {
    const clock = new ManualClock({ now: 1000 });
    const woken: string[] = [];
    void clock.sleep(300).then(() => woken.push("late"));
    void clock.sleep(100).then(() => woken.push("early"));
    void clock.sleep(500).then(() => woken.push("never"));
    clock.advance(99);
    await settle();
    assert.deepEqual(woken, []);
    clock.advance(201);
    await settle();
    assert.deepEqual(woken, ["early", "late"]);
    assert.equal(clock.now(), 1300);
    assert.equal(clock.nextWakeUp(), 1500);
  });

  it("ends a sleep early when the signal is aborted", async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const sleep = clock.sleep(1000, abort.signal);
    abort.abort();
    await sleep;
    assert.equal(clock.nextWakeUp(), undefined);
    await clock.sleep(1000, abort.signal);
  });

  it("counts down to its deadline and is not turned back", () => {
    const clock = new ManualClock({ now: 10, deadline: 100 });
    clock.advance(60);
    assert.equal(clock.remainingMs(), 30);
    clock.advance(60);
    assert.equal(clock.remainingMs(), 0);
    assert.throws(() => clock.set(5), /not turned back/);
  });
});

describe("system clock", () => {
  it("ends a sleep early when the signal is aborted", async () => {
    const clock = new SystemClock();
    const abort = new AbortController();
    const sleep = clock.sleep(600_000, abort.signal);
    abort.abort();
    await sleep;
    await clock.sleep(600_000, abort.signal);
    assert.equal(clock.remainingMs(), Number.POSITIVE_INFINITY);
  });
});

describe("telemetry in memory", () => {
  it("adds units up by name and by label", () => {
    const telemetry = new MemoryTelemetry();
    telemetry.add("s3.put", 1, { task: "a", stage: "x" });
    telemetry.add("s3.put", 2, { stage: "x", task: "a" });
    telemetry.add("s3.put", 4);
    assert.equal(telemetry.total("s3.put"), 7);
    assert.equal(telemetry.total("s3.put", { task: "a", stage: "x" }), 3);
    assert.equal(telemetry.total("s3.get"), 0);
    assert.deepEqual(telemetry.labelledTotals(), { "s3.put{stage=x,task=a}": 3 });
  });
});
