/** The start-up check: what it refuses and why, what it waits for, and that it changes nothing. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, test } from "node:test";
import {
  type KinesisClient,
  DescribeStreamSummaryCommand,
  UpdateStreamModeCommand,
  UpdateStreamRecordDistributionStrategyCommand,
} from "@aws-sdk/client-kinesis";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { keepConnections } from "../../emulator/keep-connections.ts";
import type { AccountLimits } from "../../runtime/adapters/aws/account-limits.ts";
import {
  consoleSink,
  defineJob,
  type Job,
  json,
  keyedProcess,
  kinesis,
  minutes,
  ndjson,
  s3,
  s3Objects,
  type,
  value,
} from "../../runtime/index.ts";
import { type BlobName, id } from "../../runtime/base/ids.ts";
import { createCheckHandler } from "../../functions/check.ts";
import { type StartCheckProperties, writeSettings } from "../../functions/contract.ts";
import { openSinks } from "../../functions/open-sinks.ts";
import { bucketName, newJob, tableName } from "../aws/stand-ins.ts";
import { type Cloud, startCloud } from "./cloud.ts";

const answers: Record<string, any>[] = [];
/** What CloudFormation listens with; the first answers are lost. */
let lost = 0;
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    assert.equal(request.method, "PUT");
    assert.equal(request.headers["content-type"], undefined, "the address is signed for no content type");
    if (lost-- > 0) return void response.writeHead(503).end();
    answers.push(JSON.parse(Buffer.concat(chunks).toString()));
    response.end();
  });
});
keepConnections(server);
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => server.close());

const passed: Record<string, unknown> = { outcome: "passed" };
const roomy: AccountLimits = { executions: 1_000, unreserved: 1_000 };

interface Variant {
  readonly assumesKeys?: boolean;
  readonly version?: number;
  readonly migrates?: boolean;
}

/** Sums per key. */
function jobOf(name: string, { assumesKeys = false, version = 1, migrates = false }: Variant = {}): Job {
  const sums = keyedProcess({
    key: type<string>(),
    state: { sum: value<number>({ version, ...(migrates && { migrate: (old: unknown) => Number(old) }) }) },
    output: type<number>(),
    onRecord: (n: number, { state, emit }) => {
      state.sum.set((state.sum.get() ?? 0) + n);
      emit(n);
    },
  });
  return defineJob(
    name,
    (job) => {
      const numbers = job.source("numbers", kinesis({ stream: "numbers", format: json(type<number>()) }));
      const keyed = assumesKeys ? numbers.assumeKeyed(String) : numbers.keyBy(String);
      keyed.process("sums", sums).sinkTo("out", s3({ bucket: bucketName, prefix: `${name}/out/`, format: ndjson() }));
    },
    { checkpoints: { interval: minutes(1) } },
  );
}

interface CheckOptions {
  readonly limits?: AccountLimits;
  readonly properties?: Partial<StartCheckProperties>;
  readonly old?: Partial<StartCheckProperties>;
  readonly type?: string;
  readonly deployment?: number;
  readonly bucket?: string;
  readonly kinesis?: KinesisClient;
  readonly dynamodb?: DynamoDBClient;
  /** What the invocation has; default 3 minutes. */
  readonly ms?: number;
}

/** As a deployment has it checked. The answer that CloudFormation gets, too. */
async function checked(cloud: Cloud, job: Job, options: CheckOptions = {}) {
  const { properties = {}, old, deployment = 1 } = options;
  const handler = createCheckHandler(job, {
    variables: writeSettings({
      ...{ stateTable: tableName, stateBucket: options.bucket ?? bucketName, deadLetterBucket: bucketName },
      ...{ bindings: {}, inboxes: {}, taskFunctions: {}, stage: "check", cell: 0, deployment },
    }),
    clients: {
      ...overheard(cloud.clients),
      ...(options.kinesis && { kinesis: options.kinesis }),
      ...(options.dynamodb && { dynamodb: options.dynamodb }),
    },
    telemetry: cloud.telemetry,
    clock: cloud.clock,
    openSinks,
    accountLimits: async () => options.limits ?? roomy,
  });
  const event = {
    RequestType: options.type ?? "Create",
    ResponseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/answer?signed`,
    ...{ StackId: "stack", RequestId: "request", LogicalResourceId: "Passed" },
    ResourceProperties: { Deployment: String(deployment), Keys: [], ...properties },
    ...(old && { OldResourceProperties: { Deployment: "1", Keys: [], ...old } }),
  };
  const outcome = await handler(event, cloud.context(options.ms ?? 180_000));
  return { outcome, answer: answers.at(-1)! };
}

/** What AWS was asked for, whatever it was that was checked. */
const asked = new Set<string>();

function overheard<C extends object>(clients: C): C {
  const entries = Object.entries(clients).map(([name, client]) => {
    const other = Object.create(client as object) as { send: unknown };
    other.send = (command: object, ...rest: unknown[]) => {
      asked.add(command.constructor.name.replace(/Command$/, ""));
      return (client as { send(...args: unknown[]): unknown }).send(command, ...rest);
    };
    return [name, other];
  });
  return Object.fromEntries(entries) as C;
}

async function refusal(cloud: Cloud, job: Job, options?: CheckOptions): Promise<string> {
  const { outcome, answer } = await checked(cloud, job, options);
  assert.equal(outcome.outcome, "failed");
  assert.equal(answer.Status, "FAILED");
  assert.equal(outcome.outcome === "failed" && outcome.reason, answer.Reason);
  return String(answer.Reason);
}

async function cloudOf(job: Job, shards = 2): Promise<Cloud> {
  return startCloud({ job, streams: { numbers: shards }, maxAttempts: 1 });
}

/** The client with what it is answered changed. */
function changed<C extends KinesisClient | DynamoDBClient>(client: C, change: (answer: any) => void, times = Infinity): C {
  const other = Object.create(client) as C;
  other.send = (async (command: object, ...rest: unknown[]) => {
    const answer = await (client.send as any)(command, ...rest);
    if (times-- > 0) change(answer);
    return answer;
  }) as never;
  return other;
}

function encrypted(cloud: Cloud, KeyId: string): KinesisClient {
  return changed(cloud.clients.kinesis, ({ StreamDescriptionSummary: summary }) => {
    if (summary !== undefined) Object.assign(summary, { EncryptionType: "KMS", KeyId });
  });
}

describe("the start-up check", () => {
  test("passes where all is there, says so to CloudFormation, and changes nothing", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job);
    const { outcome, answer } = await checked(cloud, job);
    assert.deepEqual(outcome, passed);
    assert.deepEqual(answer, {
      ...{ StackId: "stack", RequestId: "request", LogicalResourceId: "Passed" },
      ...{ PhysicalResourceId: `${job.name}-start-check`, Status: "SUCCESS" },
    });
    assert.equal((await cloud.command()).generation, 1, "the job begins with its first generation, afterwards");
  });

  test("settles nothing of a job that has not begun: what comes into a bucket until then is read", async () => {
    const name = newJob();
    const job = defineJob(name, (to) => {
      const format = ndjson(type<number>());
      to.source("history", s3Objects({ bucket: bucketName, prefix: `${name}-history/`, format })).sinkTo("out", consoleSink());
    });
    const cloud = await cloudOf(job);
    assert.deepEqual((await checked(cloud, job)).outcome, passed);
    const { Contents = [] } = await cloud.clients.s3.send(new ListObjectsV2Command({ Bucket: bucketName, Prefix: `${name}/` }));
    assert.deepEqual(
      Contents.filter(({ Key }) => Key!.includes("history")).map(({ Key }) => Key),
      [],
    );
  });

  test("tries again when its answer is lost", async () => {
    const job = jobOf(newJob());
    const before = answers.length;
    lost = 2;
    await checked(await cloudOf(job), job);
    assert.equal(answers.length, before + 1);
  });

  test("refuses a keyed source on a stream that ignores partition keys", async () => {
    const name = newJob();
    const cloud = await cloudOf(jobOf(name));
    const { kinesis: client } = cloud.clients;
    const summary = await client.send(new DescribeStreamSummaryCommand({ StreamName: "numbers" }));
    const { StreamARN } = summary.StreamDescriptionSummary!;
    await client.send(new UpdateStreamModeCommand({ StreamARN, StreamModeDetails: { StreamMode: "ON_DEMAND" } }));
    await client.send(new UpdateStreamRecordDistributionStrategyCommand({ StreamARN, RecordDistributionStrategy: "AUTO" }));
    assert.match(await refusal(cloud, jobOf(name, { assumesKeys: true })), /is not started: .*ignores partition keys.*numbers/);
    assert.deepEqual((await checked(cloud, jobOf(name))).outcome, passed);
  });

  test("refuses more shards than the account runs functions: what is reserved by others does not count", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job, 6);
    const limits = { executions: 10, unreserved: 5 };
    assert.match(await refusal(cloud, job, { limits }), /may need 7 executions .* allows 5: raise the account's quota/);
    const properties = { ReservedConcurrency: "4" };
    assert.deepEqual((await checked(cloud, job, { limits, properties })).outcome, passed);
  });

  test("refuses a stream whose key the deployment was not told of", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job);
    const arn = "arn:aws:kms:us-east-1:000000000000:key/0a1b";
    const says = /encrypted with a key that the job's roles may not use, .*fromStreamAttributes.*: numbers of numbers, /;
    assert.match(await refusal(cloud, job, { kinesis: encrypted(cloud, arn) }), says);
    assert.match(await refusal(cloud, job, { kinesis: encrypted(cloud, "alias/mine") }), says);
    const other = { Keys: [`${arn}2`] };
    assert.match(await refusal(cloud, job, { kinesis: encrypted(cloud, arn), properties: other }), says);
    for (const [key, Keys] of [
      [arn, [arn]],
      ["0a1b", [arn]],
      ["alias/mine", [arn]],
      ["alias/aws/kinesis", []],
      ["arn:aws:kms:us-east-1:000000000000:alias/aws/kinesis", []],
    ] as const)
      assert.deepEqual(
        (await checked(cloud, job, { kinesis: encrypted(cloud, key), properties: { Keys } })).outcome,
        passed,
        key,
      );
  });

  test("K3: waits a minute for a permission that AWS does not know everywhere yet, and no longer", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job);
    const denied = () => {
      throw Object.assign(new Error("no"), { name: "KMSAccessDeniedException" });
    };
    const begin = cloud.clock.now();
    assert.deepEqual((await checked(cloud, job, { kinesis: changed(cloud.clients.kinesis, denied, 3) })).outcome, passed);
    const reason = await refusal(cloud, job, { kinesis: changed(cloud.clients.kinesis, denied) });
    assert.match(reason, /no permission to use the key that it is encrypted with, add it to the job's role/);
    const tookMs = cloud.clock.now() - begin;
    assert.ok(tookMs > 55_000 && tookMs < 80_000, `${tookMs} ms`);
  });

  test("reads, where a permission on a key shows that nothing else asks for", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job);
    const denied = ({ Records }: { readonly Records?: unknown }) => {
      if (Records !== undefined) throw Object.assign(new Error("no"), { name: "KMSAccessDeniedException" });
    };
    assert.match(await refusal(cloud, job, { kinesis: changed(cloud.clients.kinesis, denied) }), /no permission to use the key/);
  });

  test("answers in time where it has less than a minute", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job);
    const slow = () => {
      throw Object.assign(new Error("slow down"), { name: "ProvisionedThroughputExceededException" });
    };
    const begin = cloud.clock.now();
    const options = { dynamodb: changed(cloud.clients.dynamodb, slow), ms: 40_000 };
    assert.match(await refusal(cloud, job, options), /throttled by AWS/);
    assert.ok(cloud.clock.now() - begin <= 35_000);
  });

  test("says every reason at once", async () => {
    const job = jobOf(newJob());
    const cloud = await cloudOf(job, 6);
    const limits = { executions: 5, unreserved: 5 };
    const reason = await refusal(cloud, job, { limits, bucket: "nowhere", kinesis: encrypted(cloud, "0a1b") });
    for (const part of [/no such bucket.*nowhere/, /may need 7/, /encrypted with a key/]) assert.match(reason, part);
  });

  test("refuses code that could not go on from the job's state, with the operator, and the job goes on as it was", async () => {
    const name = newJob();
    const cloud = await cloudOf(jobOf(name));
    await cloud.command();
    const before = await cloud.command();
    const next = jobOf(name, { version: 2 });
    assert.match(await refusal(cloud, next, { deployment: 2 }), /stored state does not fit.*operator sums: version older/);
    assert.deepEqual({ ...(await cloud.command()), looks: 0 }, { ...before, looks: 0 });
  });

  test("lets older code over a job that has stopped, which an order then takes back to a savepoint of its time", async () => {
    const name = newJob();
    const [old, next] = [jobOf(name), jobOf(name, { version: 2, migrates: true })];
    const cloud = await cloudOf(old);
    const until = async (phase: string, stop?: string) => {
      for (let n = 0; n < 60; n++) {
        const record = await cloud.command(n === 0 && stop !== undefined ? { version: 1, kind: "stop", id: stop } : undefined);
        if (record.phase === phase) return record;
        cloud.clock.advance(10_000);
      }
      assert.fail(`the job is not ${phase}`);
    };
    await until("running");
    const { completed } = await cloud.command({ version: 1, kind: "savepoint", id: "of its time" });
    assert.ok(completed !== undefined);
    cloud.deploy(next);
    assert.deepEqual((await checked(cloud, next, { deployment: 2 })).outcome, passed);
    await until("running");
    assert.match(await refusal(cloud, old, { deployment: 3 }), /operator sums: version newer/);
    await until("stopped", "before going back");
    assert.deepEqual((await checked(cloud, old, { deployment: 3 })).outcome, passed);
    cloud.deploy(old);
    await cloud.command({ version: 1, kind: "restore", id: "back", manifest: id<BlobName>(completed) });
    assert.equal((await until("running")).generation, 3);
  });

  test("refuses a deployment that is older than what runs, unless CloudFormation goes back to it (K2)", async () => {
    const job = jobOf(newJob());
    const cloud = await startCloud({ job, streams: { numbers: 1 }, deployment: 5 });
    await cloud.command();
    assert.match(await refusal(cloud, job, { deployment: 4 }), /run by deployment 5, this code is 4/);
    const back = { deployment: 4, type: "Update", old: { Deployment: "5" } };
    assert.deepEqual((await checked(cloud, job, back)).outcome, passed);
    assert.deepEqual((await checked(cloud, job, { deployment: 4, type: "Delete" })).outcome, passed);
    const on = { deployment: 6, type: "Update", old: { Deployment: "5" }, bucket: "nowhere" };
    assert.match(await refusal(cloud, job, on), /no such bucket/);
  });

  test("answers deployments alone", async () => {
    const handler = createCheckHandler(jobOf(newJob()), { variables: {} });
    const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 60_000 };
    await assert.rejects(
      handler({ version: 1, kind: "look" }, context),
      (error: any) => error.kind === "invalid" && /called by a deployment alone/.test(error.message),
    );
  });

  test("K1: asks for nothing in any of this that changes state, but to begin uploads and give them up, and to say whose the table is", () => {
    const reads = [
      "GetItem",
      "Query",
      "DescribeStreamSummary",
      "GetRecords",
      "GetShardIterator",
      "ListShards",
      "GetObject",
      "HeadBucket",
    ];
    const probes = ["AbortMultipartUpload", "CreateMultipartUpload", "ListObjectsV2", "PutItem"];
    assert.deepEqual([...asked].sort(), [...reads, ...probes].sort());
  });
});
