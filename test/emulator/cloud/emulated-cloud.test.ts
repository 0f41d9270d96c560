/** The emulated cloud as a whole: a stream, a function that counts into a table, a schedule, and what goes wrong between them. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import {
  type CloudEvent,
  type CloudOptions,
  type EmulatedCloud,
  startCloud,
  type Topology,
} from "../../../emulator/cloud/index.ts";
import { lives, read, until } from "../lambda/environments.ts";

const topology: Topology = {
  streams: { views: { shardCount: 2 } },
  tables: { counts: { partitionKey: { name: "key", type: "S" } } },
  buckets: ["reports", "discarded"],
  functions: {
    count: { entry: "count-function.ts", memorySize: 512, timeout: 600, reservedConcurrentExecutions: 4 },
  },
  eventSourceMappings: [
    {
      functionName: "count",
      streamName: "views",
      startingPosition: "TRIM_HORIZON",
      batchSize: 20,
      maximumRetryAttempts: 1,
      bisectBatchOnFunctionError: true,
      onFailure: { bucket: "discarded" },
    },
  ],
  schedules: {
    hourly: { scheduleExpression: "rate(1 hour)", functionName: "count", input: { report: "hour" }, state: "DISABLED" },
  },
};

const clouds: EmulatedCloud[] = [];
afterEach(() => Promise.all(clouds.splice(0).map((cloud) => cloud.stop())));
const scratch = mkdtempSync(join(tmpdir(), "millrace-cloud-test-"));
after(() => rmSync(scratch, { recursive: true }));

async function start(options: CloudOptions = {}): Promise<{ cloud: EmulatedCloud; events: CloudEvent[] }> {
  const events: CloudEvent[] = [];
  const cloud = await startCloud(topology, {
    base: import.meta.dirname,
    mappings: { timings: { pollIntervalMs: 50, catchUpIntervalMs: 200, shardDiscoveryMs: 500, backOffMs: 100 } },
    onEvent: (event) => events.push(event),
    ...options,
  });
  clouds.push(cloud);
  return { cloud, events };
}

async function put(cloud: EmulatedCloud, key: string, records: readonly string[]): Promise<void> {
  const Records = records.map((text) => ({ PartitionKey: key, Data: Buffer.from(text) }));
  const { FailedRecordCount } = await cloud.clients.kinesis.send(new PutRecordsCommand({ StreamName: "views", Records }));
  assert.equal(FailedRecordCount, 0);
}

async function counted(cloud: EmulatedCloud, key: string): Promise<number> {
  const { Item } = await cloud.clients.dynamodb.send(new GetItemCommand({ TableName: "counts", Key: { key: { S: key } } }));
  return Item?.seen?.SS?.length ?? 0;
}

const numbered = (count: number, prefix = "record") => Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

describe("an emulated cloud", () => {
  test("delivers a stream to its function, whose effects are seen, and survives its environments being killed", async () => {
    const { cloud, events } = await start();
    await put(cloud, "a", numbered(30));
    await put(cloud, "b", numbered(10));
    await until(async () => (await counted(cloud, "a")) === 30 && (await counted(cloud, "b")) === 10);
    assert.ok(events.some((event) => event.kind === "log" && /^counted \d+$/.test(event.line.text)));
    const report = events.find((event) => event.kind === "report");
    assert.ok(report?.kind === "report" && report.report.outcome === "returned" && report.report.initMs! > 0);

    const killed = cloud.killEnvironment(() => 0);
    const pid = killed?.pid;
    assert.ok(pid !== undefined);
    await until(() => !lives(pid));
    await put(cloud, "c", numbered(5));
    await until(async () => (await counted(cloud, "c")) === 5);
  });

  test("discards what the function cannot take into the bucket, and its neighbours are counted", async () => {
    const { cloud } = await start();
    await put(cloud, "p", [...numbered(3), "poison", ...numbered(3, "later")]);
    await until(async () => (await counted(cloud, "p")) === 6);
    const { Contents } = await cloud.clients.s3.send(new ListObjectsV2Command({ Bucket: "discarded" }));
    assert.equal(Contents?.length, 1);
    const object = await cloud.clients.s3.send(new GetObjectCommand({ Bucket: "discarded", Key: Contents![0]!.Key! }));
    const discard = JSON.parse(await object.Body!.transformToString()) as {
      KinesisBatchInfo: { batchSize: number };
      payload: string;
    };
    assert.equal(discard.KinesisBatchInfo.batchSize, 1);
    assert.ok(discard.payload.includes(Buffer.from("poison").toString("base64")));
  });

  test("invokes functions by lambda:Invoke and by schedules, in as many environments as are reserved", async () => {
    const { cloud, events } = await start();
    const client = new LambdaClient({
      endpoint: cloud.endpoints.lambda,
      region: cloud.topology.region,
      credentials: { accessKeyId: "x", secretAccessKey: "x" },
      maxAttempts: 1,
    });
    const invoke = (report: string) =>
      client.send(new InvokeCommand({ FunctionName: "count", Payload: Buffer.from(JSON.stringify({ report })) }));
    const output = await invoke("asked");
    assert.deepEqual(JSON.parse(output.Payload!.transformToString()), { reported: "asked" });
    cloud.fire("hourly");
    const has = async (key: string) => {
      const { Contents = [] } = await cloud.clients.s3.send(new ListObjectsV2Command({ Bucket: "reports" }));
      return Contents.some(({ Key }) => Key === key);
    };
    // The schedule's invocation is over too, so that none runs beside those that follow.
    await until(() => events.filter(({ kind }) => kind === "report").length === 2);
    assert.ok(await has("hour"));
    const atOnce = await Promise.all(numbered(5).map((report) => cloud.invoke("count", { report })));
    assert.deepEqual(
      atOnce.map(({ outcome }) => outcome),
      ["returned", "returned", "returned", "returned", "throttled"],
    );
    assert.equal(cloud.environments("count").length, 4);
    client.destroy();
  });

  test("fires a schedule at once when it is made or changed, as one without a start date, and not again with the next deployment", async () => {
    const { cloud, events } = await start();
    const fired = () => events.flatMap((event) => (event.kind === "scheduled" ? [event.schedule] : []));
    assert.deepEqual(fired(), [], "it is disabled");
    const enabled = { ...topology, schedules: { hourly: { ...topology.schedules!.hourly!, state: "ENABLED" } } };
    await cloud.deploy(enabled);
    assert.deepEqual(fired(), ["hourly"]);
    await cloud.deploy(enabled);
    assert.deepEqual(fired(), ["hourly"]);
  });

  test("throttles and cuts as it is told to, and what was refused is done when the cause is gone", async () => {
    const { cloud } = await start();
    const calls = { UpdateItem: 0, PUT: 0 };
    // The function's writes alone, each of which comes after the other: a caller that is refused once is served with its next attempt.
    const everyOther = (write: keyof typeof calls, fault: "throttle" | "dropAfter") => (operation: string) =>
      operation === write && ++calls[write] % 2 === 1 ? fault : undefined;
    cloud.setFaults({ dynamodb: everyOther("UpdateItem", "throttle"), s3: everyOther("PUT", "dropAfter") });
    await put(cloud, "t", numbered(8));
    const reported = await cloud.invoke("count", { report: "throttled" });
    assert.deepEqual([reported.outcome, read(reported as never)], ["returned", { reported: "throttled" }]);
    await until(async () => (await counted(cloud, "t")) === 8);
    assert.ok(calls.UpdateItem >= 16, `each of the eight records' writes was refused once, of ${calls.UpdateItem} calls`);
    assert.equal(calls.PUT, 2);
  });

  test("leaves connections open that callers keep: a function stands still for any time", async () => {
    const { cloud } = await start();
    for (const [service, endpoint] of Object.entries(cloud.endpoints)) {
      const { headers } = await fetch(endpoint);
      assert.equal(headers.get("keep-alive"), null, service);
    }
  });

  test("C2: leaves no process, no server and no files when it stops, whatever its functions do", async () => {
    const { cloud } = await start();
    const before = await cloud.invoke("count", { report: "x" });
    assert.equal(before.outcome, "returned");
    await put(cloud, "z", numbered(40));
    const pids = cloud.environments().map(({ pid }) => pid!);
    const endpoint = cloud.endpoints.kinesis;
    assert.ok(pids.length > 0);
    await cloud.stop();
    assert.deepEqual(pids.filter(lives), []);
    await assert.rejects(fetch(endpoint));
  });

  test("C3: goes on in its directory with records, items, objects and checkpoints", async () => {
    const directory = join(scratch, "kept");
    const first = await start({ directory });
    await put(first.cloud, "k", numbered(7));
    await first.cloud.invoke("count", { report: "kept" });
    await until(async () => (await counted(first.cloud, "k")) === 7);
    const invoked = ({ events }: typeof first) =>
      events.flatMap((event) => (event.kind === "mapping" && event.event.kind === "invoked" ? event.event.sequenceNumbers : []));
    // An answer that is still on its way would be lost, and its records come again.
    await until(() => invoked(first).length >= 7);
    await first.cloud.stop();
    assert.ok(existsSync(join(directory, "checkpoints.json")));
    assert.equal(Object.keys(JSON.parse(readFileSync(join(directory, "checkpoints.json"), "utf8"))).length, 1);

    const second = await start({ directory });
    assert.equal(await counted(second.cloud, "k"), 7);
    await second.cloud.clients.s3.send(new GetObjectCommand({ Bucket: "reports", Key: "kept" }));
    await put(second.cloud, "k", numbered(2));
    await until(async () => (await counted(second.cloud, "k")) === 9);
    await until(() => invoked(second).length >= 2);
    assert.equal(invoked(second).length, 2, "the mapping went on after its checkpoint");
  });
});
