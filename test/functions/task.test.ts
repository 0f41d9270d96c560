/** What the task function answers to whom: mappings, pokes, and what is neither. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { defineJob, json, type Job, type JobBuilder, type JobOptions, kinesis, type } from "../../runtime/index.ts";
import { id, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { pokeOf } from "../../functions/contract.ts";
import { createCoordinatorHandler } from "../../functions/coordinator.ts";
import { createTaskHandler } from "../../functions/task.ts";
import { DynamoJournal } from "../../runtime/adapters/aws/dynamo-journal.ts";
import { DynamoTable } from "../../runtime/adapters/aws/dynamo-table.ts";
import { encodeValue } from "../../runtime/base/message-pack.ts";
import { avro } from "../../runtime/connectors/formats/avro.ts";
import type { RegistryDeclaration } from "../../runtime/connectors/registry/record-schemas.ts";
import { attemptMessage } from "../../runtime/snapshots/names.ts";
import { aggregateOf } from "../connectors/aggregate.ts";
import { newJob, tableName } from "../aws/stand-ins.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { type Cloud, eventOf, rowSink, startCloud } from "./cloud.ts";

const stream = "numbers";

/** Writes each number; `onEach` is called for each. */
function jobOf(name: string, onEach: (n: number) => void = () => undefined, options: JobOptions = {}): Job {
  const build = (job: JobBuilder) => {
    job
      .source("numbers", kinesis({ stream, format: json(type<number>()) }))
      .map("each", (n) => {
        onEach(n);
        return n;
      })
      .sinkTo("rows", rowSink);
  };
  return defineJob(name, build, options);
}

const [shard0] = ["shardId-000000000000"].map((name) => id<ShardId>(name));

async function start(job: Job, options: { readonly deployment?: number } = {}): Promise<Cloud> {
  const cloud = await startCloud({ job, streams: { [stream]: 1 }, ...options });
  await cloud.command();
  return cloud;
}

/** Puts records into the stream, and returns them as its mapping brings them. */
async function put(cloud: Cloud, records: readonly Uint8Array[]) {
  const { range } = (await cloud.log.shards(stream))[0]!;
  await cloud.log.append(
    stream,
    records.map((bytes) => ({ hashKey: range.from, bytes })),
  );
  const read = await cloud.log.read(stream, shard0!, "horizon", { records: 1_000, bytes: 1e9 });
  return read.records;
}

function numbers(from: number, to: number): Uint8Array[] {
  return Array.from({ length: to - from }, (_, n) => bytesOf(String(from + n)));
}

function aggregated(from: number, to: number): Uint8Array {
  return aggregateOf(numbers(from, to).map((data) => ({ partitionKey: "a", data })));
}

function written({ rows }: Cloud): readonly number[] {
  return [...rows.written.values()].map(({ row }) => Number(row)).sort((a, b) => a - b);
}

function upTo(n: number): readonly number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** Brings what the mapping would, until nothing is left over; returns how often it had to begin within the batch. */
async function bringAll(cloud: Cloud, records: Awaited<ReturnType<typeof put>>, ms: number): Promise<readonly string[]> {
  const handler = cloud.task();
  const answers: string[] = [];
  for (let from = 0; ;) {
    const answer: any = await handler(eventOf(stream, shard0!, records.slice(from)), cloud.context(ms));
    const failed = answer.batchItemFailures[0]?.itemIdentifier;
    if (failed === undefined) return answers;
    answers.push(failed);
    assert.ok(answers.length < 100, "it gets nowhere");
    from = records.findIndex(({ position }) => position === failed);
    assert.ok(from >= 0, `it was not brought: ${failed}`);
  }
}

describe("a batch", () => {
  test("is answered from its first record that is not done when time is over", async () => {
    const cloud: Cloud = await start(jobOf(newJob(), () => cloud.clock.advance(100)));
    const records = await put(cloud, numbers(0, 300));
    const answers = await bringAll(cloud, records, 10_000);
    assert.ok(answers.length >= 2, String(answers.length));
    assert.deepEqual(written(cloud), upTo(300));
  });

  test("of aggregated records may stop within one, and goes on there", async () => {
    const seen: number[] = [];
    const cloud: Cloud = await start(
      jobOf(newJob(), (n) => {
        seen.push(n);
        cloud.clock.advance(100);
      }),
    );
    const records = await put(cloud, [...numbers(0, 3), aggregated(3, 300), bytesOf("300")]);
    const answers = await bringAll(cloud, records, 10_000);
    assert.ok(answers.filter((failed) => failed === records[3]!.position).length >= 2, answers.join());
    assert.deepEqual(written(cloud), upTo(301));
    assert.deepEqual(seen, upTo(301), "nothing is taken in twice");
  });

  test("is read on from within an aggregated record by a poke, in another environment", async () => {
    const cloud: Cloud = await start(jobOf(newJob(), () => cloud.clock.advance(100)));
    const records = await put(cloud, [aggregated(0, 300)]);
    await cloud.task()(eventOf(stream, shard0!, records), cloud.context(10_000));
    const before = written(cloud).length;
    assert.ok(before > 0 && before < 300, String(before));
    await cloud.task()(pokeOf([id<TaskId>("g1.numbers~all")]), cloud.context(600_000));
    assert.deepEqual(written(cloud), upTo(300));
  });

  test("of records that name schemas of a registry brings each with its own, also from within aggregated records", async () => {
    const registry: RegistryDeclaration = {
      ...{ kind: "confluent", name: "schemas" },
      open: async () => ({
        schema: async (name) => (name === "9" ? undefined : { id: name, definition: '"int"', references: [] }),
      }),
    };
    const format = avro<number>({ registry, schema: '"int"', schemaId: 7 });
    const job = defineJob(newJob(), (job) => {
      job.source("numbers", kinesis({ stream, format })).sinkTo("rows", rowSink);
    });
    const cloud = await start(job);
    const encode = (n: number) => format.encode(n);
    const unknown = avro<number>({ registry, schema: '"int"', schemaId: 9 }).encode(5);
    const packed = aggregateOf([1, 2].map((n) => ({ partitionKey: "a", data: encode(n) })));
    assert.deepEqual(await bringAll(cloud, await put(cloud, [encode(0), packed, unknown]), 60_000), []);
    assert.deepEqual(written(cloud), upTo(3));
    assert.deepEqual(
      cloud.rows.letters.map(({ reason, bytes }) => [reason, Buffer.from(bytes)]),
      [["its schema is not in the registry: schemas, 9", Buffer.from(unknown)]],
    );
  });

  test("with a poison record leaves that one out, of an aggregated record too", async () => {
    const cloud = await start(
      jobOf(newJob(), (n) => {
        if (n === 7) throw new Error("seven");
      }),
    );
    const records = await put(cloud, [aggregated(0, 5), aggregated(5, 9), bytesOf("no JSON"), bytesOf("9")]);
    assert.deepEqual(await bringAll(cloud, records, 60_000), []);
    assert.deepEqual(
      written(cloud),
      upTo(10).filter((n) => n !== 7),
    );
    assert.deepEqual(
      cloud.rows.letters.map(({ bytes }) => Buffer.from(bytes).toString()),
      ["7", "no JSON"],
    );
    assert.equal(cloud.telemetry.total("turn.deadLetters"), 2);
  });

  test("waits, whole, until the job has been brought to life", async () => {
    const cloud = await startCloud({ job: jobOf(newJob()), streams: { [stream]: 1 } });
    const records = await put(cloud, numbers(0, 3));
    const answer = await cloud.task()(eventOf(stream, shard0!, records), cloud.context());
    assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: records[0]!.position }] });
    assert.deepEqual(written(cloud), []);
  });

  test("is refused by older code once newer has written, by an error of its own kind", async () => {
    const name = newJob();
    const newer = await start(jobOf(name), { deployment: 2 });
    const records = await put(newer, numbers(0, 3));
    await newer.task()(eventOf(stream, shard0!, records), newer.context());
    const older = await startCloud({ job: jobOf(name), streams: { [stream]: 1 }, deployment: 1 });
    await assert.rejects(older.task()(eventOf(stream, shard0!, records), older.context()), {
      name: "Millrace.fenced",
      kind: "fenced",
    });
    assert.equal(older.telemetry.total("failed.fenced"), 1);
  });

  test("that the author's function fails is refused without a word of the record, where the job says so", async () => {
    const job = jobOf(
      newJob(),
      (n) => {
        throw new Error(`secret ${n}`);
      },
      { onUserError: "fail" },
    );
    const cloud = await start(job);
    const records = await put(cloud, numbers(41, 42));
    const failed = await cloud
      .task()(eventOf(stream, shard0!, records), cloud.context())
      .catch((error: unknown) => error as Error);
    assert.ok(failed instanceof Error);
    assert.equal(failed.name, "Millrace.user");
    assert.match(failed.message, /each$/);
    assert.doesNotMatch(JSON.stringify([inspect(failed), cloud.telemetry.lines]), /secret/);
    assert.equal(cloud.telemetry.total("failed.user"), 1);
  });

  test("of a stream that nobody reads, or of no stream, is refused", async () => {
    const cloud = await start(jobOf(newJob()));
    const records = await put(cloud, numbers(0, 1));
    const handler = cloud.task();
    const event = eventOf(stream, shard0!, records);
    const refused = (changed: unknown, what: RegExp) =>
      assert.rejects(handler(changed, cloud.context()), { name: "Millrace.invalid", message: what });
    await refused(eventOf("other", shard0!, records), /no stage or source.*other/);
    await refused({ Records: [] }, /no records/);
    await refused({ Records: [{ ...event.Records[0], eventSource: "aws:s3" }] }, /aws:s3/);
    await refused({ Records: [{ ...event.Records[0], eventSource: "aws:sqs" }] }, /this is no queue/);
    await refused({ Records: [event.Records[0], { ...event.Records[0], eventID: "shardId-000000000001:1" }] }, /several shards/);
    await refused({ Records: [{ ...event.Records[0], kinesis: {} }] }, /sequence number/);
    await refused({}, /neither/);
    await refused({ kind: "poke", version: 2, tasks: ["a"] }, /version 2/);
  });

  test("fails when AWS does not answer, and the next one finds it well again", async () => {
    const cloud = await start(jobOf(newJob()));
    const records = await put(cloud, numbers(0, 3));
    const handler = cloud.task();
    const { dynamodb } = cloud.clients;
    const { handle } = dynamodb.config.requestHandler;
    dynamodb.config.requestHandler.handle = () => Promise.reject(Object.assign(new Error("down"), { code: "ECONNREFUSED" }));
    const event = eventOf(stream, shard0!, records);
    await assert.rejects(handler(event, cloud.context()), { name: "Millrace.unavailable" });
    dynamodb.config.requestHandler.handle = handle;
    assert.deepEqual(await handler(event, cloud.context()), { batchItemFailures: [] });
    assert.deepEqual(written(cloud), upTo(3));
  });
});

describe("a poke", () => {
  test("reads for itself until there is nothing left", async () => {
    const cloud = await start(jobOf(newJob()));
    await put(cloud, numbers(0, 500));
    const answer = await cloud.task()(pokeOf([id<TaskId>("g1.numbers~all")]), cloud.context());
    assert.deepEqual(answer, { outcomes: { "g1.numbers~all": "done" } });
    assert.deepEqual(written(cloud), upTo(500));
  });

  test("leaves what another environment is at, and does not read it again and again meanwhile", async () => {
    const job = jobOf(newJob());
    const cloud = await startCloud({ job, streams: { [stream]: 1 }, parts: { environment: { recordsPerTurn: 16 } } });
    await cloud.command();
    await put(cloud, numbers(0, 500));
    const table = new DynamoTable(cloud.clients.dynamodb, tableName, "journal", cloud.telemetry, {
      clock: cloud.clock,
      random: () => 0,
    });
    const task = id<TaskId>("g1.numbers~all");
    const worker = { by: "another", bell: undefined, until: cloud.clock.now() + 30_000 };
    const bytes = encodeValue({ at: "horizon", deaths: 2, worker, suspect: undefined, killers: [] });
    const name = attemptMessage(`numbers ${shard0}`);
    await new DynamoJournal(table, job.name, 128).post(task, { name, version: 3, bytes });
    let remainingMs = 60_000;
    const context = { awsRequestId: "poke", getRemainingTimeInMillis: () => (remainingMs -= 100) };
    const readsBefore = cloud.telemetry.total("kinesis.reads");
    assert.deepEqual(await cloud.task()(pokeOf([task]), context), { outcomes: { [task]: "done" } });
    assert.equal(cloud.telemetry.total("kinesis.reads") - readsBefore, 1);
    assert.deepEqual(written(cloud), []);
    cloud.clock.advance(30_000);
    await cloud.task()(pokeOf([task]), cloud.context());
    assert.ok(written(cloud).length > 0);
  });

  test("of a generation that is over is passed over", async () => {
    const cloud = await start(jobOf(newJob()));
    const answer = await cloud.task()(pokeOf([id<TaskId>("g0.numbers~all")]), cloud.context());
    assert.deepEqual(answer, { outcomes: { "g0.numbers~all": "stale" } });
  });
});

test("parameters of the job may stand in the function's environment", () => {
  const seen: number[] = [];
  const job = defineJob("parameters", (job) => {
    seen.push(job.param("limit", 1));
    job.source("numbers", kinesis({ stream, format: json(type<number>()) })).sinkTo("rows", rowSink);
  });
  for (const create of [createTaskHandler, createCoordinatorHandler]) {
    create(job.withParameters({ limit: 2 }), { variables: {} });
    assert.equal(seen.at(-1), 2);
    create(job.withParameters({ limit: 2 }), { variables: { MILLRACE_PARAM_LIMIT: "3" } });
    assert.equal(seen.at(-1), 3);
    assert.throws(() => create(job, { variables: { MILLRACE_PARAM_LIMIT: "x" } }), /"limit".*"x"/);
  }
});
