/** The producer and the emulated Kinesis, through AWS's SDK: throttling as Kinesis throttles, answers that are lost, shards that change. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MergeShardsCommand, SplitShardCommand } from "@aws-sdk/client-kinesis";
import type { Faults } from "../../emulator/kinesis/index.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Position } from "../../runtime/base/ids.ts";
import { openProducer } from "../../producer/index.ts";
import { KinesisSource } from "../../runtime/adapters/aws/kinesis-source.ts";
import { UnpackedSource } from "../../runtime/adapters/aws/unpacked-source.ts";
import { SystemClock } from "../../runtime/adapters/local/system-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { kinesis } from "../../runtime/connectors/kinesis/kinesis.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { clientOf, newStream, shardsOf, startSubject, type Subject } from "../emulator/kinesis/subject.ts";

interface Numbered {
  readonly key: string;
  readonly n: number;
}

/** What a job's source reads of all shards, parents first: of each key the numbers in their order, without those that come again. */
async function readByKey(subject: Subject, stream: string): Promise<Map<string, number[]>> {
  const source = kinesis({ stream, format: json<Numbered>() });
  const telemetry = new MemoryTelemetry();
  const pace = { clock: new SystemClock(), random: () => 0 };
  const reader = new UnpackedSource(
    new KinesisSource({ uid: "events", source, stream, client: subject.client, telemetry, pace }),
    telemetry,
  );
  const byKey = new Map<string, number[]>();
  for (const { id } of await reader.shards(stream)) {
    let after: Position | "horizon" | undefined = "horizon";
    while (after !== undefined) {
      const read = await reader.read(stream, id, after, { records: 10_000, bytes: 1 << 24 });
      for (const { bytes } of read.records) {
        const { key, n } = JSON.parse(Buffer.from(bytes).toString()) as Numbered;
        const seen = byKey.get(key);
        if (seen === undefined) byKey.set(key, [n]);
        else if (!seen.includes(n)) seen.push(n);
      }
      after = read.records.length === 0 && read.behindMs === 0 ? undefined : read.next;
    }
  }
  return byKey;
}

async function openedBeside(subject: Subject & { readonly endpoint: string }, StreamName: string) {
  return openProducer<Numbered>({ stream: StreamName, client: clientOf(subject.endpoint), lingerMs: 5, recordBytes: 8_000 });
}

suite("beside the emulated Kinesis, a producer", () => {
  test("keeps every event and the order of each key while shards split and merge", async () => {
    const random = new SeededRandom(7);
    let isFaulty = true;
    const isCut = () => random.chance(0.15);
    const faults: Faults = ({ operation }) => {
      if (!isFaulty || (operation !== "PutRecords" && operation !== "ListShards")) return undefined;
      if (isCut()) return { kind: random.chance(0.5) ? "dropBefore" : "dropAfter" };
      if (isCut()) return { kind: "refuse", type: "InternalFailure" };
      return isCut() ? { kind: "throttleRecords", picks: () => random.chance(0.5) } : undefined;
    };
    const subject = await startSubject({ faults, limits: "off" });
    const StreamName = await newStream(subject.client, { ShardCount: 2 });
    const producer = await openedBeside(subject, StreamName);
    const keys = 50;
    const count = 6_000;
    const puts: Promise<unknown>[] = [];
    for (let n = 0; n < count; n++) {
      await producer.ready();
      puts.push(producer.put({ key: `key-${n % keys}`, value: { key: `key-${n % keys}`, n } }));
      if (n % 1_000 === 500) await reshard(subject, StreamName, random);
      if (n % 100 === 0) await producer.flush();
    }
    await producer.close();
    await Promise.all(puts);
    isFaulty = false;
    const read = await readByKey(subject, StreamName);
    const expected = Array.from({ length: keys }, (_, key) => Array.from({ length: count / keys }, (_, i) => key + i * keys));
    assert.deepEqual(
      expected.map((_, key) => read.get(`key-${key}`)),
      expected,
    );
    const { events, records, foreign, throttled } = producer.counts;
    assert.deepEqual([events, foreign > 0, throttled > 0], [count, true, true]);
    assert.ok(records < count / 4, `${records} records`);
  });

  test("waits where Kinesis' own limits throttle it, and loses nothing", async () => {
    const subject = await startSubject();
    const StreamName = await newStream(subject.client);
    const producer = await openedBeside(subject, StreamName);
    const bytes = Buffer.alloc(7_000);
    const puts = Array.from({ length: 400 }, (_, n) => producer.put({ key: `key-${n % 9}`, bytes }));
    let isDone = false;
    const done = producer.close().then(() => (isDone = true));
    // A second of the shard's throughput whenever it is used up.
    while (!isDone) await Promise.race([done, new Promise((resolve) => setImmediate(resolve)).then(() => subject.turn(1))]);
    await Promise.all(puts);
    assert.ok(producer.counts.throttled > 0);
    assert.equal(producer.counts.events, 400);
  });

  test("says of a stream that it is not there", async () => {
    const subject = await startSubject();
    const missing = await openedBeside(subject, "no-such-stream");
    await assert.rejects(missing.put({ key: "a", value: { key: "a", n: 1 } }), (error) => isKind(error, "invalid"));
    await missing.close();
  });
});

/** One shard is split, or two neighbours are merged. */
async function reshard({ client }: Subject, StreamName: string, random: SeededRandom): Promise<void> {
  const open = (await untilAnswered(() => shardsOf(client, StreamName)))
    .filter(({ SequenceNumberRange }) => SequenceNumberRange!.EndingSequenceNumber === undefined)
    .sort((a, b) => (BigInt(a.HashKeyRange!.StartingHashKey!) < BigInt(b.HashKeyRange!.StartingHashKey!) ? -1 : 1));
  const n = random.int(open.length - 1);
  const { ShardId, HashKeyRange } = open[n]!;
  if (open.length > 2 && random.chance(0.5))
    await client.send(new MergeShardsCommand({ StreamName, ShardToMerge: ShardId, AdjacentShardToMerge: open[n + 1]!.ShardId }));
  else {
    const middle = (BigInt(HashKeyRange!.StartingHashKey!) + BigInt(HashKeyRange!.EndingHashKey!)) / 2n;
    await client.send(new SplitShardCommand({ StreamName, ShardToSplit: ShardId, NewStartingHashKey: String(middle) }));
  }
}

async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch {
      // As the faults have it.
    }
  }
}
