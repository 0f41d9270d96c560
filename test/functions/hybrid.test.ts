/** Objects of a bucket, then the live stream: what comes out is what a recount of both says, and nothing of the stream is late. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  hybrid,
  type Job,
  json,
  kinesis,
  ndjson,
  s3Objects,
  seconds,
  tumbling,
  type,
} from "../../runtime/index.ts";
import { newJob } from "../aws/stand-ins.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { type Cloud, CountingTelemetry, rowSink, startCloud } from "./cloud.ts";

interface View {
  readonly page: string;
  readonly at: number;
}
const stream = "views";
const windowMs = 10_000;

interface JobOptions {
  readonly name: string;
  readonly bucket: string;
  readonly parallelism: number;
  readonly live: boolean;
}

function jobOf({ name, bucket, parallelism, live }: JobOptions): Job {
  const history = s3Objects({ bucket, prefix: "views/", format: ndjson(type<View>()), shards: 2 });
  const views = live ? hybrid(history, kinesis({ stream, format: json(type<View>()) })) : history;
  return defineJob(
    name,
    (job) =>
      void job
        .source("views", views, { timestamps: ({ at }) => at, watermarks: boundedOutOfOrderness(seconds(1)) })
        .keyBy(({ page }) => page)
        .window(tumbling(seconds(windowMs / 1_000)))
        .aggregate("counts", count(), (page, { start }, n) => [page, start, n])
        .sinkTo("rows", rowSink),
    { parallelism, checkpoints: { interval: seconds(20) } },
  );
}

const views = (from: number, to: number): readonly View[] =>
  Array.from({ length: to - from }, (_, n) => ({ page: `page ${((from + n) * (from + n)) % 13}`, at: (from + n) * 250 }));

function rowsOf(counted: readonly View[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { page, at } of counted) {
    const window = JSON.stringify([page, Math.floor(at / windowMs) * windowMs]);
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return [...counts].map(([window, n]) => JSON.stringify([...JSON.parse(window), n])).sort();
}

const history = views(0, 900);
const recent = views(900, 1_200);
const last: readonly View[] = Array.from({ length: 4 }, () => ({ page: "last", at: 10_000_000 }));

/** A turn takes its time, so that one invocation does not get to the end. */
class TurnsTakeTime extends CountingTelemetry {
  pass: (ms: number) => void = () => undefined;

  override add(...counted: Parameters<CountingTelemetry["add"]>): void {
    super.add(...counted);
    if (counted[0] === "turn.records" && counted[1] > 0) this.pass(turnMs);
  }
}

const turnMs = 10_000;

async function start(options: Pick<JobOptions, "parallelism" | "live">) {
  const name = newJob();
  const bucket = `bucket-${name}`;
  const job = (changed: Partial<JobOptions> = {}) => jobOf({ name, bucket, ...options, ...changed });
  const telemetry = new TurnsTakeTime();
  const parts = { telemetry, environment: { recordsPerTurn: 30 } };
  const cloud = await startCloud({ job: job(), streams: { [stream]: 4 }, parts });
  telemetry.pass = (ms) => cloud.clock.advance(ms);
  await cloud.clients.s3.send(new CreateBucketCommand({ Bucket: bucket }));
  for (let n = 0; n < 9; n++) {
    const Body = Buffer.from(
      history
        .slice(n * 100, (n + 1) * 100)
        .map((view) => `${JSON.stringify(view)}\n`)
        .join(""),
    );
    await cloud.clients.s3.send(new PutObjectCommand({ Bucket: bucket, Key: `views/${n}.ndjson`, Body }));
  }
  return { cloud, telemetry, job };
}

async function put(cloud: Cloud, list: readonly View[]): Promise<void> {
  const shards = (await cloud.log.shards(stream)).filter(({ closed }) => !closed);
  const record = (view: View, n: number) => ({
    hashKey: shards[n % shards.length]!.range.from,
    bytes: bytesOf(JSON.stringify(view)),
  });
  await cloud.log.append(stream, list.map(record));
}

const countedRows = ({ rows }: Cloud) => rows.rows.filter((row) => !row.includes('"last"'));

async function until(cloud: Cloud, what: string, reached: () => boolean): Promise<void> {
  for (let minutes = 0; minutes < 60; minutes++) {
    await cloud.lookUntil(reached);
    await cloud.deliver();
    if (reached()) return;
    cloud.clock.advance(20_000);
  }
  assert.fail(`it does not come to it: ${what}, ${JSON.stringify([cloud.counts, [...cloud.counts.errors]])}`);
}

for (const parallelism of [1, 2])
  describe(`at parallelism ${parallelism}`, () => {
    test("objects alone are read to their end, though no mapping brings them", async () => {
      const { cloud } = await start({ parallelism, live: false });
      const expected = rowsOf(history);
      await until(cloud, "all is read", () => countedRows(cloud).length >= expected.length);
      assert.deepEqual(countedRows(cloud), expected);
      assert.equal((await cloud.command()).phase, "running");
    });

    test("the stream waits for the objects, and event time goes on from theirs", async () => {
      const { cloud, telemetry } = await start({ parallelism, live: true });
      // Brought before anything of the objects is read: taken at once, all that came before would be late.
      await put(cloud, recent);
      await cloud.deliver();
      await put(cloud, last);
      const expected = rowsOf([...history, ...recent]);
      await until(cloud, "all is read", () => countedRows(cloud).length >= expected.length);
      assert.deepEqual(countedRows(cloud), expected);
      assert.equal(telemetry.total("turn.lateDropped"), 0);
    });

    test("stopped in the midst of the objects and resumed in one task, it goes on where it was, and the stream may be split meanwhile", async () => {
      const { cloud, job } = await start({ parallelism, live: true });
      await put(cloud, recent.slice(0, 100));
      await cloud.command();
      await cloud.command({ version: 1, kind: "stop", id: "one" });
      let phase = "stopping";
      for (let looks = 0; phase !== "stopped" && looks < 20; looks++) ({ phase } = await cloud.command());
      assert.equal(phase, "stopped");
      const counted = countedRows(cloud).length;
      assert.ok(counted > 0 && counted < rowsOf(history).length, `in the midst of the objects: ${counted} rows`);
      cloud.deploy(job({ parallelism: 1 }));
      await cloud.command({ version: 1, kind: "resume", id: "two" });
      await cloud.log.splitShard(stream, (await cloud.log.shards(stream))[0]!.id);
      await put(cloud, recent.slice(100));
      await put(cloud, [...last, ...last]);
      const expected = rowsOf([...history, ...recent]);
      await until(cloud, "all is read", () => countedRows(cloud).length >= expected.length);
      assert.deepEqual(countedRows(cloud), expected);
    });
  });
