import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { takeLease } from "../../runtime/driver/lease.ts";

describe("the coordinator's lease", () => {
  test("is held by one until it is given back", async () => {
    const ports = openMemory();
    const first = await takeLease(ports, "a", 1_000);
    assert.equal(await takeLease(ports, "b", 1_000), undefined);
    await first!.release();
    assert.notEqual(await takeLease(ports, "b", 1_000), undefined);
  });

  test("ends by itself when its holder is gone", async () => {
    const ports = openMemory();
    await takeLease(ports, "a", 1_000);
    ports.clock.advance(999);
    assert.equal(await takeLease(ports, "b", 1_000), undefined);
    ports.clock.advance(1);
    assert.notEqual(await takeLease(ports, "b", 1_000), undefined);
  });

  test("of a holder whose clock was ahead, and who is gone, is over at once", async () => {
    const ahead = openMemory();
    ahead.clock.advance(3_600_000);
    const ports = openMemory();
    await takeLease({ journal: ports.journal, clock: ahead.clock }, "a", 60_000);
    assert.notEqual(await takeLease(ports, "b", 60_000), undefined);
  });

  test("goes to one of those who ask at once", async () => {
    const ports = openMemory();
    const taken = await Promise.all(["a", "b", "c"].map((by) => takeLease(ports, by, 1_000)));
    assert.equal(taken.filter((lease) => lease !== undefined).length, 1);
  });

  test("is not given back for another, who took it after its end", async () => {
    const ports = openMemory();
    const late = await takeLease(ports, "a", 1_000);
    ports.clock.advance(1_000);
    await takeLease(ports, "b", 1_000);
    await late!.release();
    assert.equal(await takeLease(ports, "c", 1_000), undefined);
  });

  test("is taken anew however often the ring has gone round", async () => {
    const ports = openMemory({ ringSize: 4 });
    for (let n = 0; n < 10; n++) await (await takeLease(ports, `life-${n}`, 1_000))!.release();
  });
});
