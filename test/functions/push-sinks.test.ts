/**
 * Sinks that push, and a sink of the author's own, from functions in processes as Lambda's, some of which are killed: everyone is given every
 * row, in its key's order where there is one, under ids by which it can leave out what it has.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { parquetReadObjects } from "hyparquet";
import { type CloudEvent, type EmulatedCloud, startCloud, type Topology } from "../../emulator/cloud/index.ts";
import { entryOf, lookCommand, writeSettings } from "../../functions/contract.ts";
import { type Fake, startReceiver, type Taken } from "../aws/service-fakes.ts";
import { until } from "../emulator/lambda/environments.ts";
import type { Row } from "./jobs/push-job.ts";

const jobPath = join(import.meta.dirname, "jobs/push-job.ts");
const functions = join(import.meta.dirname, "../../functions");

function topologyOf(receiver: Fake): Topology {
  const environment = {
    ...writeSettings({
      stateTable: "state",
      stateBucket: "state",
      deadLetterBucket: "letters",
      deployment: 1,
      bindings: { jobs: "jobs.fifo", hook: `${receiver.endpoint}/hook` },
      inboxes: {},
      taskFunctions: { rows: ["task"] },
      stage: "rows",
      cell: 0,
    }),
    RECEIVER: `${receiver.endpoint}/own`,
  };
  const functionOf = (kind: "task" | "coordinator", timeout: number) => ({
    entry: { contents: entryOf(kind, jobPath, functions), directory: import.meta.dirname },
    environment,
    timeout,
    memorySize: 512,
  });
  const callee = `export const handler = async ({ messages }) => { for (const message of messages) console.log("CALLED " + JSON.stringify(message)); };`;
  return {
    streams: { rows: { shardCount: 1 } },
    tables: { state: { partitionKey: { name: "p", type: "S" }, sortKey: { name: "s", type: "S" } } },
    buckets: ["state", "letters", "lake"],
    queues: { "jobs.fifo": {}, subscribed: {} },
    topics: { news: { queues: ["subscribed"] } },
    functions: {
      task: functionOf("task", 60),
      coordinator: functionOf("coordinator", 60),
      callee: { entry: { contents: callee, directory: import.meta.dirname }, timeout: 60 },
    },
    eventSourceMappings: [
      {
        functionName: "task",
        streamName: "rows",
        startingPosition: "TRIM_HORIZON",
        batchSize: 20,
        functionResponseTypes: ["ReportBatchItemFailures"],
      },
    ],
    schedules: {
      look: { scheduleExpression: "rate(1 minute)", functionName: "coordinator", input: lookCommand },
    },
  };
}

const stops: (() => Promise<unknown>)[] = [];
after(() => Promise.all(stops.map((stop) => stop())));

async function lakeRows({ clients: { s3 } }: EmulatedCloud): Promise<readonly Row[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: "lake" }));
  const finished = Contents.filter(({ Key }) => Key!.startsWith("year=1970/month=01/day=01/"));
  const files = finished.map(async ({ Key }) => {
    const bytes = await (await s3.send(new GetObjectCommand({ Bucket: "lake", Key: Key! }))).Body!.transformToByteArray();
    return parquetReadObjects({ file: new Uint8Array(bytes).buffer }) as Promise<Row[]>;
  });
  return (await Promise.all(files)).flat();
}

test("everyone is given every row, though functions are killed", async () => {
  const receiver = await startReceiver();
  stops.push(() => receiver.stop());
  const events: CloudEvent[] = [];
  const cloud = await startCloud(topologyOf(receiver), {
    base: import.meta.dirname,
    mappings: { timings: { pollIntervalMs: 50, backOffMs: 50, backOffMsMax: 200 } },
    onEvent: (event) => events.push(event),
  });
  stops.push(() => cloud.stop());
  const rows = Array.from({ length: 150 }, (_, n): Row => ({ key: `key-${n % 4}`, n }));
  const Records = rows.map((row) => ({ PartitionKey: row.key, Data: Buffer.from(JSON.stringify(row)) }));
  const { FailedRecordCount } = await cloud.clients.kinesis.send(new PutRecordsCommand({ StreamName: "rows", Records }));
  assert.equal(FailedRecordCount, 0);

  const called = (): Taken[] =>
    events.flatMap((event) => {
      const at = event.kind === "log" ? event.line.text.indexOf("CALLED ") : -1;
      return event.kind === "log" && at >= 0 ? [JSON.parse(event.line.text.slice(at + "CALLED ".length)) as Taken] : [];
    });
  const queued = (queue: string): Taken[] =>
    cloud
      .messagesIn(queue)!
      .map(({ body, attributes }) => ({ value: JSON.parse(body), id: attributes["millrace-id"], with: "" }));
  const received = (path: string) => receiver.taken.filter(({ with: { url } }) => url === path);
  const all = (): Readonly<Record<string, readonly Taken[]>> => ({
    queue: queued("jobs.fifo"),
    topic: queued("subscribed"),
    function: called(),
    endpoint: received("/hook"),
    own: received("/own"),
  });
  /** As one that leaves out the ids it has had. */
  const once = (taken: readonly Taken[]) => {
    const seen = new Set<unknown>();
    return taken.filter(({ id }) => !seen.has(id) && seen.add(id));
  };
  const numbers = (list: readonly { readonly n: number }[]) => list.map(({ n }) => n).sort((a, b) => a - b);

  const look = cloud.invoke("coordinator", lookCommand);
  let kills = 0;
  const isDone = async () =>
    Object.values(all()).every((taken) => once(taken).length >= rows.length) && (await lakeRows(cloud)).length >= rows.length;
  await until(async () => {
    if (kills < 3 && receiver.taken.length > 20 * kills && cloud.killEnvironment(Math.random, "task")) kills++;
    return isDone();
  }, 400);
  for (const [name, taken] of Object.entries(all()))
    assert.deepEqual(numbers(once(taken).map(({ value }) => value as Row)), numbers(rows), name);
  assert.deepEqual(numbers(await lakeRows(cloud)), numbers(rows), "the folders of Parquet");
  assert.equal(queued("jobs.fifo").length, rows.length, "a FIFO queue leaves out what it has");
  for (const name of ["queue", "endpoint"])
    for (const key of new Set(rows.map((row) => row.key))) {
      const of = once(all()[name]!).map(({ value }) => value as Row);
      const inKey = of.filter((row) => row.key === key).map(({ n }) => n);
      assert.deepEqual(inKey, numbers(inKey.map((n) => ({ n }))), `${name}, ${key}`);
    }
  assert.ok(kills > 0, "functions were killed");
  await cloud.stop();
  await look.catch(() => undefined);
});
