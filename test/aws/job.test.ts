/**
 * A whole job on DynamoDB, S3 and Kinesis: a four-shard stream, a keyed exchange over an inbox stream, windows, checkpoints, a restore, rows
 * in a table and in objects, in folders of Parquet, in a FIFO queue and at an endpoint of HTTP. Answers of AWS are lost and refused at random,
 * and the process is replaced by a cold one again and again; the table and the objects hold what a recount of the input says, each window
 * once, after the restore too; the queue until then, and the endpoint for whom leaves out the keys it has had.
 */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { parquetReadObjects } from "hyparquet";
import { createTable } from "../../emulator/cloud/create-table.ts";
import type { TableResource } from "../../emulator/cloud/topology.ts";
import { startMessaging } from "../../emulator/messaging/start-messaging.ts";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { AwsSinks } from "../../runtime/adapters/aws/aws-sinks.ts";
import { openAwsSources } from "../../runtime/adapters/aws/aws-sources.ts";
import { lazyClients } from "../../runtime/adapters/aws/lazy-clients.ts";
import { awsPayload, openAws } from "../../runtime/adapters/aws/open-aws.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type OperatorUid } from "../../runtime/base/ids.ts";
import type { DeadLetterLine } from "../../runtime/connectors/dead-letter-object.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  dynamodb,
  httpSink,
  type JobGraph,
  json,
  kinesis,
  ndjson,
  parquet,
  planJob,
  s3,
  seconds,
  sqsSink,
  tumbling,
} from "../../runtime/index.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";
import { FaultyHandler, lose, pass, refusal } from "./faulty-handler.ts";
import { faultyClient } from "./faulty-client.ts";
import { allWell, startReceiver } from "./service-fakes.ts";
import { bucketName, newJob, patientHandler, tableName, withDynamoDb, withKinesis, withS3 } from "./stand-ins.ts";

interface View {
  readonly page: string;
  readonly at: number;
}
interface Row {
  readonly page: string;
  readonly start: number;
  readonly n: number;
}

const stream = "views";
const windowMs = 10_000;
const views: readonly View[] = Array.from({ length: 400 }, (_, n) => ({
  page: `page ${(n * n) % 17}`,
  at: n * 250 + ((n * 7919) % 900),
}));
/** Stands among the views. */
const poison = "{no JSON";
/** Closes every window, in every shard. */
const last = { page: "last", at: 10_000_000 };

function jobAt(name: string, parallelism: number) {
  const build = defineJob(
    name,
    (job) => {
      const counts = job
        .source("views", kinesis<View>({ stream, format: json() }), {
          timestamps: (view) => view.at,
          watermarks: boundedOutOfOrderness(seconds(1)),
        })
        .keyBy((view) => view.page)
        .window(tumbling(seconds(windowMs / 1_000)))
        .aggregate("counts", count(), (page, { start }, n) => ({ page, start, n }));
      counts.sinkTo("table", dynamodb({ table: "counts", key: ["page", "start"] }));
      counts.sinkTo("objects", s3({ bucket: "results", prefix: "counts/", format: ndjson() }));
      const columns = { page: "string", start: "timestamp", n: "int32" } as const;
      counts.sinkTo("lake", s3({ bucket: "results", prefix: "lake/", format: parquet({ columns }), partitionBy: "minute" }));
      counts.sinkTo(
        "queue",
        sqsSink({ queue: "counts.fifo", format: json(), messageGroup: ({ page }) => page.replace(" ", "-") }),
      );
      const idempotencyKey = ({ page, start }: Row) => `${page.replace(" ", "-")}/${start}`;
      counts.sinkTo("hook", httpSink({ endpoint: "hook", format: json(), idempotencyKey }));
    },
    { parallelism, checkpoints: { interval: seconds(2) } },
  );
  return planJob(build);
}

/** Each window once, by a recount of the input. */
function expectedRows(): readonly string[] {
  const counts = new Map<string, number>();
  for (const { page, at } of views) {
    const window = JSON.stringify([page, Math.floor(at / windowMs) * windowMs]);
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return [...counts].map(([window, n]) => JSON.stringify([...JSON.parse(window), n])).sort();
}

const countsTable: TableResource = { partitionKey: { name: "page", type: "S" }, sortKey: { name: "start", type: "N" } };

const isCounted = ({ page }: { readonly page: string }) => page !== last.page;

/** What the table holds, as its readers see it. */
async function tableRows(table: string): Promise<readonly string[]> {
  const client = await dynamo.client();
  const { Items = [] } = await client.send(new ScanCommand({ TableName: table, ConsistentRead: true }));
  return Items.filter((item) => item._millrace?.M?.d === undefined)
    .map((item) => ({ page: item.page!.S!, start: Number(item.start!.N), n: Number(item.n!.N) }))
    .filter(isCounted)
    .map(({ page, start, n }) => JSON.stringify([page, start, n]))
    .sort();
}

/** All lines of the finished objects in a folder of a bucket. */
async function linesIn(name: string, folder: string): Promise<readonly string[]> {
  const bucket = await objects.bucket({ bucket: name });
  const keys = (await bucket.listAll(folder)).map(({ key }) => key).filter((key) => !key.slice(folder.length).startsWith("."));
  const texts = await Promise.all(keys.map(async (key) => textOf((await bucket.get(key))!)));
  return texts
    .join("")
    .split("\n")
    .filter((line) => line !== "");
}

async function objectRows(bucket: string): Promise<readonly string[]> {
  const rows = (await linesIn(bucket, "counts/")).map((line) => JSON.parse(line) as Row).filter(isCounted);
  return rows.map(({ page, start, n }) => JSON.stringify([page, start, n])).sort();
}

/** The same from the folders of Parquet, each of which says when its rows' windows end. */
async function lakeRows(name: string): Promise<readonly string[]> {
  const bucket = await objects.bucket({ bucket: name });
  const keys = (await bucket.listAll("lake/")).map(({ key }) => key).filter((key) => !key.startsWith("lake/."));
  const files = await Promise.all(keys.map(async (key) => [key, await bucket.get(key)] as const));
  const rows = files.map(async ([key, bytes]) => {
    const found = (await parquetReadObjects({ file: new Uint8Array(bytes!).buffer })) as {
      page: string;
      start: Date;
      n: number;
    }[];
    for (const { start } of found) {
      const [, minute] = new Date(start.getTime() + windowMs - 1).toISOString().split(/[:T]/).slice(-3);
      assert.ok(key.includes(`/minute=${minute}/`), `${key} ${start.toISOString()}`);
    }
    return found.filter(isCounted).map(({ page, start, n }) => JSON.stringify([page, start.getTime(), n]));
  });
  return (await Promise.all(rows)).flat().sort();
}

const rowTexts = (values: readonly Row[]) =>
  values
    .filter(isCounted)
    .map(({ page, start, n }) => JSON.stringify([page, start, n]))
    .sort();

/** Time passes with every wait, and none is waited. */
class PassingClock implements Clock {
  #now = 1_000_000;
  now(): number {
    return this.#now;
  }
  remainingMs(): number {
    return Infinity;
  }
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
  }
}

const dynamo = withDynamoDb();
const objects = withS3();
const streams = withKinesis();
const messaging = await startMessaging();
const receiver = await startReceiver();
after(() => Promise.all([messaging.stop(), receiver.stop()]));

/** What a run needs of the outside, shared by the processes that take turns. */
async function newCloud(options: { readonly seed: number; readonly faults: number }) {
  const clock = new PassingClock();
  const random = new SeededRandom(options.seed);
  const { log, server } = await streams.log({ clock });
  await log.createStream(stream, 4);
  const shards = await log.shards(stream);
  const record = (view: View, n: number) => ({ hashKey: shards[n % 4]!.range.from, bytes: bytesOf(JSON.stringify(view)) });
  const poisoned = { hashKey: shards[0]!.range.from, bytes: bytesOf(poison) };
  await log.append(stream, [...views.map(record).toSpliced(100, 0, poisoned)]);
  await log.append(
    stream,
    shards.map((_, n) => record(last, n)),
  );
  const handler = () => {
    const made = new FaultyHandler();
    made.decide = (operation) => {
      const drawn = random.next();
      if (drawn < options.faults / 2) return lose;
      if (drawn > options.faults) return pass;
      return operation.includes(" ") ? { kind: "refuse", status: 503, body: slowDown } : refusal("ThrottlingException");
    };
    return made;
  };
  const settings = { region: "us-east-1", credentials: { accessKeyId: "x", secretAccessKey: "y" }, maxAttempts: 1 };
  const clientsAt = (endpoint: string) => awsClients({ ...settings, endpoint, requestHandler: handler() });
  const endpoints = { dynamodb: await dynamo.endpoint(), s3: await objects.endpoint(), kinesis: server.endpoint };
  /** As a cold process makes them. */
  const clients = () => ({
    dynamodb: clientsAt(endpoints.dynamodb).dynamodb,
    s3: clientsAt(endpoints.s3).s3,
    kinesis: clientsAt(endpoints.kinesis).kinesis,
  });
  const fates = {
    ...allWell(),
    request: () => {
      const drawn = random.next();
      if (drawn < options.faults / 2) return "lose" as const;
      return drawn > options.faults ? "pass" : "throttle";
    },
  };
  receiver.fates = fates;
  receiver.taken.length = 0;
  const lazy = lazyClients({ ...settings, endpoint: messaging.endpoint, requestHandler: patientHandler() });
  const rare = {
    ...lazy,
    sqs: async () => {
      const { sdk, client } = await lazy.sqs();
      return {
        sdk,
        client: faultyClient(
          client,
          () => fates,
          () => undefined,
        ),
      };
    },
  };
  return { clock, clients, rare, random };
}

const slowDown = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>";

/** What came out is looked at after so many steps: that costs more than they do. */
const stepsPerLook = 10;

interface Run {
  readonly seed: number;
  readonly parallelism: number;
  /** The share of requests that fail. */
  readonly faults: number;
  /** The chance that another process goes on after a step. */
  readonly replaced: number;
}

async function run({ seed, parallelism, faults, replaced }: Run) {
  const name = newJob();
  const job = jobAt(name, parallelism);
  const { clock, clients, rare, random } = await newCloud({ seed, faults });
  const queue = `${name}.fifo`;
  messaging.createQueue(queue);
  const telemetry = new MemoryTelemetry();
  const [table, bucket] = [`counts-${name}`, `results-${name}`];
  await createTable(await dynamo.client(), table, countsTable);
  await (await objects.client()).send(new CreateBucketCommand({ Bucket: bucket }));
  const counts = { processes: 0, checkpoints: 0, failures: 0, restores: 0 };
  const take = async () => {
    const process = `process-${++counts.processes}`;
    const made = clients();
    const pace = { clock, random: () => random.next() };
    const parts = await openAws({ job: name, table: tableName, bucket: bucketName, clock, telemetry, clients: made });
    const bindings = new Map([
      ["counts", [table]],
      ["results", [bucket]],
      ["counts.fifo", [queue]],
      ["hook", [receiver.endpoint]],
    ]);
    const shared = { bindings, telemetry, pace, clients: made };
    const deadLetters = { bucket, prefix: "dead-letters/" };
    const { sources: declared, sinks: written } = connectorsOf(job);
    const sources = openAwsSources(declared, shared);
    const sinks = new AwsSinks({ ...shared, job: name, sinks: written, deadLetters, lazyClients: rare });
    const ports: Ports = { ...parts, sinks, source: (uid) => sources.get(uid)! };
    // Turns of different length: two processes would commit different things, if both could.
    const recordsPerTurn = 8 + (counts.processes % 3) * 3;
    const options = { ...defaultEnvironment, id: process, recordsPerTurn, payload: { ...awsPayload, inlineBytesMax: 700 } };
    const createStream = (inbox: string, shards: number) => parts.log.createStream(inbox, shards);
    const coordinator = new Coordinator(job, ports, { id: process, deployment: 1, safeguards: allSafeguards, createStream });
    const events = { checkpoint: () => counts.checkpoints++ };
    const runner = new JobRunner(new Environment(job, ports, options), coordinator, clock, {
      pollMs: 200,
      collectEvery: 2,
      events,
    });
    await runner.start();
    return runner;
  };
  /** Goes on with another process whenever AWS leaves one without an answer. */
  const persist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isKind(error, "unavailable") || ++counts.failures > 500) throw error;
        await clock.sleep(500);
      }
    }
  };
  /** The one that was replaced last goes on beside: what it does comes too late, or first. */
  let runners = [await persist(take)];
  const expected = expectedRows();
  const queued = () => rowTexts(messaging.messagesIn(queue)!.map(({ body }) => JSON.parse(body) as Row));
  /** As one that leaves out the keys it has had. */
  const hooked = () => rowTexts([...new Map(receiver.taken.map(({ id, value }) => [id, value as Row])).values()]);
  const isWhole = async () =>
    (await tableRows(table)).length >= expected.length &&
    (await objectRows(bucket)).length >= expected.length &&
    (await lakeRows(bucket)).length >= expected.length &&
    new Set(queued()).size >= expected.length &&
    hooked().length >= expected.length;
  /** Until all rows are there, and so many checkpoints complete. */
  const goOn = async (checkpoints: number) => {
    for (let step = 0; counts.checkpoints < checkpoints || step % stepsPerLook > 0 || !(await isWhole()); step++) {
      assert.ok(step < 2_000, `${(await tableRows(table)).length} of ${expected.length} rows`);
      await clock.sleep(300);
      await Promise.all(runners.map((runner) => persist(() => runner.step())));
      if (random.chance(replaced)) runners = [await persist(take), runners[0]!];
    }
    assert.deepEqual(await tableRows(table), expected, "the table");
    assert.deepEqual(await objectRows(bucket), expected, "the objects");
    assert.deepEqual(await lakeRows(bucket), expected, "the folders of Parquet");
    assert.deepEqual(hooked(), expected, "the endpoint");
    assert.deepEqual(counts.restores === 0 ? queued() : [...new Set(queued())], expected, "the queue");
  };
  const restore = async () => {
    // What the one before retains may have been given up by the other since it looked.
    runners = [await persist(take)];
    const [oldest] = runners[0]!.record!.retained;
    assert.ok(oldest !== undefined);
    await persist(() => runners[0]!.coordinator.restore(oldest.manifest));
    counts.restores++;
    runners = [await persist(take)];
  };
  const letters = async () => (await linesIn(bucket, "dead-letters/")).map((line) => JSON.parse(line) as DeadLetterLine);
  return { goOn, restore, counts, telemetry, letters };
}

function connectorsOf(job: JobGraph) {
  const specs = [...job.operators.values()].map(({ node }) => node);
  const sources = specs.flatMap(({ uid, spec }) => (spec.kind === "source" ? [{ uid, source: spec.source }] : []));
  const sinks = specs.flatMap(({ uid, spec }) => (spec.kind === "sink" ? [[id<OperatorUid>(uid), spec.sink] as const] : []));
  return { sources, sinks: new Map(sinks) };
}

suite("a job on AWS", () => {
  test("counts every view once, and after a restore again", async () => {
    const { goOn, restore, telemetry, letters, counts } = await run({ seed: 1, parallelism: 1, faults: 0, replaced: 0 });
    await goOn(2);
    const units = telemetry.totals();
    for (const unit of ["dynamodb.wru", "dynamodb.rru", "s3.put", "s3.get", "kinesis.reads"]) {
      assert.ok(units[unit]! > 0, unit);
    }
    const [letter, ...more] = await letters();
    assert.deepEqual([letter?.text, letter?.operator, more], [poison, "views", []]);
    assert.match(letter!.reason, /not valid JSON/);
    await restore();
    await goOn(counts.checkpoints + 1);
    assert.ok(telemetry.total("sinkRowsTakenBack") > 0, "the restore went back beyond some rows");
    assert.deepEqual([...new Set((await letters()).map(({ text }) => text))], [poison]);
  });

  test("counts every view once over two tasks while answers are lost and processes replaced", async () => {
    const { goOn, restore, counts } = await run({ seed: 3, parallelism: 2, faults: 0.03, replaced: 0.4 });
    await goOn(2);
    assert.ok(counts.processes > 1 && counts.failures > 2, JSON.stringify(counts));
    await restore();
    await goOn(counts.checkpoints + 1);
  });
});
