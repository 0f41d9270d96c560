/** The journal on DynamoDB where the service is slow, busy or read while it is written. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DeleteItemCommand } from "@aws-sdk/client-dynamodb";
import type { DynamoJournal } from "../../runtime/adapters/aws/dynamo-journal.ts";
import { ringPartition, slotSort } from "../../runtime/adapters/aws/names.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { type AttemptId, id, type TaskId } from "../../runtime/base/ids.ts";
import type { Journal } from "../../runtime/ports/journal.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { FaultyHandler, lose, pass, refusal } from "./faulty-handler.ts";
import { newJob, tableName, withDynamoDb } from "./stand-ins.ts";

const dynamodb = withDynamoDb();
const task = id<TaskId>("g1.count~0");
const ring = 4;

const entry = (seq: number, by = "a", bytes = bytesOf(`entry ${seq}`)) => ({ seq, attempt: id<AttemptId>(by), bytes });
const kind =
  (expected: Parameters<typeof isKind>[1], message = /./) =>
  (error: unknown) =>
    isKind(error, expected) && message.test(error.message);
const isWrite = (operation: string) => operation === "PutItem";
const isRingRead = (operation: string, body: any) =>
  operation === "Query" && body.ExpressionAttributeValues[":from"].S.startsWith("e");

async function fill(journal: Journal, upTo: number): Promise<void> {
  for (let seq = 1; seq <= upTo; seq += 1) assert.deepEqual(await journal.write(task, entry(seq)), { outcome: "written" });
}

async function seqsAfter(journal: Journal, after: number): Promise<readonly number[]> {
  return (await journal.tail(task, after)).entries.map(({ seq }) => seq);
}

/** A journal behind a handler, and one that sees the same without it. */
async function behindHandler(options: { readonly maxAttempts?: number; readonly ringSize?: number } = {}) {
  const handler = new FaultyHandler();
  const telemetry = new MemoryTelemetry();
  const job = newJob();
  const ringSize = options.ringSize ?? ring;
  const journal = await dynamodb.journal(ringSize, { job, handler, telemetry, maxAttempts: options.maxAttempts ?? 1 });
  return { handler, telemetry, job, journal, undisturbed: await dynamodb.journal(ringSize, { job }) };
}

describe("aws: a slot", () => {
  it("has exactly one winner of sixteen writers, round after round (R1)", async () => {
    const job = newJob();
    const writers = await Promise.all(Array.from({ length: 16 }, () => dynamodb.journal(ring, { job })));
    for (let seq = 1; seq <= 2 * ring + 1; seq += 1) {
      const results = await Promise.all(writers.map((journal, n) => journal.write(task, entry(seq, `writer ${n}`))));
      const winners = results.flatMap(({ outcome }, n) => (outcome === "written" ? [`writer ${n}`] : []));
      assert.equal(winners.length, 1, `entry ${seq}`);
      for (const result of results) {
        if (result.outcome === "lost") assert.deepEqual(result, { outcome: "lost", seq, by: winners[0] });
      }
    }
  });

  it("tells a lost response from a lost race, whoever repeats the write", async () => {
    const { handler, journal } = await behindHandler();
    let losses = 1;
    handler.decide = (operation) => (isWrite(operation) && losses-- > 0 ? lose : pass);
    await assert.rejects(journal.write(task, entry(1, "mine")), kind("unavailable"));
    assert.deepEqual(await journal.write(task, entry(1, "mine")), { outcome: "lost", seq: 1, by: "mine" });
    assert.deepEqual(await journal.write(task, entry(1, "other")), { outcome: "lost", seq: 1, by: "mine" });

    const repeating = await behindHandler({ maxAttempts: 3 });
    losses = 1;
    repeating.handler.decide = handler.decide;
    assert.deepEqual(await repeating.journal.write(task, entry(1, "mine")), { outcome: "lost", seq: 1, by: "mine" });
  });

  it("is tried again when the table is busy, and given up as unavailable with nothing written", async () => {
    const { handler, journal, undisturbed } = await behindHandler({ maxAttempts: 2 });
    let refusals = 1;
    handler.decide = () => (refusals-- > 0 ? refusal("ProvisionedThroughputExceededException") : pass);
    assert.deepEqual(await journal.write(task, entry(1)), { outcome: "written" });
    handler.decide = () => refusal("ThrottlingException");
    await assert.rejects(journal.write(task, entry(2)), kind("unavailable", /throttled.*state.*g1\.count~0/));
    assert.deepEqual(await seqsAfter(undisturbed, 0), [1]);
  });

  it("refuses an entry that no item can hold", async () => {
    const journal = await dynamodb.journal(ring);
    await assert.rejects(journal.write(task, entry(1, "a", new Uint8Array(409_600))), kind("invalid", /409600 bytes/));
    assert.deepEqual(await journal.write(task, entry(1, "a", new Uint8Array(409_000))), { outcome: "written" });
  });
});

describe("aws: reading a ring that is being written", () => {
  /** Shows slot of `seq` as it was a round ago, as often as `times`. */
  function showStale(handler: FaultyHandler, seq: number, times: number): void {
    const older = (item: any) => (item.s.S === slotSort(seq % ring) ? { ...item, n: { N: String(seq - ring) } } : item);
    let left = times;
    handler.decide = (operation, body) => {
      if (!isRingRead(operation, body) || left-- <= 0) return pass;
      return { kind: "change", change: (answer) => ({ ...answer, Items: answer.Items.map(older) }) };
    };
  }

  for (const after of [0, 4])
    it(`reads again when an entry is missing below the head, after ${after} (Q1)`, async () => {
      const { handler, journal, undisturbed } = await behindHandler();
      await fill(undisturbed, 7);
      await journal.tail(task, 0);
      showStale(handler, 6, 1);
      assert.deepEqual(await seqsAfter(journal, after), after === 0 ? [4, 5, 6, 7] : [5, 6, 7]);
    });

  for (const after of [0, 2, "head"] as const)
    it(`shows no entry without what was posted before it was written, after ${after} (Q3)`, async () => {
      const { handler, journal, undisturbed } = await behindHandler();
      await fill(undisturbed, 2);
      await journal.tail(task, 0);
      const request = { name: "checkpoint", version: 1, bytes: bytesOf("asked for") };
      let isPosted = false;
      handler.decide = async (operation, body) => {
        if (operation !== "Query" || isPosted) return pass;
        // The mailbox was read before, and its answer is on its way.
        if (!isRingRead(operation, body)) return { kind: "change", change: (answer) => ({ ...answer, Items: [], Count: 0 }) };
        isPosted = true;
        await undisturbed.post(task, request);
        await undisturbed.write(task, entry(3));
        return pass;
      };
      const { entries, messages } = await journal.tail(task, after);
      assert.equal(entries.at(-1)?.seq, 3);
      assert.deepEqual(
        messages.map(({ name }) => name),
        [request.name],
      );
    });

  it("takes what stays missing below a head that was seen before for corrupt (Q1)", async () => {
    const { handler, journal, undisturbed } = await behindHandler();
    await fill(undisturbed, 7);
    for (const after of [0, 4]) {
      showStale(handler, 6, Infinity);
      await assert.rejects(journal.tail(task, after), kind("corrupt", /missing from the ring: g1\.count~0, 6/));
    }
  });

  it("gives up as unavailable when the ring moves on under each read", async () => {
    const { handler, journal, undisturbed } = await behindHandler();
    await fill(undisturbed, 7);
    let reads = 0;
    const moved = (item: any) => ({ ...item, n: { N: String(Number(item.n.N) + ring * reads) } });
    handler.decide = (operation, body) => {
      if (!isRingRead(operation, body)) return pass;
      reads += 1;
      // Each read shows a later round, without the entry before its head.
      const hidden = (item: any) => item.s.S !== slotSort(6 % ring);
      return { kind: "change", change: (answer) => ({ ...answer, Items: answer.Items.filter(hidden).map(moved) }) };
    };
    await assert.rejects(journal.tail(task, 0), kind("unavailable", /torn/));
    assert.ok(reads > 2);
  });

  it("takes an entry that is really gone for corrupt", async () => {
    const job = newJob();
    const journal = await dynamodb.journal(ring, { job });
    await fill(journal, 7);
    const key = { p: { S: ringPartition(job, task) }, s: { S: slotSort(6 % ring) } };
    await (await dynamodb.client()).send(new DeleteItemCommand({ TableName: tableName, Key: key }));
    await assert.rejects(journal.tail(task, 0), kind("corrupt"));
    await assert.rejects(journal.write(task, entry(10)), kind("corrupt"));
  });

  it("reads whole what has several pages", async () => {
    const journal = await dynamodb.journal(8);
    for (let seq = 1; seq <= 10; seq += 1) await journal.write(task, entry(seq, "a", new Uint8Array(380_000)));
    assert.deepEqual(await seqsAfter(journal, 0), [3, 4, 5, 6, 7, 8, 9, 10]);
    assert.deepEqual(await seqsAfter(journal, 4), [5, 6, 7, 8, 9, 10]);
  });
});

describe("aws: what a read costs (Q2)", () => {
  async function costOf(journal: DynamoJournal, telemetry: MemoryTelemetry, after: number): Promise<number> {
    const before = telemetry.total("dynamodb.rru");
    await journal.tail(task, after);
    return telemetry.total("dynamodb.rru") - before;
  }

  it("is one item and the mailbox when nothing is new", async () => {
    const { handler, telemetry, journal } = await behindHandler({ ringSize: 16 });
    for (let seq = 1; seq <= 40; seq += 1) await journal.write(task, entry(seq, "a", new Uint8Array(7_000)));
    assert.equal(await costOf(journal, telemetry, 40), 2 + 1);
    handler.sent.length = 0;
    assert.deepEqual(await seqsAfter(journal, 40), []);
    assert.deepEqual(handler.sent, ["Query", "Query"]);
  });

  it("is what is new, in one query, for who knows how much others write", async () => {
    const { handler, journal, undisturbed } = await behindHandler({ ringSize: 16 });
    await fill(undisturbed, 6);
    assert.deepEqual(await seqsAfter(journal, 0), [1, 2, 3, 4, 5, 6]);
    const readOn = async (after: number, others: number) => {
      for (let seq = after + 1; seq <= after + others; seq += 1) await undisturbed.write(task, entry(seq));
      handler.sent.length = 0;
      assert.equal((await journal.tail(task, after)).entries.length, others);
      return handler.sent.length - 1; // the mailbox
    };
    assert.ok((await readOn(6, 3)) > 1);
    assert.equal(await readOn(9, 3), 1);
    assert.equal(await readOn(12, 3), 2, "the end of the ring, then its beginning");
  });

  it("is the whole ring for who was away for a round, and they learn that it has gone round", async () => {
    const { journal, undisturbed } = await behindHandler();
    await fill(undisturbed, 3);
    await journal.tail(task, 0);
    for (let seq = 4; seq <= 11; seq += 1) await undisturbed.write(task, entry(seq));
    assert.deepEqual(await seqsAfter(journal, 3), [8, 9, 10, 11]);
  });
});
