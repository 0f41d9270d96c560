/**
 * The streams of emulated tables, by AWS's own SDK. What is of the contract runs against the server that MILLRACE_DYNAMODB_ENDPOINT names, too
 * (conformance-lanes.ts).
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  BatchWriteItemCommand,
  CreateTableCommand,
  DeleteItemCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import {
  type _Record as Change,
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
  ListStreamsCommand,
} from "@aws-sdk/client-dynamodb-streams";
import { type DynamoDbOptions, startDynamoDb } from "../../emulator/dynamodb/start-dynamo-db.ts";

const stops: (() => unknown)[] = [];
after(async () => {
  for (const stop of stops.reverse()) await stop();
});

/** Of this run: a server of others keeps tables. */
const run = randomUUID().slice(0, 8);
let names = 0;

async function startOurs(options: DynamoDbOptions = {}) {
  const { endpoint, stop } = await startDynamoDb(options);
  return clientsAt(endpoint, stop);
}

function clientsAt(endpoint: string, stop: () => Promise<void>) {
  const shared = { endpoint, region: "us-east-1", credentials: { accessKeyId: "a", secretAccessKey: "b" }, maxAttempts: 1 };
  const tables = new DynamoDBClient(shared);
  const streams = new DynamoDBStreamsClient(shared);
  const end = async () => {
    tables.destroy();
    streams.destroy();
    await stop();
  };
  stops.push(() => end().catch(() => undefined));
  return { tables, streams, end };
}

type Started = ReturnType<typeof clientsAt>;

async function createTable({ tables }: Started, TableName: string, streamed = true): Promise<string | undefined> {
  const { TableDescription } = await tables.send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      ...(streamed && { StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" } }),
    }),
  );
  for (;;) {
    const { Table } = await tables.send(new DescribeTableCommand({ TableName }));
    if (Table?.TableStatus !== "ACTIVE") continue;
    assert.equal(Table.LatestStreamArn, TableDescription?.LatestStreamArn);
    assert.equal(Table.StreamSpecification?.StreamEnabled, streamed ? true : undefined);
    return Table.LatestStreamArn;
  }
}

type From = Pick<GetShardIteratorCommandInput, "ShardIteratorType" | "SequenceNumber">;

async function changesOf({ streams }: Started, StreamArn: string, from: From = { ShardIteratorType: "TRIM_HORIZON" }) {
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }));
  const [shard] = StreamDescription!.Shards!;
  const iterator = new GetShardIteratorCommand({ StreamArn, ShardId: shard!.ShardId, ...from });
  let { ShardIterator } = await streams.send(iterator);
  const found: Change[] = [];
  for (;;) {
    // Few at a time: iterators go on where reads ended.
    const { Records = [], NextShardIterator } = await streams.send(new GetRecordsCommand({ ShardIterator, Limit: 2 }));
    if (Records.length === 0) return found;
    found.push(...Records);
    ShardIterator = NextShardIterator;
  }
}

const told = ({ eventName, dynamodb }: Change) => [
  eventName,
  dynamodb!.Keys!.id!.S,
  dynamodb!.OldImage?.n?.N,
  dynamodb!.NewImage?.n?.N,
];

const reference = process.env.MILLRACE_DYNAMODB_ENDPOINT;
const servers: readonly (readonly [string, () => Promise<Started>])[] = [
  ["ours", () => startOurs()],
  ...(reference === undefined ? [] : [[reference, async () => clientsAt(reference, async () => {})] as const]),
];

const item = (id: string, n: number) => ({ id: { S: id }, n: { N: String(n) }, raw: { B: new Uint8Array([1, 255]) } });

for (const [name, start] of servers)
  describe(`table streams contract: ${name}`, () => {
    test("tell what a write has changed, with the item before and after it, and nothing of what changed nothing", async () => {
      const cloud = await start();
      const [items, others] = [`items-${run}-${++names}`, `others-${run}-${names}`];
      const arn = (await createTable(cloud, items))!;
      await createTable(cloud, others, false);
      const { tables, streams } = cloud;
      await tables.send(new PutItemCommand({ TableName: items, Item: item("a", 1) }));
      await tables.send(new PutItemCommand({ TableName: items, Item: item("a", 1) }));
      await tables.send(new PutItemCommand({ TableName: others, Item: item("a", 1) }));
      const set = {
        UpdateExpression: "SET #n = :n",
        ExpressionAttributeNames: { "#n": "n" },
        ExpressionAttributeValues: { ":n": { N: "2" } },
      };
      const updated = await tables.send(
        new UpdateItemCommand({ TableName: items, Key: { id: { S: "a" } }, ReturnValues: "UPDATED_OLD", ...set }),
      );
      assert.deepEqual(updated.Attributes, { n: { N: "1" } }, "the caller gets what it asked for");
      const refused = { ...set, ConditionExpression: "attribute_not_exists(id)" };
      await assert.rejects(tables.send(new UpdateItemCommand({ TableName: items, Key: { id: { S: "a" } }, ...refused })), {
        name: "ConditionalCheckFailedException",
      });
      await tables.send(
        new BatchWriteItemCommand({
          RequestItems: {
            [items]: [{ PutRequest: { Item: item("b", 5) } }, { DeleteRequest: { Key: { id: { S: "a" } } } }],
            [others]: [{ PutRequest: { Item: item("c", 6) } }],
          },
        }),
      );
      await tables.send(new DeleteItemCommand({ TableName: items, Key: { id: { S: "nobody" } } }));
      const changes = await changesOf(cloud, arn);
      assert.deepEqual(changes.map(told), [
        ["INSERT", "a", undefined, "1"],
        ["MODIFY", "a", "1", "2"],
        ["INSERT", "b", undefined, "5"],
        ["REMOVE", "a", "2", undefined],
      ]);
      assert.deepEqual(Buffer.from(changes[0]!.dynamodb!.NewImage!.raw!.B!), Buffer.from([1, 255]));
      const numbers = changes.map(({ dynamodb }) => BigInt(dynamodb!.SequenceNumber!));
      assert.ok(numbers.every((number, n) => n === 0 || number > numbers[n - 1]!));
      const { SequenceNumber } = changes[1]!.dynamodb!;
      for (const [ShardIteratorType, left] of [
        ["AT_SEQUENCE_NUMBER", 3],
        ["AFTER_SEQUENCE_NUMBER", 2],
      ] as const)
        assert.equal((await changesOf(cloud, arn, { ShardIteratorType, SequenceNumber })).length, left, ShardIteratorType);
      assert.deepEqual(await changesOf(cloud, arn, { ShardIteratorType: "LATEST" }), []);
      await assert.rejects(changesOf(cloud, arn, { ShardIteratorType: "LATEST", SequenceNumber }), {
        name: "ValidationException",
      });
      const { Streams = [] } = await streams.send(new ListStreamsCommand({ TableName: items }));
      assert.deepEqual(
        Streams.map(({ TableName, StreamArn }) => [TableName, StreamArn]),
        [[items, arn]],
      );
    });

    test("have every change once and in order, however many write one item at a time", async () => {
      const cloud = await start();
      const items = `items-${run}-${++names}`;
      const arn = (await createTable(cloud, items))!;
      const add = { UpdateExpression: "ADD n :one", ExpressionAttributeValues: { ":one": { N: "1" } } };
      const update = () => cloud.tables.send(new UpdateItemCommand({ TableName: items, Key: { id: { S: "a" } }, ...add }));
      await Promise.all(Array.from({ length: 40 }, update));
      const changes = await changesOf(cloud, arn);
      assert.deepEqual(
        changes.map(({ dynamodb }) => [dynamodb!.OldImage?.n?.N ?? "0", dynamodb!.NewImage?.n?.N]),
        Array.from({ length: 40 }, (_, n) => [String(n), String(n + 1)]),
      );
    });

    test("refuse what they do not have", async () => {
      const cloud = await start();
      const items = `items-${run}-${++names}`;
      const arn = (await createTable(cloud, items))!;
      const notFound = { name: "ResourceNotFoundException" };
      await assert.rejects(cloud.streams.send(new DescribeStreamCommand({ StreamArn: `${arn}x` })), notFound);
      const iterator = { StreamArn: arn, ShardIteratorType: "TRIM_HORIZON" } as const;
      await assert.rejects(
        cloud.streams.send(new GetShardIteratorCommand({ ...iterator, ShardId: "shardId-00000000000000000001" })),
        notFound,
      );
    });
  });

test("go on in their folder with what was there (S2)", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-table-streams-"));
  stops.push(() => rmSync(folder, { recursive: true, force: true }));
  const options = { directory: join(folder, "tables"), streamsDirectory: join(folder, "streams") };
  const first = await startOurs(options);
  const arn = (await createTable(first, "items"))!;
  await first.tables.send(new PutItemCommand({ TableName: "items", Item: item("a", 1) }));
  const [change] = await changesOf(first, arn);
  await first.end();
  const second = await startOurs(options);
  await second.tables.send(new PutItemCommand({ TableName: "items", Item: item("a", 2) }));
  const { SequenceNumber } = change!.dynamodb!;
  const left = await changesOf(second, arn, { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", SequenceNumber });
  assert.deepEqual(left.map(told), [["MODIFY", "a", "1", "2"]]);
  assert.equal((await changesOf(second, arn)).length, 2);
  await second.end();
  // Its process died while it wrote.
  appendFileSync(join(options.streamsDirectory, "items.ndjson"), '{"eventID":"1000');
  const third = await startOurs(options);
  await third.tables.send(new PutItemCommand({ TableName: "items", Item: item("a", 3) }));
  await third.end();
  const fourth = await startOurs(options);
  const all = [["INSERT", "a", undefined, "1"] as const, ["MODIFY", "a", "1", "2"] as const, ["MODIFY", "a", "2", "3"] as const];
  assert.deepEqual((await changesOf(fourth, arn)).map(told), all);
});
