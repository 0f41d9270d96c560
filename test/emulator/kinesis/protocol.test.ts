/** How callers reach the server: versions of HTTP, protocols, malformed requests, restarts. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { networkInterfaces } from "node:os";
import { describe, it } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import { AwsSmithyRpcV2CborProtocol } from "@aws-sdk/core/protocols";
import { cbor, dateToTag } from "@smithy/core/cbor";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import fc from "fast-check";
import { decodeCbor, encodeCbor } from "../../../emulator/kinesis/cbor.ts";
import { startKinesis } from "../../../emulator/kinesis/index.ts";
import { numbering, readingAfter, readSequenceNumber } from "../../../emulator/kinesis/sequence-number.ts";
import { id, type Position, type ShardId } from "../../../runtime/base/ids.ts";
import { newDirectory, openForTest } from "../../ports/local-directory.ts";
import { bytesOf, clientOf, iteratorFor, maxRecordBytes, named, newClock, newStream, put, read, readOn } from "./subject.ts";
import { startSubject, textsOf, untilActive } from "./subject.ts";

const target = (operation: string) => ({ "x-amz-target": `Kinesis_20131202.${operation}` });
const json = { "content-type": "application/x-amz-json-1.1" };
const post = (endpoint: string, headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>) =>
  fetch(endpoint, { method: "POST", headers, body });

describe("the server", () => {
  for (const [name, config] of Object.entries({
    "HTTP/2 and JSON, the SDK's default": {},
    "HTTP/1.1 and JSON": { requestHandler: new NodeHttpHandler() },
    "HTTP/2 and Smithy's RPC v2 in CBOR": { protocol: AwsSmithyRpcV2CborProtocol as any },
  })) {
    it(`speaks ${name}`, async () => {
      const { endpoint } = await startSubject({ limits: "off" });
      const client = clientOf(endpoint, config);
      const StreamName = await newStream(client, { ShardCount: 2 });
      const sizes = [0, 1, 65_535, 65_536, 1_000_000];
      for (const size of sizes) {
        const Data = new Uint8Array(size).fill(7);
        await client.send(new sdk.PutRecordCommand({ StreamName, Data, PartitionKey: "ключ", ExplicitHashKey: "0" }));
      }
      const { Records } = await read(client, StreamName);
      assert.deepEqual(
        Records!.map(({ Data, PartitionKey }) => [Data!.length, Data!.every((byte) => byte === 7), PartitionKey]),
        sizes.map((size) => [size, true, "ключ"]),
      );
      const [{ ApproximateArrivalTimestamp: arrival }] = Records as [sdk._Record];
      assert.equal(arrival!.getTime(), Date.UTC(2026, 0, 1));
      const iterator = await iteratorFor(client, StreamName, { ShardIteratorType: "AT_TIMESTAMP", Timestamp: arrival });
      assert.equal((await readOn(client, iterator)).Records!.length, sizes.length);
      await assert.rejects(put(client, "none", "a"), named("ResourceNotFoundException", /Stream none under account/));
    });
  }

  it("speaks the CBOR of AWS's SDKs for Java, whose times are in milliseconds", async () => {
    const { endpoint, client, clock } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client);
    const call = async (operation: string, input: object) => {
      const headers = { ...target(operation), "content-type": "application/x-amz-cbor-1.1" };
      const response = await post(endpoint, headers, new Uint8Array(cbor.serialize(input)));
      assert.equal(response.headers.get("content-type"), "application/x-amz-cbor-1.1");
      return { status: response.status, output: cbor.deserialize(new Uint8Array(await response.arrayBuffer())) };
    };
    const { output } = await call("PutRecord", { StreamName, PartitionKey: "k", Data: bytesOf("hello") });
    assert.equal(output.ShardId, "shardId-000000000000");
    const start = { StreamName, ShardId: output.ShardId, ShardIteratorType: "AT_TIMESTAMP" };
    const Timestamp = dateToTag(new Date(clock.now()));
    Timestamp.value = clock.now();
    const { output: at } = await call("GetShardIterator", { ...start, Timestamp });
    const { output: got } = await call("GetRecords", { ShardIterator: at.ShardIterator });
    assert.deepEqual(got.Records[0].Data, bytesOf("hello"));
    assert.deepEqual(
      [got.Records[0].ApproximateArrivalTimestamp.tag, got.Records[0].ApproximateArrivalTimestamp.value],
      [1, clock.now()],
    );
    const refused = await call("PutRecord", { StreamName: "none", PartitionKey: "k", Data: bytesOf("a") });
    assert.deepEqual([refused.status, refused.output.__type], [400, "ResourceNotFoundException"]);
  });

  it("refuses what it cannot read, with an exception and not with silence", async () => {
    const { endpoint } = await startSubject({ limits: "off" });
    const typeOf = async (headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>) => {
      const response = await post(endpoint, headers, body);
      return [response.status, ((await response.json()) as { __type: string }).__type];
    };
    const list = { ...target("ListStreams"), ...json };
    assert.deepEqual(await typeOf(list, "{"), [400, "SerializationException"]);
    assert.deepEqual(await typeOf(list, "[]"), [400, "SerializationException"]);
    assert.deepEqual(await typeOf(list, `{"Limit":"many"}`), [400, "SerializationException"]);
    assert.deepEqual(await typeOf({ ...target("PutRecord"), ...json }, `{"StreamName":"a"}`), [400, "ValidationException"]);
    assert.deepEqual(await typeOf({ ...target("Nothing"), ...json }, "{}"), [400, "UnknownOperationException"]);
    assert.deepEqual(await typeOf(json, "{}"), [400, "UnknownOperationException"]);
    assert.equal((await fetch(endpoint)).status, 400);
    const tooLarge = await post(endpoint, list, new Uint8Array(17 * 1024 * 1024));
    assert.equal(tooLarge.status, 413);
  });

  it("tells the versions of HTTP apart however their bytes arrive", async () => {
    const { endpoint } = await startSubject({ limits: "off" });
    const { port } = new URL(endpoint);
    const body = "{}";
    const headers = Object.entries({ host: "x", ...target("ListStreams"), "content-length": "2", connection: "close" });
    const request = `POST / HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}`).join("\r\n")}\r\n\r\n${body}`;
    const socket = connect(Number(port), "127.0.0.1").setNoDelay(true);
    await sendByteByByte(socket, request);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    assert.match(answer, /^HTTP\/1.1 200 OK[^]*"StreamNames":\[\]/);

    const slow = connect(Number(port), "127.0.0.1").setNoDelay(true);
    const noSettings = "\0\0\0\x04\0\0\0\0\0";
    await sendByteByByte(slow, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${noSettings}`);
    const [frame] = (await once(slow, "data")) as [Buffer];
    assert.equal(frame[3], 4, "the server's first frame is its settings");
    slow.destroy();
  });

  it("outlives callers that go in the middle of a call, and serves what else is on their connection", async () => {
    const { endpoint, client } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client);
    const { StreamARN } = await untilActive(client, StreamName);
    const { Consumer } = await client.send(new sdk.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "reader" }));
    const session = connectHttp2(endpoint);
    const headers = (operation: string) => ({ ":method": "POST", ":path": "/", ...target(operation), ...json });
    const cutOff = session.request(headers("ListStreams"));
    await new Promise((resolve) => cutOff.write("{", resolve));
    cutOff.close(constants.NGHTTP2_CANCEL);
    const subscribed = session.request(headers("SubscribeToShard"));
    const start = { ShardId: "shardId-000000000000", StartingPosition: { Type: "LATEST" } };
    subscribed.end(JSON.stringify({ ConsumerARN: Consumer!.ConsumerARN, ...start }));
    await once(subscribed, "data");
    subscribed.close(constants.NGHTTP2_CANCEL);
    await put(client, StreamName, "a");
    const listed = session.request(headers("ListStreams"));
    listed.end("{}");
    const [answered] = await once(listed, "response");
    assert.equal(answered[":status"], 200);
    session.destroy();

    const socket = connect(Number(new URL(endpoint).port), "127.0.0.1");
    await once(socket, "connect");
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{`, () => socket.destroy());
    await once(socket, "close");
    await put(client, StreamName, "b");
    assert.equal((await read(client, StreamName)).Records!.length, 2);
  });

  it("makes one stream of many that are created at once under one name, and none of one that goes", async () => {
    const { client, log } = await startSubject({ limits: "off" });
    const create = () => client.send(new sdk.CreateStreamCommand({ StreamName: "views", ShardCount: 1 }));
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(create));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    const number = await put(client, "views", "a");
    assert.equal(readSequenceNumber(number)!.createdAt, (await untilActive(client, "views")).StreamCreationTimestamp!.getTime());
    const gone = client.send(new sdk.DeleteStreamCommand({ StreamName: "views" }));
    const others = await Promise.allSettled([put(client, "views", "b"), put(client, "views", "c"), gone]);
    for (const outcome of others) {
      if (outcome.status === "rejected") assert.equal(outcome.reason.name, "ResourceNotFoundException");
    }
    assert.deepEqual((await client.send(new sdk.ListStreamsCommand({}))).StreamNames, []);
    await assert.rejects(log.shards("views"));
  });

  it("listens on loopback alone", async () => {
    const { endpoint } = await startSubject();
    const outside = Object.values(networkInterfaces()).flatMap((addresses) => addresses!.filter(({ internal }) => !internal));
    for (const { address, family } of outside.filter((each) => each.family === "IPv4")) {
      const socket = connect(Number(new URL(endpoint).port), address);
      const [error] = await once(socket, "error");
      assert.match(String(error), /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/, `${family} ${address}`);
    }
    assert.equal(new URL(endpoint).hostname, "127.0.0.1");
  });

  it("goes on with the streams of its directory: numbers, retention, tags, shards", async () => {
    const directory = newDirectory();
    const clock = newClock();
    const open = async () => {
      const ports = await openForTest({ clock, maxRecordBytes }, directory);
      const server = await startKinesis({ log: ports.log, clock, limits: "off" });
      return { client: clientOf(server.endpoint), close: () => server.stop().then(() => ports.close()) };
    };
    const first = await open();
    const StreamName = await newStream(first.client, { Tags: { team: "views" } });
    const number = await put(first.client, StreamName, "a");
    await first.client.send(new sdk.IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 48 }));
    const iterator = await iteratorFor(first.client, StreamName, {
      ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
      StartingSequenceNumber: number,
    });
    await first.close();
    clock.advance(1000);
    const { client, close } = await open();
    assert.ok(BigInt(await put(client, StreamName, "b")) > BigInt(number));
    assert.deepEqual(textsOf(await readOn(client, iterator)), ["b"]);
    assert.equal((await untilActive(client, StreamName)).RetentionPeriodHours, 48);
    assert.deepEqual((await client.send(new sdk.ListTagsForStreamCommand({ StreamName }))).Tags, [
      { Key: "team", Value: "views" },
    ]);
    assert.deepEqual((await client.send(new sdk.ListStreamsCommand({}))).StreamNames, [StreamName]);
    await close();
  });

  it("takes in a stream that a job made in the log", async () => {
    const { client, log } = await startSubject({ limits: "off" });
    await log.createStream("views", 2);
    await log.append("views", [{ hashKey: 0n, partitionKey: "k", bytes: bytesOf("a") }]);
    assert.deepEqual(textsOf(await read(client, "views")), ["a"]);
    await put(client, "views", "b");
    const [shard] = await log.shards("views");
    assert.equal((await log.read("views", shard!.id, "horizon", { records: 10, bytes: 100 })).records.length, 2);
  });

  it("tells a stream from one that had its name before", async () => {
    const { client } = await startSubject({ limits: "off" });
    const create = () => client.send(new sdk.CreateStreamCommand({ StreamName: "views", ShardCount: 1 }));
    await create();
    const number = await put(client, "views", "a");
    const iterator = await iteratorFor(client, "views");
    await client.send(new sdk.DeleteStreamCommand({ StreamName: "views" }));
    await create();
    assert.ok(BigInt(await put(client, "views", "b")) > BigInt(number));
    const start = { ShardIteratorType: "AFTER_SEQUENCE_NUMBER" as const, StartingSequenceNumber: number };
    await assert.rejects(iteratorFor(client, "views", start), named("InvalidArgumentException"));
    await assert.rejects(readOn(client, iterator), named("InvalidArgumentException"));
  });

  it("finds nothing for callers that sign for another region, when it stands for one", async () => {
    const { endpoint } = await startSubject({ region: "eu-central-1" });
    const StreamName = await newStream(clientOf(endpoint, { region: "eu-central-1" }));
    await assert.rejects(put(clientOf(endpoint), StreamName, "a"), named("ResourceNotFoundException", /us-east-1/));
  });

  it("spreads records over the shards of a stream that ignores keys", async () => {
    const { client } = await startSubject({ limits: "off" });
    const onDemand = { StreamModeDetails: { StreamMode: "ON_DEMAND" as const }, RecordDistributionStrategy: "AUTO" as const };
    const StreamName = await newStream(client, onDemand);
    assert.equal((await untilActive(client, StreamName)).RecordDistributionStrategy, "AUTO");
    const shards = new Set<string>();
    for (let n = 0; n < 100; n++) {
      const input = { StreamName, Data: bytesOf("a"), PartitionKey: "same", ExplicitHashKey: "0" };
      shards.add((await client.send(new sdk.PutRecordCommand(input))).ShardId!);
    }
    assert.equal(shards.size, 4);
  });

  it("checks a dry run, and does no more", async () => {
    const { client } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client);
    const dry = { StreamName, Data: bytesOf("a"), PartitionKey: "k", DryRun: true };
    await assert.rejects(client.send(new sdk.PutRecordCommand(dry)), named("DryRunOperationException"));
    assert.deepEqual((await read(client, StreamName)).Records, []);
  });
});

describe("CBOR", () => {
  const values = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: "grapheme" }),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie("value"), { maxLength: 30 }),
      fc.dictionary(
        fc.string().filter((key) => key !== "__proto__"),
        tie("value"),
        { noNullPrototype: true },
      ),
    ),
  })).value;
  const plain = (value: any): unknown =>
    value instanceof Uint8Array
      ? [...value].join()
      : Array.isArray(value)
        ? value.map(plain)
        : value !== null && typeof value === "object"
          ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
          : typeof value === "bigint"
            ? Number(value)
            : value;

  it("is read by Smithy's codec as it was written, and the other way round", () => {
    fc.assert(
      fc.property(values, (value) => {
        assert.deepEqual(plain(cbor.deserialize(new Uint8Array(encodeCbor(value, 1)))), plain(value));
        assert.deepEqual(plain(decodeCbor(Buffer.from(cbor.serialize(value)), 1)), plain(value));
      }),
      { numRuns: 200 },
    );
  });

  it("may be of indefinite length, as Java's encoder writes it", () => {
    const bytes = Buffer.from("bf6144 5f420102 4103ff 6154 7f6161 6162ff 614c 9f0102ff ff".replaceAll(" ", ""), "hex");
    assert.deepEqual(plain(decodeCbor(bytes, 1)), { D: "1,2,3", T: "ab", L: [1, 2] });
  });

  it("is refused where it is cut off, wherever that is", () => {
    const whole = encodeCbor({ StreamName: "views", Records: [{ Data: bytesOf("abc"), n: 70_000, x: 1.5 }] }, 1);
    for (let end = 0; end < whole.length; end++) {
      assert.throws(() => decodeCbor(whole.subarray(0, end), 1), named("KinesisError", /not the CBOR/));
    }
    assert.throws(() => decodeCbor(Buffer.concat([whole, Buffer.of(0)]), 1), named("KinesisError"));
    assert.throws(() => decodeCbor(Buffer.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 1), named("KinesisError"));
  });
});

describe("a sequence number", () => {
  const shardIds = fc.nat({ max: 2 ** 32 - 1 }).map((n) => id<ShardId>(`shardId-${String(n).padStart(12, "0")}`));
  const positions = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const times = fc.nat({ max: 2 ** 48 - 1 });

  it("has 56 digits, can be read back, and grows with the position (Q1, Q2)", () => {
    fc.assert(
      fc.property(times, shardIds, positions, positions, (createdAt, shard, a, b) => {
        const number = numbering(createdAt, shard);
        const [first, second] = [number(id<Position>(String(a))), number(id<Position>(String(b)))];
        assert.match(first, /^[1-9]\d{55}$/);
        assert.deepEqual(readSequenceNumber(first), { createdAt, shard, position: a, kind: "record" });
        assert.equal(BigInt(first) < BigInt(second), a < b);
        const end = number(id<Position>(String(a)), "end");
        assert.ok(BigInt(end) > BigInt(first));
        assert.equal(readingAfter(readSequenceNumber(end)!, true), String(a));
      }),
    );
  });

  it("is not any digits", () => {
    for (const text of ["0", "1", "9".repeat(56), "9".repeat(129)]) assert.equal(readSequenceNumber(text), undefined);
  });
});

async function sendByteByByte(socket: Socket, text: string): Promise<void> {
  await once(socket, "connect");
  for (const byte of Buffer.from(text)) await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
}
