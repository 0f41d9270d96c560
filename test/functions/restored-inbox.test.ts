/**
 * An inbox stream outlives the generations of a job: after a restore it still holds frames of those before, for as long as its retention.
 * They are not read where they cannot be of the new generation, and do not hold it up where they are. A source's stream outlives them too: its
 * batches prove effects done again once all that was there before has been read.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import { pokeOf } from "../../functions/contract.ts";
import { type BlobName, id, type TaskId } from "../../runtime/base/ids.ts";
import { defineJob, json, keyedProcess, kinesis, type, value } from "../../runtime/index.ts";
import { newJob } from "../aws/stand-ins.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { type Cloud, eventOf, rowSink, startCloud } from "./cloud.ts";

const stream = "numbers";
const hour = 3_600_000;

const counting = keyedProcess({
  key: type<number>(),
  state: { seen: value<number>() },
  output: type<readonly [key: number, count: number]>(),
  onRecord(_: number, ctx) {
    const count = (ctx.state.seen.get() ?? 0) + 1;
    ctx.state.seen.set(count);
    ctx.emit([ctx.key, count]);
  },
});

const numbers = Array.from({ length: 30 }, (_, n) => n);
const rows = numbers.map((n) => JSON.stringify([n % 3, 1 + Math.floor(n / 3)])).sort();

/** A job that has counted all numbers, and is set back to before the first of them. `recordsPerTurn`: it reads so few at a time. */
async function restored(recordsPerTurn: number, passedMs: number): Promise<Cloud> {
  const job = defineJob(
    newJob(),
    (builder) => {
      const source = builder.source("numbers", kinesis({ stream, format: json(type<number>()) }));
      source
        .keyBy((n) => n % 3)
        .process("counts", counting)
        .sinkTo("rows", rowSink);
    },
    { parallelism: 2 },
  );
  const cloud = await startCloud({
    job,
    streams: { [stream]: 1 },
    batchSize: 3,
    parts: { environment: { recordsPerTurn } },
  });
  for (let rounds = 0; (await cloud.command()).completed === undefined; rounds++) {
    assert.ok(rounds < 40, "a checkpoint is completed");
    await cloud.deliver();
    cloud.clock.advance(20_000);
  }
  const { completed } = await cloud.command();
  const { range } = (await cloud.log.shards(stream))[0]!;
  const records = numbers.map((n) => ({ hashKey: range.from, bytes: bytesOf(String(n)) }));
  await cloud.log.append(stream, records);
  for (let rounds = 0; cloud.rows.written.size < numbers.length; rounds++) {
    assert.ok(rounds < 60, "all is counted");
    await cloud.deliver();
  }
  assert.deepEqual(cloud.rows.rows, rows);
  cloud.clock.advance(passedMs);
  // What was brought was answered: no mapping brings it again. What comes from here on is read by pokes alone.
  cloud.clock.meanwhile = async () => undefined;
  await cloud.command({ version: 1, kind: "restore", id: "back", manifest: id<BlobName>(completed!) });
  for (let rounds = 0; (await cloud.command()).phase !== "running"; rounds++) assert.ok(rounds < 20, "it runs again");
  cloud.replaceTasks();
  return cloud;
}

/** Records of inboxes that functions read from here on, by when they had arrived. */
function watchInboxes(cloud: Cloud): readonly number[] {
  const arrived: number[] = [];
  const ofInbox = new Set<string>();
  cloud.clients.kinesis.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const input = args.input as { readonly StreamName?: string; readonly ShardIterator?: string };
        const output = result.output as GetRecordsCommandOutput & { readonly ShardIterator?: string };
        if (commandName === "GetShardIteratorCommand" && input.StreamName !== stream) ofInbox.add(output.ShardIterator!);
        if (commandName !== "GetRecordsCommand" || !ofInbox.has(input.ShardIterator!)) return result;
        if (output.NextShardIterator !== undefined) ofInbox.add(output.NextShardIterator);
        for (const { ApproximateArrivalTimestamp: at } of output.Records ?? []) arrived.push(at!.getTime());
        return result;
      },
    { step: "initialize" },
  );
  return arrived;
}

async function poke(cloud: Cloud, task: string): Promise<void> {
  const poked = await cloud.task()(pokeOf([id<TaskId>(task)]), cloud.context());
  assert.deepEqual(poked, { outcomes: { [task]: "done" } });
}

/** Source first, so that its frames are there. */
async function pokeAll(cloud: Cloud): Promise<void> {
  const tasks = [...cloud.poked.keys()].filter((task) => task.startsWith("g2."));
  const isSource = (task: string) => !task.startsWith("g2.counts");
  assert.equal(tasks.filter(isSource).length, 1);
  assert.ok(tasks.length > 1);
  for (const task of tasks.toSorted((a, b) => Number(isSource(b)) - Number(isSource(a)))) await poke(cloud, task);
}

/** What came out of the generation after the restore. */
function rowsAfter(cloud: Cloud): readonly string[] {
  const written = [...cloud.rows.written.values()].filter(({ generation }) => generation === 2);
  return written.map(({ row }) => row).sort();
}

describe("after a restore", () => {
  test("frames that came long before it are not read", async () => {
    const cloud = await restored(10_000, 3 * hour);
    const arrived = watchInboxes(cloud);
    const before = cloud.clock.now() - 2 * hour;
    await pokeAll(cloud);
    assert.ok(arrived.length > 0, "those of the new generation are read");
    assert.deepEqual(
      arrived.filter((at) => at < before),
      [],
    );
    assert.deepEqual(rowsAfter(cloud), rows);
  });

  test("one poke comes past frames that came shortly before it, and takes in what is new", async () => {
    const cloud = await restored(3, 0);
    const arrived = watchInboxes(cloud);
    await pokeAll(cloud);
    assert.ok(arrived.length > 3 * 2, "there are several reads' worth");
    assert.deepEqual(rowsAfter(cloud), rows);
  });

  test("who never took part in the task repeats nothing, once its source is behind what was there", async () => {
    const cloud = await restored(10_000, 0);
    await pokeAll(cloud);
    const { id: shard, range } = (await cloud.log.shards(stream))[0]!;
    const repeated: number[] = [];
    for (const n of [30, 31, 32, 33]) {
      await cloud.log.append(stream, [{ hashKey: range.from, bytes: bytesOf(String(n)) }]);
      const { records } = await cloud.log.read(stream, shard, "horizon", { records: 100, bytes: 1 << 20 });
      const before = cloud.telemetry.total("turn.effectsRepeated");
      await cloud.task()(eventOf(stream, shard, records.slice(-1)), cloud.context());
      repeated.push(cloud.telemetry.total("turn.effectsRepeated") - before);
    }
    assert.ok(repeated[0]! > 0, "the head is a poke's");
    assert.deepEqual(repeated.slice(1), [0, 0, 0]);
  });
});
