/** The Kinesis source: where it begins, and what becomes of it when records, shards, streams or permissions are gone. */
import { placeOf } from "../../runtime/connectors/kinesis/unpack.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  PutRecordCommand,
  UpdateMaxRecordSizeCommand,
  UpdateStreamModeCommand,
  UpdateStreamRecordDistributionStrategyCommand,
} from "@aws-sdk/client-kinesis";
import type { Fault } from "../../emulator/kinesis/index.ts";
import { oneName, openAwsSources } from "../../runtime/adapters/aws/aws-sources.ts";
import { KinesisLog } from "../../runtime/adapters/aws/kinesis-log.ts";
import { KinesisSink } from "../../runtime/adapters/aws/kinesis-sink.ts";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { type ErrorKind, isKind, MillraceError } from "../../runtime/base/errors.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { startTimeOf } from "../../runtime/connectors/kinesis/kinesis.ts";
import { type CustomSink } from "../../runtime/connectors/custom/custom-sink.ts";
import { CustomWriter } from "../../runtime/connectors/custom/writer.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import {
  csv,
  customSink,
  defineJob,
  files,
  generator,
  json,
  kinesis,
  type KinesisOptions,
  planJob,
  type Source,
} from "../../runtime/index.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { manifestName } from "../../runtime/snapshots/names.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";
import { withKinesis } from "./stand-ins.ts";

const servers = withKinesis();
const everything = { records: 10_000, bytes: 100_000_000 };
const hour = 3_600_000;
const begin = Date.parse("2026-01-01T00:00:00Z");
const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) => isKind(error, kind) && message.test(error.message);
const record = (text: string, hashKey = 0n) => ({ hashKey, bytes: bytesOf(text) });

/** Whoever waits turns it. */
class ObligingClock extends ManualClock {
  override async sleep(ms: number): Promise<void> {
    this.advance(ms);
  }
}

/** A server with the stream `physical`, to which the source of the logical name `views` is bound. */
async function bound(options: Partial<KinesisOptions<unknown>> = {}) {
  const clock = new ObligingClock({ now: begin });
  const telemetry = new MemoryTelemetry();
  const faults: { decide: (operation: string) => Fault | undefined } = { decide: () => undefined };
  const made = await servers.log({ clock, telemetry, maxAttempts: 1, faults: ({ operation }) => faults.decide(operation) });
  await made.log.createStream("physical", 1);
  /** As a process makes it that has just started. */
  const open = (source: Source<unknown> = kinesis({ stream: "views", format: json(), ...options })) => {
    const bindings = new Map([["views", ["physical"]]]);
    const clients = { kinesis: made.kinesis };
    const pace = { clock, random: () => 0.5 };
    return openAwsSources([{ uid: "in", source }], { bindings, telemetry, pace, clients }).get("in")!;
  };
  const sinkLog = () => new KinesisLog(made.kinesis, telemetry, { clock, random: () => 0.5 });
  const append = (...texts: readonly string[]) =>
    made.log.append(
      "physical",
      texts.map((text) => record(text)),
    );
  const shard = (await made.log.shards("physical"))[0]!.id;
  return { ...made, clock, telemetry, faults, open, append, shard, sinkLog };
}

async function textsOf(reader: LogReader, shard: ShardId, after: Position | "horizon" = "horizon"): Promise<readonly string[]> {
  return (await reader.read("views", shard, after, everything)).records.map(({ bytes }) => textOf(bytes));
}

describe("the declaration of a Kinesis source", () => {
  const of = (options: object) => () => kinesis({ stream: "views", format: json(), ...options });

  it("refuses LATEST with the reason, and other words for a beginning", () => {
    assert.throws(of({ startFrom: "LATEST" }), failsAs("invalid", /would be lost; start at a time/));
    assert.throws(of({ startFrom: "latest" }), failsAs("invalid", /would be lost/));
    assert.throws(of({ startFrom: "beginning" }), failsAs("invalid", /"horizon" or a valid Date: beginning/));
    assert.throws(of({ startFrom: new Date(NaN) }), failsAs("invalid", /valid Date/));
    assert.throws(of({ whenLost: "ignore" }), failsAs("invalid", /"report" or "fail": ignore/));
    assert.throws(of({ stream: "" }), failsAs("invalid", /name of a stream/));
  });

  it("refuses a format whose records are named by a line before them", () => {
    assert.throws(of({ format: csv() }), failsAs("invalid", /no header line.*csv, views/));
  });

  it("says where a mapping must begin", () => {
    const at = new Date(begin);
    assert.deepEqual(startTimeOf(kinesis({ stream: "views", format: json(), startFrom: at })), at);
    assert.equal(startTimeOf(kinesis({ stream: "views", format: json() })), undefined);
  });

  it("shows in the plan as plain JSON", () => {
    const { options, name, bounded } = kinesis({ stream: "views", format: json(), startFrom: new Date(begin) });
    assert.deepEqual(JSON.parse(JSON.stringify(options)).startFrom, "2026-01-01T00:00:00.000Z");
    assert.deepEqual([name, bounded], ["views", false]);
  });
});

describe("aws: the sources of a job", () => {
  it("reads the stream that the name is bound to, and one of its own name without", async () => {
    const { open, append, shard, kinesis: client, clock, telemetry } = await bound();
    await append("a", "b");
    assert.deepEqual(await textsOf(open(), shard), ["a", "b"]);
    const unbound = openAwsSources([{ uid: "in", source: kinesis({ stream: "physical", format: json() }) }], {
      bindings: new Map(),
      telemetry,
      pace: { clock, random: () => 0.5 },
      clients: { kinesis: client },
    });
    assert.deepEqual(await textsOf(unbound.get("in")!, shard), ["a", "b"]);
    assert.throws(() => oneName("in", ["one", "two"]), failsAs("invalid", /one name: in, one, two/));
  });

  it("makes records up, and refuses files", async () => {
    const { open } = await bound();
    const reader = open(generator({ seed: 1, count: 2, next: (index) => index }));
    const [shard] = await reader.shards("generator");
    assert.equal((await reader.read("generator", shard!.id, "horizon", everything)).records.length, 2);
    assert.throws(() => open(files({ paths: "a.ndjson", format: json() })), failsAs("invalid", /kind files.*kinesis\(\)/));
  });
});

describe("aws: where a Kinesis source begins", () => {
  it("begins at the oldest record", async () => {
    const { open, append, clock, shard } = await bound();
    await append("old");
    clock.advance(hour);
    await append("new");
    assert.deepEqual(await textsOf(open(), shard), ["old", "new"]);
  });

  it("begins with the first record of a time or later, in whichever process, and goes on from positions", async () => {
    const { open, append, clock, shard } = await bound({ startFrom: new Date(begin + hour) });
    await append("old");
    clock.advance(hour);
    await append("first", "second");
    assert.deepEqual(await textsOf(open(), shard), ["first", "second"]);
    assert.deepEqual(await textsOf(open(), shard), ["first", "second"]);
    const { next } = await open().read("views", shard, "horizon", { records: 1, bytes: 1_000 });
    assert.deepEqual(await textsOf(open(), shard, next), ["second"]);
  });

  it("lists shards with their parents after a split, and reads each to its end", async () => {
    const { open, append, log, shard } = await bound({ startFrom: new Date(begin) });
    await append("of the parent");
    const children = await log.splitShard("physical", shard);
    await append("of the lower child");
    const reader = open();
    const shards = await reader.shards("views");
    assert.deepEqual(
      shards.map(({ id: name, parents, closed }) => [name, parents, closed]),
      [[shard, [], true], ...children.map((child) => [child, [shard], false])],
    );
    const parent = await reader.read("views", shard, "horizon", everything);
    const end = parent.next && (await reader.read("views", shard, parent.next, everything));
    assert.equal(end === undefined ? undefined : end.next, undefined);
    assert.deepEqual(await textsOf(reader, children[0]), ["of the lower child"]);
  });

  it("reads records of 10 MiB", async () => {
    const { open, kinesis: client, shard } = await bound();
    const stream = { StreamName: "physical" };
    const { StreamARN } = (await client.send(new DescribeStreamSummaryCommand(stream))).StreamDescriptionSummary!;
    await client.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 10_240 }));
    const large = Buffer.alloc(10 * 1024 * 1024 - 1, "x");
    await client.send(new PutRecordCommand({ ...stream, PartitionKey: "k", Data: large }));
    const { records, next } = await open().read("views", shard, "horizon", { records: 10, bytes: 1_000 });
    assert.equal(records.length, 1);
    assert.ok(large.equals(records[0]!.bytes));
    assert.equal(next, records[0]!.position);
  });
});

describe("aws: a Kinesis source that has lost records", () => {
  /** One record is read, another expires unread, one is left. */
  async function lossy(options: Partial<KinesisOptions<unknown>>) {
    const made = await bound(options);
    const { append, clock, open, shard } = made;
    await append("read", "lost");
    const { next } = await open().read("views", shard, "horizon", { records: 1, bytes: 100 });
    clock.advance(23 * hour);
    await append("left");
    clock.advance(2 * hour);
    return { ...made, position: next! };
  }

  it("goes on with what is left, and says that something may be missing", async () => {
    const { open, shard, position } = await lossy({});
    const { records, gap } = await open().read("views", shard, position, everything);
    assert.deepEqual([records.map(({ bytes }) => textOf(bytes)), gap], [["left"], true]);
  });

  it("stops where it is told to, naming stream, shard and range, with a metric, again and again", async () => {
    const { open, shard, position, telemetry } = await lossy({ whenLost: "fail" });
    for (const times of [1, 2]) {
      await assert.rejects(open().read("views", shard, position, everything), (error) => {
        assert.ok(error instanceof MillraceError && error.kind === "corrupt");
        const { stream, shard: named, after, before } = (error.context.lost ?? {}) as Record<string, string>;
        assert.deepEqual([stream, named, after], ["physical", shard, placeOf(position as Position).sequenceNumber]);
        assert.match(before!, /^\d+$/);
        for (const part of [stream, named, after, before, `whenLost: "report"`]) assert.ok(error.message.includes(part!), part);
        return true;
      });
      assert.equal(telemetry.total("sourceGap"), times);
    }
    const going = kinesis({ stream: "views", format: json(), whenLost: "report" });
    assert.deepEqual(await textsOf(open(going), shard, position), ["left"]);
  });

  it("takes a shard for ended that was deleted before it was read to its end", async () => {
    const { open, append, clock, log, shard, kinesis: client } = await bound();
    await append("read", "lost");
    const { next } = await open().read("views", shard, "horizon", { records: 1, bytes: 100 });
    await log.splitShard("physical", shard);
    clock.advance(49 * hour);
    assert.ok(!(await open().shards("views")).some((listed) => listed.id === shard), "the shard is no longer listed");
    assert.deepEqual(await open().read("views", shard, next!, everything), {
      records: [],
      next: undefined,
      behindMs: 0,
      gap: true,
      lost: { after: placeOf(next as Position).sequenceNumber, before: "its end" },
    });
    const strict = kinesis({ stream: "views", format: json(), whenLost: "fail" });
    await assert.rejects(open(strict).read("views", shard, next!, everything), failsAs("corrupt", /before its end/));
    await client.send(new DeleteStreamCommand({ StreamName: "physical" }));
    await assert.rejects(open().read("views", shard, next!, everything), failsAs("invalid", /no such.*stream.*physical/));
  });
});

describe("aws: a job whose shard was deleted before it was read to its end", () => {
  /** The job has read one record of two when its shard is split, and retention passes. */
  async function overtaken(parallelism: number) {
    const { open, append, log, clock, telemetry, shard } = await bound();
    const rows: string[] = [];
    const out = customSink<number>({
      name: "out",
      guarantee: "atLeastOnce",
      write: (batch) => void rows.push(...batch.map(({ value }) => String(value))),
    });
    const views = kinesis<number>({ stream: "views", format: json() });
    const build = defineJob(
      "deleted",
      (job) =>
        job
          .source("in", views)
          .map("same", (n) => n)
          .sinkTo("out", out),
      { parallelism },
    );
    const job = planJob(build);
    const reader = open(views);
    const writer = new CustomWriter("out", (out as CustomSink<number, "append">).functions);
    const sinks = {
      carryOut: (effect: SinkEffect) => writer.carryOut(effect),
      deadLetters: async () => assert.fail("a dead letter"),
      quarantine: async () => undefined,
    };
    const ports: Ports = { ...openMemory({ clock }), telemetry, sinks, source: () => reader };
    const environment = new Environment(job, ports, { ...defaultEnvironment, id: "one", recordsPerTurn: 1 });
    const createStream = async () => "created" as const;
    const coordinator = new Coordinator(job, ports, { id: "one", deployment: 1, safeguards: allSafeguards, createStream });
    const runner = new JobRunner(environment, coordinator, clock, { pollMs: 1, collectEvery: 100 });
    await append("1", "2");
    await runner.start();
    await runner.step();
    assert.deepEqual(rows, ["1"]);
    const checkpoint = manifestName((await runner.checkpoint(true))!);
    rows.length = 0;
    await log.splitShard("physical", shard);
    clock.advance(49 * hour);
    await append("3");
    const goOn = async () => {
      for (let step = 0; step < 20; step++) {
        clock.advance(100);
        await runner.step();
      }
    };
    const said = () =>
      telemetry.lines.filter(({ level }) => level === "error").map(({ fields }) => fields as Record<string, string>);
    return { rows, checkpoint, coordinator, goOn, said, telemetry, shard };
  }

  it("reports the rest of it as lost, and goes on with its children", async () => {
    const { rows, goOn, said, telemetry, shard } = await overtaken(1);
    await goOn();
    assert.equal(rows.at(-1), "3");
    assert.equal(telemetry.total("sourceGap"), 1);
    const [{ stream, shard: named, before } = {}] = said();
    assert.deepEqual([stream, named, before], ["views", shard, "its end"]);
  });

  it("does so with a restore where each shard has a task", async () => {
    const { rows, checkpoint, coordinator, goOn, said, telemetry, shard } = await overtaken(2);
    await coordinator.restore(checkpoint);
    await goOn();
    assert.equal(rows.at(-1), "3");
    assert.equal(telemetry.total("sourceGap"), 1);
    const [{ stream, shard: named, after, before } = {}] = said();
    assert.deepEqual([stream, named, before], ["views", shard, "its end"]);
    assert.match(after!, /^\d+$/);
  });
});

describe("aws: a Kinesis source that may not be read", () => {
  it("says so, and goes on when it may", async () => {
    const { open, append, faults, shard } = await bound();
    await append("a");
    const reader = open();
    const refuse = (type: string) => {
      faults.decide = () => ({ kind: "refuse", type: type as never });
    };
    refuse("AccessDeniedException");
    await assert.rejects(reader.read("views", shard, "horizon", everything), failsAs("invalid", /no permission.*physical/));
    await assert.rejects(reader.shards("views"), failsAs("invalid", /no permission.*physical/));
    refuse("ProvisionedThroughputExceededException");
    await assert.rejects(reader.read("views", shard, "horizon", everything), failsAs("unavailable", /throttled.*physical/));
    let refusals = 3;
    faults.decide = () => (refusals-- > 0 ? { kind: "refuse", type: "ProvisionedThroughputExceededException" } : undefined);
    assert.deepEqual(await textsOf(reader, shard), ["a"]);
  });

  it("is found out at the start, where its keys are needed and ignored too", async () => {
    const { open, sinkLog, kinesis: client } = await bound();
    const uses = [true, false].map((assumesKeys) => ({ assumesKeys }));
    for (const use of uses) await open().check!(use);
    const elsewhere = open(kinesis({ stream: "nowhere", format: json() }));
    for (const use of uses) await assert.rejects(elsewhere.check!(use), failsAs("invalid", /no such.*nowhere/));
    const summary = await client.send(new DescribeStreamSummaryCommand({ StreamName: "physical" }));
    const { StreamARN } = summary.StreamDescriptionSummary!;
    await client.send(new UpdateStreamModeCommand({ StreamARN, StreamModeDetails: { StreamMode: "ON_DEMAND" } }));
    const strategy = { StreamARN, RecordDistributionStrategy: "AUTO" } as const;
    await client.send(new UpdateStreamRecordDistributionStrategyCommand(strategy));
    await open().check!({ assumesKeys: false });
    await assert.rejects(open().check!({ assumesKeys: true }), failsAs("invalid", /ignores partition keys.*physical/));
    await assert.rejects(new KinesisSink(sinkLog(), "physical").check(), failsAs("invalid", /ignores partition keys.*physical/));
  });

  it("takes another iterator for one that has expired", async () => {
    const { open, append, faults, shard } = await bound({ startFrom: new Date(begin) });
    await append("a");
    let expired = 1;
    faults.decide = (operation) =>
      operation === "GetRecords" && expired-- > 0 ? { kind: "refuse", type: "ExpiredIteratorException" } : undefined;
    assert.deepEqual(await textsOf(open(), shard), ["a"]);
  });

  it("is missing under another name", async () => {
    const { open } = await bound();
    const reader = open(kinesis({ stream: "clicks", format: json() }));
    await assert.rejects(reader.shards("clicks"), failsAs("invalid", /no such.*clicks/));
    await assert.rejects(
      reader.read("clicks", id<ShardId>("shardId-000000000000"), "horizon", everything),
      failsAs("invalid", /no such.*clicks/),
    );
  });
});
