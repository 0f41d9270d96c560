/**
 * What no exception tells of, in processes as Lambda's: a record at which the handler never returns, and one at which it takes all memory.
 * Time and memory end the process; the record goes to the dead letters, its neighbours are written once (L14).
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { type CloudEvent, type EmulatedCloud, startCloud, type Topology } from "../../emulator/cloud/index.ts";
import { deadLetterPrefix, entryOf, lookCommand, writeSettings } from "../../functions/contract.ts";
import { until } from "../emulator/lambda/environments.ts";
import { endless, endlessly, greedy } from "./jobs/deadly-job.ts";

const jobPath = join(import.meta.dirname, "jobs/deadly-job.ts");
const functions = join(import.meta.dirname, "../../functions");
const environment = writeSettings({
  stateTable: "state",
  stateBucket: "state",
  deadLetterBucket: "letters",
  deployment: 1,
  bindings: {},
  inboxes: {},
  taskFunctions: { numbers: ["task"] },
  stage: "numbers",
  cell: 0,
});
const functionOf = (kind: "task" | "coordinator", timeout: number) => ({
  entry: { contents: entryOf(kind, jobPath, functions), directory: import.meta.dirname },
  environment,
  timeout,
  memorySize: 256,
});

const topology: Topology = {
  streams: { numbers: { shardCount: 1 } },
  tables: {
    state: { partitionKey: { name: "p", type: "S" }, sortKey: { name: "s", type: "S" } },
    rows: { partitionKey: { name: "n", type: "N" } },
  },
  buckets: ["state", "letters"],
  functions: { task: functionOf("task", 60), coordinator: functionOf("coordinator", 60) },
  eventSourceMappings: [
    {
      functionName: "task",
      streamName: "numbers",
      startingPosition: "TRIM_HORIZON",
      functionResponseTypes: ["ReportBatchItemFailures"],
    },
  ],
  schedules: {
    look: { scheduleExpression: "rate(1 minute)", functionName: "coordinator", input: lookCommand },
  },
};

const clouds: EmulatedCloud[] = [];
after(() => Promise.all(clouds.map((cloud) => cloud.stop())));

async function rowsOf({ clients }: EmulatedCloud): Promise<readonly number[]> {
  const { Items = [] } = await clients.dynamodb.send(new ScanCommand({ TableName: "rows", ConsistentRead: true }));
  return Items.map(({ n }) => Number(n?.N)).sort((a, b) => a - b);
}

async function lettersOf({ clients: { s3 } }: EmulatedCloud): Promise<string> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: "letters", Prefix: deadLetterPrefix("deadly") }));
  const bodies = Contents.map(async ({ Key }) =>
    (await s3.send(new GetObjectCommand({ Bucket: "letters", Key: Key! }))).Body!.transformToString(),
  );
  return (await Promise.all(bodies)).join("\n");
}

test("a handler that never returns, and one that takes all memory: the record goes to the dead letters, its neighbours are written", async () => {
  const events: CloudEvent[] = [];
  const onEvent = (event: CloudEvent) => {
    events.push(event);
    if (event.kind !== "log" || !event.line.text.endsWith(endlessly)) return;
    // What would take all its time has had it: nobody waits for it, and whoever is slow has enough.
    for (const environment of cloud.environments("task")) if (environment.id === event.line.environment) environment.timeOut();
  };
  const cloud = await startCloud(topology, {
    base: import.meta.dirname,
    mappings: { timings: { pollIntervalMs: 50, backOffMs: 50, backOffMsMax: 200 } },
    onEvent,
  });
  clouds.push(cloud);
  const reports = (functionName: string) =>
    events.flatMap((event) => (event.kind === "report" && event.report.functionName === functionName ? [event.report] : []));
  // The schedule has rung when it was made. What is poked may live for a while where it dies, and the batch would wait for it.
  await cloud.invoke("coordinator", lookCommand);
  await until(() => reports("coordinator").length >= 2 && reports("task").length === cloud.counts("task").invocations);
  const numbers = Array.from({ length: 4 }, (_, n) => n);
  const Records = numbers.map((n) => ({ PartitionKey: "k", Data: Buffer.from(String(n)) }));
  await cloud.clients.kinesis.send(new PutRecordsCommand({ StreamName: "numbers", Records }));
  const expected = numbers.filter((n) => n !== endless && n !== greedy);
  await until(async () => (await rowsOf(cloud)).length >= expected.length, 250);
  assert.deepEqual(await rowsOf(cloud), expected);

  const letters = (await lettersOf(cloud))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    letters.map(({ position }) => typeof position),
    ["string", "string"],
  );
  assert.deepEqual(
    letters.map((letter) => Number(Buffer.from(letter.bytes, "base64").toString())).sort((a, b) => a - b),
    [endless, greedy],
  );
  const outcomes = reports("task").map(({ outcome }) => outcome);
  for (const outcome of ["returned", "timeout", "memory"] as const) assert.ok(outcomes.includes(outcome), outcome);
  const measured = events.flatMap((event) =>
    event.kind === "log" && event.line.text.includes('"DeadLetters"') ? [JSON.parse(event.line.text).DeadLetters as number] : [],
  );
  // An invocation that is killed after it has written a letter takes its own count along.
  const counted = measured.reduce((sum, n) => sum + n, 0);
  assert.ok(counted >= 1 && counted <= 2, `${counted} dead letters were counted`);
  await cloud.stop();
});
