/** The log on Kinesis where requests are answered in part, answers are lost, iterators expire and records are gone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  UpdateMaxRecordSizeCommand,
  UpdateShardCountCommand,
} from "@aws-sdk/client-kinesis";
import type { Fault } from "../../emulator/kinesis/index.ts";
import type { KinesisLog } from "../../runtime/adapters/aws/kinesis-log.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { type ErrorKind, isKind } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import type { Log } from "../../runtime/ports/log.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";
import { FaultyHandler, pass } from "./faulty-handler.ts";
import { HastyClock, withKinesis } from "./stand-ins.ts";

const kinesis = withKinesis();
const everything = { records: 10_000, bytes: 100_000_000 };
const mib = 1024 * 1024;
const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) => isKind(error, kind) && message.test(error.message);
const record = (text: string, hashKey = 0n) => ({ hashKey, bytes: bytesOf(text) });

/** A log whose server does to each call what `fault` says. */
async function behindFaults(options: { readonly shards?: number; readonly maxAttempts?: number } = {}) {
  const calls: string[] = [];
  const faults: { decide: (operation: string) => Fault | undefined } = { decide: () => undefined };
  const telemetry = new MemoryTelemetry();
  const clock = new HastyClock();
  const made = await kinesis.log({
    telemetry,
    clock,
    maxAttempts: options.maxAttempts ?? 1,
    faults: ({ operation }) => {
      calls.push(operation);
      return faults.decide(operation);
    },
  });
  await made.log.createStream("views", options.shards ?? 1);
  return { ...made, calls, faults, telemetry, clock };
}

async function firstShard(log: Log): Promise<ShardId> {
  return (await log.shards("views"))[0]!.id;
}

async function textsOf(log: Log, shard?: ShardId): Promise<readonly string[]> {
  const { records } = await log.read("views", shard ?? (await firstShard(log)), "horizon", everything);
  return records.map(({ bytes }) => textOf(bytes));
}

describe("aws: appending to a stream", () => {
  it("sends what was refused again, in its order, ever later while none gets through", async () => {
    const { log, faults, calls, telemetry, clock } = await behindFaults();
    const refused = [(n: number) => n % 2 === 1, () => true, () => true, (n: number) => n > 0];
    faults.decide = (operation) => {
      const picks = operation === "PutRecords" ? refused.shift() : undefined;
      return picks && { kind: "throttleRecords", picks };
    };
    const results = await log.append(
      "views",
      ["a", "b", "c", "d", "e"].map((text) => record(text)),
    );
    assert.ok(results.every(({ outcome }) => outcome === "appended"));
    assert.deepEqual(await textsOf(log), ["a", "c", "e", "b", "d"]);
    assert.equal(calls.filter((call) => call === "PutRecords").length, 5);
    assert.deepEqual(clock.slept, [25, 50, 100, 25]);
    assert.equal(telemetry.total("kinesis.throttled"), 2 + 2 + 2 + 1);
    assert.equal(telemetry.total("kinesis.putUnits"), 5);
  });

  it("says which records stay out when a shard is throttled for long, and leaves the others in", async () => {
    const { log, faults } = await behindFaults({ shards: 2 });
    faults.decide = (operation) => (operation === "PutRecords" ? { kind: "throttleRecords", picks: (n) => n === 0 } : undefined);
    const upper = 1n << 127n;
    const results = await log.append("views", [record("stays out"), record("goes in", upper)]);
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ["throttled", "appended"],
    );
    const [low, high] = await log.shards("views");
    assert.deepEqual(await textsOf(log, low!.id), []);
    assert.deepEqual(await textsOf(log, high!.id), ["goes in"]);
  });

  it("says that all stay out when the whole request is refused for its rate", async () => {
    const { log, faults } = await behindFaults();
    faults.decide = () => ({ kind: "refuse", type: "ProvisionedThroughputExceededException" });
    assert.deepEqual(await log.append("views", [record("a")]), [{ outcome: "throttled" }]);
  });

  it("has a record twice rather than not at all when an answer is lost", async () => {
    const { log, faults } = await behindFaults({ maxAttempts: 2 });
    let drops = 1;
    faults.decide = (operation) => (operation === "PutRecords" && drops-- > 0 ? { kind: "dropAfter" } : undefined);
    const [result] = await log.append("views", [record("a")]);
    assert.equal(result!.outcome, "appended");
    assert.deepEqual(await textsOf(log), ["a", "a"]);

    const once = await behindFaults();
    once.faults.decide = (operation) => (operation === "PutRecords" ? { kind: "dropAfter" } : undefined);
    await assert.rejects(once.log.append("views", [record("b")]), failsAs("unavailable", /writing to stream views/));
    assert.deepEqual(await textsOf(once.log), ["b"]);
  });

  it("keeps requests within 500 records and 5 MiB", async () => {
    const { log, calls } = await behindFaults();
    await log.append(
      "views",
      Array.from({ length: 1_201 }, (_, n) => record(String(n))),
    );
    assert.equal(calls.filter((call) => call === "PutRecords").length, 3);
    calls.length = 0;
    await log.append(
      "views",
      Array.from({ length: 11 }, () => ({ hashKey: 0n, bytes: new Uint8Array(mib - 100) })),
    );
    assert.equal(calls.filter((call) => call === "PutRecords").length, 3);
  });

  it("takes records of 10 MiB where the stream does", async () => {
    const { log, kinesis: client, embedded } = await kinesis.log({ maxRecordBytes: 10 * mib });
    await log.createStream("views", 1);
    const large = { hashKey: 0n, bytes: new Uint8Array(10 * mib - 1) };
    await assert.rejects(log.append("views", [large]), failsAs("invalid", /stream views/));
    const StreamARN = "arn:aws:kinesis:us-east-1:000000000000:stream/views";
    await client.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 10_240 }));
    assert.equal((await log.append("views", [large]))[0]!.outcome, "appended");
    const shard = (await embedded.shards("views"))[0]!.id;
    const { records } = await log.read("views", shard, "horizon", { records: 10, bytes: 1 });
    assert.equal(records[0]!.bytes.length, large.bytes.length);
  });

  it("refuses a stream that does not keep to hash keys, by the shard that is answered", async () => {
    const { handler, log } = await behindHandler(2);
    handler.decide = (operation) => {
      if (operation !== "PutRecords") return pass;
      const astray = (answer: any) => ({ ...answer, ShardId: "shardId-000000000001" });
      return { kind: "change", change: (answer) => ({ ...answer, Records: answer.Records.map(astray) }) };
    };
    await assert.rejects(log.append("views", [record("a")]), failsAs("invalid", /must not be AUTO: views.*000000000001/));
  });

  it("knows shards that others split", async () => {
    const { log, embedded } = await behindFaults();
    await log.append("views", [record("before")]);
    const [low] = await embedded.splitShard("views", await firstShard(log));
    assert.deepEqual(await log.append("views", [record("after")]), [{ outcome: "appended", shard: low }]);
  });
});

describe("aws: appending to an inbox", () => {
  it("stops where its shards were split behind the job: no task would read the frame", async () => {
    const { log, embedded } = await kinesis.log({ fixedShards: true });
    await log.createStream("inbox", 2);
    assert.equal((await log.append("inbox", [record("frame")]))[0]!.outcome, "appended");
    const [low, high] = await embedded.shards("inbox");
    await embedded.splitShard("inbox", low!.id);
    await log.append("inbox", [record("frame", high!.range.from)]);
    const split = failsAs("corrupt", /split or merged.*inbox.*000000000002, made of shardId-000000000000/);
    await assert.rejects(log.append("inbox", [record("frame")]), split);
    await assert.rejects(log.append("inbox", [record("frame")]), split, "again and again");
  });
});

async function behindHandler(shards = 1) {
  const handler = new FaultyHandler();
  const made = await kinesis.log({ handler, maxAttempts: 1 });
  await made.log.createStream("views", shards);
  return { handler, ...made };
}

describe("aws: reading a shard", () => {
  it("asks for one iterator however often it reads on, records and none", async () => {
    const { log, calls } = await behindFaults();
    const shard = await firstShard(log);
    let after: Position | "horizon" = "horizon";
    calls.length = 0;
    const read: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      await log.append("views", [record(`${n} a`), record(`${n} b`)]);
      for (let times = 0; times < 2; times += 1) {
        const result = await log.read("views", shard, after, { records: 1, bytes: 1_000 });
        read.push(...result.records.map(({ bytes }) => textOf(bytes)));
        after = result.next!;
      }
      assert.equal((await log.read("views", shard, after, everything)).records.length, 0);
    }
    assert.deepEqual(read, ["0 a", "0 b", "1 a", "1 b", "2 a", "2 b", "3 a", "3 b", "4 a", "4 b", "5 a", "5 b"]);
    assert.equal(calls.filter((call) => call === "GetShardIterator").length, 1);
  });

  it("keeps what a limit in bytes left over, and hands it out without another request", async () => {
    const { log, calls } = await behindFaults();
    await log.append(
      "views",
      ["aaaa", "bbbb", "cccc"].map((text) => record(text)),
    );
    const shard = await firstShard(log);
    const first = await log.read("views", shard, "horizon", { records: 10, bytes: 8 });
    assert.ok(first.behindMs > 0);
    calls.length = 0;
    const second = await log.read("views", shard, first.next!, { records: 10, bytes: 8 });
    assert.deepEqual(
      second.records.map(({ bytes }) => textOf(bytes)),
      ["cccc"],
    );
    assert.ok(second.behindMs > 0, "nobody has looked whether more has come since");
    assert.deepEqual(calls, []);
    const { next } = second;
    assert.deepEqual(await log.read("views", shard, next!, everything), { records: [], next, behindMs: 0, gap: false });
  });

  it("takes a new iterator when one has expired", async () => {
    const { log, faults, calls } = await behindFaults();
    await log.append("views", [record("a")]);
    const shard = await firstShard(log);
    const { next } = await log.read("views", shard, "horizon", everything);
    await log.append("views", [record("b")]);
    let expired = 1;
    faults.decide = (operation) =>
      operation === "GetRecords" && expired-- > 0 ? { kind: "refuse", type: "ExpiredIteratorException" } : undefined;
    calls.length = 0;
    const result = await log.read("views", shard, next!, everything);
    assert.deepEqual(
      result.records.map(({ bytes }) => textOf(bytes)),
      ["b"],
    );
    assert.equal(result.gap, false);
    assert.deepEqual(calls, ["GetRecords", "GetShardIterator", "GetRecords"]);
  });

  it("is to be tried again later when the new iterator has expired too", async () => {
    const { log, faults } = await behindFaults();
    await log.append("views", [record("a")]);
    const shard = await firstShard(log);
    let expired = 2;
    faults.decide = (operation) =>
      operation === "GetRecords" && expired-- > 0 ? { kind: "refuse", type: "ExpiredIteratorException" } : undefined;
    await assert.rejects(log.read("views", shard, "horizon", everything), { kind: "unavailable" });
    assert.equal((await log.read("views", shard, "horizon", everything)).records.length, 1);
  });

  it("does not use an iterator that has stood for minutes", async () => {
    const clock = new ManualClock({ now: 1_000_000 });
    const { log } = await kinesis.log({ clock });
    await log.createStream("views", 1);
    await log.append("views", [record("a")]);
    const shard = await firstShard(log);
    const { next } = await log.read("views", shard, "horizon", everything);
    clock.advance(6 * 60_000);
    assert.deepEqual(await log.read("views", shard, next!, everything), { records: [], next, behindMs: 0, gap: false });
  });

  it("asks again when the service answers nothing although more is there", async () => {
    const { handler, log } = await behindHandler();
    await log.append("views", [record("a")]);
    let empty = 3;
    handler.decide = (operation, { ShardIterator }) => {
      if (operation !== "GetRecords" || empty-- <= 0) return pass;
      const nothing = { Records: [], NextShardIterator: ShardIterator as string, MillisBehindLatest: 9 };
      return { kind: "refuse", status: 200, body: nothing };
    };
    assert.deepEqual(await textsOf(log), ["a"]);
    empty = Infinity;
    const given = await log.read("views", await firstShard(log), "horizon", everything);
    assert.deepEqual([given.records, given.behindMs], [[], 9], "it does not look like the end of the shard");
  });

  it("reports records that expired before they were read, and goes on with those that are left", async () => {
    const clock = new ManualClock({ now: 1_000_000 });
    const telemetry = new MemoryTelemetry();
    const { log } = await kinesis.log({ clock, telemetry });
    await log.createStream("views", 1);
    const shard = await firstShard(log);
    for (const text of ["read", "lost"]) await log.append("views", [record(text)]);
    const first = await log.read("views", shard, "horizon", { records: 1, bytes: 100 });
    clock.advance(23 * 3_600_000);
    await log.append("views", [record("left")]);
    clock.advance(2 * 3_600_000);
    const late = await log.read("views", shard, first.next!, everything);
    assert.deepEqual(
      late.records.map(({ bytes }) => textOf(bytes)),
      ["left"],
    );
    assert.equal(late.gap, true);
    assert.equal((await log.read("views", shard, late.next!, everything)).gap, false, "reported once");
  });

  it("refuses a position of a stream that was deleted and made anew", async () => {
    const clock = new ManualClock({ now: 1_000_000 });
    const { log, kinesis: client } = await kinesis.log({ clock });
    await log.createStream("views", 1);
    await log.append("views", [record("a")]);
    const shard = await firstShard(log);
    const { next } = await log.read("views", shard, "horizon", everything);
    await client.send(new DeleteStreamCommand({ StreamName: "views" }));
    await assert.rejects(log.read("views", shard, "horizon", everything), failsAs("invalid", /no such.*views/));
    clock.advance(1); // the stand-in tells the new stream from the old one by its time of creation
    await log.createStream("views", 1);
    await assert.rejects(log.read("views", shard, next!, everything), failsAs("invalid", /made anew.*views/));
  });

  it("waits where it comes too early, as for what others have read", async () => {
    const { log, faults, clock } = await behindFaults();
    await log.append("views", [record("a")]);
    const shard = await firstShard(log);
    let early = 2;
    faults.decide = (operation) =>
      operation.startsWith("Get") && early-- > 0 ? { kind: "refuse", type: "ProvisionedThroughputExceededException" } : undefined;
    assert.deepEqual(await textsOf(log, shard), ["a"]);
    assert.equal(clock.slept.length, 2);
  });

  it("is unavailable while the shard's rate is used up", async () => {
    const { log, faults } = await behindFaults();
    const shard = await firstShard(log);
    faults.decide = () => ({ kind: "refuse", type: "ProvisionedThroughputExceededException" });
    await assert.rejects(log.read("views", shard, "horizon", everything), failsAs("unavailable", /throttled/));
  });

  it("says that a stream is missing, and which", async () => {
    const { log } = await behindFaults();
    await assert.rejects(log.shards("clicks"), failsAs("invalid", /no such.*clicks/));
    await assert.rejects(
      log.read("views", id<ShardId>("shardId-000000000009"), "horizon", everything),
      failsAs("invalid", /000000000009/),
    );
  });
});

describe("aws: changing the shards of an inbox", () => {
  it("goes by steps that Kinesis allows, to ranges that are even", async () => {
    const { log, calls } = await behindFaults({ shards: 1 });
    for (const [shards, steps] of [
      [7, 3],
      [1, 3],
      [1, 0],
    ] as const) {
      calls.length = 0;
      await (log as unknown as KinesisLog).resize("views", shards);
      const open = (await log.shards("views"))
        .filter(({ closed }) => !closed)
        .toSorted((a, b) => (a.range.from < b.range.from ? -1 : 1));
      assert.deepEqual([open.length, calls.filter((call) => call === "UpdateShardCount").length], [shards, steps]);
      const sizes = open.map(({ range }) => Number((range.to - range.from) >> 100n));
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join(", "));
    }
  });

  it("finds a change whose answer was lost", async () => {
    const { log, faults, calls } = await behindFaults({ shards: 1, maxAttempts: 2 });
    let lost = 1;
    faults.decide = (operation) => (operation === "UpdateShardCount" && lost-- > 0 ? { kind: "dropAfter" } : undefined);
    await (log as unknown as KinesisLog).resize("views", 2);
    assert.equal(calls.filter((call) => call === "UpdateShardCount").length, 2);
    assert.equal((await log.shards("views")).filter(({ closed }) => !closed).length, 2);
  });

  it("asks before each change, and leaves the rest to another who has taken it over", async () => {
    const { log, calls } = await behindFaults({ shards: 1 });
    const answers = [true, true, false];
    await (log as unknown as KinesisLog).resize("views", 7, () => Promise.resolve(answers.shift()!));
    assert.equal(calls.filter((call) => call === "UpdateShardCount").length, 2);
    assert.equal((await log.shards("views")).filter(({ closed }) => !closed).length, 4);
  });

  it("waits for a change that somebody else has begun, though there are as many shards already", async () => {
    class PassingClock extends ManualClock {
      override async sleep(ms: number): Promise<void> {
        this.advance(ms);
      }
    }
    const { log, kinesis: client } = await kinesis.log({ clock: new PassingClock({ now: Date.now() }), transitionMs: 10_000 });
    await log.createStream("views", 1);
    const scaling = { TargetShardCount: 2, ScalingType: "UNIFORM_SCALING" } as const;
    await client.send(new UpdateShardCountCommand({ StreamName: "views", ...scaling }));
    await (log as unknown as KinesisLog).resize("views", 2);
    const { StreamDescriptionSummary: found } = await client.send(new DescribeStreamSummaryCommand({ StreamName: "views" }));
    assert.deepEqual([found?.StreamStatus, found?.OpenShardCount], ["ACTIVE", 2]);
  });

  it("says what Kinesis refuses", async () => {
    const { log } = await behindFaults({ shards: 1 });
    await assert.rejects((log as unknown as KinesisLog).resize("views", 0), failsAs("invalid", /from 1 to 0|from 1 to 1/));
  });
});
