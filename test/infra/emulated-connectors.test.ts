/** A job of many connectors, from the assembly that would be deployed: objects, a stream, a queue, events and a table's changes in; eight sinks out. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { App, Duration } from "aws-cdk-lib";
import { Rule } from "aws-cdk-lib/aws-events";
import { SqsQueue } from "aws-cdk-lib/aws-events-targets";
import { SqsSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import { parquetReadObjects } from "hyparquet";
import {
  type AssemblyTopology,
  type CloudEvent,
  type EmulatedCloud,
  readAssembly,
  startCloud,
} from "../../emulator/cloud/index.ts";
import { deploymentContext, StreamJob } from "../../infra/index.ts";
import { type Fake, startReceiver, type Taken } from "../aws/service-fakes.ts";
import { until } from "../emulator/lambda/environments.ts";
import { bindEmulated, bindMany, jobFile, Surroundings, unvalidated } from "./deploy.ts";
import type { Row } from "./jobs/many-connectors.ts";

const stops: (() => Promise<unknown> | void)[] = [];
after(async () => {
  for (const stop of stops.reverse()) await stop();
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "millrace-connectors-"));
  stops.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** What would be deployed, read back. */
async function assemblyOf(
  job: string,
  propsOf: (stack: Surroundings) => object,
  bundled: readonly string[] = ["Jobs"],
): Promise<AssemblyTopology> {
  const outdir = newDirectory();
  const app = new App({ outdir, context: { "aws:cdk:bundling-stacks": bundled, [deploymentContext]: 7 }, ...unvalidated });
  const stack = new Surroundings(app, "Jobs");
  new StreamJob(stack, "Job", { entry: jobFile(job), ...propsOf(stack), timeout: Duration.seconds(30) });
  app.synth();
  return readAssembly(outdir);
}

const rows = Array.from({ length: 100 }, (_, n): Row => ({ key: `key-${n % 4}`, n }));
const [archived, streamed, queued, brought, changed] = [0, 20, 40, 60, 80].map((from) => rows.slice(from, from + 20)) as [
  Row[],
  Row[],
  Row[],
  Row[],
  Row[],
];

function named(names: readonly string[], part: string): string {
  const found = names.find((name) => name.toLowerCase().includes(part));
  assert.ok(found, `${part} in ${names.join(", ")}`);
  return found;
}

async function send(cloud: EmulatedCloud, queue: string, bodies: readonly string[]): Promise<void> {
  const { sqs: endpoint } = cloud.endpoints;
  const client = new SQSClient({ endpoint, region: "us-east-1", credentials: { accessKeyId: "a", secretAccessKey: "b" } });
  for (let from = 0; from < bodies.length; from += 10) {
    const Entries = bodies.slice(from, from + 10).map((MessageBody, n) => ({ Id: String(n), MessageBody }));
    await client.send(new SendMessageBatchCommand({ QueueUrl: `${endpoint}/000000000000/${queue}`, Entries }));
  }
  client.destroy();
}

/** Onto the account's own bus, from which the job's rule takes its events and leaves those of others. */
async function putEvents(cloud: EmulatedCloud, put: readonly Row[]): Promise<void> {
  const { events: endpoint } = cloud.endpoints;
  const client = new EventBridgeClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
  });
  const others = put.map((row) => ({ ...row, n: -1 }));
  for (const [Source, list] of [
    ["shop.orders", put],
    ["shop.returns", others],
  ] as const)
    for (let from = 0; from < list.length; from += 10) {
      const Entries = list.slice(from, from + 10).map((row) => ({ Source, DetailType: "row", Detail: JSON.stringify(row) }));
      assert.equal((await client.send(new PutEventsCommand({ Entries }))).FailedEntryCount, 0);
    }
  client.destroy();
}

async function lakeRows({ clients: { s3 } }: EmulatedCloud, bucket: string): Promise<readonly Row[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: "rows/" }));
  const finished = Contents.filter(({ Key }) => Key!.endsWith(".parquet") && !Key!.includes("/."));
  const files = finished.map(async ({ Key }) => {
    const bytes = await (await s3.send(new GetObjectCommand({ Bucket: bucket, Key: Key! }))).Body!.transformToByteArray();
    return parquetReadObjects({ file: new Uint8Array(bytes).buffer }) as Promise<Row[]>;
  });
  return (await Promise.all(files)).flat();
}

/** Of an event as a queue has it: the row, and the id that the sink gives it. */
function heardOf(event: unknown): { readonly value: Row; readonly id: unknown } {
  const { detail } = event as { readonly detail: Row & Readonly<Record<string, unknown>> };
  return { value: { key: detail.key, n: detail.n }, id: detail["millraceId"] ?? assert.fail(JSON.stringify(detail)) };
}

const sorted = (list: readonly Row[]) => list.toSorted((a, b) => a.n - b.n).map(({ key, n }) => ({ key, n }));

describe("a job of many connectors", () => {
  let receiver: Fake;
  let assembly: AssemblyTopology;

  before(async () => {
    receiver = await startReceiver();
    stops.push(() => receiver.stop());
    assembly = await assemblyOf("many-emulated", (stack) => {
      const bound = bindEmulated(stack, `${receiver.endpoint}/hook`, { visibilityTimeout: Duration.seconds(35) });
      bound.topics.news.addSubscription(new SqsSubscription(stack.queue("Told"), { rawMessageDelivery: true }));
      const targets = [new SqsQueue(stack.queue("Heard"))];
      new Rule(stack, "Hears", { eventBus: bound.eventBuses.bus, eventPattern: { detailType: ["row"] }, targets });
      return bound;
    });
  });

  test("is a topology of queues, topics and their mappings, of which nothing is passed over in silence", () => {
    const { topology, unexpected } = assembly;
    assert.deepEqual(unexpected, []);
    const { queues = {}, topics = {}, queueMappings = [], tableMappings = [], eventSourceMappings = [] } = topology;
    assert.deepEqual(
      tableMappings.map(({ tableName, startingPosition, functionResponseTypes }) => [
        tableName,
        startingPosition,
        functionResponseTypes,
      ]),
      [[named(Object.keys(topology.tables ?? {}), "items"), "TRIM_HORIZON", ["ReportBatchItemFailures"]]],
    );
    assert.equal(Object.keys(queues).length, 6);
    assert.ok(named(Object.keys(queues), "jobs-jobs").endsWith(".fifo"));
    assert.deepEqual(Object.values(topics), [{ queues: [named(Object.keys(queues), "told")] }]);
    const { eventBuses = [], rules = {} } = topology;
    assert.deepEqual(rules[named(Object.keys(rules), "eventsorders")], {
      eventPattern: { source: ["shop.orders"] },
      queues: [Object.keys(queues).find((name) => name.includes("Eventsorders") && !name.includes("undelivered"))],
      state: "ENABLED",
    });
    assert.deepEqual(
      Object.values(rules).map(({ eventBusName }) => eventBusName),
      [eventBuses[0], undefined],
    );
    assert.equal(eventSourceMappings.length, 1);
    assert.deepEqual(
      queueMappings.map(({ batchSize, maximumConcurrency, functionResponseTypes }) => [
        batchSize,
        maximumConcurrency,
        functionResponseTypes,
      ]),
      Array(2).fill([1000, 2, ["ReportBatchItemFailures"]]),
    );
  });

  test("says of mappings that nothing here can bring for that they are not emulated", async () => {
    const { notActedOn, unexpected } = await assemblyOf("many-connectors", bindMany, []);
    assert.ok(notActedOn.includes("AWS::Lambda::EventSourceMapping.EventSourceArn (kafka)"));
    assert.deepEqual(unexpected, []);
  });

  test("gives every sink every row", async () => {
    const events: CloudEvent[] = [];
    // It is rung when its input lies ready: what it reads of a bucket is settled when it begins.
    const [[schedule, rings] = assert.fail("nothing rings")] = Object.entries(assembly.topology.schedules ?? {});
    const silent = { ...assembly.topology, schedules: { [schedule]: { ...rings, state: "DISABLED" } } };
    const cloud = await startCloud(silent, { onEvent: (event) => events.push(event) });
    stops.push(() => cloud.stop());
    const { streams, buckets, queues, tables } = cloud.topology;
    const { kinesis, s3, dynamodb } = cloud.clients;
    // After the start-up check, which settles nothing.
    for (const [file, part] of [archived.slice(0, 10), archived.slice(10)].entries()) {
      const Body = part.map((row) => `${JSON.stringify(row)}\n`).join("");
      await s3.send(new PutObjectCommand({ Bucket: named(buckets, "archive"), Key: `rows/${file}.ndjson`, Body }));
    }
    const Records = streamed.map((row) => ({ PartitionKey: row.key, Data: Buffer.from(JSON.stringify(row)) }));
    await kinesis.send(new PutRecordsCommand({ StreamName: named(Object.keys(streams), "rows"), Records }));
    cloud.fire(schedule);
    for (const { key, n } of changed) {
      const Item = { id: { S: `item-${n}` }, key: { S: key }, n: { N: String(n) } };
      await dynamodb.send(new PutItemCommand({ TableName: named(Object.keys(tables), "items"), Item }));
    }

    const called = () =>
      events.flatMap((event) => {
        const at = event.kind === "log" ? event.line.text.indexOf("CALLED ") : -1;
        return event.kind === "log" && at >= 0 ? [JSON.parse(event.line.text.slice(at + 7)) as Taken] : [];
      });
    const inQueue = (part: string) =>
      cloud
        .messagesIn(named(Object.keys(queues), part))!
        .map(({ body, attributes }) => ({ value: JSON.parse(body) as unknown, id: attributes["millrace-id"] }));
    /** At least once: as a receiver that leaves out the ids that it has had. */
    const once = (taken: readonly { readonly value: unknown; readonly id: unknown }[]) => [
      ...new Map(taken.map(({ id, value }) => [id, value as Row])).values(),
    ];
    const inTable = async () => {
      const { Items = [] } = await dynamodb.send(
        new ScanCommand({ TableName: named(Object.keys(tables), "jobs-table"), ConsistentRead: true }),
      );
      return Items.map(({ key, n }): Row => ({ key: key!.S!, n: Number(n!.N) }));
    };
    const all = async (): Promise<Readonly<Record<string, readonly Row[]>>> => ({
      // A FIFO queue leaves them out itself.
      queue: inQueue("jobs-jobs").map(({ value }) => value as Row),
      topic: once(inQueue("told")),
      bus: once(inQueue("heard").map(({ value }) => heardOf(value))),
      function: once(called()),
      endpoint: once(receiver.taken),
      table: await inTable(),
      lake: await lakeRows(cloud, named(buckets, "lake")),
    });
    const incoming = Object.keys(queues).find((name) => name.includes("Eventsorders") && !name.includes("undelivered"))!;
    const lookedAfter = async (isSo: () => Promise<boolean>) => {
      let looks = 0;
      const look = () => {
        // As the schedule does: the invocation that it began with may be over before the last file's checkpoint is due.
        if (++looks % 20 === 0) cloud.fire(schedule);
        return isSo();
      };
      await until(look, 500).catch(() => undefined);
    };
    // A queue brings again what came before the job had begun, after the time that it hides a message for.
    await lookedAfter(async () => (await inTable()).length > 0);
    await send(
      cloud,
      named(Object.keys(queues), "tasks"),
      queued.map((row) => JSON.stringify(row)),
    );
    await putEvents(cloud, brought);
    const isDone = async () => Object.values(await all()).every((taken) => taken.length >= rows.length);
    await lookedAfter(isDone);
    const failures = events.flatMap((event) =>
      event.kind === "log" && /"level":"ERROR"/.test(event.line.text) ? [event.line.text] : [],
    );
    for (const [name, taken] of Object.entries(await all()))
      assert.deepEqual(sorted(taken), rows, `${name}\n${failures.slice(-3).join("\n")}`);
    assert.deepEqual(cloud.messagesIn(incoming), [], "what is committed is deleted");
  });
});
