/** L16: a call of a port that has failed has left no request under way, which a frozen process would go on with in another turn. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoJournal } from "../../runtime/adapters/aws/dynamo-journal.ts";
import { DynamoTable } from "../../runtime/adapters/aws/dynamo-table.ts";
import type { Item } from "../../runtime/adapters/aws/item-size.ts";
import { attribute } from "../../runtime/adapters/aws/names.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";

/** A service of which the first request is refused at once, and all others answer `empty` a good while later. */
function slowTable(empty: object) {
  let underWay = 0;
  let requests = 0;
  const send = async () => {
    requests++;
    underWay++;
    try {
      if (requests === 1)
        throw Object.assign(new Error("no"), { name: "AccessDeniedException", $metadata: { httpStatusCode: 400 } });
      for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate);
      return empty;
    } finally {
      underWay--;
    }
  };
  const client = { send } as unknown as DynamoDBClient;
  const table = new DynamoTable(client, "table", "state", new MemoryTelemetry(), { clock: new ManualClock(), random: () => 0 });
  return { table, stand: () => ({ underWay, requests }) };
}

const keys = Array.from({ length: 250 }, (_, n): Item => ({
  [attribute.partition]: { S: "p" },
  [attribute.sort]: { S: String(n) },
}));
const task = id<TaskId>("g1.count~0");

for (const [what, work] of [
  ["a read of many items", (table: DynamoTable) => table.getAll(keys)],
  ["a deletion of many items", (table: DynamoTable) => table.deleteAll(keys)],
  ["a look at a task's entries and messages", (table: DynamoTable) => new DynamoJournal(table, "job", 128).tail(task, 1)],
] as const)
  test(`${what} that fails ends with the last of its requests`, async () => {
    const { table, stand } = slowTable({ Items: [], Responses: {} });
    await assert.rejects(work(table), (error) => isKind(error, "invalid"));
    const { underWay, requests } = stand();
    assert.ok(requests > 1, `${requests} requests`);
    assert.equal(underWay, 0);
  });
