/** The Kinesis sink: every record at least once, in the order of its partition key, whatever is refused or lost. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Fault } from "../../emulator/kinesis/index.ts";
import { KinesisLog } from "../../runtime/adapters/aws/kinesis-log.ts";
import { KinesisSink } from "../../runtime/adapters/aws/kinesis-sink.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { type Format, json, kinesisSink, type KinesisSinkOptions, ndjson, csv } from "../../runtime/index.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { textOf } from "../ports/adapter-maker.ts";
import { effectsOf, failsAs, operator, task } from "./sinks.ts";
import { HastyClock, withKinesis } from "./stand-ins.ts";

interface Event {
  readonly user: string;
  readonly n: number;
  readonly text?: string;
}

const servers = withKinesis();
const sinkOf = (options: Partial<KinesisSinkOptions<Event>> = {}) =>
  kinesisSink<Event>({ stream: "out", format: json(), partitionKey: ({ user }) => user, ...options });
const events = (count: number, users: number): readonly Event[] =>
  Array.from({ length: count }, (_, n) => ({ user: `user ${n % users}`, n }));

/** A stream of two shards, and processes that write to it. */
async function place() {
  const faults: { decide: (operation: string) => Fault | undefined } = { decide: () => undefined };
  const clock = new HastyClock();
  const calls: string[] = [];
  const made = await servers.log({
    clock,
    maxAttempts: 1,
    faults: ({ operation: call }) => {
      calls.push(call);
      return faults.decide(call);
    },
  });
  await made.log.createStream("out", 2);
  const open = () => new KinesisSink(new KinesisLog(made.kinesis, new MemoryTelemetry(), { clock, random: () => 0.5 }), "out");
  /** What each partition key has, in the order of its shard. */
  const byUser = async () => {
    const found = new Map<string, number[]>();
    for (const { id: shard } of await made.log.shards("out"))
      for (const { bytes, partitionKey } of (await made.log.read("out", shard, "horizon", { records: 10_000, bytes: 1e8 }))
        .records) {
        const { user, n } = JSON.parse(textOf(bytes)) as Event;
        assert.equal(partitionKey, user);
        found.set(user, [...(found.get(user) ?? []), n]);
      }
    return Object.fromEntries([...found].sort());
  };
  return { ...made, open, byUser, faults, calls, clock };
}

function expectedOf(list: readonly Event[]): Record<string, number[]> {
  const users = [...new Set(list.map(({ user }) => user))].sort();
  return Object.fromEntries(users.map((user) => [user, list.filter((event) => event.user === user).map(({ n }) => n)]));
}

async function carryOut(sink: KinesisSink, effects: readonly SinkEffect[]): Promise<void> {
  for (const effect of effects) await sink.carryOut(effect);
}

describe("the declaration of a Kinesis sink", () => {
  it("refuses what cannot be", () => {
    assert.throws(() => sinkOf({ stream: "" }), failsAs("invalid", /name of a stream/));
    assert.throws(() => sinkOf({ format: csv() as Format<any> }), failsAs("invalid", /cannot write this format.*csv/));
    assert.throws(() => sinkOf({ partitionKey: undefined as never }), failsAs("invalid", /partitionKey/));
    for (const maxRecordBytes of [0, 11 << 20])
      assert.throws(() => sinkOf({ maxRecordBytes }), failsAs("invalid", /1 to 10485760/));
  });

  it("refuses records that no stream takes, one by one, so that they go to the dead letters", () => {
    const writer = (options: Partial<KinesisSinkOptions<Event>>) =>
      sinkOf(options).createWriter({ generation: 1, task, operator, seq: () => 1, now: () => 0 });
    const add = (value: unknown, options: Partial<KinesisSinkOptions<Event>> = {}) => writer(options).add(value, undefined, "+I");
    const of = (user: unknown) => () => add({ user, n: 1 });
    assert.throws(of(""), failsAs("invalid", /1 to 256 characters: text of 0/));
    assert.throws(of("x".repeat(257)), failsAs("invalid", /text of 257/));
    assert.throws(of(7), failsAs("invalid", /number/));
    const text = "x".repeat(1 << 20);
    assert.throws(() => add({ user: "a", n: 1, text }), failsAs("invalid", /limit of 1048576 bytes: out/));
    add({ user: "a", n: 1, text }, { maxRecordBytes: 2 << 20 });
    assert.throws(() => add(7, { idField: "id", partitionKey: () => "a" }), failsAs("invalid", /idField/));
  });

  it("gives records names that are the same when the commit is made again, each its own", () => {
    const sink = sinkOf({ idField: "id", format: ndjson() });
    const idsOf = (generation: number) =>
      effectsOf(sink, [{ rows: events(2, 1) }, { rows: events(1, 1) }], { generation }).map((effects) =>
        effects.map(({ payload }) =>
          Buffer.from(payload)
            .toString("latin1")
            .match(/"id":"[^"]*"/g),
        ),
      );
    assert.deepEqual(idsOf(1), idsOf(1));
    assert.deepEqual(
      idsOf(1).flat(2),
      ["1/1/0", "1/1/1", "1/2/0"].map((id) => `"id":"${id.replace("1/", `1/${task}/out/`)}"`),
    );
    assert.notDeepEqual(idsOf(1), idsOf(2));
  });
});

describe("aws: records of a sink", () => {
  it("are put without line ends, each key's in their order, few requests for many keys", async () => {
    const { open, byUser, calls, log } = await place();
    const list = events(1_000, 500);
    await carryOut(open(), effectsOf(sinkOf({ format: ndjson() }), [{ rows: list }]).flat());
    assert.deepEqual(await byUser(), expectedOf(list));
    assert.equal(calls.filter((call) => call === "PutRecords").length, 2);
    const [shard] = await log.shards("out");
    const { records } = await log.read("out", shard!.id, "horizon", { records: 10, bytes: 1e6 });
    assert.ok(records.every(({ bytes }) => textOf(bytes).endsWith("}")));
  });

  it("keep the order of a key where some are refused, at random and for long", async () => {
    const { open, byUser, faults } = await place();
    const random = new SeededRandom(11);
    faults.decide = (call) => (call === "PutRecords" ? { kind: "throttleRecords", picks: () => random.chance(0.5) } : undefined);
    const list = events(60, 4);
    const [first, second] = [list.slice(0, 30), list.slice(30)];
    const sink = open();
    await carryOut(sink, effectsOf(sinkOf(), [{ rows: first }, { rows: second }]).flat());
    assert.deepEqual(await byUser(), expectedOf(list));
  });

  it("go on where they stopped in the process that stopped, and come again, in order, from another", async () => {
    const { open, byUser, faults } = await place();
    const list = events(10, 2);
    const effects = effectsOf(sinkOf(), [{ rows: list }]).flat();
    const sink = open();
    let admitted = 3;
    faults.decide = (call) =>
      call === "PutRecords" && admitted-- <= 0 ? { kind: "throttleRecords", picks: () => true } : undefined;
    await assert.rejects(carryOut(sink, effects), failsAs("unavailable", /throttles.*out, 2 records/));
    faults.decide = () => undefined;
    for (let times = 0; times < 3; times++) await carryOut(sink, effects);
    assert.deepEqual(await byUser(), expectedOf(list), "each once");
    await carryOut(open(), effects);
    assert.deepEqual(await byUser(), expectedOf([...list, ...list]), "all of them again");
    await sink.quarantine();
    assert.deepEqual(await byUser(), expectedOf([...list, ...list]), "nothing is taken back");
  });

  it("are there twice rather than not at all when an answer is lost", async () => {
    const { open, byUser, faults } = await place();
    const effects = effectsOf(sinkOf(), [{ rows: events(1, 1) }]).flat();
    let drops = 1;
    faults.decide = (call) => (call === "PutRecords" && drops-- > 0 ? { kind: "dropAfter" } : undefined);
    const sink = open();
    await assert.rejects(carryOut(sink, effects), failsAs("unavailable", /did not answer/));
    await carryOut(sink, effects);
    assert.deepEqual(await byUser(), { "user 0": [0, 0] });
  });
});

describe("aws: a stream that cannot be written", () => {
  it("says so, keeps the effects, and goes on when it can", async () => {
    const { open, byUser, faults } = await place();
    const list = events(4, 2);
    const effects = effectsOf(sinkOf(), [{ rows: list }]).flat();
    const sink = open();
    const cases = [
      ["AccessDeniedException", "invalid", /no permission/],
      ["ResourceNotFoundException", "invalid", /no such table, stream/],
    ] as const;
    for (const [type, kind, message] of cases) {
      faults.decide = () => ({ kind: "refuse", type: type as never });
      await assert.rejects(carryOut(sink, effects), failsAs(kind, message));
      await assert.rejects(sink.check(), failsAs(kind, message));
    }
    faults.decide = () => undefined;
    await sink.check();
    await carryOut(sink, effects);
    assert.deepEqual(await byUser(), expectedOf(list));
  });
});
