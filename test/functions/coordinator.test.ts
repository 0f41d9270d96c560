/** What the coordinator's function does by itself: whom it rings, when it looks again, and that its death at any time changes nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  boundedOutOfOrderness,
  defineJob,
  type Duration,
  json,
  type Job,
  type JobBuilder,
  type JobOptions,
  keyedProcess,
  kinesis,
  minutes,
  seconds,
  type,
  value,
} from "../../runtime/index.ts";
import type { CoordinatorParts } from "../../functions/coordinator.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import { type BlobName, id } from "../../runtime/base/ids.ts";
import { openAws } from "../../runtime/adapters/aws/open-aws.ts";
import { takeLease } from "../../runtime/driver/lease.ts";
import { restoreLease } from "../../runtime/snapshots/names.ts";
import { bucketName, newJob, tableName } from "../aws/stand-ins.ts";
import { bytesOf } from "../ports/adapter-maker.ts";
import { type Cloud, Rows, rowSink, startCloud } from "./cloud.ts";

const stream = "numbers";
const hour = 3_600_000;

/** Writes each number some seconds after it came. */
function jobOf(name: string, delayMs: number, options: JobOptions = {}): Job {
  const delayed = keyedProcess({
    key: type<number>(),
    state: { due: value<number>() },
    output: type<number>(),
    onRecord(_, ctx) {
      ctx.timers.processingTime(ctx.processingTime + delayMs);
    },
    onTimer(_, ctx) {
      ctx.emit(ctx.key);
    },
  });
  return defineJob(
    name,
    (job) => {
      job
        .source("numbers", kinesis({ stream, format: json(type<number>()) }))
        .keyBy((n) => n)
        .process("delay", delayed)
        .sinkTo("rows", rowSink);
    },
    { checkpoints: { interval: minutes(60) }, ...options },
  );
}

/** Nothing but idleness ever makes it ask to be rung. */
function idleJob(name: string, after: Duration): Job {
  const watermarks = boundedOutOfOrderness(seconds(1)).withIdleness(after);
  const declare = (job: JobBuilder) =>
    job
      .source("numbers", kinesis({ stream, format: json(type<number>()) }), { timestamps: () => 0, watermarks })
      .sinkTo("rows", rowSink);
  return defineJob(name, (job) => void declare(job), { checkpoints: { interval: minutes(60) } });
}

async function start(job: Job): Promise<Cloud> {
  return startCloud({ job, streams: { [stream]: 1 } });
}

async function put(cloud: Cloud, ...list: readonly number[]): Promise<void> {
  const { range } = (await cloud.log.shards(stream))[0]!;
  await cloud.log.append(
    stream,
    list.map((n) => ({ hashKey: range.from, bytes: bytesOf(String(n)) })),
  );
}

describe("the coordinator", () => {
  test("wakes a task when its time comes, within the minute", async () => {
    const cloud = await start(jobOf(newJob(), 20_000));
    await cloud.command();
    cloud.clock.advance(hour / 2);
    await put(cloud, 1, 2);
    await cloud.deliver();
    assert.deepEqual(cloud.rows.rows, []);
    const before = cloud.clock.now();
    const { looks } = await cloud.command();
    await cloud.deliver();
    assert.deepEqual(cloud.rows.rows, ["1", "2"]);
    assert.ok(looks > 1);
    assert.ok(cloud.clock.now() - before < 60_000);
  });

  test("does not wait for what the next look is in time for: that a shard is idle", async () => {
    const cloud = await start(idleJob(newJob(), minutes(1)));
    await cloud.command();
    cloud.clock.advance(hour / 2);
    await put(cloud, 1);
    await cloud.deliver();
    cloud.clock.advance(30_000);
    const before = cloud.clock.now();
    const pokes = cloud.pokes.length;
    assert.equal((await cloud.command()).looks, 1);
    assert.equal(cloud.clock.now(), before);
    assert.equal(cloud.pokes.length, pokes);
    cloud.clock.advance(60_000);
    await cloud.command();
    assert.equal(cloud.pokes.length, pokes + 1, "rung after at most twice the time");
  });

  test("waits where a shard is idle soon", async () => {
    const cloud = await start(idleJob(newJob(), seconds(10)));
    await cloud.command();
    cloud.clock.advance(hour / 2);
    await put(cloud, 1);
    await cloud.deliver();
    const before = cloud.clock.now();
    const pokes = cloud.pokes.length;
    assert.ok((await cloud.command()).looks > 1);
    assert.equal(cloud.pokes.length, pokes + 1);
    assert.ok(cloud.clock.now() - before <= 20_000);
  });

  test("rings what waits for frames alone a step after a start, unless frames came first", async () => {
    const rungBy = async (between: (cloud: Cloud) => Promise<void>) => {
      const cloud = await startCloud({ job: jobOf(newJob(), hour, { parallelism: 2 }), streams: { [stream]: 1 } });
      const rung: string[][] = [];
      cloud.clock.meanwhile = async () => {
        rung.push([...cloud.poked.keys()].sort());
        if (rung.length === 1) await between(cloud);
      };
      await cloud.command();
      rung.push([...cloud.poked.keys()].sort());
      return rung.map((tasks) => tasks.map((task) => task.replace(/:.*/, "")).join());
    };
    const source = "g1.numbers~numbers";
    const none = await rungBy(async () => undefined);
    assert.deepEqual([none[0], none.at(-1)], [source, `g1.delay~0,g1.delay~1,${source}`]);
    const both = await rungBy(async (cloud) => {
      await put(cloud, ...Array.from({ length: 50 }, (_, n) => n));
      await cloud.deliver();
    });
    assert.equal(both.at(-1), source, "each has frames, and has told when it wants to be rung");
  });

  test("leaves at once when nothing waits before it is rung again", async () => {
    const cloud = await start(jobOf(newJob(), 0));
    await cloud.command();
    cloud.clock.advance(hour / 2);
    const before = cloud.clock.now();
    const pokes = cloud.pokes.length;
    assert.equal((await cloud.command()).looks, 1);
    assert.equal(cloud.clock.now(), before);
    assert.equal(cloud.pokes.length, pokes, "nobody is rung for nothing");
  });

  test("that died while it looked is followed by another within ten seconds", async () => {
    const cloud = await start(jobOf(newJob(), 1_000));
    await cloud.command();
    await cloud.dieInCommand();
    assert.equal((await cloud.command()).looks, 0, "nobody knows yet that it died");
    cloud.clock.advance(10_000);
    assert.ok((await cloud.command()).looks > 0);
  });

  test("that died is followed at once by the one that is given an order", async () => {
    const cloud = await start(jobOf(newJob(), 1_000));
    await cloud.command();
    await cloud.dieInCommand();
    const before = cloud.clock.now();
    assert.equal((await cloud.command({ version: 1, kind: "stop", id: "by hand" })).phase, "stopped");
    assert.ok(cloud.clock.now() - before < 3_000, `${cloud.clock.now() - before} ms`);
  });

  test("rings again soon, while the job stands still, a task that a ring has not reached", async () => {
    const cloud = await start(jobOf(newJob(), 1_000));
    await cloud.command();
    await cloud.deliver();
    let lost = 0;
    cloud.clock.meanwhile = async () => {
      if (lost === 0) lost = cloud.pokes.splice(0).length;
      await cloud.deliver();
    };
    const before = cloud.clock.now();
    assert.equal((await cloud.command({ version: 1, kind: "stop", id: "by hand" })).phase, "stopped");
    assert.ok(lost > 0);
    assert.ok(cloud.clock.now() - before < 5_000, `${cloud.clock.now() - before} ms`);
  });

  test("rings less and less often who does not come to it: on a busy machine rings are work too", async () => {
    const cloud = await start(jobOf(newJob(), 1_000));
    await cloud.command();
    await cloud.deliver();
    const rungAt: number[] = [];
    cloud.clock.meanwhile = async () => {
      const now = cloud.clock.now();
      rungAt.push(...cloud.pokes.splice(0).map(() => now));
    };
    assert.equal((await cloud.command({ version: 1, kind: "stop", id: "by hand" })).phase, "stopping");
    const pauses = rungAt.slice(1).map((at, n) => at - rungAt[n]!);
    assert.ok(pauses.length > 3, String(pauses));
    assert.ok(
      pauses.slice(1).every((ms, n) => ms >= pauses[n]! - 1_000),
      `${pauses.join()} ms: no sooner than before, but for a look`,
    );
    assert.ok(pauses[0]! < 4_000 && pauses.at(-1)! >= 8_000, String(pauses));
  });

  test("that died in a restore is followed at once by the one that is given the order again", async () => {
    const cloud = await start(jobOf(newJob(), 1_000));
    await cloud.command();
    await cloud.command({ version: 1, kind: "savepoint", id: "kept" });
    await cloud.deliver();
    const manifest = (await cloud.command()).completed!;
    const restore = { version: 1, kind: "restore", id: "by hand", manifest: id<BlobName>(manifest) } as const;
    const { clock, telemetry, clients } = cloud;
    const ports = await openAws({ job: cloud.graph.name, table: tableName, bucket: bucketName, clock, telemetry, clients });
    await takeLease(ports, restoreLease, "one that died", 15_000);
    const before = clock.now();
    assert.equal((await cloud.command(restore)).phase, "running");
    assert.ok(clock.now() - before < 3_000);
  });

  test("looks on while a checkpoint is under way, and not beyond its time", async () => {
    const cloud = await start(jobOf(newJob(), 0, { checkpoints: { interval: minutes(5) } }));
    await cloud.command();
    cloud.clock.meanwhile = async () => undefined;
    cloud.clock.advance(300_000);
    const before = cloud.clock.now();
    const { completed, looks } = await cloud.command(undefined, 30_000);
    assert.equal(completed, undefined);
    assert.ok(looks > 5);
    assert.ok(cloud.clock.now() - before <= 30_000);
    cloud.clock.meanwhile = cloud.deliver;
    await cloud.deliver();
    assert.notEqual((await cloud.command()).completed, undefined);
    assert.ok(cloud.telemetry.gauges.get("coordinator.checkpointAgeMs")! < 60_000);
  });

  test("takes a checkpoint each minute, whatever environments look after it", async () => {
    const cloud = await start(jobOf(newJob(), 0, { checkpoints: { interval: seconds(60) } }));
    const completed = new Set<string | undefined>();
    for (let n = 0; n < 5; n++) {
      cloud.replaceCoordinator();
      completed.add((await cloud.command()).completed);
      cloud.clock.advance(20_000);
      cloud.replaceCoordinator();
      completed.add((await cloud.command()).completed);
      cloud.clock.advance(40_000);
    }
    assert.ok(completed.size >= 4 && completed.size <= 6, `${completed.size} in five minutes`);
  });

  test("leaves it to who is at work anyway to hear of a checkpoint, for a step", async () => {
    /** The tasks that were rung before, and after, each pause of the coordinator's while records go on coming, or do not. */
    const rungIn = async (goesOn: boolean) => {
      const cloud = await start(jobOf(newJob(), hour, { checkpoints: { interval: minutes(5) } }));
      await cloud.command();
      await cloud.deliver();
      await cloud.command();
      cloud.clock.advance(300_000);
      await put(cloud, 1);
      await cloud.deliver();
      const rung: number[] = [];
      cloud.clock.meanwhile = async () => {
        rung.push(cloud.pokes.length);
        if (goesOn || rung.length > 1) await put(cloud, 2);
        if (goesOn || rung.length > 1) await cloud.deliver();
      };
      const { completed } = await cloud.command();
      assert.ok(completed !== undefined);
      return rung;
    };
    const [whileItGoesOn, whileItRests] = [await rungIn(true), await rungIn(false)];
    assert.ok(whileItGoesOn.length > 0);
    assert.deepEqual(new Set(whileItGoesOn), new Set([0]));
    assert.equal(whileItRests[0], 0);
    assert.ok(whileItRests[1]! > 0, "a step later");
  });

  test("says what is missing, and goes on when it is there", async () => {
    const job = jobOf(newJob(), 0);
    const cloud = await startCloud({ job, streams: {} });
    await assert.rejects(
      cloud.command(),
      (error) => (error as { kind?: string }).kind === "invalid" && /numbers/.test(String(error)),
    );
    assert.equal(cloud.telemetry.total("failed.invalid"), 1);
    await cloud.log.createStream(stream, 1);
    assert.equal((await cloud.command()).phase, "running");
  });

  test("refuses what is no command of its", async () => {
    const cloud = await start(jobOf(newJob(), 0));
    for (const event of [{}, { version: 1, kind: "halt" }, { version: 3, kind: "look" }])
      await assert.rejects(cloud.command(event as never), { name: "Millrace.invalid" });
    await cloud.command();
    const restore = { version: 1, kind: "restore", id: "a", manifest: undefined } as const;
    await assert.rejects(cloud.command(restore), (error) => isKind((error as Error).cause, "invalid"));
  });

  test("counts the age of its checkpoint from a restore on, however old what it goes back to", async () => {
    const cloud = await start(jobOf(newJob(), 0));
    await cloud.command({ version: 1, kind: "savepoint", id: "kept" });
    await cloud.deliver();
    assert.notEqual((await cloud.command()).completed, undefined);
    const age = () => cloud.telemetry.gauges.get("coordinator.checkpointAgeMs")!;
    cloud.clock.advance(hour / 2);
    await cloud.command();
    assert.ok(age() >= hour / 2);
    await cloud.command({ version: 1, kind: "restore", id: "back" } as never);
    assert.ok(age() < hour / 10, String(age()));
    cloud.clock.advance(hour / 2);
    await cloud.command();
    assert.ok(age() >= hour / 2, "and rings when none is completed since");
  });

  test("rings all others when one cannot be rung, says so, and rings it again", async () => {
    let refusal: MillraceError | undefined;
    const rung: string[] = [];
    const invoke: CoordinatorParts["invoke"] = async (name) => {
      rung.push(name);
      if (refusal !== undefined && name.endsWith("-numbers")) throw refusal;
    };
    const job = jobOf(newJob(), 0, { parallelism: 2 });
    const parts: CoordinatorParts = { invoke };
    const cloud = await startCloud({ job, streams: { [stream]: 1 }, parts });
    const look = (): Promise<readonly string[]> => {
      rung.length = 0;
      cloud.replaceCoordinator();
      return cloud.command(undefined, 3_000).then(
        () => rung,
        (error: Error) => [...rung, error.name],
      );
    };
    const all = await look();
    assert.equal(all.length, 3, "a source's task and two behind the exchange");
    refusal = new MillraceError("invalid", "no permission, add it to the role that the job runs as: invoking function");
    cloud.telemetry.gauges.clear();
    assert.deepEqual((await look()).toSorted(), ["Millrace.invalid", ...all].toSorted());
    assert.ok(cloud.telemetry.gauges.has("coordinator.checkpointAgeMs"), "whose age is missing, nobody looks after");
    refusal = new MillraceError("unavailable", "throttled by AWS");
    assert.deepEqual((await look()).toSorted(), all.toSorted(), "one that is throttled is no failure of the look");
    assert.equal(
      cloud.telemetry.lines.filter(({ message }) => message === "a task could not be rung, it will be again").length,
      1,
    );
    refusal = undefined;
    assert.deepEqual((await look()).toSorted(), all.toSorted());
  });

  test("takes turns with another that is rung at the same time, where a restore is to be carried out", async () => {
    const atWork = { now: 0, most: 0, times: 0 };
    const rows = new Rows();
    rows.quarantine = async () => {
      atWork.times++;
      atWork.most = Math.max(atWork.most, ++atWork.now);
      for (let n = 0; n < 50; n++) await new Promise(setImmediate);
      atWork.now--;
    };
    const cloud = await startCloud({ job: jobOf(newJob(), 0), streams: { [stream]: 1 }, parts: { openSinks: () => rows } });
    const rung = [cloud.command()];
    cloud.replaceCoordinator();
    rung.push(cloud.command());
    const answers = await Promise.all(rung);
    assert.ok(answers.some(({ phase }) => phase === "running"));
    assert.deepEqual([atWork.times, atWork.most], [1, 1]);
  });

  test("of older code stops when newer code has taken over", async () => {
    const name = newJob();
    const cloud = await startCloud({ job: jobOf(name, 0), streams: { [stream]: 1 }, deployment: 4 });
    await cloud.command();
    const older = await startCloud({ job: jobOf(name, 0), streams: { [stream]: 1 }, deployment: 3 });
    await assert.rejects(older.command(), { name: "Millrace.fenced" });
  });
});
