/** Leases: advisory ownership among processes (E1). */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { alreadyRunning, type LeaseHolder } from "../../runtime/adapters/local/leases.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { newDirectory, openForTest } from "./local-directory.ts";

const ttlMs = 10_000;

async function open() {
  const clock = new ManualClock({ now: 1_000_000 });
  const directory = newDirectory();
  const { leases } = await openForTest({ clock }, directory);
  return { clock, directory, leases };
}

describe("leases", () => {
  it("have one holder, who may take them again", async () => {
    const { leases } = await open();
    assert.equal(await leases.acquire("count/0", "a", ttlMs), "acquired");
    const refused = await leases.acquire("count/0", "b", ttlMs);
    assert.ok(typeof refused === "object");
    assert.deepEqual([refused.heldBy.holder, refused.heldBy.pid, refused.heldBy.until], ["a", process.pid, 1_010_000]);
    assert.equal(await leases.acquire("count/0", "a", ttlMs), "acquired");
    assert.equal(await leases.acquire("count/1", "b", ttlMs), "acquired");
    assert.deepEqual(
      [...(await leases.held())].map(([name, { holder }]) => [name, holder]),
      [
        ["count/0", "a"],
        ["count/1", "b"],
      ],
    );
  });

  it("go to one of those who ask at once", async () => {
    const { leases } = await open();
    const results = await Promise.all(["a", "b", "c"].map((holder) => leases.acquire("count/0", holder, ttlMs)));
    assert.equal(results.filter((result) => result === "acquired").length, 1);
  });

  it("end at their time, unless renewed before (E1)", async () => {
    const { clock, leases } = await open();
    await leases.acquire("count/0", "a", ttlMs);
    clock.advance(9_999);
    assert.equal(await leases.renew("count/0", "a", ttlMs), "renewed");
    clock.advance(9_999);
    assert.notEqual(await leases.acquire("count/0", "b", ttlMs), "acquired");
    clock.advance(1);
    assert.deepEqual(await leases.renew("count/0", "a", ttlMs), { heldBy: undefined });
    assert.equal(await leases.acquire("count/0", "b", ttlMs), "acquired");
    const lost = await leases.renew("count/0", "a", ttlMs);
    assert.ok(typeof lost === "object" && lost.heldBy?.holder === "b");
  });

  it("are free once released, by their holder alone", async () => {
    const { leases } = await open();
    await leases.acquire("count/0", "a", ttlMs);
    await leases.release("count/0", "b");
    assert.notEqual(await leases.acquire("count/0", "b", ttlMs), "acquired");
    await leases.release("count/0", "a");
    assert.equal(await leases.acquire("count/0", "b", ttlMs), "acquired");
  });

  it("of a process that is gone are free at once (E1)", async () => {
    const { directory, leases } = await open();
    const runtime = `${import.meta.dirname}/../../runtime/adapters/local/open-local.ts`;
    const program = `
      const { openLocal } = await import(${JSON.stringify(runtime)});
      const { leases } = await openLocal(${JSON.stringify(directory)}, { job: "pageviews" });
      await leases.acquire("count/0", "gone", 600_000_000);
      process.kill(process.pid, "SIGKILL");`;
    assert.equal(spawnSync(process.execPath, ["--input-type=module", "-e", program]).signal, "SIGKILL");
    assert.equal((await leases.held()).size, 0);
    assert.equal(await leases.acquire("count/0", "a", ttlMs), "acquired");
  });

  it("of a process that lives are not, and the error names it", async () => {
    const { directory, clock, leases } = await open();
    const second = await openForTest({ clock }, directory);
    await leases.acquire("job", "first", ttlMs);
    const refused = await second.leases.acquire("job", "second", ttlMs);
    assert.ok(typeof refused === "object");
    const error = alreadyRunning("pageviews", directory, refused.heldBy satisfies LeaseHolder);
    assert.ok(isKind(error, "fenced"));
    assert.match(error.message, new RegExp(`another process runs this job.*pageviews.*process ${process.pid} on `));
  });
});
