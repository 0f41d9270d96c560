/** The stream of a table as a source: what it reads, from any position, and what becomes of it when changes or shards are gone. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { TableStreamReader } from "../../runtime/adapters/aws/table-stream-reader.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { type ErrorKind, isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { csv, dynamodbStream, json } from "../../runtime/index.ts";
import { textOf } from "../ports/adapter-maker.ts";
import { FakeTableStream } from "./fake-table-stream.ts";

const everything = { records: 10_000, bytes: 100_000_000 };
const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) => isKind(error, kind) && message.test(error.message);

function open(whenLost: "fail" | "report" = "fail") {
  const streams = { now: new FakeTableStream("orders") as FakeTableStream | undefined };
  const clock = new ManualClock({ now: 1_700_000_000_000 });
  const telemetry = new MemoryTelemetry();
  const Table = () => ({ StreamSpecification: { StreamEnabled: streams.now !== undefined }, LatestStreamArn: streams.now?.arn });
  const reader = () =>
    new TableStreamReader({
      uid: "changes",
      settings: { table: "orders", whenLost },
      table: "orders",
      dynamodb: { send: async () => ({ Table: Table() }) } as unknown as DynamoDBClient,
      streams: async () => (streams.now ?? new FakeTableStream("orders")).loaded,
      clock,
      telemetry,
    });
  return { stream: streams.now!, streams, clock, telemetry, reader };
}

async function read(reader: TableStreamReader, shard: string, after: Position | "horizon" = "horizon", limit = everything) {
  const result = await reader.read("orders", id<ShardId>(shard), after, limit);
  const ns = result.records.map(({ bytes }) => Number(JSON.parse(textOf(bytes)).dynamodb.NewImage.n.N));
  return { ...result, ns };
}

describe("the changes of a table", () => {
  test("are handed over as Lambda's events have them: JSON, bytes in base64, times in seconds", async () => {
    const { stream, reader } = open();
    const shard = stream.open();
    const position = stream.put(shard, "a", 7, 1_700_000_000_000);
    const { records } = await read(reader(), shard);
    assert.equal(records[0]!.position, position);
    assert.equal(records[0]!.arrivalTime, 1_700_000_000_000);
    assert.deepEqual(JSON.parse(textOf(records[0]!.bytes)), {
      eventName: "MODIFY",
      dynamodb: {
        Keys: { id: { S: "a" } },
        NewImage: { id: { S: "a" }, n: { N: "7" }, raw: { B: "AQL/" } },
        SizeBytes: 10,
        StreamViewType: "NEW_AND_OLD_IMAGES",
        SequenceNumber: position,
        ApproximateCreationDateTime: 1_700_000_000,
      },
    });
  });

  test("are read on from any position, by this reader and by another, whatever the limit", async () => {
    const { stream, reader } = open();
    const shard = stream.open();
    const positions = Array.from({ length: 30 }, (_, n) => id<Position>(stream.put(shard, "a", n)));
    const warm = reader();
    for (const limit of [everything, { records: 4, bytes: 1e6 }, { records: 100, bytes: 1 }]) {
      for (let after: Position | "horizon" = "horizon", n = 0; n < 30;) {
        const { ns, next } = await read(warm, shard, after, limit);
        assert.deepEqual(
          ns,
          Array.from({ length: ns.length }, (_, k) => n + k),
        );
        n += ns.length;
        after = next!;
        assert.equal(after, positions[n - 1]);
      }
    }
    assert.deepEqual(
      (await read(reader(), shard, positions[10])).ns,
      Array.from({ length: 19 }, (_, n) => n + 11),
    );
  });

  test("that stand behind empty reads are found; a quiet shard is asked once at a time", async () => {
    const { stream, reader } = open();
    const shard = stream.open();
    stream.emptyReads = 3;
    stream.put(shard, "a", 1);
    const warm = reader();
    const { ns, next, behindMs } = await read(warm, shard);
    assert.deepEqual([ns, behindMs > 0], [[1], true]);
    stream.calls.length = 0;
    assert.deepEqual((await read(warm, shard, next!)).behindMs, 0);
    assert.deepEqual(stream.calls, ["GetRecordsCommand"]);
  });

  test("go on when an iterator has expired", async () => {
    const { stream, reader } = open();
    const shard = stream.open();
    stream.put(shard, "a", 1);
    const warm = reader();
    const { next } = await read(warm, shard);
    stream.put(shard, "a", 2);
    stream.iteratorsToExpire = 1;
    assert.deepEqual((await read(warm, shard, next!)).ns, [2]);
  });

  test("are tried again later when the new iterator has expired too", async () => {
    const { stream, reader } = open();
    const shard = stream.open();
    stream.put(shard, "a", 1);
    const warm = reader();
    stream.iteratorsToExpire = 2;
    await assert.rejects(read(warm, shard), { kind: "unavailable" });
    assert.deepEqual((await read(warm, shard)).ns, [1]);
  });
});

describe("the shards of a table's stream", () => {
  test("come parents first, over as many pages as there are, and end", async () => {
    const { stream, reader } = open();
    stream.pageSize = 2;
    const first = stream.open();
    stream.put(first, "a", 1);
    const [low, high] = stream.close(first, 2);
    const [next] = stream.close(low!);
    const shards = await reader().shards();
    assert.deepEqual(
      shards.map(({ id: shard, parents, closed }) => [shard, parents, closed]),
      [
        [first, [], true],
        [low, [first], true],
        [high, [first], false],
        [next, [low], false],
      ],
    );
    const { ns, next: end } = await read(reader(), first);
    assert.deepEqual([ns, end], [[1], undefined]);
    assert.equal((await read(reader(), low!)).next, undefined);
  });

  test("whose parents are listed no more have none", async () => {
    const { stream, reader } = open();
    const first = stream.open();
    const [next] = stream.close(first);
    stream.expire(first, "all");
    assert.deepEqual(
      (await reader().shards()).map(({ id: shard, parents }) => [shard, parents]),
      [[next, []]],
    );
  });
});

describe("changes that expired before they were read", () => {
  test("stop the shard with the range, or are reported and the rest is read", async () => {
    for (const whenLost of ["fail", "report"] as const) {
      const { stream, reader, telemetry } = open(whenLost);
      const shard = stream.open();
      const positions = [1, 2, 3, 4].map((n) => id<Position>(stream.put(shard, "a", n)));
      stream.expire(shard, 3);
      const lost = { after: positions[0], before: positions[3] };
      if (whenLost === "fail") {
        await assert.rejects(
          read(reader(), shard, positions[0]),
          failsAs("corrupt", new RegExp(`after ${lost.after}, before ${lost.before}`)),
        );
        assert.equal(telemetry.total("sourceGap"), 1);
      } else {
        const result = await read(reader(), shard, positions[0]);
        assert.deepEqual([result.ns, result.gap, result.lost], [[4], true, lost]);
      }
      // All that was read has expired, and nothing that was not.
      const { ns, gap } = await read(reader(), shard, positions[2]);
      assert.deepEqual([ns, gap], [[4], false]);
    }
  });

  test("with their shard: it has ended, and that is a gap to its end", async () => {
    const { stream, reader } = open("report");
    const shard = stream.open();
    const position = id<Position>(stream.put(shard, "a", 1));
    stream.close(shard);
    stream.expire(shard, "all");
    const { gap, lost, next } = await read(reader(), shard, position);
    assert.deepEqual([gap, lost, next], [true, { after: position, before: "its end" }, undefined]);
  });

  test("with the stream, which was turned off and on again", async () => {
    const { stream, streams, reader } = open("report");
    const warm = reader();
    const shard = stream.open();
    const position = id<Position>(stream.put(shard, "a", 1));
    await read(warm, shard);
    streams.now = new FakeTableStream("orders", "2026-01-02T00:00:00.000");
    const { gap, next } = await read(warm, shard.replace("0000-", "9999-"), position);
    assert.deepEqual([gap, next], [true, undefined]);
    streams.now = undefined;
    await assert.rejects(reader().shards(), failsAs("invalid", /has no stream, turn it on.*orders/));
  });
});

test("options that cannot be are refused", async () => {
  assert.throws(() => dynamodbStream({ table: "", format: json() }), failsAs("invalid", /name of the table/));
  assert.throws(() => dynamodbStream({ table: "t", format: csv() }), failsAs("invalid", /header/));
  assert.throws(
    () => dynamodbStream({ table: "t", format: json(), whenLost: "x" as "fail" }),
    failsAs("invalid", /"report" or "fail"/),
  );
  await assert.rejects(open().reader().check({ assumesKeys: true }), failsAs("invalid", /no partition keys/));
});
