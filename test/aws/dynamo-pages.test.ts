/** Pages on DynamoDB where the service leaves part of a request undone, and what the size rules say of items. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { pageBytesMax } from "../../runtime/adapters/aws/dynamo-pages.ts";
import { type Item, itemBytes, writeUnits } from "../../runtime/adapters/aws/item-size.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type OperatorUid, type TaskId } from "../../runtime/base/ids.ts";
import type { PageId } from "../../runtime/ports/pages.ts";
import { FaultyHandler, lose, pass } from "./faulty-handler.ts";
import { HastyClock, newJob, tableName, withDynamoDb } from "./stand-ins.ts";

const dynamodb = withDynamoDb();
const pageId = (keyGroup: number): PageId => ({ writer: id<TaskId>("g1.count~0"), operator: id<OperatorUid>("count"), keyGroup });
const page = (keyGroup: number, version: number, bytes = new Uint8Array(10)) => ({ ...pageId(keyGroup), version, bytes });
const ids = Array.from({ length: 60 }, (_, n) => pageId(n));

async function behindHandler(clock = new HastyClock()) {
  const handler = new FaultyHandler();
  const job = newJob();
  const telemetry = new MemoryTelemetry();
  const pages = await dynamodb.pages({ job, handler, maxAttempts: 1, clock, telemetry });
  return { handler, pages, clock, telemetry, undisturbed: await dynamodb.pages({ job }) };
}

describe("aws: pages", () => {
  it("asks again for keys that were left unprocessed, ever later while none gets through", async () => {
    const { handler, pages, clock, undisturbed } = await behindHandler();
    await Promise.all(ids.map(({ keyGroup }) => undisturbed.put(page(keyGroup, keyGroup + 1))));
    let reads = 0;
    handler.decide = (operation, body) => {
      if (operation !== "BatchGetItem") return pass;
      const done = [20, 0, 0, 30, 60][reads++] ?? 60;
      const keys = body.RequestItems[tableName].Keys as { s: { S: string } }[];
      const left = new Set(keys.slice(done).map(({ s }) => s.S));
      return {
        kind: "change",
        change: (answer) => ({
          Responses: { [tableName]: answer.Responses[tableName].filter((item: any) => !left.has(item.s.S)) },
          UnprocessedKeys: left.size === 0 ? {} : { [tableName]: { Keys: keys.slice(done) } },
        }),
      };
    };
    const found = await pages.get(ids);
    assert.deepEqual(
      found.map((stored) => stored?.version),
      ids.map(({ keyGroup }) => keyGroup + 1),
    );
    assert.equal(reads, 5);
    assert.deepEqual(clock.slept, [25, 50, 100, 25], "half of what is allowed, with the tests' chance");
  });

  it("gives up as unavailable when nothing gets through, or when the invocation's time is up", async () => {
    const { handler, pages } = await behindHandler();
    const refuseAll = (_: string, body: any) =>
      ({
        kind: "change",
        change: () => ({ Responses: {}, UnprocessedKeys: body.RequestItems }),
      }) as const;
    handler.decide = refuseAll;
    await assert.rejects(pages.get(ids), (error) => isKind(error, "unavailable") && /unprocessed/.test(error.message));
    assert.equal(handler.sent.length, 9);

    const late = new FaultyHandler();
    late.decide = refuseAll;
    const clock = new ManualClock({ now: 0, deadline: 500 });
    const hurried = await dynamodb.pages({ handler: late, maxAttempts: 1, clock });
    await assert.rejects(hurried.get(ids), (error) => isKind(error, "unavailable"));
    assert.equal(late.sent.length, 1);
  });

  it("deletes what was left undeleted", async () => {
    const { handler, pages, undisturbed } = await behindHandler();
    await Promise.all(ids.map(({ keyGroup }) => undisturbed.put(page(keyGroup, 1))));
    let deletes = 0;
    handler.decide = (operation, body) => {
      if (operation !== "BatchWriteItem" || ++deletes > 1) return pass;
      const left = body.RequestItems[tableName] as object[];
      return { kind: "change", change: () => ({ UnprocessedItems: { [tableName]: left } }) };
    };
    await pages.delete(ids);
    assert.ok((await undisturbed.get(ids)).every((stored) => stored === undefined));
    assert.equal(deletes, 4);
  });

  it("reads pages that together are more than one answer holds", async () => {
    const pages = await dynamodb.pages();
    const large = ids.slice(0, 12);
    for (const { keyGroup } of large) await pages.put(page(keyGroup, 1, new Uint8Array(pageBytesMax).fill(keyGroup)));
    for (const [n, stored] of (await pages.get(large)).entries()) {
      assert.deepEqual([stored?.bytes.length, stored?.bytes[0]], [pageBytesMax, n]);
    }
    await assert.rejects(pages.put(page(1, 2, new Uint8Array(pageBytesMax + 1))), (error) => isKind(error, "invalid"));
  });

  it("keeps the newer page when a put whose answer was lost is repeated after it", async () => {
    const { handler, pages, undisturbed } = await behindHandler();
    handler.decide = () => lose;
    await assert.rejects(pages.put(page(1, 5)), (error) => isKind(error, "unavailable"));
    await undisturbed.put(page(1, 6));
    handler.decide = () => pass;
    assert.equal(await pages.put(page(1, 5)), "superseded");
    assert.equal((await pages.get([pageId(1)]))[0]?.version, 6);
  });
});

describe("aws: units", () => {
  it("agree with what the stand-in computes, for items of any size", async () => {
    const client = await dynamodb.client();
    const item = (name: string, n: number, size: number): Item => ({
      p: { S: `units/${name}` },
      s: { S: "page" },
      n: { N: String(n) },
      b: { B: new Uint8Array(size) },
    });
    await fc.assert(
      fc.asyncProperty(
        fc.string({ minLength: 1, maxLength: 40 }), // it counts characters, not their bytes
        fc.nat(),
        fc.oneof(fc.nat(3_000), fc.integer({ min: 960, max: 1_030 })),
        async (name, n, size) => {
          const Item = item(name, n, size);
          const answer = await client.send(new PutItemCommand({ TableName: tableName, Item, ReturnConsumedCapacity: "TOTAL" }));
          const alone = answer.ConsumedCapacity!.CapacityUnits!;
          assert.ok(alone >= writeUnits(itemBytes(Item)));
          const again = await client.send(new PutItemCommand({ TableName: tableName, Item, ReturnConsumedCapacity: "TOTAL" }));
          assert.equal(again.ConsumedCapacity!.CapacityUnits, writeUnits(itemBytes(Item)));
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
  });

  it("are counted for what was refused as for what was done", async () => {
    const { pages, telemetry } = await behindHandler();
    await pages.put(page(1, 2, new Uint8Array(5_000)));
    assert.equal(telemetry.total("dynamodb.wru", { part: "pages" }), 5);
    assert.equal(await pages.put(page(1, 1)), "superseded");
    assert.equal(telemetry.total("dynamodb.wru"), 10, "by the size of the item that stands there");
    await pages.put(page(1, 3));
    assert.equal(telemetry.total("dynamodb.wru"), 15, "by the larger of old and new");
  });
});
