/** Sources of which mappings bring what comes: topics of Kafka, queues, buses, and the changes of a table. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, test } from "node:test";
import { DescribeTableCommand } from "@aws-sdk/client-dynamodb";
import { keepConnections } from "../../emulator/keep-connections.ts";
import {
  type BusEvent,
  dynamodbStream,
  defineJob,
  eventBridge,
  firstOfKey,
  hours,
  type Job,
  json,
  kafka,
  type KafkaOptions,
  seconds,
  type Source,
  sqs,
  type SqsMessage,
  type,
  value,
} from "../../runtime/index.ts";
import { type BlobName, id } from "../../runtime/base/ids.ts";
import { avro, confluentRegistry } from "../../runtime/connectors/formats/avro.ts";
import { FakeTableStream } from "../aws/fake-table-stream.ts";
import { newJob } from "../aws/stand-ins.ts";
import { type Cloud, rowSink, startCloud } from "./cloud.ts";

interface Entry {
  readonly key: string;
  readonly n: number;
}

/** Each key's numbers, as they come. */
function countingJob<T>(source: Source<T>, entryOf: (value: T) => Entry, parallelism: number, once?: (value: T) => string): Job {
  return defineJob(
    newJob(),
    (job) => {
      const values = job.source("in", source);
      const distinct =
        once === undefined ? values : values.keyBy(once).process("once", firstOfKey<T, string>({ within: hours(1) }));
      distinct
        .map("entries", entryOf)
        .keyBy(({ key }) => key)
        .process("row", {
          output: type<readonly [key: string, n: number, after: number]>(),
          state: { last: value<number>() },
          onRecord: ({ key, n }, ctx) => {
            ctx.emit([key, n, ctx.state.last.get() ?? 0]);
            ctx.state.last.set(n);
          },
        })
        .sinkTo("rows", rowSink);
    },
    { parallelism, checkpoints: { interval: seconds(20) } },
  );
}

/** The sums of rows by key, and whether each key's numbers came in their order. */
const rowsOf = ({ rows }: Cloud) => rows.rows.map((row) => JSON.parse(row) as readonly [string, number, number]);
const inOrder = (key: string, count: number) => Array.from({ length: count }, (_, n) => [key, n + 1, n] as const);
const sorted = (rows: readonly (readonly [string, number, number])[]) => rows.map((row) => JSON.stringify(row)).sort();

async function settle(cloud: Cloud, count: number): Promise<void> {
  for (let looks = 0; looks < 20 && cloud.rows.rows.length < count; looks++) {
    await cloud.command();
    await cloud.deliver();
    cloud.clock.advance(20_000);
  }
}

async function invoke(cloud: Cloud, event: object): Promise<any> {
  const answer = await cloud.task()(event, cloud.context());
  await cloud.deliver();
  return answer;
}

// ---- topics ----

/** Of `startCloud`, of each stage. */
const environments = 2;
const entry = json(type<Entry>());
const base64 = (text: string) => Buffer.from(text).toString("base64");

function kafkaEvent(records: Readonly<Record<number, readonly (readonly [offset: number, entry: Entry])[]>>, topic = "orders") {
  const lists = Object.entries(records).map(([partition, list]) => [
    `${topic}-${partition}`,
    list.map(([offset, { key, n }]) => ({
      ...{ topic, partition: Number(partition), offset, timestamp: 1_700_000_000_000, timestampType: "CREATE_TIME" },
      ...{ key: base64(key), value: base64(JSON.stringify({ key, n })), headers: [] },
    })),
  ]);
  return {
    eventSource: "aws:kafka",
    eventSourceArn: "arn:aws:kafka:x",
    bootstrapServers: "b",
    records: Object.fromEntries(lists),
  };
}

const entries = (key: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, k) => [from + k, { key, n: from + k + 1 }] as const);

describe("a topic of Kafka", () => {
  const start = async (parallelism: number, options: Partial<KafkaOptions<Entry>> = {}) => {
    const source = kafka({ topic: "orders", partitions: 3, format: entry, ...options });
    const cloud = await startCloud({ job: countingJob(source, (value) => value, parallelism), streams: {} });
    await cloud.command();
    return cloud;
  };

  for (const parallelism of [1, 2])
    test(`at parallelism ${parallelism}: batches of several partitions, brought again and again, come out once and in order`, async () => {
      const cloud = await start(parallelism);
      await invoke(cloud, kafkaEvent({ 0: entries("a", 0, 5), 2: entries("c", 0, 3) }));
      await invoke(cloud, kafkaEvent({ 0: entries("a", 0, 8), 2: entries("c", 0, 3) }));
      await invoke(cloud, kafkaEvent({ 2: entries("c", 1, 6), 1: entries("b", 0, 4) }));
      await invoke(cloud, kafkaEvent({ 0: entries("a", 8, 12) }));
      await settle(cloud, 22);
      assert.deepEqual(sorted(rowsOf(cloud)), sorted([...inOrder("a", 12), ...inOrder("b", 4), ...inOrder("c", 6)]));
    });

  test("that begins in its midst begins there", async () => {
    const cloud = await start(1);
    await invoke(cloud, kafkaEvent({ 0: entries("a", 100, 102) }));
    await settle(cloud, 2);
    assert.deepEqual(
      rowsOf(cloud).map(([, n]) => n),
      [101, 102],
    );
  });

  test("of which offsets are left out stops, with the range and what to do, until they are brought", async () => {
    const cloud = await start(1);
    await invoke(cloud, kafkaEvent({ 0: entries("a", 0, 3) }));
    await assert.rejects(
      invoke(cloud, kafkaEvent({ 0: entries("a", 5, 8) })),
      /not brought: in, partition-0, after 2, before 5.*consumer group/,
    );
    assert.equal(rowsOf(cloud).length, 3);
    await invoke(cloud, kafkaEvent({ 0: entries("a", 3, 8) }));
    assert.deepEqual(sorted(rowsOf(cloud)), sorted(inOrder("a", 8)));
  });

  test("of which offsets are left out goes on, when it is to be reported, or means nothing", async () => {
    for (const [options, gaps] of [
      [{ whenLost: "report" }, 1],
      [{ offsets: "sparse" }, 0],
    ] as const) {
      const cloud = await start(1, options);
      await invoke(cloud, kafkaEvent({ 0: entries("a", 0, 3) }));
      await invoke(cloud, kafkaEvent({ 0: entries("a", 5, 8) }));
      assert.equal(rowsOf(cloud).length, 6);
      assert.equal(cloud.telemetry.total("sourceGap"), gaps);
    }
  });

  test("that was stopped with a savepoint goes on; restored from an earlier checkpoint it stops until the group is set back", async () => {
    const cloud = await start(1);
    await invoke(cloud, kafkaEvent({ 0: entries("a", 0, 3) }));
    cloud.clock.advance(20_000);
    const { completed } = await cloud.command();
    await invoke(cloud, kafkaEvent({ 0: entries("a", 3, 6) }));
    await cloud.command({ version: 1, kind: "stop", id: "one" });
    await cloud.command({ version: 1, kind: "resume", id: "two" });
    await invoke(cloud, kafkaEvent({ 0: entries("a", 6, 8) }));
    assert.deepEqual(sorted(rowsOf(cloud)), sorted(inOrder("a", 8)));
    await cloud.command({ version: 1, kind: "restore", id: "three", manifest: id<BlobName>(completed!) });
    cloud.rows.written.clear();
    await assert.rejects(invoke(cloud, kafkaEvent({ 0: entries("a", 8, 9) })), /after 2, before 8/);
    await invoke(cloud, kafkaEvent({ 0: entries("a", 3, 9) }));
    assert.deepEqual(sorted(rowsOf(cloud)), sorted(inOrder("a", 9).slice(3)));
  });

  test("with more partitions than were said, and of another name, is refused", async () => {
    const cloud = await start(1);
    await assert.rejects(invoke(cloud, kafkaEvent({ 3: entries("a", 0, 1) })), /partition-3/);
    await assert.rejects(
      invoke(cloud, kafkaEvent({ 0: entries("a", 0, 1) }, "others")),
      /no source of job .* reads this.*others/,
    );
    for (const broken of [
      { records: { "orders-0": [] } },
      { records: { "orders-0": [{ topic: "orders", partition: 0, offset: "x" }] } },
      {},
    ])
      await assert.rejects(invoke(cloud, { eventSource: "SelfManagedKafka", ...broken }), /not what a mapping brings/);
    assert.equal(rowsOf(cloud).length, 0);
  });

  test("has records without a value, which go to the dead letters", async () => {
    const cloud = await start(1);
    const event = kafkaEvent({ 0: entries("a", 0, 3) });
    (event.records["orders-0"] as { value?: unknown }[])[1]!.value = undefined;
    await invoke(cloud, event);
    assert.equal(cloud.rows.letters.length, 1);
    assert.equal(rowsOf(cloud).length, 2);
  });
});

describe("a topic whose records name their schemas", () => {
  const schemaOf = (...more: readonly object[]) => ({
    ...{ type: "record", name: "Entry" },
    fields: [{ name: "key", type: "string" }, { name: "n", type: "int" }, ...more],
  });
  const written = schemaOf();
  const read = schemaOf({ name: "currency", type: "string", default: "EUR" });

  /** Knows schema 7, once it answers. */
  class Registry {
    answers = true;
    asked = 0;
    readonly #server = createServer((request, response) => {
      this.asked++;
      if (!this.answers) response.writeHead(503).end();
      else if (request.url === "/schemas/ids/7") response.end(JSON.stringify({ schema: JSON.stringify(written) }));
      else response.writeHead(404).end(JSON.stringify({ error_code: 40403 }));
    });

    async start(): Promise<string> {
      keepConnections(this.#server);
      this.#server.listen(0, "127.0.0.1");
      await once(this.#server, "listening");
      after(() => this.#server.close());
      return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    }
  }

  type Priced = Entry & { readonly currency: string };

  const start = async () => {
    const registry = new Registry();
    const schemas = confluentRegistry({ url: await registry.start() });
    const source = kafka({ topic: "orders", partitions: 2, format: avro<Priced>({ schema: read, registry: schemas }) });
    const job = countingJob<Priced>(source, ({ key, n, currency }) => ({ key: `${key} ${currency}`, n }), 2);
    const cloud = await startCloud({ job, streams: {} });
    await cloud.command();
    return { registry, cloud };
  };

  /** As its producer writes it: of another schema than the job's. */
  const eventOf = (offsets: readonly number[], schemaId = 7) => {
    const format = avro<Entry>({ schema: written, registry: confluentRegistry({ url: "http://writer" }), schemaId });
    const event = kafkaEvent({ 0: offsets.map((offset) => [offset, { key: "a", n: offset + 1 }] as const) });
    for (const [place, record] of event.records["orders-0"]!.entries())
      record.value = Buffer.from(format.encode({ key: "a", n: offsets[place]! + 1 })).toString("base64");
    return event;
  };

  test("has them read by what wrote them: the registry is asked once for each", async () => {
    const { registry, cloud } = await start();
    await invoke(cloud, eventOf([0, 1, 2]));
    await invoke(cloud, eventOf([2, 3]));
    await settle(cloud, 4);
    assert.deepEqual(sorted(rowsOf(cloud)), sorted(inOrder("a EUR", 4)));
    assert.equal(cloud.rows.letters.length, 0);
    assert.ok(registry.asked <= environments, `asked ${registry.asked} times`);
  });

  test("waits for a registry that does not answer, and takes nothing in meanwhile", async () => {
    const { registry, cloud } = await start();
    registry.answers = false;
    await assert.rejects(invoke(cloud, eventOf([0, 1])), /unavailable|does not answer|503/);
    registry.answers = true;
    await invoke(cloud, eventOf([0, 1]));
    await settle(cloud, 2);
    assert.deepEqual(sorted(rowsOf(cloud)), sorted(inOrder("a EUR", 2)));
    assert.equal(cloud.rows.letters.length, 0);
  });

  test("has those that name one which is not there among the dead letters, as they came", async () => {
    const { cloud } = await start();
    await invoke(cloud, eventOf([0], 8));
    await invoke(cloud, eventOf([1]));
    await settle(cloud, 1);
    assert.equal(cloud.rows.letters.length, 1);
    assert.deepEqual(rowsOf(cloud), [["a EUR", 2, 0]]);
  });
});

// ---- queues ----

function sqsEvent(messages: readonly (readonly [id: string, body: unknown])[], queue = "tasks") {
  return {
    Records: messages.map(([messageId, body]) => ({
      ...{ messageId, receiptHandle: "r", body: typeof body === "string" ? body : JSON.stringify(body), md5OfBody: "" },
      attributes: { SentTimestamp: "1700000000000", ApproximateReceiveCount: "1" },
      ...{ eventSource: "aws:sqs", eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${queue}`, awsRegion: "us-east-1" },
    })),
  };
}

describe("a queue", () => {
  const start = async (parallelism: number) => {
    const source = sqs({ queue: "tasks", format: entry });
    const job = countingJob<SqsMessage<Entry>>(
      source,
      ({ body }) => body,
      parallelism,
      ({ id }) => id,
    );
    return startCloud({ job, streams: {} });
  };
  const message = (n: number) => [`message-${n}`, { key: "a", n }] as const;

  for (const parallelism of [1, 2])
    test(`at parallelism ${parallelism}: a message that is delivered again comes out once, by its id`, async () => {
      const cloud = await start(parallelism);
      await cloud.command();
      assert.deepEqual(await invoke(cloud, sqsEvent([message(1), message(2)])), { batchItemFailures: [] });
      assert.deepEqual(await invoke(cloud, sqsEvent([message(2), message(3), message(1)])), { batchItemFailures: [] });
      await Promise.all([invoke(cloud, sqsEvent([message(4)])), invoke(cloud, sqsEvent([message(4), message(5)]))]);
      await settle(cloud, 5);
      assert.deepEqual(
        rowsOf(cloud)
          .map(([, n]) => n)
          .sort(),
        [1, 2, 3, 4, 5],
      );
    });

  test("does not bring again what was taken in since the checkpoint that the job is taken back to", async () => {
    const cloud = await start(1);
    await cloud.command();
    await invoke(cloud, sqsEvent([message(1), message(2)]));
    cloud.clock.advance(20_000);
    await settle(cloud, 2);
    const { completed } = await cloud.command();
    assert.deepEqual(await invoke(cloud, sqsEvent([message(3)])), { batchItemFailures: [] });
    assert.equal(rowsOf(cloud).length, 3);
    await cloud.command({ version: 1, kind: "restore", id: "back", manifest: id<BlobName>(completed!) });
    cloud.rows.written.clear();
    // Message 3 was deleted. One of those before it that is delivered again is known; what comes next goes on from the checkpoint's state.
    assert.deepEqual(await invoke(cloud, sqsEvent([message(2), message(4)])), { batchItemFailures: [] });
    assert.deepEqual(rowsOf(cloud), [["a", 4, 2]]);
    // One that was still under way is taken in, though the job had it before: its rows were taken back with it.
    await invoke(cloud, sqsEvent([message(3), message(3)]));
    assert.deepEqual(sorted(rowsOf(cloud)), sorted([["a", 4, 2], ["a", 3, 4]])); // prettier-ignore
  });

  test("keeps all its messages, by their ids, while the job does not run", async () => {
    const cloud = await start(1);
    const failed = { batchItemFailures: [{ itemIdentifier: "message-1" }, { itemIdentifier: "message-2" }] };
    assert.deepEqual(await invoke(cloud, sqsEvent([message(1), message(2)])), failed);
    await cloud.command();
    cloud.replaceTasks();
    assert.deepEqual(await invoke(cloud, sqsEvent([message(1), message(2)])), { batchItemFailures: [] });
  });

  test("has messages that do not decode: they go to the dead letters; what is no event of a queue is refused", async () => {
    const cloud = await start(1);
    await cloud.command();
    assert.deepEqual(await invoke(cloud, sqsEvent([["x", "{"], message(1)])), { batchItemFailures: [] });
    assert.equal(cloud.rows.letters.length, 1);
    assert.equal(rowsOf(cloud).length, 1);
    await assert.rejects(invoke(cloud, sqsEvent([message(1)], "others")), /no source of job .* reads this.*others/);
    const [first] = sqsEvent([message(1)]).Records;
    for (const broken of [
      { ...first, messageId: "" },
      { ...first, body: 1 },
      { ...first, eventSourceARN: "arn" },
      { ...first, attributes: { ...first!.attributes, ApproximateReceiveCount: "often" } },
    ])
      await assert.rejects(invoke(cloud, { Records: [broken] }), /not what a mapping brings/);
  });
});

test("events of a bus come by way of a queue, and one that EventBridge sends twice comes out once", async () => {
  const source = eventBridge({ queue: "bus", format: entry });
  const job = countingJob<BusEvent<Entry>>(
    source,
    ({ detail, source: of, detailType, time }) => ({ key: `${of} ${detailType} ${time} ${detail.key}`, n: detail.n }),
    1,
    ({ id }) => id,
  );
  const cloud = await startCloud({ job, streams: {} });
  await cloud.command();
  const event = (id: string, n: number) => ({
    ...{ version: "0", id, "detail-type": "Placed", source: "shop", account: "1", time: "2026-01-01T00:00:00Z" },
    ...{ region: "r", resources: [], detail: { key: "a", n } },
  });
  await invoke(
    cloud,
    sqsEvent(
      [
        ["m1", event("e1", 1)],
        ["m2", event("e1", 1)],
        ["m3", event("e2", 2)],
        ["m4", { ...event("e3", 3), time: "soon" }],
      ],
      "bus",
    ),
  );
  assert.deepEqual(
    rowsOf(cloud).map(([key, n]) => [key, n]),
    [
      [`shop Placed ${Date.UTC(2026, 0, 1)} a`, 1],
      [`shop Placed ${Date.UTC(2026, 0, 1)} a`, 2],
    ],
  );
  assert.equal(cloud.rows.letters.length, 1);
});

// ---- changes of a table ----

interface TableChange {
  readonly dynamodb: { readonly NewImage: { readonly id: { readonly S: string }; readonly n: { readonly N: string } } };
}

describe("the changes of a table", () => {
  const start = async (parallelism: number) => {
    const stream = new FakeTableStream("orders");
    const source = dynamodbStream({ table: "orders", format: json(type<TableChange>()) });
    const entryOf = ({ dynamodb: { NewImage } }: TableChange) => ({ key: NewImage.id.S, n: Number(NewImage.n.N) });
    const lazyClients = { dynamodbStreams: async () => stream.loaded };
    const cloud = await startCloud({ job: countingJob(source, entryOf, parallelism), streams: {}, parts: { lazyClients } });
    const { dynamodb } = cloud.clients;
    const send = dynamodb.send.bind(dynamodb) as (command: unknown) => Promise<unknown>;
    dynamodb.send = (async (command: unknown) => {
      if (command instanceof DescribeTableCommand && command.input.TableName === "orders")
        return { Table: { LatestStreamArn: stream.arn, StreamSpecification: { StreamEnabled: true } } };
      return send(command);
    }) as typeof dynamodb.send;
    return { stream, cloud };
  };
  const bell = (stream: FakeTableStream, SequenceNumber: string) => ({
    Records: [
      {
        eventID: "1",
        eventName: "MODIFY",
        eventSource: "aws:dynamodb",
        dynamodb: { SequenceNumber },
        eventSourceARN: stream.arn,
      },
    ],
  });

  for (const parallelism of [1, 2])
    test(`at parallelism ${parallelism}: a batch rings for all that there is, through shards that follow others, each change once and in order`, async () => {
      const { stream, cloud } = await start(parallelism);
      let shard = stream.open();
      const other = stream.open();
      const put = (count: number, from: number) =>
        Array.from({ length: count }, (_, n) => stream.put(shard, "a", from + n + 1)).at(-1)!;
      put(4, 0);
      await cloud.command();
      assert.deepEqual(await invoke(cloud, bell(stream, put(3, 4))), { batchItemFailures: [] });
      stream.put(other, "b", 1);
      assert.deepEqual(await invoke(cloud, bell(stream, put(1, 7))), { batchItemFailures: [] });
      for (let rolls = 0; rolls < 3; rolls++) {
        const from = 8 + 2 * rolls;
        put(1, from);
        [shard] = stream.close(shard) as [string];
        assert.deepEqual(await invoke(cloud, bell(stream, put(1, from + 1))), { batchItemFailures: [] });
      }
      await settle(cloud, 15);
      assert.deepEqual(sorted(rowsOf(cloud)), sorted([...inOrder("a", 14), ...inOrder("b", 1)]));
      // What has ended is not asked for any more.
      const before = stream.calls.length;
      await invoke(cloud, bell(stream, put(1, 14)));
      const reads = stream.calls.slice(before).filter((name) => name === "GetRecordsCommand");
      assert.ok(reads.length <= 30, String(reads.length));
    });

  test("are read without a batch too, with the next checkpoint", async () => {
    const { stream, cloud } = await start(1);
    stream.put(stream.open(), "a", 1);
    await settle(cloud, 1);
    assert.equal(rowsOf(cloud).length, 1);
  });

  test("wait while the job does not run: the batch comes again", async () => {
    const { stream, cloud } = await start(1);
    const first = stream.put(stream.open(), "a", 1);
    assert.deepEqual(await invoke(cloud, bell(stream, first)), { batchItemFailures: [{ itemIdentifier: first }] });
  });
});
