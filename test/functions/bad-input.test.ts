/**
 * What goes wrong outside of a job, seen through its functions: each cause is shown as an error of its kind that says what to do, moves the
 * metric to alarm on, and leaves the state as it is: when the cause is gone the job goes on, and what comes out in the end is a recount
 * of the input. docs/operations/failures.md lists each.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DeleteItemCommand, ScanCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { createTable } from "../../emulator/cloud/create-table.ts";
import { pokeOf } from "../../functions/contract.ts";
import type { HandlerError } from "../../functions/handler-error.ts";
import { metrics } from "../../functions/metrics.ts";
import { openSinks } from "../../functions/open-sinks.ts";
import { attribute, identityPartition, identitySort } from "../../runtime/adapters/aws/names.ts";
import { createStateTable } from "../../runtime/adapters/aws/state-table.ts";
import type { ErrorKind } from "../../runtime/base/errors.ts";
import { id, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import {
  defineJob,
  dynamodb,
  type Job,
  type JobOptions,
  json,
  keyedProcess,
  kinesis,
  type KinesisOptions,
  seconds,
  type Sink,
  type,
  value,
} from "../../runtime/index.ts";
import { type Fate, FaultyHandler, pass, refusal } from "../aws/faulty-handler.ts";
import { bucketName, newJob, tableName } from "../aws/stand-ins.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { type Cloud, type CloudOptions, rowSink, startCloud } from "./cloud.ts";

const stream = "numbers";
const hour = 3_600_000;
const minute = 60_000;

type Row = readonly [key: number, count: number];

/** Counts the numbers of each key: what is lost, or taken in twice, shows in every row after it. */
const counting = keyedProcess({
  key: type<number>(),
  state: { seen: value<number>() },
  output: type<Row>(),
  onRecord(_: number, ctx) {
    const count = (ctx.state.seen.get() ?? 0) + 1;
    ctx.state.seen.set(count);
    ctx.emit([ctx.key, count]);
  },
});

interface Variation extends JobOptions {
  readonly sink?: Sink<any>;
  readonly source?: Partial<KinesisOptions<number>>;
}

function jobOf(name: string, { sink = rowSink, source = {}, ...options }: Variation = {}): Job {
  return defineJob(
    name,
    (job) => {
      job
        .source("numbers", kinesis({ stream, format: json(type<number>()), ...source }))
        .keyBy((n) => n % 3)
        .process("counts", counting)
        .sinkTo("rows", sink);
    },
    { checkpoints: { interval: seconds(60) }, ...options },
  );
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

/** What comes out of these numbers, counted by itself. */
function expected(list: readonly number[]): readonly string[] {
  const counts = new Map<number, number>();
  return list
    .map((n) => {
      counts.set(n % 3, (counts.get(n % 3) ?? 0) + 1);
      return JSON.stringify([n % 3, counts.get(n % 3)]);
    })
    .sort();
}

async function start(job: Job, options: Partial<CloudOptions> = {}): Promise<Cloud> {
  return startCloud({ job, streams: { [stream]: 1 }, maxAttempts: 1, ...options });
}

async function put(cloud: Cloud, list: readonly number[], shard = 0): Promise<void> {
  const { range } = (await cloud.log.shards(stream))[shard]!;
  await cloud.log.append(
    stream,
    list.map((n) => ({ hashKey: range.from, bytes: bytesOf(String(n)) })),
  );
}

/** Rings the schedule and the mappings until it is so; what fails meanwhile is kept in `cloud.failures`. */
async function until(cloud: Cloud, reached: () => boolean): Promise<void> {
  for (let rounds = 0; rounds < 40; rounds++) {
    await cloud.lookUntil(reached).catch((error: Error) => cloud.failures.push(error));
    await cloud.deliver();
    if (reached()) return;
    cloud.clock.advance(20_000);
  }
  assert.fail(
    `it does not come to it: ${cloud.failures.slice(-3).join("\n")} ${JSON.stringify(cloud.telemetry.lines.slice(-3))}`,
  );
}

/** A checkpoint more is complete. */
async function untilCheckpoint(cloud: Cloud): Promise<void> {
  const { completed: before } = await cloud.command();
  for (let rounds = 0; rounds < 40; rounds++) {
    await cloud.deliver();
    if ((await cloud.command()).completed !== before) return;
    cloud.clock.advance(20_000);
  }
  assert.fail("no checkpoint is completed any more");
}

/** Everything that was put in has come out, once. */
async function untilExact(cloud: Cloud, list: readonly number[]): Promise<void> {
  await until(cloud, () => cloud.rows.written.size >= list.length);
  assert.deepEqual(cloud.rows.rows, expected(list));
}

type Client = keyof Cloud["clients"];

/** Decides over the requests of a client from now on. Returns what ends it. */
function interfere(cloud: Cloud, client: Client, decide: (operation: string, body: any) => Fate): () => void {
  const handler = new FaultyHandler();
  handler.decide = decide;
  return handleBy(cloud, client, handler);
}

/** The requests of a client go another way from now on. Returns what ends it. */
function handleBy(cloud: Cloud, client: Client, handler: Pick<NodeHttpHandler, "handle">): () => void {
  const { config } = cloud.clients[client] as unknown as { config: { requestHandler: NodeHttpHandler } };
  const own = config.requestHandler.handle;
  config.requestHandler.handle = handler.handle.bind(handler);
  return () => void (config.requestHandler.handle = own);
}

/** Requests of a client go to where nobody is. */
function sendAstray(cloud: Cloud, client: Client, place: { readonly hostname?: string; readonly port?: number }): () => void {
  const handler = new NodeHttpHandler();
  return handleBy(cloud, client, {
    handle: (request, options) => handler.handle(Object.assign(request, place), options),
  });
}

/** Kinesis refuses these operations of functions. */
function refuse(cloud: Cloud, name: string, operations: readonly string[]): () => void {
  return interfere(cloud, "kinesis", (operation) => (operations.includes(operation) ? refusal(name) : pass));
}

function xml(code: string, message: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
}

/** The metric that counts failures of a kind. */
const metricOf = (kind: ErrorKind) => metrics.find(({ of }) => of === `failed.${kind}`)!.of;

interface Cause {
  readonly title: string;
  readonly kind: ErrorKind;
  /** What the error says; or, where nothing but a poke fails, what the log does. */
  readonly says: RegExp;
  /** So long it goes on after it was seen. */
  readonly lastsMs?: number;
  /** The job has a stage with an inbox. */
  readonly exchange?: boolean;
  /** Returns what ends it. */
  readonly begin: (cloud: Cloud) => () => void;
}

const noPermission = /no permission, add it to the role that the job runs as: .*/;

const causes: readonly Cause[] = [
  {
    title: "no permission to write the state table",
    kind: "invalid",
    says: new RegExp(`${noPermission.source}write of table ${tableName}`),
    begin: (cloud) =>
      interfere(cloud, "dynamodb", (operation) =>
        operation === "PutItem" ? refusal("AccessDeniedException", "not authorized to perform: dynamodb:PutItem") : pass,
      ),
  },
  {
    title: "no permission to read the stream",
    kind: "invalid",
    says: new RegExp(`${noPermission.source}${stream}`),
    begin: (cloud) => refuse(cloud, "AccessDeniedException", ["GetRecords", "GetShardIterator", "ListShards"]),
  },
  {
    title: "no permission to write to the state bucket",
    kind: "invalid",
    says: new RegExp(`${noPermission.source}write of .* in bucket ${bucketName}`),
    begin: (cloud) =>
      interfere(cloud, "s3", (operation) =>
        operation.startsWith("PUT") ? { kind: "refuse", status: 403, body: xml("AccessDenied", "Access Denied") } : pass,
      ),
  },
  {
    title: "a key of KMS that is disabled",
    kind: "invalid",
    says: /the key that it is encrypted with is disabled: enable it/,
    begin: (cloud) => refuse(cloud, "KMSDisabledException", ["GetRecords", "GetShardIterator"]),
  },
  {
    title: "a bucket in another region",
    kind: "invalid",
    says: /it lies in another region, set AWS_REGION to that one: .*bucket/,
    begin: (cloud) =>
      interfere(cloud, "s3", () => ({ kind: "refuse", status: 301, body: xml("PermanentRedirect", "use eu-west-1") })),
  },
  {
    title: "an endpoint that nobody listens at",
    kind: "unavailable",
    says: /AWS did not answer.*AWS_REGION.*AWS_ENDPOINT_URL.*table state/,
    begin: (cloud) => sendAstray(cloud, "dynamodb", { port: 1 }),
  },
  {
    title: "a region whose endpoint does not exist",
    kind: "unavailable",
    says: /AWS did not answer.*AWS_REGION.*AWS_ENDPOINT_URL.*table state/,
    begin: (cloud) => sendAstray(cloud, "dynamodb", { hostname: "dynamodb.nowhere-1.invalid" }),
  },
  {
    title: "credentials that have expired",
    kind: "unavailable",
    says: /the credentials have expired: they must be refreshed/,
    begin: (cloud) => interfere(cloud, "dynamodb", () => refusal("ExpiredTokenException")),
  },
  {
    title: "a machine whose clock AWS refuses",
    kind: "unavailable",
    says: /this machine's clock differs from AWS's by minutes: set it/,
    begin: (cloud) =>
      interfere(cloud, "dynamodb", () =>
        refusal("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"),
      ),
  },
  {
    title: "a table that throttles for minutes",
    kind: "unavailable",
    says: /throttled by AWS, it is tried again: raise the capacity if this goes on: .*table state/,
    lastsMs: 2 * minute,
    begin: (cloud) =>
      interfere(cloud, "dynamodb", (operation) =>
        operation === "PutItem" ? refusal("ProvisionedThroughputExceededException") : pass,
      ),
  },
  {
    title: "a bucket that asks to slow down for minutes",
    kind: "unavailable",
    says: /throttled by AWS, it is tried again: raise the capacity if this goes on: .*bucket state/,
    lastsMs: 2 * minute,
    begin: (cloud) =>
      interfere(cloud, "s3", () => ({ kind: "refuse", status: 503, body: xml("SlowDown", "reduce your request rate") })),
  },
  {
    title: "a stream that throttles its readers for minutes",
    kind: "unavailable",
    says: /throttled by AWS, it is tried again: raise the capacity if this goes on: .*numbers/,
    lastsMs: 2 * minute,
    begin: (cloud) => refuse(cloud, "ProvisionedThroughputExceededException", ["GetRecords"]),
  },
  {
    title: "no permission to write to an inbox stream",
    kind: "invalid",
    exchange: true,
    says: new RegExp(`${noPermission.source}writing to stream .*-inbox-`),
    begin: (cloud) => refuse(cloud, "AccessDeniedException", ["PutRecords"]),
  },
  {
    title: "an inbox stream that throttles its writers for minutes",
    kind: "unavailable",
    exchange: true,
    says: /the inbox stream throttles, it is tried again: inbox-/,
    lastsMs: 2 * minute,
    begin: (cloud) => refuse(cloud, "ProvisionedThroughputExceededException", ["PutRecords"]),
  },
  {
    title: "an inbox stream that refuses each record for its shard's limit, for minutes",
    kind: "unavailable",
    exchange: true,
    says: /the inbox stream throttles, it is tried again: inbox-/,
    lastsMs: 2 * minute,
    begin: (cloud) =>
      interfere(cloud, "kinesis", (operation, body) => {
        if (operation !== "PutRecords") return pass;
        const record = { ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: "Rate exceeded for shard" };
        const Records = (body as { Records: unknown[] } | undefined)?.Records.map(() => record) ?? [record];
        return { kind: "refuse", status: 200, body: { FailedRecordCount: Records.length, Records } };
      }),
  },
];

describe("what comes, and goes again:", () => {
  for (const { title, kind, says, begin, lastsMs = 0, exchange = false } of causes)
    test(title, async () => {
      const cloud = await start(jobOf(newJob(), exchange ? { parallelism: 2 } : {}));
      const all = numbers(0, 40);
      await put(cloud, all.slice(0, 20));
      await untilExact(cloud, all.slice(0, 20));
      const before = cloud.telemetry.total(metricOf(kind));
      const logged = cloud.telemetry.lines.length;
      const end = begin(cloud);
      // Who waits for what throttles would be waited for by those that are rung meanwhile.
      if (exchange || lastsMs > 0) cloud.clock.meanwhile = async () => undefined;
      await put(cloud, all.slice(20));
      // Another environment goes on: nothing is in its memory.
      cloud.replaceTasks();
      const said = () =>
        cloud.failures.some(({ name, message }) => name === `Millrace.${kind}` && says.test(message)) ||
        cloud.telemetry.lines.slice(logged).some(({ fields }) => says.test(String((fields as { error?: string }).error)));
      await until(cloud, said);
      const ends = cloud.clock.now() + lastsMs;
      await until(cloud, () => cloud.clock.now() >= ends);
      assert.ok(cloud.telemetry.total(metricOf(kind)) > before, "the metric has moved");
      assert.deepEqual(
        cloud.failures.filter(({ name }) => name !== `Millrace.${kind}`),
        [],
        "nothing else fails",
      );
      end();
      cloud.clock.meanwhile = cloud.deliver;
      await untilExact(cloud, all);
      await untilCheckpoint(cloud);
    });
});

/** The coordinator refuses to start, or goes on, by an error that says so; the metric counts it. */
async function refuses(cloud: Cloud, kind: ErrorKind, says: RegExp): Promise<void> {
  const before = cloud.telemetry.total(metricOf(kind));
  await assert.rejects(cloud.command(), (error: HandlerError) => {
    assert.equal(error.name, `Millrace.${kind}`);
    assert.match(error.message, says);
    return true;
  });
  assert.ok(cloud.telemetry.total(metricOf(kind)) > before, "the metric has moved");
}

/** The tasks wait: what came is not answered with success, and nothing comes out. */
async function waits(cloud: Cloud, says?: RegExp): Promise<void> {
  const before = cloud.rows.written.size;
  const { failed, batches } = cloud.counts;
  const failures = cloud.failures.length;
  await cloud.deliver();
  assert.equal(cloud.counts.failed - failed, cloud.counts.batches - batches);
  assert.ok(cloud.counts.batches > batches);
  assert.equal(cloud.rows.written.size, before);
  if (says !== undefined) assert.match(String(cloud.failures.slice(failures)[0]), says);
}

/** The table of a sink, with this key. */
/** A job that counts into a table of its own. */
function tableJob(name: string, table: string, map: (row: Row) => object = ([key, count]) => ({ key, count })): Job {
  return defineJob(
    name,
    (job) => {
      job
        .source("numbers", kinesis({ stream, format: json(type<number>()) }))
        .keyBy((n) => n % 3)
        .process("counts", counting)
        .map("row", map as (row: Row) => { key: number; count: number })
        .sinkTo("table", dynamodb({ table, key: ["key"] }));
    },
    { checkpoints: { interval: seconds(60) } },
  );
}

async function countsIn(cloud: Cloud, table: string): Promise<readonly string[]> {
  const { Items = [] } = await cloud.clients.dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true }));
  return Items.map(({ key, count }) => JSON.stringify([Number(key?.N), Number(count?.N)])).sort();
}

/** The last count of each key. */
function lastCounts(list: readonly number[]): readonly string[] {
  return [0, 1, 2].map((key) => JSON.stringify([key, list.filter((n) => n % 3 === key).length]));
}

describe("what is not there, or not the job's:", () => {
  const all = numbers(0, 20);

  test("the state table", async () => {
    const name = newJob();
    const cloud = await start(jobOf(name), { table: `of-${name}` });
    await put(cloud, all);
    await refuses(cloud, "invalid", new RegExp(`no such table, stream, bus or function in this account and region.*of-${name}`));
    await waits(cloud, /Millrace.invalid: there is no such table/);
    await createStateTable(cloud.clients.dynamodb, `of-${name}`, cloud.clock);
    await untilExact(cloud, all);
  });

  test("the state bucket", async () => {
    const name = newJob();
    const cloud = await start(jobOf(name), { bucket: `of-${name}` });
    await put(cloud, all);
    await refuses(cloud, "invalid", new RegExp(`no such bucket: create it.*of-${name}`));
    await waits(cloud);
    await cloud.clients.s3.send(new CreateBucketCommand({ Bucket: `of-${name}` }));
    await untilExact(cloud, all);
  });

  test("the stream of a source", async () => {
    const cloud = await start(jobOf(newJob()), { streams: {} });
    await refuses(cloud, "invalid", /no such table, stream, bus or function in this account and region.*numbers/);
    await cloud.log.createStream(stream, 1);
    await put(cloud, all);
    cloud.mapStream(stream);
    await untilExact(cloud, all);
  });

  test("an inbox stream", async () => {
    const name = newJob();
    const cloud = await start(jobOf(name, { parallelism: 2 }), { inboxes: "later" });
    await put(cloud, all);
    await refuses(
      cloud,
      "invalid",
      new RegExp(`no such table, stream, bus or function in this account and region.*${name}-inbox-counts`),
    );
    await waits(cloud);
    await cloud.log.createStream(`${name}-inbox-counts`, 2);
    await untilExact(cloud, all);
  });

  test("the table of a sink", async () => {
    const name = newJob();
    const cloud = await start(tableJob(name, `rows-${name}`), { parts: { openSinks } });
    await put(cloud, all);
    await refuses(
      cloud,
      "invalid",
      new RegExp(`no such table, stream, bus or function in this account and region.*rows-${name}`),
    );
    await createTable(cloud.clients.dynamodb, `rows-${name}`, { partitionKey: { name: "other", type: "N" } });
    await refuses(cloud, "invalid", new RegExp(`keys are not those of the sink.*rows-${name} has other, the sink key`));
    await waits(cloud);
  });

  test("a state table with other keys", async () => {
    const name = newJob();
    const cloud = await start(jobOf(name), { table: `of-${name}` });
    await createTable(cloud.clients.dynamodb, `of-${name}`, { partitionKey: { name: "key", type: "N" } });
    await refuses(cloud, "invalid", new RegExp(`the table has other keys than the job needs.*of-${name}`));
  });

  test("state of an older format", async () => {
    const name = newJob();
    const cloud = await start(jobOf(name));
    await put(cloud, all);
    await untilExact(cloud, all);
    const Key = { [attribute.partition]: { S: identityPartition(name) }, [attribute.sort]: { S: identitySort } };
    const setFormat = (n: number) =>
      cloud.clients.dynamodb.send(
        new UpdateItemCommand({
          TableName: tableName,
          Key,
          UpdateExpression: "SET #n = :n",
          ExpressionAttributeNames: { "#n": attribute.number },
          ExpressionAttributeValues: { ":n": { N: String(n) } },
        }),
      );
    await setFormat(0);
    cloud.replaceTasks();
    cloud.replaceCoordinator();
    await put(cloud, numbers(20, 30));
    const says = new RegExp(`written by another version: run that version.*job ${name}, format 0, known 1`);
    await refuses(cloud, "invalid", says);
    await waits(cloud, says);
    await setFormat(1);
    await untilExact(cloud, numbers(0, 30));
  });

  test("the table of another job's sink", async () => {
    const [first, second] = [newJob(), newJob()];
    const table = `rows-${first}`;
    const owner = await start(tableJob(first, table), { parts: { openSinks } });
    await createTable(owner.clients.dynamodb, table, { partitionKey: { name: "key", type: "N" } });
    await put(owner, all);
    await owner.command();
    await owner.deliver();
    assert.deepEqual(await countsIn(owner, table), lastCounts(all));
    const cloud = await start(tableJob(second, table), { parts: { openSinks } });
    await put(cloud, numbers(0, 7));
    await cloud.command();
    await waits(cloud, new RegExp(`Millrace.invalid: .*${first}`));
    assert.deepEqual(await countsIn(owner, table), lastCounts(all), "the other's rows are as they were");
    for (const key of [0, 1, 2])
      await owner.clients.dynamodb.send(new DeleteItemCommand({ TableName: table, Key: { key: { N: String(key) } } }));
    for (let n = 0; n < 3; n++) await cloud.deliver();
    assert.deepEqual(await countsIn(cloud, table), lastCounts(numbers(0, 7)));
  });
});

const shard0 = id<ShardId>("shardId-000000000000");

describe("what is lost at the source:", () => {
  test("nothing, where an iterator has expired", async () => {
    const cloud = await start(jobOf(newJob()));
    const all = numbers(0, 30);
    await put(cloud, all.slice(0, 10));
    await untilExact(cloud, all.slice(0, 10));
    let refused = 0;
    const end = interfere(cloud, "kinesis", (operation) =>
      operation === "GetRecords" && refused++ % 2 === 0 ? refusal("ExpiredIteratorException", "Iterator expired.") : pass,
    );
    await put(cloud, all.slice(10));
    const task = id<TaskId>("g1.numbers~all");
    assert.deepEqual(await cloud.task()(pokeOf([task]), cloud.context()), { outcomes: { [task]: "done" } });
    assert.ok(refused >= 2);
    end();
    await untilExact(cloud, all);
    assert.deepEqual(cloud.failures, []);
  });

  test("records whose retention passed, which is reported with the range", async () => {
    const cloud = await start(jobOf(newJob()));
    await put(cloud, numbers(0, 10));
    await untilExact(cloud, numbers(0, 10));
    await put(cloud, numbers(10, 20));
    const lost = await cloud.log.read(stream, shard0, "horizon", { records: 100, bytes: 1e6 });
    cloud.clock.advance(25 * hour);
    await put(cloud, numbers(20, 30));
    cloud.replaceTasks();
    const left = [...numbers(0, 10), ...numbers(20, 30)];
    await untilExact(cloud, left);
    assert.ok(cloud.telemetry.total("sourceGap") > 0);
    const line = cloud.telemetry.lines.find(({ message }) => /lost at the source/.test(message));
    const { after, before, shard } = line?.fields as { after: string; before: string; shard: string };
    assert.equal(line?.level, "error");
    assert.deepEqual([shard, after], [shard0, lost.records[9]!.position]);
    assert.ok(BigInt(before) > BigInt(lost.records[19]!.position));
  });

  test("records whose retention passed, at which a job may stop", async () => {
    const name = newJob();
    const cloud = await start(jobOf(name, { source: { whenLost: "fail" } }));
    await put(cloud, numbers(0, 10));
    await untilExact(cloud, numbers(0, 10));
    await untilCheckpoint(cloud);
    await put(cloud, numbers(10, 20));
    cloud.clock.advance(25 * hour);
    await put(cloud, numbers(20, 30));
    cloud.replaceTasks();
    await waits(cloud, /Millrace.corrupt: records were lost at the source.*numbers, shardId-000000000000, after \d+, before \d+/);
    assert.ok(cloud.telemetry.total("sourceGap") > 0);
    assert.ok(cloud.telemetry.total("failed.corrupt") > 0);
    cloud.deploy(jobOf(name, { source: { whenLost: "report" } }));
    await untilExact(cloud, [...numbers(0, 10), ...numbers(20, 30)]);
  });

  test("nothing, where a shard was idle for longer than its retention", async () => {
    const cloud = await start(jobOf(newJob(), { checkpoints: { interval: seconds(600) } }));
    await put(cloud, numbers(0, 10));
    await untilExact(cloud, numbers(0, 10));
    for (let passed = 0; passed < 30; passed += 10) {
      cloud.clock.advance(10 * hour);
      await untilCheckpoint(cloud);
    }
    const { records } = await cloud.log.read(stream, shard0, "horizon", { records: 100, bytes: 1e6 });
    assert.deepEqual(records, [], "all that was read has expired");
    cloud.replaceTasks();
    await put(cloud, numbers(10, 20));
    await untilExact(cloud, numbers(0, 20));
    assert.equal(cloud.telemetry.total("sourceGap"), 0);
  });

  test("records of a shard that was never read, while the job could not", async () => {
    const cloud = await start(jobOf(newJob()));
    await cloud.command();
    const end = interfere(cloud, "kinesis", () => refusal("AccessDeniedException"));
    await put(cloud, numbers(0, 10));
    cloud.clock.advance(25 * hour);
    await put(cloud, numbers(10, 20));
    await waits(cloud);
    end();
    await untilExact(cloud, numbers(10, 20));
    const line = cloud.telemetry.lines.find(({ message }) => /lost at the source/.test(message));
    assert.equal((line?.fields as { after: string }).after, "horizon");
    assert.ok(cloud.telemetry.total("sourceGap") > 0);
  });

  test("a shard that was deleted before it was read", async () => {
    const cloud = await start(jobOf(newJob()));
    await put(cloud, numbers(0, 10));
    await untilExact(cloud, numbers(0, 10));
    await put(cloud, numbers(10, 20));
    await cloud.log.splitShard(stream, shard0);
    cloud.clock.advance(25 * hour);
    await put(cloud, numbers(20, 30), -1 + (await cloud.log.shards(stream)).length);
    assert.ok(!(await cloud.log.shards(stream)).some(({ id: shard }) => shard === shard0), "it is listed no more");
    cloud.replaceTasks();
    await untilExact(cloud, [...numbers(0, 10), ...numbers(20, 30)]);
    // No mapping brings anything of it: its task hears of that when it is rung.
    await until(cloud, () => cloud.telemetry.total("sourceGap") > 0);
    const line = cloud.telemetry.lines.find(({ message }) => /lost at the source/.test(message));
    assert.equal((line?.fields as { shard: string }).shard, shard0);
  });
});

describe("what is too large:", () => {
  const all = numbers(0, 9);
  const text = "x".repeat(2 << 20);

  test("a row, which goes to the dead letters with the reason, and its neighbours are written", async () => {
    const name = newJob();
    const table = `rows-${name}`;
    const job = tableJob(name, table, ([key, count]) => ({ key, count, ...(count === 2 && key === 1 && { text }) }));
    const cloud = await start(job, { parts: { openSinks } });
    await createTable(cloud.clients.dynamodb, table, { partitionKey: { name: "key", type: "N" } });
    await put(cloud, all);
    await cloud.command();
    await cloud.deliver();
    assert.deepEqual(await countsIn(cloud, table), lastCounts(all));
    assert.equal(cloud.telemetry.total("turn.deadLetters"), 1);
    assert.deepEqual(cloud.failures, []);
  });

  test("a record on its way to the next stage, which goes to the dead letters with the reason", async () => {
    const name = newJob();
    const job = defineJob(
      name,
      (builder) => {
        builder
          .source("numbers", kinesis({ stream, format: json(type<number>()) }))
          .map("grow", (n) => ({ n, ...(n === 4 && { text: randomText(2 << 20) }) }))
          .keyBy(({ n }) => n % 3)
          .reduce("last", (_, next) => next)
          .map("shrink", ({ n }) => n)
          .sinkTo("rows", rowSink);
      },
      { parallelism: 2 },
    );
    const cloud = await start(job);
    await put(cloud, all);
    await until(cloud, () => cloud.rows.written.size >= all.length - 1);
    assert.deepEqual(
      cloud.rows.rows.map(Number),
      all.filter((n) => n !== 4),
    );
    assert.equal(cloud.telemetry.total("turn.deadLetters"), 1);
    assert.match(cloud.rows.letters[0]!.reason, /bytes/);
    assert.equal(Buffer.from(cloud.rows.letters[0]!.bytes).toString(), "4");
  });
});

/** Text that no compression makes small. */
function randomText(length: number): string {
  let state = 1;
  return Array.from({ length: length / 4 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8).toString(36).padStart(4, "0").slice(-4);
  }).join("");
}

describe("clocks that are wrong:", () => {
  const all = numbers(0, 60);

  for (const [what, ms] of [
    ["ten minutes ahead", 10 * minute],
    ["ten minutes behind", -10 * minute],
  ] as const)
    test(`a coordinator's, ${what}, and right again`, async () => {
      const cloud = await start(jobOf(newJob()));
      await put(cloud, all.slice(0, 20));
      await untilExact(cloud, all.slice(0, 20));
      const completed = new Set<string | undefined>();
      for (const skewMs of [ms, 0]) {
        cloud.skew.coordinatorMs = skewMs;
        cloud.replaceCoordinator();
        await put(cloud, skewMs === 0 ? all.slice(40) : all.slice(20, 40));
        const before = completed.size;
        for (let minutes = 0; minutes < 5; minutes++) {
          completed.add((await cloud.command()).completed);
          await cloud.deliver();
          cloud.clock.advance(20_000);
        }
        assert.ok(completed.size - before >= 2, `checkpoints go on: ${completed.size - before}`);
      }
      await untilExact(cloud, all);
      assert.deepEqual(cloud.failures, []);
    });

  test("that of a coordinator that died while it was an hour ahead", async () => {
    const cloud = await start(jobOf(newJob()));
    await put(cloud, all);
    await untilExact(cloud, all);
    cloud.skew.coordinatorMs = hour;
    await cloud.dieInCommand();
    cloud.skew.coordinatorMs = 0;
    cloud.clock.advance(5 * minute);
    assert.ok((await cloud.command()).looks > 0, "the next one works");
    await untilCheckpoint(cloud);
  });

  test("an environment's, which goes back by an hour", async () => {
    const cloud = await start(jobOf(newJob()));
    await put(cloud, all.slice(0, 20));
    await untilExact(cloud, all.slice(0, 20));
    await untilCheckpoint(cloud);
    cloud.skew.taskMs = -hour;
    await put(cloud, all.slice(20, 40));
    await untilExact(cloud, all.slice(0, 40));
    // What it remembers of the job is not kept for that hour: it hears of a new generation.
    await cloud.command({ version: 1, kind: "restore", id: "back", manifest: undefined });
    await put(cloud, all.slice(40));
    await until(cloud, () => cloud.rows.generations.has(2));
    await until(cloud, () => new Set(cloud.rows.rows).size >= all.length);
    assert.deepEqual([...new Set(cloud.rows.rows)].sort(), expected(all));
    assert.deepEqual(cloud.failures, []);
  });
});
