/**
 * What callers of Kinesis rely on, through AWS's SDK: streams, puts, iterators, reads, resharding, listings, consumers.
 *
 * Runs against any server that says it is Kinesis. What needs a clock in hand, or limits, is in limits.test.ts. Oracles: the API's
 * documentation, MD5 of the partition key, and the records that were put.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import {
  bytesOf,
  iteratorFor,
  named,
  newStream,
  put,
  read,
  readOn,
  shardsOf,
  type Subject,
  textsOf,
  untilActive,
  untilConsumerActive,
} from "./subject.ts";

const space = 1n << 128n;
const missingStream = "there-is-no-such-stream";
const startOf = (shard: sdk.Shard) => BigInt(shard.HashKeyRange!.StartingHashKey!);
const endOf = (shard: sdk.Shard) => BigInt(shard.HashKeyRange!.EndingHashKey!);
const isOpen = (shard: sdk.Shard) => shard.SequenceNumberRange!.EndingSequenceNumber === undefined;
const ascending = (values: readonly bigint[]) => values.every((value, n) => n === 0 || values[n - 1]! < value);
const shardWith = (shards: readonly sdk.Shard[], hashKey: bigint) =>
  shards.find((shard) => isOpen(shard) && startOf(shard) <= hashKey && hashKey <= endOf(shard))!.ShardId;

/** Which of them Kinesis throws for a parameter is not documented everywhere. */
const refused = named(/^(ValidationException|InvalidArgumentException|LimitExceededException)$/);

/** The open shards cover the hash space exactly once. */
function assertCovered(shards: readonly sdk.Shard[]): void {
  const open = shards.filter(isOpen).sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
  assert.equal(startOf(open[0]!), 0n);
  for (const [n, shard] of open.entries()) assert.equal(endOf(shard) + 1n, n + 1 < open.length ? startOf(open[n + 1]!) : space);
}

export function kinesisConformance(name: string, start: () => Subject | Promise<Subject>): void {
  describe(`${name}: Kinesis conformance`, () => {
    let started: Promise<Subject> | undefined;
    const subject = () => (started ??= Promise.resolve(start()));
    const test = (title: string, run: (client: sdk.KinesisClient, subject: Subject) => Promise<void>) =>
      it(title, async () => run((await subject()).client, await subject()));

    test("creates streams whose shards share the hash space evenly", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 3 });
      const summary = await untilActive(client, StreamName);
      assert.equal(summary.OpenShardCount, 3);
      assert.equal(summary.RetentionPeriodHours, 24);
      assert.match(summary.StreamARN!, new RegExp(`^arn:aws:kinesis:us-east-1:\\d{12}:stream/${StreamName}$`));
      const shards = await shardsOf(client, StreamName);
      assert.deepEqual(
        shards.map(({ ShardId }) => ShardId),
        ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002"],
      );
      assertCovered(shards);
      for (const shard of shards) {
        const width = endOf(shard) - startOf(shard);
        assert.ok(width - space / 3n >= -3n && width - space / 3n <= 3n, `${width}`);
        assert.equal(shard.ParentShardId, undefined);
      }
    });

    test("refuses a name twice, names that are none, and streams without shards", async (client) => {
      const StreamName = await newStream(client);
      const create = (input: Partial<sdk.CreateStreamInput>) =>
        client.send(new sdk.CreateStreamCommand(input as sdk.CreateStreamInput));
      await assert.rejects(create({ StreamName, ShardCount: 1 }), named("ResourceInUseException"));
      await assert.rejects(create({ StreamName: "no spaces", ShardCount: 1 }), refused);
      await assert.rejects(create({ StreamName: "none", ShardCount: 0 }), refused);
    });

    test("creates streams on demand with shards of its own choice", async (client) => {
      const StreamName = await newStream(client, { StreamModeDetails: { StreamMode: "ON_DEMAND" } });
      const { StreamModeDetails, OpenShardCount } = await untilActive(client, StreamName);
      assert.equal(StreamModeDetails?.StreamMode, "ON_DEMAND");
      assert.equal(OpenShardCount, 4);
    });

    test("deletes streams: name and ARN are not found any more", async (client) => {
      const StreamName = await newStream(client);
      await put(client, StreamName, "a");
      const { StreamARN } = await untilActive(client, StreamName);
      const iterator = await iteratorFor(client, StreamName);
      await client.send(new sdk.DeleteStreamCommand({ StreamName }));
      for (let tries = 0; tries < 50; tries++) {
        const gone = await untilActive(client, StreamName).then(
          () => false,
          (error) => error.name === "ResourceNotFoundException",
        );
        if (gone) break;
      }
      await assert.rejects(shardsOf(client, StreamName), named("ResourceNotFoundException"));
      await assert.rejects(client.send(new sdk.DescribeStreamCommand({ StreamARN })), named("ResourceNotFoundException"));
      await assert.rejects(readOn(client, iterator), named("ResourceNotFoundException"));
    });

    test("lists streams by name, page by page", async (client) => {
      const made = [await newStream(client), await newStream(client), await newStream(client)].sort();
      const found: string[] = [];
      let last: string | undefined;
      for (;;) {
        const page = await client.send(new sdk.ListStreamsCommand({ Limit: 2, ...(last && { ExclusiveStartStreamName: last }) }));
        assert.ok(page.StreamNames!.length <= 2);
        found.push(...page.StreamNames!);
        last = page.StreamNames!.at(-1);
        if (page.HasMoreStreams !== true) break;
      }
      assert.deepEqual(
        found.filter((name) => made.includes(name)),
        made,
      );
      assert.deepEqual(found, [...found].sort());
    });

    test("says that a stream or shard is not there, for every call that names one", async (client) => {
      const StreamName = await newStream(client);
      const stream = { StreamName: missingStream };
      const record = { Data: bytesOf("a"), PartitionKey: "key" };
      const calls = [
        () => client.send(new sdk.DescribeStreamSummaryCommand(stream)),
        () => client.send(new sdk.ListShardsCommand(stream)),
        () => client.send(new sdk.PutRecordCommand({ ...stream, ...record })),
        () => client.send(new sdk.PutRecordsCommand({ ...stream, Records: [record] })),
        () => client.send(new sdk.DeleteStreamCommand(stream)),
        () =>
          client.send(new sdk.SplitShardCommand({ ...stream, ShardToSplit: "shardId-000000000000", NewStartingHashKey: "9" })),
        () => iteratorFor(client, missingStream),
        () => iteratorFor(client, StreamName, { ShardId: "shardId-000000000007" }),
        () =>
          client.send(new sdk.SplitShardCommand({ StreamName, ShardToSplit: "shardId-000000000007", NewStartingHashKey: "9" })),
      ];
      for (const call of calls) await assert.rejects(call(), named("ResourceNotFoundException"));
    });

    test("puts each record into the shard of its partition key's MD5, or of its explicit hash key", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 4 });
      const shards = await shardsOf(client, StreamName);
      const keys = ["a", "b", "c", "user-1", "user-2", "ключ", "鍵", "x".repeat(256)];
      const hashed = keys.map((PartitionKey) => ({ PartitionKey, Data: bytesOf(PartitionKey) }));
      const explicit = [0n, space / 4n - 1n, space / 4n, space - 1n].map((key) => ({
        PartitionKey: "same",
        ExplicitHashKey: String(key),
        Data: bytesOf("e"),
      }));
      const Records = [...hashed, ...explicit];
      const output = await client.send(new sdk.PutRecordsCommand({ StreamName, Records }));
      assert.equal(output.FailedRecordCount, 0);
      for (const [n, record] of Records.entries()) {
        const md5 = BigInt(`0x${createHash("md5").update(record.PartitionKey).digest("hex")}`);
        const hashKey = "ExplicitHashKey" in record ? BigInt(record.ExplicitHashKey as string) : md5;
        assert.equal(output.Records![n]!.ShardId, shardWith(shards, hashKey), record.PartitionKey);
      }
    });

    test("gives back what was put: data, key, number, time; in order, with numbers that grow", async (client, { turn }) => {
      const StreamName = await newStream(client);
      const texts = Array.from({ length: 25 }, (_, n) => `record ${n}`);
      const numbers: string[] = [];
      for (const text of texts) {
        numbers.push(await put(client, StreamName, text));
        if (numbers.length % 10 === 0) await turn(10);
      }
      assert.ok(ascending(numbers.map(BigInt)));
      const output = await read(client, StreamName);
      assert.deepEqual(textsOf(output), texts);
      assert.deepEqual(
        output.Records!.map(({ SequenceNumber }) => SequenceNumber),
        numbers,
      );
      const times = output.Records!.map((record) => record.ApproximateArrivalTimestamp!.getTime());
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      );
      assert.ok(output.Records!.every(({ PartitionKey }) => PartitionKey === "key"));
      assert.equal(output.MillisBehindLatest, 0);
    });

    test("gives back any bytes, none too", async (client) => {
      const StreamName = await newStream(client);
      const all = Uint8Array.from({ length: 256 }, (_, n) => n);
      for (const Data of [all, new Uint8Array(0), bytesOf("ü")]) {
        await client.send(new sdk.PutRecordCommand({ StreamName, Data, PartitionKey: "key" }));
      }
      const { Records } = await read(client, StreamName);
      assert.deepEqual(
        Records!.map(({ Data }) => [...Data!]),
        [[...all], [], [...bytesOf("ü")]],
      );
    });

    test("orders puts after a number given for ordering, and refuses one that is none of its own", async (client) => {
      const StreamName = await newStream(client);
      const input = { StreamName, Data: bytesOf("a"), PartitionKey: "key" };
      const first = await put(client, StreamName, "a");
      const second = await client.send(new sdk.PutRecordCommand({ ...input, SequenceNumberForOrdering: first }));
      assert.ok(BigInt(second.SequenceNumber!) > BigInt(first));
      const wrong = { ...input, SequenceNumberForOrdering: "abc" };
      await assert.rejects(client.send(new sdk.PutRecordCommand(wrong)), named("ValidationException"));
    });

    test("refuses puts that break a rule, whole", async (client) => {
      const StreamName = await newStream(client);
      const record = { Data: bytesOf("a"), PartitionKey: "key" };
      const putAll = (Records: sdk.PutRecordsRequestEntry[]) => client.send(new sdk.PutRecordsCommand({ StreamName, Records }));
      const validation = named("ValidationException");
      await assert.rejects(putAll([]), validation);
      await assert.rejects(putAll(Array.from({ length: 501 }, () => record)), validation);
      await assert.rejects(putAll([record, { ...record, PartitionKey: "" }]), validation);
      await assert.rejects(putAll([record, { ...record, PartitionKey: "x".repeat(257) }]), validation);
      await assert.rejects(putAll([record, { ...record, ExplicitHashKey: "01" }]), validation);
      await assert.rejects(putAll([record, { ...record, ExplicitHashKey: String(space) }]), named("InvalidArgumentException"));
      const tooLarge = { Data: new Uint8Array(1024 * 1024 + 1), PartitionKey: "k" };
      await assert.rejects(putAll([record, tooLarge]), refused);
      assert.deepEqual(textsOf(await read(client, StreamName)), []);
    });

    test("takes 500 records, and 1 MiB with its key", async (client) => {
      const StreamName = await newStream(client);
      const Records = Array.from({ length: 500 }, (_, n) => ({ Data: bytesOf(String(n)), PartitionKey: "key" }));
      const output = await client.send(new sdk.PutRecordsCommand({ StreamName, Records }));
      assert.equal(output.FailedRecordCount, 0);
      assert.equal(new Set(output.Records!.map(({ SequenceNumber }) => SequenceNumber)).size, 500);
      const full = { StreamName, Data: new Uint8Array(1024 * 1024 - 1), PartitionKey: "k" };
      await client.send(new sdk.PutRecordCommand(full));
      assert.equal((await read(client, StreamName)).Records!.length, 501);
    });

    test("takes records up to a raised limit, and 10 MiB in a request", async (client) => {
      const StreamName = await newStream(client);
      const { StreamARN } = await untilActive(client, StreamName);
      await client.send(new sdk.UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 10_240 }));
      assert.equal((await untilActive(client, StreamName)).MaxRecordSizeInKiB, 10_240);
      const large = { Data: new Uint8Array(10_240 * 1024 - 1), PartitionKey: "k" };
      const output = await client.send(new sdk.PutRecordsCommand({ StreamName, Records: [large] }));
      assert.equal(output.FailedRecordCount, 0);
      assert.equal((await read(client, StreamName)).Records![0]!.Data!.length, large.Data.length);
      const two = [large, { Data: bytesOf("a"), PartitionKey: "k" }];
      await assert.rejects(
        client.send(new sdk.PutRecordsCommand({ StreamName, Records: two })),
        named("InvalidArgumentException"),
      );
      for (const MaxRecordSizeInKiB of [1023, 10_241]) {
        const outside = client.send(new sdk.UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB }));
        await assert.rejects(outside, named("ValidationException"));
      }
    });

    test("begins reading where each type of iterator says", async (client, { turn }) => {
      const StreamName = await newStream(client);
      const texts = ["a", "b", "c", "d"];
      const numbers: string[] = [];
      for (const text of texts) {
        numbers.push(await put(client, StreamName, text));
        await turn(20);
      }
      const times = (await read(client, StreamName)).Records!.map((record) => record.ApproximateArrivalTimestamp!.getTime());
      const from = async (start: Partial<sdk.GetShardIteratorInput>) => textsOf(await read(client, StreamName, start));
      for (const [n, StartingSequenceNumber] of numbers.entries()) {
        assert.deepEqual(await from({ ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber }), texts.slice(n));
        assert.deepEqual(await from({ ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber }), texts.slice(n + 1));
        const at = (ms: number) => from({ ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(ms) });
        assert.deepEqual(await at(times[n]!), texts.slice(n));
        assert.deepEqual(await at(times[n]! + 1), texts.slice(n + 1));
      }
      assert.deepEqual(await from({ ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(times[0]! - 60_000) }), texts);
      assert.deepEqual(await from({ ShardIteratorType: "TRIM_HORIZON" }), texts);
      assert.deepEqual(await from({ ShardIteratorType: "LATEST" }), []);
      const [shard] = await shardsOf(client, StreamName);
      const { StartingSequenceNumber } = shard!.SequenceNumberRange!;
      assert.deepEqual(await from({ ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber }), texts);
    });

    test("keeps an iterator's place while records arrive: LATEST sees what came after it", async (client) => {
      const StreamName = await newStream(client);
      await put(client, StreamName, "before");
      const latest = await iteratorFor(client, StreamName, { ShardIteratorType: "LATEST" });
      await put(client, StreamName, "a");
      await put(client, StreamName, "b");
      const first = await readOn(client, latest);
      assert.deepEqual(textsOf(first), ["a", "b"]);
      await put(client, StreamName, "c");
      assert.deepEqual(textsOf(await readOn(client, first.NextShardIterator!)), ["c"]);
      assert.deepEqual(textsOf(await readOn(client, latest)), ["a", "b", "c"], "an iterator can be used again");
    });

    test("reads on from the horizon of an empty shard", async (client) => {
      const StreamName = await newStream(client);
      const empty = await read(client, StreamName);
      assert.deepEqual([textsOf(empty), empty.MillisBehindLatest], [[], 0]);
      await put(client, StreamName, "a");
      assert.deepEqual(textsOf(await readOn(client, empty.NextShardIterator!)), ["a"]);
    });

    test("reads in pieces of at most the limit, saying how far behind", async (client, { turn }) => {
      const StreamName = await newStream(client);
      for (const text of ["a", "b", "c", "d", "e"]) {
        await put(client, StreamName, text);
        await turn(50);
      }
      const seen: (readonly string[])[] = [];
      let iterator = await iteratorFor(client, StreamName);
      for (let n = 0; n < 3; n++) {
        const output = await readOn(client, iterator, 2);
        seen.push(textsOf(output));
        assert.equal(output.MillisBehindLatest! > 0, n < 2);
        iterator = output.NextShardIterator!;
      }
      assert.deepEqual(seen, [["a", "b"], ["c", "d"], ["e"]]);
      await assert.rejects(readOn(client, iterator, 10_001), refused);
    });

    test("gives at most 10 MB in a read", async (client) => {
      const StreamName = await newStream(client);
      const Data = new Uint8Array(1024 * 1024 - 10);
      for (let n = 0; n < 12; n++) await client.send(new sdk.PutRecordCommand({ StreamName, Data, PartitionKey: "k" }));
      const output = await read(client, StreamName);
      assert.ok(output.Records!.length >= 9 && output.Records!.length <= 10, String(output.Records!.length));
      assert.equal((await readOn(client, output.NextShardIterator!)).Records!.length, 12 - output.Records!.length);
    });

    test("refuses iterators and numbers that it did not give", async (client) => {
      const [StreamName, other] = [await newStream(client, { ShardCount: 2 }), await newStream(client)];
      const foreign = await put(client, other, "a");
      await put(client, StreamName, "own");
      const invalid = named("InvalidArgumentException");
      await assert.rejects(readOn(client, "AAAAAAAAAAA="), invalid);
      const at = (StartingSequenceNumber: string | undefined, ShardIteratorType: sdk.ShardIteratorType = "AT_SEQUENCE_NUMBER") =>
        iteratorFor(client, StreamName, { ShardIteratorType, StartingSequenceNumber });
      await assert.rejects(at(foreign), invalid);
      await assert.rejects(at(await put(client, StreamName, "a", String(space - 1n))), invalid, "of the other shard");
      await assert.rejects(at(undefined), invalid);
      await assert.rejects(at("abc"), named("ValidationException"));
      await assert.rejects(at(undefined, "AT_TIMESTAMP"), invalid);
      await assert.rejects(at(undefined, "SOMEWHERE" as sdk.ShardIteratorType), named("ValidationException"));
    });

    test("splits a shard: the parent ends with its children, which take what is put from then on", async (client) => {
      const StreamName = await newStream(client);
      const before = await put(client, StreamName, "before");
      const border = 1n << 100n;
      const split = { StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: String(border) };
      await client.send(new sdk.SplitShardCommand(split));
      await untilActive(client, StreamName);
      const shards = await shardsOf(client, StreamName);
      assert.deepEqual(
        shards.map(({ ShardId, ParentShardId, HashKeyRange }) => [ShardId, ParentShardId, HashKeyRange!.StartingHashKey]),
        [
          ["shardId-000000000000", undefined, "0"],
          ["shardId-000000000001", "shardId-000000000000", "0"],
          ["shardId-000000000002", "shardId-000000000000", String(border)],
        ],
      );
      assertCovered(shards);
      const { EndingSequenceNumber } = shards[0]!.SequenceNumberRange!;
      assert.ok(BigInt(EndingSequenceNumber!) >= BigInt(before));
      const [low, high] = [
        await put(client, StreamName, "low", String(border - 1n)),
        await put(client, StreamName, "high", String(border)),
      ];
      for (const [n, number] of [low, high].entries()) {
        assert.ok(BigInt(number) > BigInt(EndingSequenceNumber!), "children's numbers lie above the parent's");
        assert.ok(BigInt(shards[n + 1]!.SequenceNumberRange!.StartingSequenceNumber!) > BigInt(EndingSequenceNumber!));
        const output = await read(client, StreamName, { ShardId: shards[n + 1]!.ShardId! });
        assert.deepEqual(textsOf(output), [["low"], ["high"]][n]);
      }
      const parent = await read(client, StreamName);
      assert.deepEqual(textsOf(parent), ["before"]);
      const ended = parent.NextShardIterator ? await readOn(client, parent.NextShardIterator) : parent;
      assert.equal(ended.NextShardIterator ?? undefined, undefined);
      assert.deepEqual(
        ended.ChildShards!.map(({ ShardId, ParentShards, HashKeyRange }) => [ShardId, ParentShards, HashKeyRange]),
        shards.slice(1).map(({ ShardId, HashKeyRange }) => [ShardId, ["shardId-000000000000"], HashKeyRange]),
      );
    });

    test("merges neighbours into a shard with two parents", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 3 });
      const merge = { StreamName, ShardToMerge: "shardId-000000000001", AdjacentShardToMerge: "shardId-000000000002" };
      await client.send(new sdk.MergeShardsCommand(merge));
      await untilActive(client, StreamName);
      const shards = await shardsOf(client, StreamName);
      assertCovered(shards);
      assert.equal(shards[3]!.ParentShardId, "shardId-000000000001");
      assert.equal(shards[3]!.AdjacentParentShardId, "shardId-000000000002");
      assert.deepEqual([startOf(shards[3]!), endOf(shards[3]!)], [startOf(shards[1]!), endOf(shards[2]!)]);
      for (const ShardId of ["shardId-000000000001", "shardId-000000000002"]) {
        const { ChildShards, NextShardIterator } = await read(client, StreamName, { ShardId });
        assert.equal(NextShardIterator ?? undefined, undefined);
        assert.deepEqual(
          ChildShards!.map((child) => [child.ShardId, [...child.ParentShards!].sort()]),
          [["shardId-000000000003", ["shardId-000000000001", "shardId-000000000002"]]],
        );
      }
    });

    test("refuses splits and merges that make no sense", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 3 });
      const shards = await shardsOf(client, StreamName);
      const split = (ShardToSplit: string, NewStartingHashKey: string) =>
        client.send(new sdk.SplitShardCommand({ StreamName, ShardToSplit, NewStartingHashKey }));
      const merge = (ShardToMerge: string, AdjacentShardToMerge: string) =>
        client.send(new sdk.MergeShardsCommand({ StreamName, ShardToMerge, AdjacentShardToMerge }));
      const invalid = named("InvalidArgumentException");
      await assert.rejects(split(shards[1]!.ShardId!, shards[1]!.HashKeyRange!.StartingHashKey!), invalid);
      await assert.rejects(split(shards[1]!.ShardId!, String(endOf(shards[1]!) + 1n)), invalid);
      await assert.rejects(merge(shards[0]!.ShardId!, shards[2]!.ShardId!), invalid);
      await split(shards[0]!.ShardId!, "12345");
      await untilActive(client, StreamName);
      await assert.rejects(split(shards[0]!.ShardId!, "12345"), invalid, "closed already");
      assertCovered(await shardsOf(client, StreamName));
    });

    test("updates the number of shards to even shares, within half and double", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 4 });
      const update = (TargetShardCount: number) =>
        client.send(new sdk.UpdateShardCountCommand({ StreamName, TargetShardCount, ScalingType: "UNIFORM_SCALING" }));
      await assert.rejects(update(9), refused);
      await assert.rejects(update(1), refused);
      for (const target of [6, 3]) {
        const output = await update(target);
        assert.equal(output.TargetShardCount, target);
        await untilActive(client, StreamName);
        const shards = await shardsOf(client, StreamName);
        assertCovered(shards);
        const widths = shards.filter(isOpen).map((shard) => endOf(shard) - startOf(shard));
        assert.equal(widths.length, target);
        for (const width of widths) assert.ok(width - space / BigInt(target) >= -3n && width - space / BigInt(target) <= 3n);
      }
    });

    test("loses nothing and repeats nothing over splits and merges under way", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 2 });
      const acknowledged = new Set<string>();
      const putting = Array.from({ length: 10 }, async (_, writer) => {
        for (let n = 0; n < 10; n++) {
          const text = `${writer}/${n}`;
          const Records = [{ Data: bytesOf(text), PartitionKey: text }];
          const { FailedRecordCount } = await client.send(new sdk.PutRecordsCommand({ StreamName, Records }));
          if (FailedRecordCount === 0) acknowledged.add(text);
        }
      });
      const [shard] = await shardsOf(client, StreamName);
      const split = { StreamName, ShardToSplit: shard!.ShardId!, NewStartingHashKey: String(startOf(shard!) + 1000n) };
      await client.send(new sdk.SplitShardCommand(split));
      await untilActive(client, StreamName);
      const merge = { StreamName, ShardToMerge: "shardId-000000000003", AdjacentShardToMerge: "shardId-000000000001" };
      await client.send(new sdk.MergeShardsCommand(merge));
      await Promise.all(putting);
      assert.equal(acknowledged.size, 100);
      const found: string[] = [];
      for (const { ShardId } of await shardsOf(client, StreamName)) {
        found.push(...textsOf(await read(client, StreamName, { ShardId: ShardId! })));
      }
      assert.deepEqual(found.sort(), [...acknowledged].sort());
    });

    test("lists shards page by page, by name and by ARN", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 5 });
      const { StreamARN } = await untilActive(client, StreamName);
      const pages: string[][] = [];
      let NextToken: string | undefined;
      do {
        const input = NextToken === undefined ? { StreamARN, MaxResults: 2 } : { NextToken, MaxResults: 2 };
        const page: sdk.ListShardsOutput = await client.send(new sdk.ListShardsCommand(input));
        pages.push(page.Shards!.map(({ ShardId }) => ShardId!.slice(-1)));
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      assert.deepEqual(pages, [["0", "1"], ["2", "3"], ["4"]]);
      const after = await client.send(new sdk.ListShardsCommand({ StreamName, ExclusiveStartShardId: "shardId-000000000002" }));
      assert.deepEqual(
        after.Shards!.map(({ ShardId }) => ShardId!.slice(-1)),
        ["3", "4"],
      );
      const { NextToken: token } = await client.send(new sdk.ListShardsCommand({ StreamName, MaxResults: 1 }));
      const both = client.send(new sdk.ListShardsCommand({ StreamName, NextToken: token }));
      await assert.rejects(both, named("InvalidArgumentException"));
    });

    test("lists the shards that a filter picks", async (client, { turn }) => {
      const StreamName = await newStream(client);
      await turn(1500);
      await client.send(
        new sdk.SplitShardCommand({ StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: "1000" }),
      );
      await untilActive(client, StreamName);
      await turn(1500);
      const now = await put(client, StreamName, "now", "5");
      const output = await read(client, StreamName, {
        ShardId: "shardId-000000000001",
        ShardIteratorType: "AT_SEQUENCE_NUMBER",
        StartingSequenceNumber: now,
      });
      const Timestamp = output.Records![0]!.ApproximateArrivalTimestamp!;
      const listed = async (ShardFilter: sdk.ShardFilter) =>
        (await client.send(new sdk.ListShardsCommand({ StreamName, ShardFilter }))).Shards!.map(({ ShardId }) =>
          ShardId!.slice(-1),
        );
      assert.deepEqual(await listed({ Type: "AT_LATEST" }), ["1", "2"]);
      assert.deepEqual(await listed({ Type: "FROM_TRIM_HORIZON" }), ["0", "1", "2"]);
      assert.deepEqual(await listed({ Type: "AT_TRIM_HORIZON" }), ["0"]);
      assert.deepEqual(await listed({ Type: "AFTER_SHARD_ID", ShardId: "shardId-000000000001" }), ["2"]);
      assert.deepEqual(await listed({ Type: "AT_TIMESTAMP", Timestamp }), ["1", "2"]);
      assert.deepEqual(await listed({ Type: "FROM_TIMESTAMP", Timestamp }), ["1", "2"]);
      const { StreamCreationTimestamp } = await untilActive(client, StreamName);
      assert.deepEqual(await listed({ Type: "FROM_TIMESTAMP", Timestamp: StreamCreationTimestamp }), ["0", "1", "2"]);
    });

    test("describes a stream with its shards, page by page", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 3 });
      const page = await client.send(new sdk.DescribeStreamCommand({ StreamName, Limit: 2 }));
      assert.deepEqual([page.StreamDescription!.Shards!.length, page.StreamDescription!.HasMoreShards], [2, true]);
      const rest = { StreamName, ExclusiveStartShardId: "shardId-000000000001" };
      const { StreamDescription } = await client.send(new sdk.DescribeStreamCommand(rest));
      assert.deepEqual([StreamDescription!.Shards!.length, StreamDescription!.HasMoreShards], [1, false]);
      assert.ok(StreamDescription!.StreamCreationTimestamp instanceof Date);
    });

    test("changes the retention within its bounds, up by one call and down by the other", async (client) => {
      const StreamName = await newStream(client);
      const up = (RetentionPeriodHours: number) =>
        client.send(new sdk.IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours }));
      const down = (RetentionPeriodHours: number) =>
        client.send(new sdk.DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours }));
      await up(48);
      assert.equal((await untilActive(client, StreamName)).RetentionPeriodHours, 48);
      await assert.rejects(up(25), refused);
      await assert.rejects(down(72), refused);
      await assert.rejects(up(8761), refused);
      await assert.rejects(down(23), refused);
      await down(24);
      assert.equal((await untilActive(client, StreamName)).RetentionPeriodHours, 24);
    });

    test("keeps tags", async (client) => {
      const StreamName = await newStream(client);
      await client.send(new sdk.AddTagsToStreamCommand({ StreamName, Tags: { team: "views", stage: "test" } }));
      await client.send(new sdk.RemoveTagsFromStreamCommand({ StreamName, TagKeys: ["stage"] }));
      const { Tags, HasMoreTags } = await client.send(new sdk.ListTagsForStreamCommand({ StreamName }));
      assert.deepEqual([Tags, HasMoreTags], [[{ Key: "team", Value: "views" }], false]);
    });

    test("registers consumers of a stream", async (client) => {
      const StreamName = await newStream(client);
      const { StreamARN } = await untilActive(client, StreamName);
      const register = () => client.send(new sdk.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "reader" }));
      const { Consumer } = await register();
      await assert.rejects(register(), named("ResourceInUseException"));
      const described = await client.send(new sdk.DescribeStreamConsumerCommand({ ConsumerARN: Consumer!.ConsumerARN }));
      assert.deepEqual(
        [described.ConsumerDescription!.ConsumerName, described.ConsumerDescription!.StreamARN],
        ["reader", StreamARN],
      );
      const { Consumers } = await client.send(new sdk.ListStreamConsumersCommand({ StreamARN }));
      assert.deepEqual(
        Consumers!.map(({ ConsumerARN }) => ConsumerARN),
        [Consumer!.ConsumerARN],
      );
      await untilConsumerActive(client, Consumer!.ConsumerARN!);
      await client.send(new sdk.DeregisterStreamConsumerCommand({ StreamARN, ConsumerName: "reader" }));
      const gone = client.send(new sdk.SubscribeToShardCommand({ ...anyStart, ConsumerARN: Consumer!.ConsumerARN }));
      await assert.rejects(gone, named("ResourceNotFoundException"));
    });

    test("pushes records to a subscriber, until the shard ends with its children", async (client, { connect }) => {
      const StreamName = await newStream(client);
      const { StreamARN } = await untilActive(client, StreamName);
      await put(client, StreamName, "a");
      const registered = await client.send(new sdk.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "reader" }));
      const { ConsumerARN } = registered.Consumer!;
      await untilConsumerActive(client, ConsumerARN!);
      const subscription = await connect().send(new sdk.SubscribeToShardCommand({ ...anyStart, ConsumerARN }));
      const texts: string[] = [];
      let last: sdk.SubscribeToShardEvent | undefined;
      for await (const { SubscribeToShardEvent: event } of subscription.EventStream!) {
        last = event;
        texts.push(...textsOf(event!));
        if (texts.length === 1 && event!.Records!.length > 0) await put(client, StreamName, "b");
        if (texts.length === 2 && event!.Records!.length > 0) {
          const split = { StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: "1000" };
          await client.send(new sdk.SplitShardCommand(split));
        }
      }
      assert.deepEqual(texts, ["a", "b"]);
      assert.deepEqual(
        last!.ChildShards!.map(({ ShardId }) => ShardId),
        ["shardId-000000000001", "shardId-000000000002"],
      );
    });

    test("loses no record of many puts at once", async (client) => {
      const StreamName = await newStream(client, { ShardCount: 2 });
      const puts = Array.from({ length: 20 }, (_, n) =>
        client.send(
          new sdk.PutRecordsCommand({
            StreamName,
            Records: Array.from({ length: 10 }, (_, m) => ({ Data: bytesOf(`${n}/${m}`), PartitionKey: `${n}/${m}` })),
          }),
        ),
      );
      const numbers = (await Promise.all(puts)).flatMap(({ Records }) => Records!.map((r) => `${r.ShardId} ${r.SequenceNumber}`));
      assert.equal(new Set(numbers).size, 200);
      const found: string[] = [];
      for (const { ShardId } of await shardsOf(client, StreamName)) {
        const { Records } = await read(client, StreamName, { ShardId: ShardId! });
        assert.ok(ascending(Records!.map((record) => BigInt(record.SequenceNumber!))));
        found.push(...Records!.map((record) => `${ShardId} ${record.SequenceNumber}`));
      }
      assert.deepEqual(found.sort(), numbers.sort());
    });
  });
}

const anyStart = { ShardId: "shardId-000000000000", StartingPosition: { Type: "TRIM_HORIZON" as const } };
