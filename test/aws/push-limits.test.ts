/** What push sinks on AWS are bound to, the sizes of their requests, and what their receivers say of themselves. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { startMessaging } from "../../emulator/messaging/start-messaging.ts";
import { AwsSinks } from "../../runtime/adapters/aws/aws-sinks.ts";
import { lazyClients } from "../../runtime/adapters/aws/lazy-clients.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { Sink } from "../../runtime/api/connector.ts";
import { id, type OperatorUid } from "../../runtime/base/ids.ts";
import { eventBridgeSink, firehoseSink, httpSink, json, lambdaSink, ndjson, snsSink, sqsSink } from "../../runtime/index.ts";
import { textOf } from "../ports/adapter-maker.ts";
import { allWell, type Fake, startEventBridge, startFirehose, startLambda, startReceiver } from "./service-fakes.ts";
import { effectsOf, failsAs } from "./sinks.ts";
import { bucketName, HastyClock, newJob, patientHandler, withS3 } from "./stand-ins.ts";

const objects = withS3();
const messaging = await startMessaging();
const [bus, delivery, lambda, receiver] = await Promise.all([
  startEventBridge(),
  startFirehose(),
  startLambda(),
  startReceiver(),
]);
after(() => Promise.all([messaging, bus, delivery, lambda, receiver].map((each) => each.stop())));

const credentials = { accessKeyId: "x", secretAccessKey: "y" };
const at = (endpoint: string) =>
  lazyClients({ endpoint, region: "us-east-1", credentials, maxAttempts: 1, requestHandler: patientHandler() });
const lazy = {
  sqs: at(messaging.endpoint).sqs,
  sns: at(messaging.endpoint).sns,
  eventBridge: at(bus.endpoint).eventBridge,
  firehose: at(delivery.endpoint).firehose,
  lambda: at(lambda.endpoint).lambda,
};

async function place(sinks: Readonly<Record<string, Sink<any, any>>>, bindings: Readonly<Record<string, string>> = {}) {
  const job = newJob();
  const telemetry = new MemoryTelemetry();
  const s3 = await objects.client();
  const all = new AwsSinks({
    job,
    sinks: new Map(Object.entries(sinks).map(([uid, sink]) => [id<OperatorUid>(uid), sink])),
    bindings: new Map(Object.entries(bindings).map(([name, bound]) => [name, [bound]])),
    deadLetters: { bucket: bucketName, prefix: `${job}/` },
    telemetry,
    pace: { clock: new HastyClock(), random: () => 0.5 },
    clients: { s3 } as never,
    lazyClients: lazy,
  });
  const bucket = await objects.bucket();
  const letters = async () => {
    const found = await bucket.listAll(`${job}/`);
    const texts = await Promise.all(found.map(async ({ key }) => textOf((await bucket.get(key))!)));
    return texts.flatMap((text) =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    );
  };
  const write = async (uid: string, rows: readonly unknown[], from = 1) => {
    for (const effect of effectsOf(sinks[uid]!, [{ rows, times: rows.map(() => 5_000), end: "barrier" }], { from }).flat())
      await all.carryOut({ ...effect, operator: id<OperatorUid>(uid) });
  };
  return { all, write, letters, job };
}

const messagesOf = (queue: string) => messaging.messagesIn(queue)!;
const text = (length: number) => "x".repeat(length);

describe("aws: push sinks of a job", () => {
  it("write each to what its name, or its uid, is bound to, by name, ARN or URL", async () => {
    const physical = messaging.createQueue("physical");
    messaging.createQueue("plain");
    const topic = messaging.createTopic("topic");
    messaging.createQueue("of-topic");
    messaging.subscribe("topic", "of-topic");
    const queueSink = () => sqsSink<any>({ queue: "alerts", format: json(), attributes: () => ({ kind: "alert" }) });
    const topicSink = () => snsSink<any>({ topic: "topic", format: json(), subject: () => "hello" });
    const { all, write } = await place(
      {
        byUrl: queueSink(),
        byArn: queueSink(),
        byName: sqsSink<any>({ queue: "plain", format: json(), idAttribute: null }),
        topicByArn: topicSink(),
        topicByName: topicSink(),
        bus: eventBridgeSink<any>({
          bus: "events",
          source: "shop",
          detailType: ({ from }) => `of ${from}`,
          resources: () => ["r"],
        }),
        delivery: firehoseSink<any>({ deliveryStream: "stream", format: ndjson() }),
        call: lambdaSink<any>({ function: "arn" }),
        http: httpSink<any>({ endpoint: "hook", url: "https://never.example.com", format: json() }),
      },
      {
        byUrl: physical.url,
        byArn: physical.arn,
        topicByArn: topic.arn,
        events: "bus",
        call: "function",
        hook: receiver.endpoint,
      },
    );
    await all.check();
    const uids = ["byUrl", "byArn", "byName", "topicByArn", "topicByName", "bus", "delivery", "call", "http"];
    for (const uid of uids) await write(uid, [{ from: uid }]);
    const found = messagesOf("physical").map(({ body, attributes }) => [body, attributes["kind"]]);
    assert.deepEqual(
      found,
      ["byUrl", "byArn"].map((uid) => [`{"from":"${uid}"}`, "alert"]),
    );
    assert.deepEqual(
      messagesOf("plain").map(({ body, attributes }) => [body, attributes]),
      [['{"from":"byName"}', {}]],
    );
    assert.deepEqual(
      messagesOf("of-topic").map(({ body }) => body),
      ["topicByArn", "topicByName"].map((uid) => `{"from":"${uid}"}`),
    );
    const [event] = bus.taken;
    assert.deepEqual(
      [event!.with.EventBusName, event!.with.Source, event!.with.DetailType, event!.with.Resources, event!.with.Time],
      ["bus", "shop", "of bus", ["r"], 5],
    );
    assert.deepEqual(event!.value, { from: "bus" });
    assert.equal(delivery.taken[0]!.with, '{"from":"delivery"}\n');
    assert.deepEqual(lambda.taken[0]!.value, { from: "call" });
    assert.deepEqual(receiver.taken[0]!.value, { from: "http" });
    await all.close();
  });

  it("say at the start what is missing", async () => {
    const cases: readonly (readonly [Sink<any>, RegExp])[] = [
      [sqsSink<any>({ queue: "nowhere", format: json() }), /no such queue.*nowhere/],
      [snsSink<any>({ topic: "nowhere", format: json() }), /no such topic.*nowhere/],
      [eventBridgeSink<any>({ bus: "nowhere", source: "s", detailType: "d" }), /no such.*bus.*nowhere/],
      [firehoseSink<any>({ deliveryStream: "nowhere", format: json() }), /no such.*stream.*nowhere/],
      [lambdaSink<any>({ function: "nowhere" }), /no such.*function.*nowhere/],
    ];
    for (const [sink, message] of cases) {
      const { all, write } = await place({ out: sink });
      await assert.rejects(all.check(), failsAs("invalid", message));
      await assert.rejects(write("out", [{ a: 1 }]), failsAs("invalid", message), sink.kind);
    }
    await assert.rejects(
      place({ out: sqsSink<any>({ queue: "q.fifo", format: json() }) }),
      failsAs("invalid", /messageGroup: q.fifo/),
    );
    await assert.rejects(
      place({ out: snsSink<any>({ topic: "t.fifo", format: json() }) }),
      failsAs("invalid", /messageGroup: t.fifo/),
    );
    await assert.rejects(place({ out: httpSink<any>({ endpoint: "e", format: json() }) }), failsAs("invalid", /no url.*: e$/));
  });
});

describe("aws: requests of push sinks", () => {
  it("stay within what a receiver takes at once", async () => {
    messaging.createQueue("large");
    messaging.createTopic("large");
    messaging.createQueue("of-large");
    messaging.subscribe("large", "of-large");
    const { write } = await place({
      queue: sqsSink<any>({ queue: "large", format: json() }),
      topic: snsSink<any>({ topic: "large", format: json() }),
      bus: eventBridgeSink<any>({ bus: "bus", source: "s", detailType: "d" }),
      delivery: firehoseSink<any>({ deliveryStream: "stream", format: json() }),
      call: lambdaSink<any>({ function: "function" }),
      event: lambdaSink<any>({ function: "function", invocation: "event" }),
    });
    let commits = 0;
    const requestsOf = async (fake: Fake, uid: string, rows: readonly unknown[]) => {
      const before = fake.requests;
      await write(uid, rows, ++commits);
      return fake.requests - before;
    };
    const of = (count: number, length: number) => Array.from({ length: count }, () => ({ a: text(length) }));
    await write("queue", of(5, 500_000));
    assert.equal(messagesOf("large").length, 5);
    await write("topic", of(5, 200_000));
    assert.equal(messagesOf("of-large").length, 5);
    assert.equal(await requestsOf(bus, "bus", of(5, 400_000)), 3);
    assert.equal(await requestsOf(delivery, "delivery", of(9, 1_000_000)), 3);
    assert.equal(await requestsOf(delivery, "delivery", of(1_200, 10)), 3);
    assert.equal(await requestsOf(lambda, "call", of(4, 1_900_000)), 2);
    assert.equal(await requestsOf(lambda, "event", of(5, 400_000)), 3);
  });

  it("leave a row that the receiver's own limit refuses to the dead letters, and its neighbours go", async () => {
    messaging.createQueue("small", { MaximumMessageSize: "1024" });
    const { write, letters } = await place({ out: sqsSink<any>({ queue: "small", format: json() }) });
    await write("out", [{ a: 1 }, { a: text(2_000) }, { a: 2 }]);
    assert.deepEqual(
      messagesOf("small").map(({ body }) => body),
      ['{"a":1}', '{"a":2}'],
    );
    const [letter, ...more] = await letters();
    assert.deepEqual([letter.operator, JSON.parse(letter.text), more], ["out", { a: text(2_000) }, []]);
    assert.match(letter.reason, /InvalidParameterValue: .*shorter than 1024/);
  });

  it("leave rows on which a function fails to the dead letters, where the sink says so", async () => {
    const { write, letters } = await place({
      out: lambdaSink<any>({ function: "function", onFunctionError: "deadLetter", rowsPerEvent: 2 }),
    });
    lambda.fates = { ...allWell(), entry: ({ a }) => (a === 3 ? "refuse" : a === 1 ? "again" : "take") };
    const before = lambda.taken.length;
    await write(
      "out",
      [0, 1, 2, 3, 4].map((a) => ({ a })),
    );
    lambda.fates = allWell();
    assert.deepEqual(
      lambda.taken.slice(before).map(({ value }) => value.a),
      [0, 2, 4],
    );
    assert.deepEqual(
      (await letters()).map(({ text, reason }) => [JSON.parse(text).a, reason]),
      [
        [1, "the function names it in batchItemFailures"],
        [2, "the function failed: Unhandled"],
        [3, "the function failed: Unhandled"],
      ],
    );
  });

  it("are not made again where the key may not be used, and no row is blamed for it", async () => {
    messaging.createQueue("locked");
    const locked = {
      ...lazy,
      sqs: async () => {
        const { sdk, client } = await lazy.sqs();
        const send = async (command: any) =>
          command instanceof sdk.SendMessageBatchCommand
            ? { Failed: [{ Id: "0", Code: "KmsAccessDenied", SenderFault: true, Message: "no" }] }
            : client.send(command);
        return { sdk, client: { send } as unknown as typeof client };
      },
    };
    const sink = sqsSink<any>({ queue: "locked", format: json() });
    const s3 = await objects.client();
    const all = new AwsSinks({
      job: newJob(),
      sinks: new Map([[id<OperatorUid>("out"), sink]]),
      bindings: new Map(),
      deadLetters: { bucket: bucketName, prefix: "never/" },
      telemetry: new MemoryTelemetry(),
      pace: { clock: new HastyClock(), random: () => 0.5 },
      clients: { s3 } as never,
      lazyClients: locked,
    });
    const [effect] = effectsOf(sink, [{ rows: [1] }]).flat();
    await assert.rejects(all.carryOut(effect!), failsAs("invalid", /key that it is encrypted with cannot be used.*locked/));
    assert.deepEqual(await (await objects.bucket()).listAll("never/"), []);
  });
});
