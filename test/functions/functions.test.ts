/** The functions of a job on the stand-ins of AWS: what comes out is what a recount of the input says. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  json,
  type Job,
  kinesis,
  seconds,
  tumbling,
  type,
} from "../../runtime/index.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { newJob } from "../aws/stand-ins.ts";
import { type Cloud, rowSink, startCloud } from "./cloud.ts";

interface View {
  readonly page: string;
  readonly at: number;
}
type Row = readonly [page: string, start: number, n: number];

const stream = "views";
const windowMs = 10_000;

function jobAt(name: string, parallelism: number): Job {
  return defineJob(
    name,
    (job) => {
      job
        .source("views", kinesis({ stream, format: json(type<View>()) }), {
          timestamps: (view) => view.at,
          watermarks: boundedOutOfOrderness(seconds(1)),
        })
        .keyBy((view) => view.page)
        .window(tumbling(seconds(windowMs / 1_000)))
        .aggregate("counts", count(), (page, { start }, n): Row => [page, start, n])
        .sinkTo("rows", rowSink);
    },
    { parallelism, checkpoints: { interval: seconds(20) } },
  );
}

const views: readonly View[] = Array.from({ length: 300 }, (_, n) => ({
  page: `page ${(n * n) % 13}`,
  at: n * 250 + ((n * 7919) % 900),
}));

function rowsOf(counted: readonly View[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { page, at } of counted) {
    const window = JSON.stringify([page, Math.floor(at / windowMs) * windowMs]);
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return [...counts].map(([window, n]) => JSON.stringify([...JSON.parse(window), n])).sort();
}

async function put(cloud: Cloud, list: readonly View[]): Promise<void> {
  const shards = await cloud.log.shards(stream);
  const record = (view: View, n: number) => ({ hashKey: shards[n % 4]!.range.from, bytes: bytesOf(JSON.stringify(view)) });
  await cloud.log.append(stream, list.map(record));
}

/** Closes every window, in every shard. */
const last: readonly View[] = Array.from({ length: 4 }, () => ({ page: "last", at: 10_000_000 }));

function countedRows({ rows }: Cloud): readonly string[] {
  return rows.rows.filter((row) => !row.includes('"last"'));
}

/** Rings the schedule until it is so; `isThere`: what may be seen without asking, so that nobody looks on when it has come. */
async function until(
  cloud: Cloud,
  reached: () => boolean | Promise<boolean>,
  isThere: () => boolean = () => false,
): Promise<void> {
  for (let minutes = 0; minutes < 30; minutes++) {
    await cloud.lookUntil(isThere);
    await cloud.deliver();
    if (await reached()) return;
    cloud.clock.advance(20_000);
  }
  assert.fail(
    `it does not come to it: ${JSON.stringify([cloud.counts, [...cloud.counts.errors], cloud.telemetry.lines.slice(-5)])}`,
  );
}

async function untilCounted(cloud: Cloud, expected: readonly string[]): Promise<void> {
  const isThere = () => countedRows(cloud).length >= expected.length;
  await until(cloud, isThere, isThere);
}

describe("a job's functions", () => {
  for (const parallelism of [1, 2])
    test(`count every view once at parallelism ${parallelism}`, async () => {
      const cloud = await startCloud({ job: jobAt(newJob(), parallelism), streams: { [stream]: 4 } });
      await put(cloud, views);
      await put(cloud, last);
      const expected = rowsOf(views);
      await untilCounted(cloud, expected);
      assert.deepEqual(countedRows(cloud), expected);
      const { telemetry } = cloud;
      assert.ok(telemetry.total("turn.records") >= views.length);
      assert.ok(telemetry.total("dynamodb.wru") > 0);
      assert.ok(telemetry.gauges.has("coordinator.checkpointAgeMs"));
      assert.ok(telemetry.flushes >= cloud.counts.batches);
    });

  test("count every view once in cells of a stage", async () => {
    const cloud = await startCloud({ job: jobAt(newJob(), 6), streams: { [stream]: 4 }, cells: 3 });
    // Before there are frames, all are rung.
    await cloud.command();
    await put(cloud, views);
    await put(cloud, last);
    const expected = rowsOf(views);
    await untilCounted(cloud, expected);
    assert.deepEqual(countedRows(cloud), expected);
    const cellsOf = (n: number) => [...(cloud.poked.get(`g1.counts~${n}`) ?? [])].map((name) => name.at(-1));
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((n) => cellsOf(n).join()),
      ["0", "0", "1", "1", "2", "2"],
    );
  });

  test("stop with a savepoint and go on, with what came meanwhile", async () => {
    const cloud = await startCloud({ job: jobAt(newJob(), 2), streams: { [stream]: 4 } });
    await put(cloud, views.slice(0, 150));
    await cloud.command();
    await cloud.deliver();
    let answer = await cloud.command({ version: 1, kind: "stop", id: "stop-1" });
    await until(cloud, async () => {
      cloud.replaceCoordinator();
      answer = await cloud.command({ version: 1, kind: "stop", id: "stop-1" });
      return answer.phase === "stopped";
    });
    assert.equal(answer.savepoint, answer.completed);
    await put(cloud, views.slice(150));
    await put(cloud, last);
    const before = cloud.rows.written.size;
    for (let n = 0; n < 3; n++) await cloud.deliver();
    assert.equal(cloud.rows.written.size, before, "nothing is written while it is stopped");
    assert.equal((await cloud.command()).phase, "stopped");

    await cloud.command({ version: 1, kind: "resume", id: "resume-1" });
    const expected = rowsOf(views);
    await untilCounted(cloud, expected);
    assert.deepEqual(countedRows(cloud), expected);
    assert.equal((await cloud.command()).generation, 2);
  });

  for (const [from, to] of [
    [2, 3],
    [4, 2],
  ] as const)
    test(`stop, and go on at another parallelism: ${from} to ${to}`, async () => {
      const name = newJob();
      const cloud = await startCloud({ job: jobAt(name, from), streams: { [stream]: 4 } });
      await put(cloud, views.slice(0, 200));
      await cloud.command();
      await cloud.deliver();
      await until(cloud, async () => (await cloud.command({ version: 1, kind: "stop", id: "stop" })).phase === "stopped");
      cloud.deploy(jobAt(name, to));
      assert.equal((await cloud.command()).phase, "stopped");
      await cloud.command({ version: 1, kind: "resume", id: "resume" });
      await put(cloud, views.slice(200));
      await put(cloud, last);
      const expected = rowsOf(views);
      await untilCounted(cloud, expected);
      assert.deepEqual(countedRows(cloud), expected);
      const inbox = await cloud.log.shards(`${name}-inbox-counts`);
      assert.equal(inbox.filter(({ closed }) => !closed).length, to);
    });

  test("go back to a checkpoint, and the rows of the new generation are those of the old", async () => {
    const cloud = await startCloud({ job: jobAt(newJob(), 2), streams: { [stream]: 4 } });
    await put(cloud, views);
    await until(cloud, async () => (await cloud.command()).completed !== undefined);
    await put(cloud, last);
    const expected = rowsOf(views);
    await untilCounted(cloud, expected);
    await cloud.command({ version: 1, kind: "restore", id: "back", manifest: undefined });
    await until(cloud, async () => (await cloud.command()).generation === 2);
    await until(cloud, () => cloud.pokes.length === 0);
    assert.deepEqual([...new Set(countedRows(cloud))], expected);
  });

  test("one coordinator works at a time", async () => {
    const cloud = await startCloud({ job: jobAt(newJob(), 1), streams: { [stream]: 4 } });
    let during: number | undefined;
    const { meanwhile } = cloud.clock;
    cloud.clock.meanwhile = async () => {
      cloud.clock.meanwhile = meanwhile;
      during = (await cloud.command()).looks;
    };
    const { looks } = await cloud.command({ version: 1, kind: "savepoint", id: "savepoint-1" });
    assert.ok(looks > 0);
    assert.equal(during, 0);
    assert.ok((await cloud.command()).looks > 0, "the lease is given back");
  });
});
