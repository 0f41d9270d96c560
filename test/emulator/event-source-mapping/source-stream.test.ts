/** What a mapping reads from: in memory and over Kinesis' API, by one suite; and a mapping over the API on the machine's clock. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  CreateStreamCommand,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { ManualClock } from "../../../runtime/adapters/memory/manual-clock.ts";
import { isKind } from "../../../runtime/base/errors.ts";
import {
  EventSourceMapping,
  KinesisStream,
  MemoryStream,
  type ReadBatch,
  type SourceStream,
  systemClock,
  VirtualClock,
} from "../../../emulator/event-source-mapping/index.ts";
import { EnvironmentPool } from "../../../emulator/lambda/environment-pool.ts";
import { inProcessEnvironments } from "../../../emulator/lambda/in-process-environment.ts";
import { newClock, startSubject } from "../kinesis/subject.ts";
import { dataOf } from "./rig.ts";

interface Subject {
  readonly stream: SourceStream;
  /** Resolves to the sequence number. */
  put(key: string, data: string): Promise<string>;
  split(shardId: string): Promise<void>;
  merge(left: string, right: string): Promise<void>;
  now(): number;
  turn(ms: number): Promise<void>;
}

function memory(shards: number): Promise<Subject> {
  const clock = new VirtualClock();
  const stream = new MemoryStream({ clock, shards });
  return Promise.resolve({
    stream,
    put: (key, data) => Promise.resolve(stream.put(key, data).sequenceNumber),
    split: (shardId) => Promise.resolve(void stream.split(shardId)),
    merge: (left, right) => Promise.resolve(void stream.merge(left, right)),
    now: () => clock.now(),
    turn: (ms) => clock.advance(ms),
  });
}

async function kinesis(shards: number, time = newClock()): Promise<Subject> {
  const { client, clock } = await startSubject({ limits: "off", clock: time });
  const StreamName = "stream";
  await client.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
  return {
    stream: new KinesisStream(client, StreamName),
    put: async (PartitionKey, data) =>
      (await client.send(new PutRecordCommand({ StreamName, PartitionKey, Data: Buffer.from(data) }))).SequenceNumber!,
    split: async (ShardToSplit) => {
      const { Shards } = await client.send(new ListShardsCommand({ StreamName }));
      const { StartingHashKey, EndingHashKey } = Shards!.find(({ ShardId }) => ShardId === ShardToSplit)!.HashKeyRange!;
      const NewStartingHashKey = String((BigInt(StartingHashKey!) + BigInt(EndingHashKey!)) / 2n + 1n);
      await client.send(new SplitShardCommand({ StreamName, ShardToSplit, NewStartingHashKey }));
    },
    merge: async (ShardToMerge, AdjacentShardToMerge) => {
      await client.send(new MergeShardsCommand({ StreamName, ShardToMerge, AdjacentShardToMerge }));
    },
    now: () => clock.now(),
    turn: (ms) => Promise.resolve(clock.advance(ms)),
  };
}

const first = "shardId-000000000000";
const textOf = ({ records }: ReadBatch) => records.map(({ data }) => new TextDecoder().decode(data));

/** From an iterator until nothing more is there. */
async function readOn(stream: SourceStream, from: Parameters<SourceStream["getIterator"]>[1], shardId = first) {
  let iterator: string | undefined = await stream.getIterator(shardId, from);
  const texts: string[] = [];
  while (iterator !== undefined) {
    const read = await stream.getRecords(iterator, 2);
    assert.notEqual(read, "expired");
    const batch = read as ReadBatch;
    texts.push(...textOf(batch));
    iterator = batch.nextIterator;
    if (batch.millisBehindLatest === 0) break;
  }
  return { texts, hasEnded: iterator === undefined };
}

for (const [name, make] of [["memory", memory] as const, ["Kinesis' API", kinesis] as const]) {
  describe(`a stream over ${name}`, () => {
    test("gives records with key, data, time and growing numbers", async () => {
      const { stream, put, now } = await make(1);
      const numbers = [await put("a", "1"), await put("b", "2"), await put("c", "3")];
      const read = (await stream.getRecords(await stream.getIterator(first, { kind: "trimHorizon" }), 10)) as ReadBatch;
      assert.deepEqual(
        read.records.map(({ partitionKey, sequenceNumber, arrivedAt }) => [partitionKey, sequenceNumber, arrivedAt]),
        ["a", "b", "c"].map((key, n) => [key, numbers[n], now()]),
      );
      assert.deepEqual(textOf(read), ["1", "2", "3"]);
      assert.ok(BigInt(numbers[0]!) < BigInt(numbers[1]!) && BigInt(numbers[1]!) < BigInt(numbers[2]!));
      assert.equal(read.millisBehindLatest, 0);
    });

    test("begins at the horizon, the tip, a time, after a record", async () => {
      const { stream, put, turn, now } = await make(1);
      const numbers: string[] = [];
      const times: number[] = [];
      for (const text of ["1", "2", "3"]) {
        times.push(now());
        numbers.push(await put("key", text));
        await turn(1_000);
      }
      assert.deepEqual((await readOn(stream, { kind: "trimHorizon" })).texts, ["1", "2", "3"]);
      assert.deepEqual((await readOn(stream, { kind: "latest" })).texts, []);
      assert.deepEqual((await readOn(stream, { kind: "atTimestamp", timestamp: times[1]! })).texts, ["2", "3"]);
      assert.deepEqual((await readOn(stream, { kind: "afterSequenceNumber", sequenceNumber: numbers[0]! })).texts, ["2", "3"]);
      const latest = await stream.getIterator(first, { kind: "latest" });
      await put("key", "4");
      assert.deepEqual(textOf((await stream.getRecords(latest, 10)) as ReadBatch), ["4"]);
    });

    test("ends shards that were split and merged, and says whose children there are", async () => {
      const { stream, put, split, merge } = await make(1);
      await put("key", "1");
      await split(first);
      await merge("shardId-000000000001", "shardId-000000000002");
      await put("key", "2");
      assert.deepEqual(
        [...(await stream.listShards())].map(({ shardId, parents, isOpen }) => [
          shardId.slice(-1),
          parents.map((id) => id.slice(-1)),
          isOpen,
        ]),
        [
          ["0", [], false],
          ["1", ["0"], false],
          ["2", ["0"], false],
          ["3", ["1", "2"], true],
        ],
      );
      assert.deepEqual(await readOn(stream, { kind: "trimHorizon" }), { texts: ["1"], hasEnded: true });
      assert.deepEqual(await readOn(stream, { kind: "trimHorizon" }, "shardId-000000000001"), { texts: [], hasEnded: true });
      assert.deepEqual(await readOn(stream, { kind: "trimHorizon" }, "shardId-000000000003"), { texts: ["2"], hasEnded: false });
    });

    test("loses records and iterators with time", async () => {
      const { stream, put, turn } = await make(1);
      const number = await put("key", "1");
      const iterator = await stream.getIterator(first, { kind: "trimHorizon" });
      await turn(301_000);
      assert.equal(await stream.getRecords(iterator, 10), "expired");
      const { retentionMs, arn } = await stream.describe();
      assert.match(arn, /^arn:aws:kinesis:us-east-1:\d+:stream\/stream$/);
      await turn(retentionMs);
      await put("key", "2");
      assert.deepEqual((await readOn(stream, { kind: "trimHorizon" })).texts, ["2"]);
      assert.deepEqual((await readOn(stream, { kind: "afterSequenceNumber", sequenceNumber: number })).texts, ["2"]);
    });
  });
}

test("Kinesis' refusals are errors of a kind: ask again, or do not", async () => {
  const { client, stop } = await startSubject({ limits: "off" });
  await assert.rejects(new KinesisStream(client, "missing").listShards(), (error) => isKind(error, "invalid"));
  await stop();
  await assert.rejects(new KinesisStream(client, "missing").listShards(), (error) => isKind(error, "unavailable"));
});

test("a mapping over Kinesis' API delivers what is put, through a split", async () => {
  const { stream, put, split } = await kinesis(2, new ManualClock({ now: Date.now() }));
  const texts = Array.from({ length: 40 }, (_, n) => `text ${n}`);
  const seen: string[] = [];
  const complete = new AbortController();
  let failures = 2;
  const handler = (event: unknown) => {
    if (failures-- > 0) throw new Error("not yet");
    seen.push(...dataOf(event));
    if (seen.length === texts.length) complete.abort();
  };
  const invoker = new EnvironmentPool({
    factory: inProcessEnvironments({ clock: systemClock, start: () => handler }),
    clock: systemClock,
    timeoutMs: 3_000,
  });
  const mapping = new EventSourceMapping({
    stream,
    invoker,
    clock: systemClock,
    settings: { startingPosition: "TRIM_HORIZON" },
    timings: { pollIntervalMs: 10, catchUpIntervalMs: 1, shardDiscoveryMs: 20, backOffMs: 5 },
  });
  for (const [n, text] of texts.entries()) {
    if (n === 20) await split(first);
    await put(text, text);
  }
  await systemClock.sleep(60_000, complete.signal);
  await mapping.stop();
  await invoker.stop();
  assert.deepEqual([...seen].sort(), [...texts].sort());
  assert.equal(mapping.checkpoints.get(first), "SHARD_END");
});
