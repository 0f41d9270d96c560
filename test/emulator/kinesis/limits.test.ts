/** What our server refuses because of time and throughput, its clock in hand: limits, expiry, retention, changes under way. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import { clientOf, iteratorFor, named, newStream, put, read, readOn, shardsOf, startSubject, textsOf } from "./subject.ts";

const throttled = named("ProvisionedThroughputExceededException");
const mib = 1024 * 1024;
const hourMs = 3_600_000;

const putMany = (client: sdk.KinesisClient, StreamName: string, count: number, bytes = 1, ExplicitHashKey = "0") => {
  const record = { Data: new Uint8Array(bytes), PartitionKey: "k", ExplicitHashKey };
  return client.send(new sdk.PutRecordsCommand({ StreamName, Records: Array.from({ length: count }, () => record) }));
};

describe("writing to a shard", () => {
  it("is limited to 1,000 records a second, record by record", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client);
    assert.equal((await putMany(client, StreamName, 500)).FailedRecordCount, 0);
    assert.equal((await putMany(client, StreamName, 400)).FailedRecordCount, 0);
    const over = await putMany(client, StreamName, 150);
    assert.equal(over.FailedRecordCount, 50);
    const failed = over.Records!.filter(({ ErrorCode }) => ErrorCode === "ProvisionedThroughputExceededException");
    assert.equal(failed.length, 50);
    assert.match(failed[0]!.ErrorMessage!, new RegExp(`Rate exceeded for shard shardId-000000000000 in stream ${StreamName}`));
    assert.ok(failed.every(({ SequenceNumber, ShardId }) => SequenceNumber === undefined && ShardId === undefined));
    await assert.rejects(put(client, StreamName, "a"), throttled);
    assert.equal((await read(client, StreamName)).Records!.length, 1000, "what was refused is not there");
    await turn(999);
    await assert.rejects(put(client, StreamName, "a"), throttled);
    await turn(1);
    assert.equal((await putMany(client, StreamName, 500)).FailedRecordCount, 0);
    assert.equal((await putMany(client, StreamName, 500)).FailedRecordCount, 0);
    assert.equal((await putMany(client, StreamName, 1)).FailedRecordCount, 1);
  });

  it("is limited to 1 MiB a second, its keys counted", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client);
    assert.equal((await putMany(client, StreamName, 8, mib / 8 - 1)).FailedRecordCount, 0);
    assert.equal((await putMany(client, StreamName, 1, 1)).FailedRecordCount, 1);
    await turn(1000);
    assert.equal((await putMany(client, StreamName, 9, mib / 8 - 1)).FailedRecordCount, 1);
  });

  it("leaves the other shards alone", async () => {
    const { client } = await startSubject();
    const StreamName = await newStream(client, { ShardCount: 2 });
    await putMany(client, StreamName, 500);
    await putMany(client, StreamName, 500);
    const high = String((1n << 128n) - 1n);
    assert.equal((await putMany(client, StreamName, 500, 1, high)).FailedRecordCount, 0);
    assert.equal((await putMany(client, StreamName, 1)).FailedRecordCount, 1);
  });

  it("takes a record of 10 MiB in a second of its own, which is then owed", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client, { MaxRecordSizeInKiB: 10_240 });
    assert.equal((await putMany(client, StreamName, 1, 10 * mib - 1)).FailedRecordCount, 0);
    await turn(9_000);
    assert.equal((await putMany(client, StreamName, 1)).FailedRecordCount, 1);
    await turn(1_000);
    assert.equal((await putMany(client, StreamName, 1)).FailedRecordCount, 0);
  });

  it("is limited not at all when told so, or otherwise", async () => {
    const free = await startSubject({ limits: "off" });
    const StreamName = await newStream(free.client);
    for (let n = 0; n < 5; n++) assert.equal((await putMany(free.client, StreamName, 500)).FailedRecordCount, 0);
    const own = await startSubject({ limits: { writeRecordsPerSecond: 3 } });
    assert.equal((await putMany(own.client, await newStream(own.client), 5)).FailedRecordCount, 2);
  });
});

describe("reading from a shard", () => {
  it("is limited to five calls a second", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client, { ShardCount: 2 });
    const iterator = await iteratorFor(client, StreamName);
    for (let n = 0; n < 5; n++) await readOn(client, iterator);
    await assert.rejects(readOn(client, iterator), throttled);
    await readOn(client, await iteratorFor(client, StreamName, { ShardId: "shardId-000000000001" }));
    await turn(1000);
    await readOn(client, iterator);
  });

  it("waits five seconds after 10 MB", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client, { MaxRecordSizeInKiB: 10_240 });
    await putMany(client, StreamName, 1, 10 * mib - 1);
    const { NextShardIterator } = await read(client, StreamName);
    await turn(4999);
    await assert.rejects(readOn(client, NextShardIterator!), throttled);
    await turn(1);
    await readOn(client, NextShardIterator!);
  });
});

describe("calls beside them", () => {
  it("are limited in a second", async () => {
    const { client, turn } = await startSubject();
    const create = (StreamName: string) => client.send(new sdk.CreateStreamCommand({ StreamName, ShardCount: 1 }));
    for (let n = 0; n < 5; n++) await create(`s${n}`);
    await assert.rejects(create("s5"), named("LimitExceededException"));
    for (let n = 0; n < 5; n++) await iteratorFor(client, "s0");
    await assert.rejects(iteratorFor(client, "s0"), throttled);
    await iteratorFor(client, "s1");
    await turn(1000);
    await create("s5");
    await iteratorFor(client, "s0");
  });

  it("are ten updates of the number of shards in a day", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client, { ShardCount: 2 });
    const update = (TargetShardCount: number) =>
      client.send(new sdk.UpdateShardCountCommand({ StreamName, TargetShardCount, ScalingType: "UNIFORM_SCALING" }));
    for (let n = 0; n < 10; n++) await update(n % 2 === 0 ? 3 : 2);
    await assert.rejects(update(3), named("LimitExceededException"));
    await turn(24 * hourMs);
    await update(3);
  });
});

describe("what expires", () => {
  it("an iterator, after five minutes", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client);
    const iterator = await iteratorFor(client, StreamName);
    await turn(300_000);
    const { NextShardIterator } = await readOn(client, iterator);
    await turn(1);
    await assert.rejects(readOn(client, iterator), named("ExpiredIteratorException"));
    await readOn(client, NextShardIterator!);
  });

  it("a page's token, after five minutes", async () => {
    const { client, turn } = await startSubject();
    const StreamName = await newStream(client, { ShardCount: 2 });
    const { NextToken } = await client.send(new sdk.ListShardsCommand({ StreamName, MaxResults: 1 }));
    await turn(300_001);
    await assert.rejects(client.send(new sdk.ListShardsCommand({ NextToken })), named("ExpiredNextTokenException"));
  });

  it("a record, after the retention; readers go on behind it", async () => {
    const { client, turn, log } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client);
    const numbers: string[] = [];
    for (const text of ["a", "b", "c", "d"]) {
      numbers.push(await put(client, StreamName, text));
      await turn(hourMs);
    }
    await turn(21 * hourMs + 1);
    const from = async (start: Partial<sdk.GetShardIteratorInput>) => textsOf(await read(client, StreamName, start));
    assert.deepEqual(await from({}), ["c", "d"]);
    const start = { ShardIteratorType: "AT_SEQUENCE_NUMBER" as const, StartingSequenceNumber: numbers[0]! };
    assert.deepEqual(await from(start), ["c", "d"], "as Kinesis does, without a word");
    const [shard] = await log.shards(StreamName);
    const kept = await log.read(StreamName, shard!.id, "horizon", { records: 10, bytes: 1000 });
    assert.equal(kept.records.length, 2, "what has expired is not kept");
    await client.send(new sdk.IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 48 }));
    await turn(20 * hourMs);
    assert.deepEqual(await from({}), ["c", "d"]);
    await client.send(new sdk.DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 24 }));
    assert.deepEqual(await from({}), []);
    await put(client, StreamName, "e");
    assert.deepEqual(await from({}), ["e"]);
  });

  it("a record that nobody reads, while others are put", async () => {
    const { client, turn, log } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client, { ShardCount: 2 });
    for (const hashKey of ["0", String((1n << 128n) - 1n)]) await put(client, StreamName, "old", hashKey);
    await turn(24 * hourMs + 1);
    await put(client, StreamName, "new");
    const kept = async (n: number) => {
      const shard = (await log.shards(StreamName))[n]!;
      return (await log.read(StreamName, shard.id, "horizon", { records: 10, bytes: 1000 })).records.length;
    };
    assert.deepEqual([await kept(0), await kept(1)], [1, 0]);
  });

  it("a closed shard, when all that it held has", async () => {
    const { client, turn } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client);
    await put(client, StreamName, "a");
    await client.send(new sdk.SplitShardCommand({ StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: "9" }));
    const iterator = await iteratorFor(client, StreamName);
    await turn(24 * hourMs);
    assert.equal((await shardsOf(client, StreamName)).length, 3);
    await turn(1);
    const shards = await shardsOf(client, StreamName);
    assert.deepEqual(
      shards.map(({ ShardId, ParentShardId }) => [ShardId!.slice(-1), ParentShardId]),
      [
        ["1", "shardId-000000000000"],
        ["2", "shardId-000000000000"],
      ],
    );
    await assert.rejects(iteratorFor(client, StreamName), named("ResourceNotFoundException"));
    await assert.rejects(readOn(client, iterator), named("ExpiredIteratorException"));
  });
});

describe("changes that take time", () => {
  it("keep a stream from being used before it is made, changed meanwhile, and used after it is gone", async () => {
    const { client, turn } = await startSubject({ limits: "off", transitionMs: 10_000 });
    const StreamName = "views";
    const status = async () =>
      (await client.send(new sdk.DescribeStreamSummaryCommand({ StreamName }))).StreamDescriptionSummary!.StreamStatus;
    const split = (ShardToSplit: string) =>
      client.send(new sdk.SplitShardCommand({ StreamName, ShardToSplit, NewStartingHashKey: "9" }));
    await client.send(new sdk.CreateStreamCommand({ StreamName, ShardCount: 1 }));
    assert.equal(await status(), "CREATING");
    await assert.rejects(put(client, StreamName, "a"), named("ResourceNotFoundException"));
    await assert.rejects(split("shardId-000000000000"), named("ResourceInUseException", /CREATING/));
    await turn(10_000);
    assert.equal(await status(), "ACTIVE");
    await split("shardId-000000000000");
    assert.equal(await status(), "UPDATING");
    await put(client, StreamName, "a");
    await assert.rejects(split("shardId-000000000002"), named("ResourceInUseException", /UPDATING/));
    await turn(10_000);
    await client.send(new sdk.DeleteStreamCommand({ StreamName }));
    assert.equal(await status(), "DELETING");
    await turn(10_000);
    await assert.rejects(status(), named("ResourceNotFoundException"));
    await client.send(new sdk.CreateStreamCommand({ StreamName, ShardCount: 1 }));
    await turn(10_000);
    assert.deepEqual((await read(client, StreamName)).Records, []);
  });
});

describe("a subscription", () => {
  it("lasts five minutes, and can be taken over after five seconds", async () => {
    const { client, turn, endpoint, clock } = await startSubject({ limits: "off" });
    const StreamName = await newStream(client);
    const { StreamDescriptionSummary } = await client.send(new sdk.DescribeStreamSummaryCommand({ StreamName }));
    const StreamARN = StreamDescriptionSummary!.StreamARN;
    const registered = await client.send(new sdk.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "reader" }));
    const { ConsumerARN } = registered.Consumer!;
    const ShardId = "shardId-000000000000";
    const subscribe = async (StartingPosition: sdk.StartingPosition) =>
      (await clientOf(endpoint).send(new sdk.SubscribeToShardCommand({ ConsumerARN, ShardId, StartingPosition }))).EventStream!;
    const next = async (iterator: AsyncIterator<sdk.SubscribeToShardEventStream>) =>
      (await iterator.next()).value?.SubscribeToShardEvent as sdk.SubscribeToShardEvent | undefined;

    const first = (await subscribe({ Type: "LATEST" }))[Symbol.asyncIterator]();
    const { ContinuationSequenceNumber } = (await next(first))!;
    await assert.rejects(subscribe({ Type: "LATEST" }), named("ResourceInUseException"));
    await turn(5000);
    await next(first);
    await put(client, StreamName, "a");
    const again = { Type: "AFTER_SEQUENCE_NUMBER" as const, SequenceNumber: ContinuationSequenceNumber };
    const second = (await subscribe(again))[Symbol.asyncIterator]();
    assert.deepEqual(textsOf((await next(second))!), ["a"], "goes on where the first was");
    await assert.rejects(async () => {
      while ((await next(first)) !== undefined);
    }, named("ResourceInUseException"));

    const until = clock.now() + 300_000;
    const ended = (async () => {
      while ((await next(second)) !== undefined);
      return clock.now();
    })();
    while (clock.now() < until) {
      await turn(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await ended, until);
  });
});
