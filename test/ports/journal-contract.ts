/**
 * What every journal must hold. Made for rings of `contractRingSize` slots, so that they wrap soon.
 *
 * J1 Entry n is written at most once; a loser learns the holder's seq and attempt.
 * J2 A tail is in order and without gaps up to the head; what the ring has moved past is missing from its beginning only.
 * J3 Of messages of one name, the highest version stays.
 * J4 What is withdrawn or forgotten leaves nothing behind.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { id, type AttemptId, type TaskId } from "../../runtime/base/ids.ts";
import { isKind } from "../../runtime/base/errors.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import { type AdapterMaker, bytesOf, textOf } from "./adapter-maker.ts";

export const contractRingSize = 4;

const task = id<TaskId>("count/0");
const other = id<TaskId>("count/1");

const attempt = (name: string) => id<AttemptId>(name);
const entry = (seq: number, by = "a") => ({ seq, attempt: attempt(by), bytes: bytesOf(`entry ${seq} by ${by}`) });

async function filled(make: AdapterMaker<Journal>, upTo: number): Promise<Journal> {
  const journal = await make();
  for (let seq = 1; seq <= upTo; seq += 1) assert.deepEqual(await journal.write(task, entry(seq)), { outcome: "written" });
  return journal;
}

async function seqsAfter(journal: Journal, after: number): Promise<readonly number[]> {
  return (await journal.tail(task, after)).entries.map(({ seq }) => seq);
}

export function journalContract(name: string, make: AdapterMaker<Journal>): void {
  describe(`${name}: journal contract`, () => {
    it("has the ring size it was made with", async () => {
      assert.equal((await make()).ringSize, contractRingSize);
    });

    it("gives an empty tail for a task that never wrote", async () => {
      assert.deepEqual(await (await make()).tail(task, 0), { entries: [], messages: [] });
    });

    it("gives entries back in order, with their bytes (J2)", async () => {
      const journal = await filled(make, 3);
      const { entries } = await journal.tail(task, 0);
      assert.deepEqual(
        entries.map((read) => [read.seq, textOf(read.bytes)]),
        [1, 2, 3].map((seq) => [seq, `entry ${seq} by a`]),
      );
    });

    it("gives only what comes after the seq asked for", async () => {
      const journal = await filled(make, 4);
      assert.deepEqual(await seqsAfter(journal, 2), [3, 4]);
      assert.deepEqual(await seqsAfter(journal, 4), []);
      assert.deepEqual(await seqsAfter(journal, 9), []);
    });

    it("gives the head alone, wherever it has moved to (J2)", async () => {
      const journal = await make();
      const headOf = async () => (await journal.tail(task, "head")).entries.map((read) => [read.seq, textOf(read.bytes)]);
      assert.deepEqual(await headOf(), []);
      await journal.post(task, { name: "wake", version: 1, bytes: bytesOf("w") });
      for (const upTo of [1, 2, 4, 5, 11]) {
        for (let seq = (await headOf()).length === 0 ? 1 : Number((await headOf())[0]![0]) + 1; seq <= upTo; seq += 1) {
          await journal.write(task, entry(seq));
        }
        assert.deepEqual(await headOf(), [[upTo, `entry ${upTo} by a`]]);
      }
      assert.equal((await journal.tail(task, "head")).messages.length, 1);
    });

    it("goes round: the tail begins later than asked once the ring has moved on (J2)", async () => {
      const journal = await filled(make, 11);
      assert.deepEqual(await seqsAfter(journal, 0), [8, 9, 10, 11]);
      assert.deepEqual(await seqsAfter(journal, 5), [8, 9, 10, 11]);
      assert.deepEqual(await seqsAfter(journal, 9), [10, 11]);
    });

    it("refuses a second write of an entry and names who holds it (J1)", async () => {
      const journal = await filled(make, 2);
      assert.deepEqual(await journal.write(task, entry(2, "b")), { outcome: "lost", seq: 2, by: attempt("a") });
      assert.equal(textOf((await journal.tail(task, 1)).entries[0]!.bytes), "entry 2 by a");
    });

    it("answers a repeated write with the caller's own attempt", async () => {
      const journal = await filled(make, 2);
      assert.deepEqual(await journal.write(task, entry(2, "a")), { outcome: "lost", seq: 2, by: attempt("a") });
    });

    it("refuses a zombie whose slot has been taken by a later round (J1)", async () => {
      const journal = await filled(make, 7);
      assert.deepEqual(await journal.write(task, entry(3, "zombie")), { outcome: "lost", seq: 7, by: attempt("a") });
      assert.deepEqual(await seqsAfter(journal, 0), [4, 5, 6, 7]);
    });

    it("takes the first entry of the second round only over the first (J1)", async () => {
      const journal = await filled(make, 4);
      assert.deepEqual(await journal.write(task, entry(5)), { outcome: "written" });
      assert.deepEqual(await seqsAfter(journal, 0), [2, 3, 4, 5]);
    });

    it("lets exactly one of racing attempts win (J1)", async () => {
      const journal = await filled(make, 5);
      const results = await Promise.all(["a", "b", "c", "d"].map((by) => journal.write(task, entry(6, by))));
      assert.equal(results.filter(({ outcome }) => outcome === "written").length, 1);
      const winner = textOf((await journal.tail(task, 5)).entries[0]!.bytes).slice(-1);
      for (const result of results) {
        if (result.outcome === "lost") assert.deepEqual(result, { outcome: "lost", seq: 6, by: attempt(winner) });
      }
    });

    it("reports entries that are missing from the ring as corrupt", async () => {
      const journal = await filled(make, 1);
      await assert.rejects(journal.write(task, entry(contractRingSize + 2)), (error) => isKind(error, "corrupt"));
    });

    it("keeps tasks apart", async () => {
      const journal = await filled(make, 3);
      assert.deepEqual(await journal.write(other, entry(1)), { outcome: "written" });
      await journal.post(other, { name: "wake", version: 1, bytes: bytesOf("w") });
      assert.deepEqual(await seqsAfter(journal, 0), [1, 2, 3]);
      assert.deepEqual((await journal.tail(task, 0)).messages, []);
      assert.equal((await journal.tail(other, 0)).entries.length, 1);
    });

    it("keeps bytes of every size as they are", async () => {
      const journal = await make();
      const large = new Uint8Array(300_000).map((_, n) => (n * 31) % 256);
      await journal.write(task, { seq: 1, attempt: attempt("a"), bytes: large });
      await journal.write(task, { seq: 2, attempt: attempt("a"), bytes: new Uint8Array(0) });
      const { entries } = await journal.tail(task, 0);
      assert.deepEqual(entries[0]!.bytes, large);
      assert.equal(entries[1]!.bytes.length, 0);
    });

    it("hands out bytes that belong to the caller", async () => {
      const journal = await filled(make, 1);
      await journal.post(task, { name: "wake", version: 1, bytes: bytesOf("wake") });
      const first = await journal.tail(task, 0);
      first.entries[0]!.bytes.fill(0);
      first.messages[0]!.bytes.fill(0);
      const second = await journal.tail(task, 0);
      assert.equal(textOf(second.entries[0]!.bytes), "entry 1 by a");
      assert.equal(textOf(second.messages[0]!.bytes), "wake");
    });

    it("keeps the message with the highest version of each name (J3)", async () => {
      const journal = await make();
      const post = (named: string, version: number) =>
        journal.post(task, { name: named, version, bytes: bytesOf(`${named} ${version}`) });
      assert.equal(await post("checkpoint", 3), "posted");
      assert.equal(await post("checkpoint", 2), "superseded");
      assert.equal(await post("checkpoint", 3), "superseded");
      assert.equal(await post("checkpoint", 10), "posted");
      assert.equal(await post("wake", 1), "posted");
      const { messages } = await journal.tail(task, 0);
      assert.deepEqual(messages.map((message) => [message.name, message.version, textOf(message.bytes)]).sort(), [
        ["checkpoint", 10, "checkpoint 10"],
        ["wake", 1, "wake 1"],
      ]);
    });

    it("gives messages whatever entries were asked for, and writes do not touch them", async () => {
      const journal = await make();
      await journal.post(task, { name: "wake", version: 1, bytes: bytesOf("w") });
      for (let seq = 1; seq <= 9; seq += 1) await journal.write(task, entry(seq));
      assert.equal((await journal.tail(task, 9)).messages.length, 1);
    });

    it("withdraws messages by name, and passes over others (J4)", async () => {
      const journal = await filled(make, 2);
      const message = (name: string) => ({ name, version: 1, bytes: bytesOf(name) });
      for (const name of ["a", "b", "c"]) await journal.post(task, message(name));
      await journal.post(other, message("a"));
      await journal.withdraw(task, ["a", "c", "never"]);
      assert.deepEqual(
        (await journal.tail(task, 0)).messages.map(({ name }) => name),
        ["b"],
      );
      assert.equal((await journal.tail(other, 0)).messages.length, 1);
      assert.deepEqual(await seqsAfter(journal, 0), [1, 2]);
      assert.equal(await journal.post(task, message("a")), "posted", "its version is forgotten with it");
    });

    it("forgets a task whole, and no other (J4)", async () => {
      const journal = await filled(make, 9);
      await journal.post(task, { name: "a", version: 3, bytes: bytesOf("a") });
      await journal.write(other, entry(1));
      await journal.forget(task);
      assert.deepEqual(await journal.tail(task, 0), { entries: [], messages: [] });
      assert.equal((await journal.tail(other, 0)).entries.length, 1);
      await journal.forget(task);
      assert.deepEqual(await journal.write(task, entry(1)), { outcome: "written" });
    });
  });
}
