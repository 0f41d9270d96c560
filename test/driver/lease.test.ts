import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { takeLease } from "../../runtime/driver/lease.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import { lookLease, restoreLease } from "../../runtime/snapshots/names.ts";

describe("the coordinator's lease", () => {
  test("is held by one until it is given back", async () => {
    const ports = openMemory();
    const first = await takeLease(ports, lookLease, "a", 1_000);
    assert.equal(await takeLease(ports, lookLease, "b", 1_000), undefined);
    await first!.release();
    assert.notEqual(await takeLease(ports, lookLease, "b", 1_000), undefined);
  });

  test("ends by itself when its holder is gone", async () => {
    const ports = openMemory();
    await takeLease(ports, lookLease, "a", 1_000);
    ports.clock.advance(999);
    assert.equal(await takeLease(ports, lookLease, "b", 1_000), undefined);
    ports.clock.advance(1);
    assert.notEqual(await takeLease(ports, lookLease, "b", 1_000), undefined);
  });

  test("of a holder whose clock was ahead, and who is gone, is over at once", async () => {
    const ahead = openMemory();
    ahead.clock.advance(3_600_000);
    const ports = openMemory();
    await takeLease({ journal: ports.journal, clock: ahead.clock }, lookLease, "a", 60_000);
    assert.notEqual(await takeLease(ports, lookLease, "b", 60_000), undefined);
  });

  test("goes to one of those who ask at once", async () => {
    const ports = openMemory();
    const taken = await Promise.all(["a", "b", "c"].map((by) => takeLease(ports, lookLease, by, 1_000)));
    assert.equal(taken.filter((lease) => lease !== undefined).length, 1);
  });

  test("is not given back for another, who took it after its end", async () => {
    const ports = openMemory();
    const late = await takeLease(ports, lookLease, "a", 1_000);
    ports.clock.advance(1_000);
    await takeLease(ports, lookLease, "b", 1_000);
    await late!.release();
    assert.equal(await takeLease(ports, lookLease, "c", 1_000), undefined);
  });

  test("is taken anew however often the ring has gone round", async () => {
    const ports = openMemory({ ringSize: 4 });
    for (let n = 0; n < 10; n++) await (await takeLease(ports, lookLease, `life-${n}`, 1_000))!.release();
  });

  test("is prolonged by who holds it, and not by who was late", async () => {
    const ports = openMemory();
    const first = await takeLease(ports, lookLease, "a", 1_000);
    ports.clock.advance(900);
    assert.equal(await first!.prolong(1_000), true);
    ports.clock.advance(900);
    assert.equal(await takeLease(ports, lookLease, "b", 1_000), undefined);
    ports.clock.advance(100);
    assert.notEqual(await takeLease(ports, lookLease, "b", 1_000), undefined);
    assert.equal(await first!.prolong(1_000), false);
    await first!.release();
    assert.equal(await takeLease(ports, lookLease, "c", 1_000), undefined, "what is another's is not given back");
  });

  test("leaves no gap in its ring when it is not known whether it was prolonged", async () => {
    for (const isWritten of [false, true]) {
      const ports = openMemory();
      let fails = false;
      const write: Journal["write"] = async (...args) => {
        if (!fails) return ports.journal.write(...args);
        fails = false;
        if (isWritten) await ports.journal.write(...args);
        throw new MillraceError("unavailable", "no answer");
      };
      const journal = { tail: (...args: Parameters<Journal["tail"]>) => ports.journal.tail(...args), write } as Journal;
      const lease = await takeLease({ journal, clock: ports.clock }, lookLease, "a", 1_000);
      fails = true;
      await assert.rejects(lease!.prolong(1_000));
      assert.equal(await lease!.prolong(1_000), true);
      await lease!.release();
      assert.notEqual(await takeLease(ports, lookLease, "b", 1_000), undefined);
      const seqs = (await ports.journal.tail(lookLease, 0)).entries.map(({ seq }) => seq);
      assert.deepEqual(
        seqs,
        Array.from(seqs, (_, n) => n + 1),
      );
    }
  });

  test("is taken over by whom somebody waits for, and who had it finds that out", async () => {
    const ports = openMemory();
    const first = await takeLease(ports, lookLease, "a", 1_000);
    const second = await takeLease(ports, lookLease, "b", 1_000, true);
    assert.equal(await first!.prolong(1_000), false);
    assert.equal(await second!.prolong(1_000), true);
    await first!.release();
    assert.equal(await takeLease(ports, lookLease, "c", 1_000), undefined);
  });

  test("is one of its ring: others are taken beside it", async () => {
    const ports = openMemory();
    await takeLease(ports, lookLease, "a", 1_000);
    assert.notEqual(await takeLease(ports, restoreLease, "b", 1_000), undefined);
  });
});
