/** The sinks of a job on AWS: which kinds there are, what they are bound to, and what is found out at the start. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { createTable } from "../../emulator/cloud/create-table.ts";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { AwsSinks } from "../../runtime/adapters/aws/aws-sinks.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { Sink } from "../../runtime/api/connector.ts";
import { id, type OperatorUid } from "../../runtime/base/ids.ts";
import { consoleSink, customSink, dynamodb, fileSink, json, kinesisSink, ndjson, s3 } from "../../runtime/index.ts";
import { textOf } from "../ports/adapter-maker.ts";
import { effectsOf, failsAs, operator, restoreOf, task } from "./sinks.ts";
import { bucketName, HastyClock, newJob, patientHandler, withDynamoDb, withKinesis, withS3 } from "./stand-ins.ts";

const credentials = { accessKeyId: "x", secretAccessKey: "y" };
const dynamo = withDynamoDb();
const objects = withS3();
const streams = withKinesis();

/** The sinks of a job whose names are bound as given; dead letters and lists lie in a folder of their own. */
async function place(sinks: Readonly<Record<string, Sink<any, any>>>, bindings: Readonly<Record<string, string>> = {}) {
  const { log, server } = await streams.log();
  await log.createStream("stream", 1);
  const at = (endpoint: string) =>
    awsClients({ endpoint, region: "us-east-1", credentials, maxAttempts: 1, requestHandler: patientHandler() });
  const clients = {
    dynamodb: at(await dynamo.endpoint()).dynamodb,
    s3: at(await objects.endpoint()).s3,
    kinesis: at(server.endpoint).kinesis,
  };
  const job = newJob();
  const telemetry = new MemoryTelemetry();
  const printed: string[] = [];
  const console = new Writable({
    write: (chunk, _encoding, done) => {
      printed.push(String(chunk));
      done();
    },
  });
  const all = new AwsSinks({
    job,
    sinks: new Map(Object.entries(sinks).map(([uid, sink]) => [id<OperatorUid>(uid), sink])),
    bindings: new Map(Object.entries(bindings).map(([name, bound]) => [name, [bound]])),
    deadLetters: { bucket: bucketName, prefix: `${job}/` },
    telemetry,
    pace: { clock: new HastyClock(), random: () => 0.5 },
    clients,
    console,
  });
  const bucket = await objects.bucket();
  const keys = async () => (await bucket.listAll(`${job}/`)).map(({ key }) => key.slice(job.length + 1));
  const write = async (uid: string, rows: readonly unknown[], from = 1) => {
    for (const effect of effectsOf(sinks[uid]!, [{ rows, end: "barrier" }], { from }).flat())
      await all.carryOut({ ...effect, operator: id<OperatorUid>(uid) });
  };
  return { all, clients, log, job, bucket, keys, write, printed, telemetry };
}

async function createCounts(name: string): Promise<void> {
  await createTable(await dynamo.client(), name, { partitionKey: { name: "page", type: "S" } });
}

describe("aws: the sinks of a job", () => {
  it("write each to what its name, or its uid, is bound to", async () => {
    const seen: unknown[] = [];
    await createCounts("physical-counts");
    const { all, write, clients, bucket, log, printed } = await place(
      {
        table: dynamodb<{ page: string }>({ table: "counts", key: ["page"] }),
        objects: s3({ bucket: "results", prefix: "all-kinds/", format: ndjson() }),
        records: kinesisSink({ stream: "events", format: json(), partitionKey: () => "k" }),
        own: customSink<unknown>({
          name: "own",
          guarantee: "atLeastOnce",
          write: (rows) => void seen.push(...rows.map((r) => r.value)),
        }),
        screen: consoleSink(),
      },
      { counts: "physical-counts", objects: bucketName, events: "stream" },
    );
    await all.check();
    for (const uid of ["table", "objects", "records", "own", "screen"]) await write(uid, [{ page: uid }]);
    const { Items } = await clients.dynamodb.send(new ScanCommand({ TableName: "physical-counts" }));
    assert.deepEqual(
      Items!.map(({ page }) => page),
      [{ S: "table" }],
    );
    const [object] = await bucket.listAll("all-kinds/");
    assert.equal(textOf((await bucket.get(object!.key))!), `{"page":"objects"}\n`);
    const [shard] = await log.shards("stream");
    const { records } = await log.read("stream", shard!.id, "horizon", { records: 9, bytes: 1e6 });
    assert.deepEqual(
      records.map(({ bytes }) => textOf(bytes)),
      [`{"page":"records"}`],
    );
    assert.deepEqual(seen, [{ page: "own" }]);
    assert.deepEqual(printed, [`{"page":"screen"}\n`]);
    await all.close();
  });

  it("are refused where they cannot be written, or two would write the same", async () => {
    await assert.rejects(
      place({ out: fileSink({ path: "x", format: ndjson() }) }),
      failsAs("invalid", /kind files is not written on AWS.*out/),
    );
    const late = () => s3({ bucket: "late", prefix: "a/", format: ndjson() });
    await assert.rejects(place({ one: late(), two: late() }), failsAs("invalid", /same names.*one, two/));
    await assert.rejects(
      place({ one: late(), two: s3({ bucket: "other", prefix: "a/", format: ndjson() }) }, { late: "same", other: "same" }),
      failsAs("invalid", /one, two/),
    );
    await place({ one: late(), two: s3({ bucket: "late", prefix: "b/", format: ndjson() }) });
    const { all } = await place({});
    await assert.rejects(
      all.carryOut({ operator, task, generation: 1, seq: 1, n: 0, payload: new Uint8Array() }),
      failsAs("invalid", /no sink of this name any more: out/),
    );
  });

  it("say at the start what is missing", async () => {
    const cases: readonly (readonly [Sink<any, any>, RegExp])[] = [
      [dynamodb<any>({ table: "nowhere", key: ["page"] }), /no such table.*nowhere/],
      [s3({ bucket: "nowhere", format: ndjson() }), /no such bucket.*nowhere/],
      [kinesisSink({ stream: "nowhere", format: json(), partitionKey: () => "k" }), /no such.*stream.*nowhere/],
    ];
    for (const [sink, message] of cases)
      await assert.rejects((await place({ out: sink })).all.check(), failsAs("invalid", message));
  });

  it("keep dead letters, and the list of what a restore could not take back, in the bucket", async () => {
    await createCounts("listed");
    const { all, write, keys, bucket, job, telemetry } = await place({
      "the/table": dynamodb<any>({ table: "listed", key: ["page"] }),
    });
    const letter = { operator, reason: "why", shard: "s", position: "1", bytes: Buffer.from("x") };
    await all.deadLetters({ task, generation: 1, seq: 3, letters: [letter] });
    for (const seq of [1, 2]) await write("the/table", [{ page: "changed", n: seq }], seq);
    for (let times = 0; times < 2; times++) await all.quarantine(id<OperatorUid>("the/table"), restoreOf({ [task]: 1 }));
    assert.deepEqual(await keys(), ["g1-g1.count~0-00000003.ndjson", "restored/g2-the%2Ftable.ndjson"]);
    assert.deepEqual(JSON.parse(textOf((await bucket.get(`${job}/restored/g2-the%2Ftable.ndjson`))!)), {
      key: { page: "changed" },
      change: "written",
      generation: 1,
      seq: 2,
      task,
    });
    const [said] = telemetry.lines;
    assert.deepEqual(
      [said!.level, (said!.fields as { list: string }).list],
      ["warn", `s3://${bucketName}/${job}/restored/g2-the%2Ftable.ndjson`],
    );
  });
});
