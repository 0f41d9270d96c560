/**
 * A whole job on DynamoDB, S3 and Kinesis: a four-shard stream, a keyed exchange over an inbox stream, windows, checkpoints, a restore.
 * Answers of AWS are lost and refused at random, and the process is replaced by a cold one again and again; what comes out is what a
 * recount of the input says, each window once.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { awsPayload, openAws } from "../../runtime/adapters/aws/open-aws.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { defaultEnvironment, Environment } from "../../runtime/driver/environment.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  planJob,
  seconds,
  type Sink,
  type Source,
  tumbling,
} from "../../runtime/index.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { SimRandom } from "../../runtime/testing/simulation/random.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";
import { FaultyHandler, lose, pass, refusal } from "./faulty-handler.ts";
import { bucketName, newJob, tableName, withDynamoDb, withKinesis, withS3 } from "./stand-ins.ts";

interface View {
  readonly page: string;
  readonly at: number;
}
type Row = readonly [page: string, start: number, n: number];

const stream = "views";
const windowMs = 10_000;
const views: readonly View[] = Array.from({ length: 400 }, (_, n) => ({
  page: `page ${(n * n) % 17}`,
  at: n * 250 + ((n * 7919) % 900),
}));
/** Closes every window, in every shard. */
const last = { page: "last", at: 10_000_000 };

const source: Source<View> = {
  kind: "views",
  name: stream,
  bounded: false,
  options: {},
  decode: (record, target) => target.accept(JSON.parse(textOf(record.bytes)) as View),
};

const sink: Sink<Row> = {
  kind: "rows",
  name: "rows",
  guarantee: "exactlyOnce",
  options: {},
  createWriter: () => {
    let rows: Row[] = [];
    return {
      add: (row: Row) => void rows.push(row),
      flush: () => rows.splice(0).map((row) => bytesOf(JSON.stringify(row))),
      state: () => undefined,
      restore: () => void (rows = []),
    };
  },
};

function jobAt(name: string, parallelism: number) {
  const build = defineJob(
    name,
    (job) => {
      job
        .source("views", source, { timestamps: (view) => view.at, watermarks: boundedOutOfOrderness(seconds(1)) })
        .keyBy((view) => view.page)
        .window(tumbling(seconds(windowMs / 1_000)))
        .aggregate("counts", count(), (page, { start }, n): Row => [page, start, n])
        .sinkTo("rows", sink);
    },
    { parallelism, checkpoints: { interval: seconds(2) } },
  );
  return planJob(build);
}

/** Each window once, by a recount of the input. */
function expectedRows(): readonly string[] {
  const counts = new Map<string, number>();
  for (const { page, at } of views) {
    const window = JSON.stringify([page, Math.floor(at / windowMs) * windowMs]);
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return [...counts].map(([window, n]) => JSON.stringify([...JSON.parse(window), n])).sort();
}

/** Time passes with every wait, and none is waited. */
class PassingClock implements Clock {
  #now = 1_000_000;
  now(): number {
    return this.#now;
  }
  remainingMs(): number {
    return Infinity;
  }
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
  }
}

const dynamodb = withDynamoDb();
const s3 = withS3();
const kinesis = withKinesis();

/** What a run needs of the outside, shared by the processes that take turns. */
async function newCloud(options: { readonly seed: number; readonly faults: number }) {
  const clock = new PassingClock();
  const random = new SimRandom(options.seed);
  const { log, server } = await kinesis.log({ clock });
  await log.createStream(stream, 4);
  const shards = await log.shards(stream);
  const record = (view: View, n: number) => ({ hashKey: shards[n % 4]!.range.from, bytes: bytesOf(JSON.stringify(view)) });
  await log.append(stream, views.map(record));
  await log.append(
    stream,
    shards.map((_, n) => record(last, n)),
  );
  const handler = () => {
    const made = new FaultyHandler();
    made.decide = (operation) => {
      const drawn = random.next();
      if (drawn < options.faults / 2) return lose;
      if (drawn > options.faults) return pass;
      return operation.includes(" ") ? { kind: "refuse", status: 503, body: slowDown } : refusal("ThrottlingException");
    };
    return made;
  };
  const settings = { region: "us-east-1", credentials: { accessKeyId: "x", secretAccessKey: "y" }, maxAttempts: 1 };
  const clientsAt = (endpoint: string) => awsClients({ ...settings, endpoint, requestHandler: handler() });
  const endpoints = { dynamodb: await dynamodb.endpoint(), s3: await s3.endpoint(), kinesis: server.endpoint };
  /** As a cold process makes them. */
  const clients = () => ({
    dynamodb: clientsAt(endpoints.dynamodb).dynamodb,
    s3: clientsAt(endpoints.s3).s3,
    kinesis: clientsAt(endpoints.kinesis).kinesis,
  });
  return { clock, clients, random };
}

const slowDown = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>";

interface Run {
  readonly seed: number;
  readonly parallelism: number;
  /** The share of requests that fail. */
  readonly faults: number;
  /** The chance that another process goes on after a step. */
  readonly replaced: number;
}

async function run({ seed, parallelism, faults, replaced }: Run) {
  const name = newJob();
  const job = jobAt(name, parallelism);
  const { clock, clients, random } = await newCloud({ seed, faults });
  const telemetry = new MemoryTelemetry();
  const written = new Map<string, string>();
  const sinks: Ports["sinks"] = {
    carryOut: async ({ task, seq, n, payload }) => {
      const key = `${task} ${seq} ${n}`;
      assert.equal(written.get(key) ?? textOf(payload), textOf(payload), "an effect is the same whenever it is carried out");
      written.set(key, textOf(payload));
    },
    deadLetters: async () => assert.fail("a dead letter"),
    quarantine: async () => undefined,
  };
  const counts = { processes: 0, checkpoints: 0, failures: 0 };
  const take = async () => {
    const process = `process-${++counts.processes}`;
    const parts = await openAws({ job: name, table: tableName, bucket: bucketName, clock, telemetry, clients: clients() });
    const ports: Ports = { ...parts, sinks, source: () => parts.streams };
    // Turns of different length: two processes would commit different things, if both could.
    const recordsPerTurn = 8 + (counts.processes % 3) * 3;
    const options = { ...defaultEnvironment, id: process, recordsPerTurn, payload: { ...awsPayload, inlineBytesMax: 700 } };
    const createStream = (inbox: string, shards: number) => parts.log.createStream(inbox, shards);
    const coordinator = new Coordinator(job, ports, { id: process, deployment: 1, safeguards: allSafeguards, createStream });
    const events = { checkpoint: () => counts.checkpoints++ };
    const runner = new JobRunner(new Environment(job, ports, options), coordinator, clock, {
      pollMs: 200,
      collectEvery: 2,
      events,
    });
    await runner.start();
    return runner;
  };
  /** Goes on with another process whenever AWS leaves one without an answer. */
  const persist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isKind(error, "unavailable") || ++counts.failures > 500) throw error;
        await clock.sleep(500);
      }
    }
  };
  /** The one that was replaced last goes on beside: what it does comes too late, or first. */
  let runners = [await persist(take)];
  const rows = () => [...written.values()].filter((row) => !row.includes(`"last"`)).sort();
  const expected = expectedRows();
  for (let step = 0; rows().length < expected.length || counts.checkpoints < 2; step++) {
    assert.ok(step < 2_000, `${rows().length} of ${expected.length} rows`);
    await clock.sleep(300);
    await Promise.all(runners.map((runner) => persist(() => runner.step())));
    if (random.chance(replaced)) runners = [await persist(take), runners[0]!];
  }
  return { rows, expected, counts, telemetry, runner: runners[0]!, take, written };
}

suite("a job on AWS", () => {
  for (const parallelism of [1, 2])
    test(`counts every view once at parallelism ${parallelism}, and after a restore again`, async () => {
      const undisturbed = await run({ seed: 1, parallelism, faults: 0, replaced: 0 });
      assert.deepEqual(undisturbed.rows(), undisturbed.expected);
      const units = undisturbed.telemetry.totals();
      for (const unit of ["dynamodb.wru", "dynamodb.rru", "s3.put", "s3.get", "kinesis.reads"]) {
        assert.ok(units[unit]! > 0, unit);
      }
      const [oldest] = undisturbed.runner.record!.retained;
      assert.ok(oldest !== undefined);
      await undisturbed.runner.coordinator.restore(oldest.manifest);
      const again = await undisturbed.take();
      const before = undisturbed.written.size;
      const expected = new Set(undisturbed.expected);
      for (let step = 0; step < 20; step++) await again.step();
      const restored = [...undisturbed.written].slice(before).map(([, row]) => row);
      assert.ok(
        restored.every((row) => row.includes(`"last"`) || expected.has(row)),
        "a window restored counts as before",
      );
    });

  for (const [seed, parallelism] of [
    [2, 1],
    [3, 2],
  ] as const)
    test(`counts every view once at parallelism ${parallelism} while answers are lost and processes replaced`, async () => {
      const { rows, expected, counts } = await run({ seed, parallelism, faults: 0.03, replaced: 0.4 });
      assert.deepEqual(rows(), expected);
      assert.ok(counts.processes > 1 && counts.failures > 2, JSON.stringify(counts));
    });
});
