/** What dynalite itself does not stand: callers that die in the midst of a request, and an end that comes while it works. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import { describe, test } from "node:test";
import { BatchWriteItemCommand, DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { createTable } from "../../emulator/cloud/create-table.ts";
import { type DynamoDb, startDynamoDb } from "../../emulator/dynamodb/start-dynamo-db.ts";

const clientOf = ({ endpoint }: DynamoDb) =>
  new DynamoDBClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
    maxAttempts: 1,
  });

describe("the stand-in of DynamoDB", () => {
  test("ends what it is at before it stops (U1)", async () => {
    for (let n = 0; n < 20; n++) {
      const dynamodb = await startDynamoDb();
      const client = clientOf(dynamodb);
      await createTable(client, "items", { partitionKey: { name: "key", type: "S" } });
      const items = Array.from({ length: 25 }, (_, item) => ({ PutRequest: { Item: { key: { S: `${item}` } } } }));
      const writes = Array.from({ length: 20 }, () => client.send(new BatchWriteItemCommand({ RequestItems: { items } })));
      const outcomes = Promise.allSettled(writes);
      await Promise.race(writes);
      await dynamodb.stop();
      await outcomes;
      client.destroy();
    }
  });

  test("passes over a request that is cut (U2)", async () => {
    const dynamodb = await startDynamoDb();
    const socket = connect(Number(new URL(dynamodb.endpoint).port), "127.0.0.1");
    const headers = ["Host: x", "Content-Type: application/x-amz-json-1.0", "X-Amz-Target: DynamoDB_20120810.ListTables"];
    socket.write(`POST / HTTP/1.1\r\n${headers.join("\r\n")}\r\nContent-Length: 100\r\n\r\n{`);
    const client = clientOf(dynamodb);
    await client.send(new ListTablesCommand());
    socket.resetAndDestroy();
    await once(socket, "close");
    const { TableNames } = await client.send(new ListTablesCommand());
    assert.deepEqual(TableNames, []);
    client.destroy();
    await dynamodb.stop();
  });
});
