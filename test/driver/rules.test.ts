/** The recovery rules of the design, each shown on one machine: R1 to R9 and, of the lifecycle rules, those that need no simulation. */
import { beforeEach, describe, test } from "node:test";
import assert from "node:assert/strict";
import { keyedProcess, minutes, type, value } from "../../runtime/index.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { ByteWriter } from "../../runtime/base/byte-writer.ts";
import { type AttemptId, type BlobName, type ChannelId, id, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment, type EnvironmentOptions } from "../../runtime/driver/environment-options.ts";
import { defaultLimits } from "../../runtime/task/task-plan.ts";
import { readJobRing } from "../../runtime/driver/job-ring.ts";
import { loadCommit, storeCommit } from "../../runtime/driver/journal-entry.ts";
import { sealRings } from "../../runtime/driver/seal-rings.ts";
import type { MemoryLog } from "../../runtime/adapters/memory/memory-log.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { decodeManifest, isTombstone } from "../../runtime/snapshots/manifest.ts";
import { inboxName, manifestName, objectName, jobRing } from "../../runtime/snapshots/names.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { writeRecord } from "../../runtime/streaming/element.ts";
import { takeFrame, writeFrameHeader } from "../../runtime/streaming/frame.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { harness, type HarnessOptions, type RunningHarness } from "../../runtime/testing/harness.ts";
import { copyCheckpoint, TakenSnapshot } from "../../runtime/testing/harness-snapshot.ts";
import { type Event, event, pipeline, twoSources } from "../operators/pipeline.ts";
import { oneAListing } from "../ports/one-a-listing.ts";
import { Fault, replacing } from "./faulty-ports.ts";

/** Sums per key; [key, sum] after each record. */
const summing = keyedProcess({
  key: type<string>(),
  state: { sum: value<number>() },
  output: type<unknown>(),
  onRecord({ n = 0 }: Event, ctx) {
    ctx.state.sum.set((ctx.state.sum.get() ?? 0) + n);
    ctx.emit([ctx.key, ctx.state.sum.get()]);
  },
});
const sums = pipeline((events) => events.keyBy(({ key }) => key as string).process("sum", summing));
const twoSums = twoSources((a, b) =>
  a
    .union(b)
    .keyBy(({ key }) => key as string)
    .process("sum", summing),
);

/** Starts a job with what tests of the engine need. */
async function engine(options: HarnessOptions = {}, job = sums): Promise<RunningHarness> {
  return (await harness(job, options)) as RunningHarness;
}

const all = id<TaskId>("g1.in~all");
const fromShard = (source: string) => id<TaskId>(`g1.in~${source}:shard-0`);
const poke = (task: TaskId) => ({ kind: "poke", task }) as const;
const a = (n: number) => ({ value: event("a", 0, n) });

/** The last commit of a task. */
async function headOf({ ports }: RunningHarness, task: TaskId) {
  const { entries } = await ports.journal.tail(task, 0);
  const last = entries.at(-1);
  return last && loadCommit(task, last, ports.blobs);
}

function environment(run: RunningHarness, name: string, options: Partial<EnvironmentOptions> = {}, ports: Ports = run.ports) {
  return new Environment(run.graph, ports, { ...defaultEnvironment, ...options, id: name });
}

/** The keyed task of a job at parallelism 2 that has the key "a", and its channel from the source. */
async function keyedTask(run: RunningHarness): Promise<TaskId> {
  const tasks = run.runner.record!.topology.find(({ kind }) => kind === "keyed")!.tasks;
  await run.push("in", a(0));
  for (const { task } of tasks) if (((await headOf(run, task))?.rows.length ?? 0) > 0) return task;
  throw new Error("no task has the key");
}

describe("R1 entry n of a task is written at most once:", () => {
  test("two environments race for one entry; one wins, the other takes over its state, and every record counts once", async () => {
    let race: (() => Promise<unknown>) | undefined;
    const wrapPorts = replacing("journal", "write", (write) => async (task, entry) => {
      const first = race;
      race = undefined;
      await first?.();
      return write(task, entry);
    });
    const run = await engine({ wrapPorts });
    await run.push("in", a(1));
    const [one, two] = [environment(run, "one"), environment(run, "two")];
    await Promise.all([one.turn(poke(all)), two.turn(poke(all))]);
    run.enqueue("in", a(2), a(3));
    race = () => two.turn(poke(all));
    await one.turn(poke(all));
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 3],
      ["a", 6],
    ]);
    run.enqueue("in", a(4));
    await two.turn(poke(all));
    await one.turn(poke(all));
    assert.deepEqual(run.output("out").at(-1), ["a", 10]);
    assert.equal(run.output("out").length, 4);
  });

  test("a write whose answer was lost is found to be one's own", async () => {
    const fault = new Fault();
    const run = await engine({ wrapPorts: replacing("journal", "write", (write) => fault.around(write)) });
    fault.after = 1;
    await run.push("in", a(1));
    assert.equal(fault.after, 0);
    assert.deepEqual(run.output("out"), [["a", 1]]);
    assert.equal((await headOf(run, all))?.seq, 1);
  });
});

test("R2 effects of an entry are carried out only after it is written", async () => {
  const fault = new Fault();
  const run = await engine({ wrapPorts: replacing("journal", "write", (write) => fault.around(write)) });
  fault.before = 3;
  await assert.rejects(run.push("in", a(1)), { kind: "unavailable" });
  assert.deepEqual(run.output("out"), []);
  await run.crash();
  assert.deepEqual(run.output("out"), [["a", 1]]);
});

describe("R3, R5 effects that nobody saw finish", () => {
  test("are repeated before the next entry is written", async () => {
    const fault = new Fault();
    const log: string[] = [];
    const sinks = replacing("sinks", "carryOut", (carryOut) => {
      const faulty = fault.around(carryOut);
      return async (effect) => {
        log.push(`effect ${effect.seq}`);
        await faulty(effect);
      };
    });
    const journal = replacing("journal", "write", (write) => async (task, entry) => {
      if (task === all) log.push(`entry ${entry.seq}`);
      return write(task, entry);
    });
    const run = await engine({ wrapPorts: (ports) => sinks(journal(ports)) });
    fault.before = 1;
    await assert.rejects(run.push("in", a(1)), { kind: "unavailable" });
    assert.deepEqual(run.output("out"), [], "the entry is written, its effect is not done");
    run.enqueue("in", a(2));
    await environment(run, "another").turn(poke(all));
    assert.deepEqual(log, ["entry 1", "effect 1", "effect 1", "entry 2", "effect 2"]);
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 3],
    ]);
  });

  test("are repeated by an environment that has nothing else to do, and are the same to the byte", async () => {
    const seen: SinkEffect[] = [];
    const fault = new Fault();
    const wrapPorts = replacing("sinks", "carryOut", (carryOut) => {
      const faulty = fault.around(carryOut);
      return async (effect) => {
        seen.push(effect);
        await faulty(effect);
      };
    });
    const run = await engine({ wrapPorts });
    fault.after = 1;
    await assert.rejects(run.push("in", a(1)), { kind: "unavailable" });
    await environment(run, "another").turn(poke(all));
    assert.equal(seen.length, 2);
    const plain = seen.map((effect) => ({ ...effect, payload: [...effect.payload] }));
    assert.deepEqual(plain[1], plain[0]);
    assert.deepEqual(run.output("out"), [["a", 1]]);
  });

  test("are not repeated for a batch that entries before the head took in: these are done, or there were no head", async () => {
    let effects = 0;
    const wrapPorts = replacing("sinks", "carryOut", (carryOut) => (effect) => (effects++, carryOut(effect)));
    const run = await engine({ wrapPorts });
    for (const n of [1, 2, 4]) await run.push("in", a(n));
    const shard = id<ShardId>("shard-0");
    const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
    const bring = async (name: string, part: typeof records) => {
      effects = 0;
      const bell = { kind: "records", source: "in", shard, records: part } as const;
      assert.partialDeepStrictEqual(await environment(run, name).turn(bell), {
        outcome: "done",
        commits: 0,
        unprocessed: undefined,
      });
      return effects;
    };
    assert.equal(await bring("before", records.slice(0, 2)), 0);
    assert.equal(await bring("with the head's", records), 1, "the head's own may have been left undone");
    assert.equal(await bring("the head's", records.slice(2)), 1);
    const twice = environment(run, "twice");
    const first = { kind: "records", source: "in", shard, records: records.slice(0, 1) } as const;
    await twice.turn(first);
    run.enqueue("in", a(8));
    effects = 0;
    await twice.turn(poke(all));
    assert.equal(effects, 2, "the head's, which it has not seen finish, and those of what it takes in");
  });
});

test("who loses a race lets the winner come to its end, longer each time", async () => {
  const waits: number[] = [];
  let races = 4;
  const run = await engine();
  await run.push("in", a(1));
  const other = environment(run, "other");
  const write = replacing("journal", "write", (inner) => async (task, entry) => {
    if (task === all && races-- > 0) {
      run.enqueue("in", a(2));
      await other.turn(poke(all));
      run.enqueue("in", a(2));
    }
    return inner(task, entry);
  });
  const clock = {
    now: () => run.clock.now(),
    sleep: async (ms: number) => void waits.push(ms),
    remainingMs: () => run.clock.remainingMs(),
  };
  run.enqueue("in", a(2));
  const slow = environment(run, "slow", {}, { ...write(run.ports), clock });
  assert.equal((await slow.turn(poke(all))).outcome, "done");
  assert.equal(waits.length, 4);
  assert.ok(
    waits.every((ms, n) => ms > (waits[n - 1] ?? 0)),
    String(waits),
  );
  const short = { ...clock, remainingMs: () => defaultEnvironment.reserveMs };
  waits.length = 0;
  races = 1;
  run.enqueue("in", a(2));
  await environment(run, "short", {}, { ...write(run.ports), clock: short }).turn(poke(all));
  assert.deepEqual(waits, [], "what is left of its time is for its commit");
});

test("a poke reads as much of its inputs as it says, and no less than a record", async () => {
  const run = await engine();
  run.enqueue("in", ...[1, 1, 1, 1, 1, 1, 1, 1].map(a));
  const env = environment(run, "sharing", { recordsPerTurn: 4 });
  const records = async (share: number) => {
    const outcome = await env.turn({ kind: "poke", task: all, share });
    return outcome.outcome === "done" && outcome.records;
  };
  assert.deepEqual([await records(1 / 8), await records(1 / 2), await records(1)], [1, 2, 4]);
});

describe("R4 a receiver applies frame seq of a channel at most once, in order, without gaps:", () => {
  /** Puts a frame into the inbox of the task by hand. */
  async function send(run: RunningHarness, task: TaskId, seq: number, header: { generation?: number; deployment?: number } = {}) {
    const channel = id<ChannelId>(`${fromShard("in")}>${task}`);
    const writer = new ByteWriter();
    writeFrameHeader(writer, { job: "pipeline", generation: 1, deployment: 1, channel, seq, ...header });
    writeRecord(writer, 0, "a", 0, event("a", 0, 1_000));
    const range = run.runner.record!.topology.flatMap(({ tasks }) => tasks).find((known) => known.task === task)!.range;
    await run.ports.log.append(inboxName(1, "sum"), [{ hashKey: range.from, bytes: takeFrame(writer) }]);
  }

  test("a frame that comes again is dropped", async () => {
    const fault = new Fault();
    const run = await engine({ parallelism: 2, wrapPorts: replacing("log", "append", (append) => fault.around(append)) });
    fault.after = 1;
    await assert.rejects(run.push("in", a(1), a(2)), { kind: "unavailable" });
    await run.crash();
    await run.push("in", a(3));
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 3],
      ["a", 6],
    ]);
  });

  test("a frame of an old seq is dropped", async () => {
    const run = await engine({ parallelism: 2 });
    const task = await keyedTask(run);
    await send(run, task, 0);
    await run.settle();
    await run.push("in", a(5));
    assert.deepEqual(run.output("out"), [
      ["a", 0],
      ["a", 5],
    ]);
  });

  test("a gap is loud: the task stops as corrupt and nothing is skipped", async () => {
    const run = await engine({ parallelism: 2 });
    const task = await keyedTask(run);
    await send(run, task, 7);
    await assert.rejects(run.settle(), { kind: "corrupt", message: /frames of channel .* are lost: expected 1, got 7/ });
    await assert.rejects(run.push("in", a(5)), { kind: "corrupt" });
    assert.deepEqual(run.output("out"), [["a", 0]]);
  });

  test("a damaged frame is loud too, whatever of it is damaged", async () => {
    let damage = false;
    const wrapPorts = replacing("log", "read", (read) => async (...args) => {
      const result = await read(...args);
      if (!damage) return result;
      const damaged = (bytes: Uint8Array) => bytes.map((byte, at) => (at === bytes.length - 2 ? byte ^ 4 : byte));
      return { ...result, records: result.records.map((record) => ({ ...record, bytes: damaged(record.bytes) })) };
    });
    const run = await engine({ parallelism: 2, wrapPorts });
    await run.push("in", a(1));
    damage = true;
    await assert.rejects(run.push("in", a(2)), { kind: "corrupt", message: /checksum/ });
    damage = false;
    await run.crash();
    assert.deepEqual(run.output("out"), [
      ["a", 1],
      ["a", 3],
    ]);
  });

  test("R9 a frame of a higher deployment is left for newer code, not dropped", async () => {
    const run = await engine({ parallelism: 2 });
    const task = await keyedTask(run);
    await send(run, task, 1, { deployment: 2 });
    await assert.rejects(run.settle(), { kind: "unavailable", message: /deployment 2 came to code of deployment 1/ });
    await environment(run, "newer", { deployment: 2 }).turn(poke(task));
    assert.deepEqual(run.output("out").at(-1), ["a", 1_000]);
  });

  test("L2 a frame of an older generation is dropped", async () => {
    const run = await engine({ parallelism: 2 });
    const task = await keyedTask(run);
    await send(run, task, 1, { generation: 0 });
    await run.settle();
    await run.push("in", a(5));
    assert.deepEqual(run.output("out").at(-1), ["a", 5]);
  });
});

describe("R6 objects are written before what points to them, under names of their own:", () => {
  test("an orphan of a lost write does no harm and is collected", async () => {
    const fault = new Fault();
    const run = await engine({
      wrapPorts: replacing("journal", "write", (write) => async (task, entry) => {
        return task === all ? fault.around(write)(task, entry) : write(task, entry);
      }),
    });
    await run.push("in", a(1));
    fault.before = 3;
    await assert.rejects(run.snapshot(), { kind: "unavailable" });
    const orphans = (await run.ports.blobs.list("segments/")).blobs.map(({ name }) => name);
    assert.equal(orphans.length, 1);
    await run.crash();
    await run.snapshot();
    await run.push("in", a(2));
    await run.coordinator().collectGarbage();
    const left = (await run.ports.blobs.list("segments/")).blobs.map(({ name }) => name);
    assert.equal(left.includes(orphans[0]!), false);
    await run.crash();
    await run.push("in", a(4));
    assert.deepEqual(run.output("out").at(-1), ["a", 7]);
  });
});

/** Two sources, each a task of its own, into keyed tasks; turns by hand. */
class TwoChannels {
  run!: RunningHarness;
  keyed: readonly TaskId[] = [];
  env!: Environment;

  async start(options: HarnessOptions = {}): Promise<void> {
    this.run = await engine({ parallelism: 2, ...options }, twoSums);
    this.keyed = this.run.runner.record!.topology.find(({ kind }) => kind === "keyed")!.tasks.map(({ task }) => task);
    this.env = environment(this.run, "by-hand", options.environment);
  }

  source(uid: string): TaskId {
    const { topology } = this.run.runner.record!;
    const { stage } = topology.find(({ roots }) => roots.has(uid))!;
    return id<TaskId>(`g1.${stage}~${uid}:shard-0`);
  }

  /** A record of a source, handed on to the keyed tasks' inboxes. */
  async send(uid: string, n: number, key = "k"): Promise<void> {
    this.run.enqueue(uid, { value: event(key, 0, n) });
    await this.env.turn(poke(this.source(uid)));
  }

  async receive(): Promise<void> {
    for (const task of this.keyed) await this.env.turn(poke(task));
  }

  /** A harness that goes on from the checkpoint of this number. */
  async restored(checkpoint: number): Promise<RunningHarness> {
    const sources = new Map(["a", "b"].map((uid) => [uid, this.run.source(uid).stand]));
    const copy = await copyCheckpoint(manifestName(checkpoint), this.run.ports.blobs);
    return engine({ from: new TakenSnapshot({ ...copy, sources, now: 0 }), parallelism: 1 }, twoSums);
  }
}

describe("R7 a snapshot contains exactly the effects of all records before the barrier, on every channel:", () => {
  const job = new TwoChannels();
  beforeEach(() => job.start());

  test("what comes on one channel after its barrier waits for the other's, and is not in the snapshot", async () => {
    await job.send("a", 1);
    assert.equal(await job.run.coordinator().triggerNow(false), 1);
    await job.send("a", 10);
    await job.send("a", 100);
    await job.receive();
    assert.deepEqual(job.run.output("out").at(-1), ["k", 11], "the barrier follows the record of the turn that was asked");
    await job.send("b", 2);
    await job.send("b", 1_000);
    await job.receive();
    await job.run.coordinator().tick();
    assert.deepEqual(
      job.run
        .output<[string, number]>("out")
        .map(([, sum]) => sum)
        .at(-1),
      1_113,
      "what was held is processed after the barrier",
    );
    const restored = await job.restored(1);
    await restored.push("a", { value: event("k", 0, 0) });
    assert.deepEqual(restored.output("out"), [["k", 1 + 10 + 2]], "100 on the one channel and 1,000 on the other came after it");
  });

  test("held frames survive a crash, in their order", async () => {
    await job.send("a", 1);
    await job.run.coordinator().triggerNow(false);
    await job.send("a", 10);
    await job.receive();
    for (const n of [100, 200, 300]) await job.send("a", n);
    await job.receive();
    const before = job.run.output("out").length;
    job.env = environment(job.run, "after the crash");
    await job.send("b", 5);
    await job.receive();
    assert.deepEqual(
      job.run.output<[string, number]>("out").map(([, sum]) => sum),
      [1, 11, 16, 116, 316, 616],
    );
    assert.equal(before, 2);
  });

  test("L9 a higher barrier abandons a lower alignment, and what it held goes on", async () => {
    await job.run.coordinator().triggerNow(false);
    await job.send("a", 1);
    await job.send("a", 10);
    await job.receive();
    assert.equal((await headOf(job.run, job.keyed[0]!))?.progress.alignment.current?.checkpoint, 1);
    job.run.clock.advance(2 ** 53 - 2 ** 52);
    const { record } = await readJobRing(job.run.ports, "two-sources");
    assert.equal(record?.pending?.checkpoint, 1);
    // The coordinator gives the first up and asks for a second.
    const impatient = job.run.coordinator("impatient");
    job.run.clock.advance(2 ** 52);
    await impatient.tick();
    const one = decodeManifest((await job.run.ports.blobs.get(manifestName(1)))!);
    assert.ok(isTombstone(one));
    assert.equal(await impatient.triggerNow(false), 2);
    await job.send("a", 100);
    await job.send("b", 1_000);
    await job.receive();
    await job.run.settle();
    await impatient.tick();
    const after = (await readJobRing(job.run.ports, "two-sources")).record;
    assert.equal(after?.completed, manifestName(2));
    assert.equal((job.run.output("out").at(-1) as [string, number])[1], 1_111);
  });
});

test("L9 too many held bytes: the checkpoint is declined, nothing is lost, and the next one succeeds", async () => {
  const job = new TwoChannels();
  const limits = { ...defaultLimits, frameBytesMax: 1_000_000, heldBytesMax: 200, outputBytesMax: 1 << 20 };
  await job.start({ environment: { limits } });
  const coordinator = job.run.coordinator();
  await coordinator.triggerNow(false);
  for (let n = 0; n < 10; n++) await job.send("a", 1);
  await job.receive();
  await coordinator.tick();
  const { record } = await readJobRing(job.run.ports, "two-sources");
  assert.equal(record?.pending, undefined);
  assert.equal(record?.failures, 1);
  assert.equal(
    job.run.telemetry.lines.some(({ message }) => message === "checkpoint abandoned"),
    true,
  );
  assert.deepEqual(job.run.output("out").at(-1), ["k", 10]);
  const aligning = await Promise.all(job.keyed.map(async (task) => (await headOf(job.run, task))?.progress.alignment.current));
  assert.ok(aligning.includes(undefined), "the task that held too much has given up");
  await job.run.snapshot();
  await job.send("b", 5);
  await job.receive();
  assert.deepEqual(job.run.output("out").at(-1), ["k", 15]);
});

test("R8 versions of outside rows grow with every effect of a task, over restores too", async () => {
  const versions: (readonly number[])[] = [];
  const wrapPorts = replacing("sinks", "carryOut", (carryOut) => async (effect) => {
    versions.push([effect.generation, effect.seq, effect.n]);
    await carryOut(effect);
  });
  const run = await engine({ wrapPorts });
  await run.push("in", a(1), a(2));
  await run.push("in", a(3));
  const name = await run.checkpoint();
  await run.coordinator("restorer").restore(name);
  await run.crash();
  await run.push("in", a(4));
  assert.equal(versions.length, 4);
  assert.deepEqual(
    versions.toSorted((x, y) => x[0]! - y[0]! || x[1]! - y[1]! || x[2]! - y[2]!),
    versions,
  );
  assert.deepEqual(new Set(versions.map(String)).size, 4);
  assert.deepEqual(run.output("out").at(-1), ["a", 10]);
});

describe("R9 code of a higher deployment", () => {
  test("fences older code: it stops and writes nothing", async () => {
    const run = await engine();
    await run.push("in", a(1));
    run.enqueue("in", a(2));
    await environment(run, "newer", { deployment: 2 }).turn(poke(all));
    run.enqueue("in", a(3));
    const outcome = await environment(run, "older", { deployment: 1 }).turn(poke(all));
    assert.deepEqual(outcome, { outcome: "fenced", deployment: 2 });
    await assert.rejects(run.settle(), { kind: "fenced" });
    assert.deepEqual(run.output("out").at(-1), ["a", 3]);
  });
});

describe("L1 a restore", () => {
  test("seals the old rings: an environment of the old generation never commits again", async () => {
    const run = await engine();
    await run.push("in", a(1));
    const old = environment(run, "old");
    await old.turn(poke(all));
    const name = await run.checkpoint();
    await run.push("in", a(2));
    await run.coordinator("restorer").restore(name);
    run.enqueue("in", a(4));
    const sealed = await headOf(run, all);
    assert.equal(sealed?.by, "seal");
    assert.deepEqual(await old.turn(poke(all)), { outcome: "stale" });
    assert.equal((await headOf(run, all))?.seq, sealed?.seq);
    assert.deepEqual(run.output("out").at(-1), ["a", 3], "nothing of the record after the restore");
    await run.crash();
    assert.deepEqual(run.output("out").slice(-2), [
      ["a", 3],
      ["a", 7],
    ]);
  });

  test("that dies at any write is finished by whoever comes next", async () => {
    for (let dies = 1; dies <= 6; dies++) {
      let writes = Infinity;
      const wrapPorts = replacing("journal", "write", (write) => async (task, entry) => {
        if (--writes < 0) throw new Error("the coordinator dies");
        return write(task, entry);
      });
      const run = await engine({ wrapPorts, parallelism: 2 });
      await run.push("in", a(1));
      const name = await run.checkpoint();
      await run.push("in", a(2));
      writes = dies;
      await run
        .coordinator("dies")
        .restore(name)
        .catch(() => {});
      writes = Infinity;
      await run.crash();
      await run.push("in", a(4));
      const last = (run.output("out").at(-1) as [string, number])[1];
      assert.equal(last, 7, `died at write ${dies}`);
    }
  });

  test("that is begun again finds outputs closed to a task that had ended, and goes on", async () => {
    let closed = false;
    const wrapPorts = replacing("sinks", "carryOut", (carryOut) => async (effect) => {
      if (closed) throw new MillraceError("fenced", "taken over");
      return carryOut(effect);
    });
    const run = await engine({ wrapPorts });
    await run.push("in", a(1));
    const head = (await headOf(run, all))!;
    assert.ok(head.effects.some(({ effect }) => effect === "sink"));
    const stages = run.runner.record!.topology;
    // As a file's publication stands in the commit that ends a task.
    const ending = async (seq: number, ended: boolean) => {
      const commit = { ...head, seq, attempt: id<AttemptId>(`end.${seq}`), progress: { ...head.progress, ended } };
      const bytes = await storeCommit(commit, run.ports.blobs, { inlineBytesMax: Infinity, compressFromBytes: Infinity });
      await run.ports.journal.write(all, { seq, attempt: commit.attempt, bytes });
    };
    closed = true;
    await ending(head.seq + 1, false);
    await assert.rejects(sealRings(stages, run.ports, "restorer"), { kind: "fenced" }, "a task that goes on is not passed over");
    await ending(head.seq + 2, true);
    await sealRings(stages, run.ports, "restorer");
  });

  test("has the job record read anew where a task has ended: nobody seals its ring", async () => {
    const run = await engine({ parallelism: 2 });
    const sent: string[] = [];
    const log = {
      ...run.ports.log,
      shards: (stream: string) => run.ports.log.shards(stream),
      read: (...args: Parameters<LogReader["read"]>) => run.ports.log.read(...args),
      append: (...args: Parameters<Ports["log"]["append"]>) => (sent.push(args[0]), run.ports.log.append(...args)),
    };
    const task = fromShard("in");
    const old = environment(run, "old", {}, { ...run.ports, log });
    await old.turn(poke(task));
    await run.push("in", a(1));
    const name = await run.checkpoint();
    await run.push("in", a(2));
    const head = (await headOf(run, task))!;
    assert.ok(head.effects.some(({ effect }) => effect === "send"));
    const commit = { ...head, seq: head.seq + 1, attempt: id<AttemptId>("end"), progress: { ...head.progress, ended: true } };
    const bytes = await storeCommit(commit, run.ports.blobs, { inlineBytesMax: Infinity, compressFromBytes: Infinity });
    await run.ports.journal.write(task, { seq: commit.seq, attempt: commit.attempt, bytes });
    await run.coordinator("restorer").restore(name);
    sent.length = 0;
    assert.deepEqual(await old.turn(poke(task)), { outcome: "stale" });
    assert.deepEqual(sent, []);
  });

  test("brings frames to a task that had ended: who saw its end takes them for the task that goes on", async () => {
    const run = await engine({ parallelism: 2 });
    const ended = await keyedTask(run);
    const name = await run.checkpoint();
    await run.push("in", a(2));
    await run.endInput();
    const old = environment(run, "old");
    for (let turns = 0; turns < 2; turns++) {
      const outcome = await old.turn(poke(ended));
      assert.ok(outcome.outcome === "done" && outcome.ended);
    }
    await run.coordinator("restorer").restore(name);
    await environment(run, "sender").turn(poke(id<TaskId>("g2.in~in:shard-0")));
    // As on AWS, where the inbox's stream stays and its mapping brings what comes into it.
    const goesOn = id<TaskId>(ended.replace("g1.", "g2."));
    const shard = (await run.ports.log.shards(inboxName(2, "sum")))[Number(goesOn.at(-1))]!.id;
    const { records } = await run.ports.log.read(inboxName(2, "sum"), shard, "horizon", { records: 100, bytes: 1e9 });
    const outcome = await old.turn({ kind: "inbox", stage: "sum", shard, records });
    assert.ok(outcome.outcome === "done");
    assert.deepEqual([outcome.task, outcome.records], [goesOn, 1]);
    assert.deepEqual((await headOf(run, goesOn))?.progress.inbox, records.at(-1)?.position);
  });

  for (const ended of [false, true])
    test(`is heard of by who is rung for a source, ${ended ? "though it knew of an end" : "and reads"} in the next generation`, async () => {
      const run = await engine();
      await run.push("in", a(1));
      const name = await run.checkpoint();
      run.enqueue("in", a(2));
      if (ended) run.source("in").end();
      const old = environment(run, "old");
      assert.deepEqual(await old.ring("in"), { outcome: "done" });
      await run.coordinator("restorer").restore(name);
      assert.deepEqual(await old.ring("in"), { outcome: "done" });
      assert.deepEqual(run.output("out"), [
        ["a", 1],
        ["a", 3],
        ["a", 3],
      ]);
    });

  for (const rescaled of [true, false])
    test(`${rescaled ? "may change" : "and nobody else may change"} the shards of inboxes under a turn that wakes up late`, async () => {
      const run = await engine({ parallelism: 2 });
      const task = fromShard("in");
      const log = run.ports.log as MemoryLog;
      let sleep: (() => Promise<void>) | undefined;
      const ports = replacing("log", "append", (append) => async (stream, records) => {
        await sleep?.();
        sleep = undefined;
        return append(stream, records);
      })(run.ports);
      const old = environment(run, "old", {}, ports);
      await run.push("in", a(1));
      await old.turn(poke(task));
      const name = await run.checkpoint();
      run.enqueue("in", a(2));
      sleep = async () => {
        if (rescaled) await run.coordinator("restorer").restore(name);
        // As on AWS, where an inbox's stream stays.
        const inbox = inboxName(1, "sum");
        for (const { id } of await log.shards(inbox)) await log.splitShard(inbox, id);
      };
      if (rescaled) assert.deepEqual(await old.turn(poke(task)), { outcome: "stale" });
      else await assert.rejects(old.turn(poke(task)), { kind: "corrupt", message: /inbox-1-sum was resharded/ });
      assert.equal(sleep, undefined);
    });

  test("seals tasks that never started too", async () => {
    const run = await engine({ parallelism: 3 });
    const name = await run.checkpoint();
    await run.coordinator("restorer").restore(name);
    const { record } = await readJobRing(run.ports, "pipeline");
    assert.equal(record?.generation, 2);
    for (const task of [fromShard("in"), ...[0, 1, 2].map((n) => id<TaskId>(`g1.sum~${n}`))])
      assert.equal((await headOf(run, task))?.by, "seal", task);
  });
});

test("L3 records between the position and a batch are read first", async () => {
  const run = await engine();
  run.enqueue("in", a(1), a(2), a(4));
  const env = environment(run, "mapped");
  const { records } = await run.source("in").read("in", id<ShardId>("shard-0"), "horizon", { records: 10, bytes: 1e6 });
  await env.turn({ kind: "records", source: "in", shard: id<ShardId>("shard-0"), records: records.slice(2) });
  assert.deepEqual(
    run.output<[string, number]>("out").map(([, sum]) => sum),
    [1, 3, 7],
  );
  await env.turn({ kind: "records", source: "in", shard: id<ShardId>("shard-0"), records: records.slice(1) });
  await environment(run, "cold").turn({ kind: "records", source: "in", shard: id<ShardId>("shard-0"), records });
  assert.equal(run.output("out").length, 3, "batches that come again are passed over");
});

/** A source whose reads are counted. */
function countedReads(run: RunningHarness) {
  const counted = { reads: 0 };
  const source = () => ({
    shards: () => run.source("in").shards(),
    read: (...args: Parameters<LogReader["read"]>) => (counted.reads++, run.source("in").read(...args)),
  });
  return { counted, ports: { ...run.ports, source } as unknown as Ports };
}

test("L3 a task that catches up late reads what lies before a batch too, however old its generation is, or the first", async () => {
  for (const options of [{ invocationMsMax: -1 }, {}]) {
    const run = await engine();
    run.enqueue("in", a(1), a(2), a(4), a(8));
    const { counted, ports } = countedReads(run);
    const env = environment(run, "late", options, ports);
    const shard = id<ShardId>("shard-0");
    const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
    const bring = (...part: typeof records) => env.turn({ kind: "records", source: "in", shard, records: part });
    await bring(records[2]!);
    assert.deepEqual(
      run.output<[string, number]>("out").map(([, sum]) => sum),
      [1, 3, 7],
    );
    assert.ok(counted.reads > 0);
    counted.reads = 0;
    await bring(records[3]!);
    assert.equal(counted.reads, 0, "what has followed once follows");
  }
});

test("L3 a generation reads before every batch, where there was one before it, until it is where a read found nothing more", async () => {
  const run = await engine();
  await run.push("in", a(1));
  const name = await run.checkpoint();
  run.enqueue("in", a(2), a(4));
  await run.coordinator("restorer").restore(name);
  const { counted, ports } = countedReads(run);
  const env = environment(run, "young", {}, ports);
  const shard = id<ShardId>("shard-0");
  const readsBefore = async (n: number) => {
    const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
    counted.reads = 0;
    await env.turn({ kind: "records", source: "in", shard, records: records.slice(n, n + 1) });
    return counted.reads;
  };
  assert.ok((await readsBefore(1)) > 0, "nothing has been read");
  assert.ok((await readsBefore(2)) > 0, "it was there when the end was found: it may have been given out before");
  run.enqueue("in", a(8), a(16));
  assert.equal(await readsBefore(3), 0);
  assert.equal(await readsBefore(3), 0, "it comes again");
  await environment(run, "other").turn(poke(id<TaskId>("g2.in~in:shard-0")));
  assert.deepEqual(run.output("out").at(-1), ["a", 31]);
});

test("L3 a read that brings only a part has not found that nothing more is there", async () => {
  const run = await engine();
  await run.push("in", a(1));
  const name = await run.checkpoint();
  run.enqueue("in", ...[2, 4, 8, 16].map(a));
  await run.coordinator("restorer").restore(name);
  const { counted, ports } = countedReads(run);
  const env = environment(run, "young", { recordsPerTurn: 1 }, ports);
  const shard = id<ShardId>("shard-0");
  const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
  for (const n of [1, 2, 3]) {
    counted.reads = 0;
    await env.turn({ kind: "records", source: "in", shard, records: records.slice(n, n + 1) });
    assert.ok(counted.reads > 0, String(n));
  }
});

test("L3 a read that brings nothing, while its stream says that something is there, has not come up to the batch", async () => {
  const run = await engine();
  run.enqueue("in", a(1), a(2), a(4));
  let empty = 3;
  const sparse = {
    shards: () => run.source("in").shards(),
    read: async (...[stream, name, after, limit]: Parameters<LogReader["read"]>): ReturnType<LogReader["read"]> => {
      if (empty-- > 0) return { records: [], next: after, behindMs: 5, gap: false };
      return run.source("in").read(stream, name, after, limit);
    },
  };
  const shard = id<ShardId>("shard-0");
  const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
  const last = { kind: "records", source: "in", shard, records: records.slice(2) } as const;
  const late = { now: () => 0, sleep: async () => {}, remainingMs: () => 1 };
  const hurried = environment(run, "hurried", {}, { ...run.ports, source: () => sparse, clock: late });
  assert.partialDeepStrictEqual(await hurried.turn(last), { outcome: "done", unprocessed: records[2]!.position });
  assert.deepEqual(run.output("out"), [], "time was over before there was anything to take in");
  await environment(run, "patient", {}, { ...run.ports, source: () => sparse }).turn(last);
  assert.deepEqual(
    run.output<[string, number]>("out").map(([, sum]) => sum),
    [1, 3, 7],
  );
});

test("L3 what lies before a batch is read again when it did not come to be committed", async () => {
  for (const failing of ["refused", "lost"]) {
    const run = await engine();
    run.enqueue("in", a(1), a(2), a(4));
    const shard = id<ShardId>("shard-0");
    const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
    let writes = 0;
    const ports = replacing("journal", "write", (write) => async (task, entry) => {
      if (++writes > 3) return write(task, entry);
      if (failing === "refused") throw new MillraceError("unavailable", "the journal is away");
      if (writes > 1) return write(task, entry);
      await environment(run, "other").turn({ kind: "records", source: "in", shard, records: records.slice(0, 1) });
      return write(task, entry);
    })(run.ports);
    const env = environment(run, "mapped", {}, ports);
    const last = { kind: "records", source: "in", shard, records: records.slice(2) } as const;
    if (failing === "refused") await assert.rejects(env.turn(last), { kind: "unavailable" });
    await env.turn(last);
    assert.deepEqual(run.output<[string, number]>("out").at(-1), ["a", 7], failing);
  }
});

test("L3 what was taken in before a read that is refused is kept", async () => {
  const run = await engine();
  run.enqueue("in", a(1), a(2), a(4));
  let reads = 0;
  /** As a shard that allows no second read for a while. */
  const slow = {
    shards: () => run.source("in").shards(),
    read: async (...args: Parameters<LogReader["read"]>) => {
      if (++reads % 2 === 0) throw new MillraceError("unavailable", "too fast");
      return run.source("in").read(...args);
    },
  };
  const env = environment(run, "slow", { recordsPerTurn: 1 }, { ...run.ports, source: () => slow });
  const shard = id<ShardId>("shard-0");
  const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
  const last = { kind: "records", source: "in", shard, records: records.slice(2) } as const;
  const { position } = records[2]!;
  assert.partialDeepStrictEqual(await env.turn(last), { outcome: "done", unprocessed: position });
  assert.equal(run.output("out").length, 1);
  for (let n = 0; n < 3; n++) await env.turn(last).catch(() => undefined);
  assert.equal(run.output("out").length, 3);
});

test("records lost at the source are reported with their range, by a poke and by a batch that comes after them", async () => {
  const run = await engine();
  run.enqueue("in", a(1), a(2), a(4), a(8));
  const shard = id<ShardId>("shard-0");
  const { records } = await run.source("in").read("in", shard, "horizon", { records: 10, bytes: 1e6 });
  const mapped = (name: string) => environment(run, name, {}, { ...run.ports, source: () => trimmed });
  let expired = false;
  /** What lies before the third record expires. */
  const trimmed = {
    shards: () => run.source("in").shards(),
    read: async (...[stream, name, after, limit]: Parameters<LogReader["read"]>): ReturnType<LogReader["read"]> => {
      const result = await run.source("in").read(stream, name, after, limit);
      const left = result.records.filter(
        ({ position }) => records.findIndex((record) => record.position === position) >= (expired ? 2 : 0),
      );
      return { ...result, records: left, gap: left.length < result.records.length };
    },
  };
  await mapped("one").turn({ kind: "records", source: "in", shard, records: records.slice(0, 1) });
  const lost = () =>
    run.telemetry.lines.filter(({ message }) => message.startsWith("records were lost")).map(({ fields }) => fields);
  const range = { task: all, source: "in", stream: "in", shard, after: records[0]!.position, before: records[2]!.position };
  assert.deepEqual(lost(), []);
  expired = true;
  await mapped("another").turn({ kind: "records", source: "in", shard, records: records.slice(3) });
  assert.deepEqual(lost(), [range]);
  assert.deepEqual(
    run.output<[string, number]>("out").map(([, sum]) => sum),
    [1, 5, 13],
  );
  const poked = await engine();
  poked.enqueue("in", a(1), a(2), a(4));
  await environment(poked, "poked", {}, { ...poked.ports, source: () => trimmed }).turn(poke(all));
  assert.equal(poked.telemetry.total("sourceGap"), 1);
});

describe("L6 garbage collection", () => {
  test("keeps what heads and retained checkpoints refer to, and nothing of the older", async () => {
    const run = await engine();
    const names: BlobName[] = [];
    for (let n = 0; n < 6; n++) {
      await run.push("in", { value: event(`key ${n}`, 0, n) }, a(1));
      names.push((await run.checkpoint()) as BlobName);
    }
    const left = new Set((await run.ports.blobs.list("segments/")).blobs.map(({ name }) => name));
    assert.ok(left.size < 6 + 1);
    const { record } = await readJobRing(run.ports, "pipeline");
    for (const { manifest } of record!.retained) {
      const copy = await copyCheckpoint(manifest, run.ports.blobs);
      assert.ok(copy.blobs.size >= 2);
      const sources = new Map([["in", run.source("in").stand]]);
      const restored = await engine({ from: new TakenSnapshot({ ...copy, sources, now: 0 }) });
      await restored.push("in", a(0), { value: event("key 0", 0, 0) });
      assert.deepEqual(restored.output("out"), [
        ["a", names.indexOf(manifest) + 1],
        ["key 0", 0],
      ]);
    }
    await run.crash();
    await run.push("in", a(0));
    assert.deepEqual(run.output("out").at(-1), ["a", 6]);
  });

  test("by a collector that stands still after each look keeps what is needed by then", async () => {
    let standsStill = false;
    let goOn: () => Promise<void> = async () => undefined;
    const looks = new Map<TaskId, number>();
    const wrapPorts = replacing("journal", "tail", (tail) => async (task, after) => {
      const read = await tail(task, after);
      if (!standsStill) return read;
      looks.set(task, (looks.get(task) ?? 0) + 1);
      if ((task === all && looks.get(task) === 1) || task === jobRing) {
        standsStill = false;
        await goOn();
        standsStill = true;
      }
      return read;
    });
    const run = await engine({ wrapPorts });
    goOn = async () => {
      for (let n = 0; n < 5; n++) {
        await run.push("in", a(1));
        await run.runner.checkpoint();
      }
    };
    await run.push("in", { value: event("cold", 0, 5) });
    await run.runner.checkpoint();
    await run.push("in", a(1));
    await run.runner.checkpoint();
    await goOn();
    standsStill = true;
    await run.coordinator("slow").collectGarbage();
    standsStill = false;
    assert.ok((looks.get(jobRing) ?? 0) >= 3);
    await run.crash();
    await run.push("in", { value: event("cold", 0, 1) });
    assert.deepEqual(run.output("out").at(-1), ["cold", 6]);
  });

  test("keeps an object whose entry is still to come", async () => {
    let collecting: (() => Promise<unknown>) | undefined;
    const wrapPorts = replacing("journal", "write", (write) => async (task, entry) => {
      const collect = collecting;
      if (task === all) collecting = undefined;
      if (task === all) await collect?.();
      return write(task, entry);
    });
    const run = await engine({ wrapPorts, environment: { payload: { inlineBytesMax: 0, compressFromBytes: 0 } } });
    await run.push("in", a(1));
    collecting = () => run.coordinator().collectGarbage();
    await run.push("in", a(2));
    assert.equal(collecting, undefined);
    await run.crash();
    await run.push("in", a(4));
    assert.deepEqual(run.output("out").at(-1), ["a", 7]);
  });

  test("finds all that is referred to by nothing, however little a listing says", async () => {
    const run = await engine({ wrapPorts: (ports) => ({ ...ports, blobs: oneAListing(ports.blobs) }) });
    await run.push("in", a(1));
    const orphans = [1, 2, 3].map((n) => objectName("segments", all, 1, id<AttemptId>(`lost-${n}`)));
    for (const name of orphans) await run.ports.blobs.put(name, new Uint8Array());
    await run.coordinator().collectGarbage();
    for (const name of orphans) assert.equal(await run.ports.blobs.get(name), undefined, name);
    await run.crash();
    await run.push("in", a(2));
    assert.deepEqual(run.output("out").at(-1), ["a", 3]);
  });
});

describe("L10 completing and abandoning a checkpoint are one conditional write:", () => {
  test("two coordinators that both complete do it once", async () => {
    const run = await engine();
    await run.push("in", a(1));
    const [one, two] = [run.coordinator("one"), run.coordinator("two")];
    const triggered = await Promise.all([one.triggerNow(false), two.triggerNow(false)]);
    assert.deepEqual(new Set(triggered.filter((checkpoint) => checkpoint !== undefined)), new Set([1]));
    await environment(run, "env").turn(poke(all));
    const ticks = await Promise.all([one.tick(), two.tick()]);
    assert.equal(ticks.filter(({ completed }) => completed === 1).length, 1);
    const { record } = await readJobRing(run.ports, "pipeline");
    assert.deepEqual(record?.retained, [{ manifest: manifestName(1), savepoint: false }]);
  });

  test("one that gives up while another completes: what was written first stands for both", async () => {
    for (const first of ["complete", "abandon"] as const) {
      let between: (() => Promise<unknown>) | undefined;
      const wrapPorts = replacing("blobs", "put", (put) => async (name, bytes, options) => {
        const other = between;
        if (name.startsWith("manifests/")) between = undefined;
        if (name.startsWith("manifests/")) await other?.();
        return put(name, bytes, options);
      });
      const run = await engine({ wrapPorts });
      await run.push("in", a(1));
      const one = run.coordinator("one");
      await one.triggerNow(false);
      await environment(run, "env").turn(poke(all));
      // The one sees the acknowledgement and completes; the other has not heard of it when its patience is over.
      const hearsNothing = replacing("journal", "tail", (tail) => async (...args) => ({
        ...(await tail(...args)),
        messages: [],
      }));
      const impatient = new Coordinator(
        { ...run.graph, options: { ...run.graph.options, checkpointTimeoutMs: -1 } },
        hearsNothing(run.ports),
        { id: "two", deployment: 1, safeguards: allSafeguards, createStream: () => Promise.resolve() },
      );
      if (first === "complete") {
        between = () => one.tick();
        await impatient.tick();
      } else {
        between = () => impatient.tick();
        await one.tick();
      }
      const { record } = await readJobRing(run.ports, "pipeline");
      const manifest = decodeManifest((await run.ports.blobs.get(manifestName(1)))!);
      assert.equal(record?.pending, undefined, first);
      assert.equal(record?.completed !== undefined, !isTombstone(manifest), first);
      assert.equal(isTombstone(manifest), first === "abandon");
    }
  });
});

describe("L12", () => {
  test("the time of a task never goes back, whatever the clock of its environment", async () => {
    const times = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("now", { output: type<unknown>(), onRecord: (_e, ctx) => ctx.emit(ctx.processingTime) }),
    );
    const run = await engine({ startAt: 10_000 }, times);
    await run.push("in", a(1));
    const behind: Ports = { ...run.ports, clock: { now: () => 3_000, sleep: async () => {}, remainingMs: () => Infinity } };
    run.enqueue("in", a(2));
    await environment(run, "behind", {}, behind).turn(poke(all));
    assert.deepEqual(run.output("out"), [10_000, 10_000]);
    assert.equal((await headOf(run, all))?.progress.now, 10_000);
  });

  test("stale pokes are harmless: of an older generation, of a time that has passed, twice", async () => {
    const run = await engine();
    await run.push("in", a(1));
    const env = environment(run, "env");
    const before = (await headOf(run, all))?.seq;
    for (let n = 0; n < 3; n++) await env.turn(poke(all));
    assert.equal((await headOf(run, all))?.seq, before, "nothing to do, nothing written");
    assert.deepEqual(await env.turn(poke(id<TaskId>("g0.in~all"))), { outcome: "stale" });
    const name = await run.checkpoint();
    const taken = (await headOf(run, all))?.seq;
    await env.turn(poke(all));
    assert.equal((await headOf(run, all))?.seq, taken, "a request that was answered is not answered again");
    assert.equal(name, manifestName(1));
  });

  test("a wake-up goes with the timer's commit", async () => {
    const beat = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("beat", {
          output: type<unknown>(),
          onRecord: ({ n = 0 }, ctx) => ctx.timers.processingTime(n),
          onTimer: (at, ctx) => ctx.emit(at),
        }),
    );
    const run = await engine({}, beat);
    await run.push("in", a(60_000));
    assert.equal((await run.runner.step()).wakeAt, 60_000);
    await run.advanceProcessingTime(minutes(1));
    assert.deepEqual(run.output("out"), [60_000]);
    assert.equal((await run.runner.step()).wakeAt, Infinity);
  });
});

test("L15 a commit's outputs are bounded: it ends early, and the rest follows in the next", async () => {
  const limits = { ...defaultLimits, frameBytesMax: 4_000, heldBytesMax: 1 << 20, outputBytesMax: 20_000 };
  const wide = pipeline((events) =>
    events
      .flatMap("many", ({ n = 0 }) => Array.from({ length: 50 }, (_, i) => event(`key ${i}`, 0, n)))
      .keyBy(({ key }) => key as string)
      .process("sum", summing),
  );
  const run = await engine({ parallelism: 2, environment: { limits } }, wide);
  let largest = 0;
  const count = 600;
  run.enqueue("in", ...Array.from({ length: count }, () => a(1)));
  await run.settle();
  const { entries } = await run.ports.journal.tail(fromShard("in"), 0);
  for (const entry of entries) {
    const commit = await loadCommit(fromShard("in"), entry, run.ports.blobs);
    for (const effect of commit.effects)
      if (effect.effect === "send") for (const frame of effect.frames) largest = Math.max(largest, frame.length);
  }
  assert.ok(entries.length > 1);
  assert.ok(largest <= 4_000, `frames of at most 4,000 bytes: ${largest}`);
  assert.equal(run.output<[string, number]>("out").filter(([, sum]) => sum === count).length, 50);
});

test("L7 a page newer than the journal's head as its reader knows it is not laid over twice", async () => {
  const run = await engine({ environment: { cacheBytesMax: 0 } });
  await run.push("in", a(1));
  const behind = environment(run, "behind", { cacheBytesMax: 1 << 30 });
  await behind.turn(poke(all));
  for (const n of [2, 4, 8]) await run.push("in", a(n), { value: event("b", 0, n) });
  run.enqueue("in", a(16), { value: event("b", 0, 16) });
  await behind.turn(poke(all));
  run.enqueue("in", a(32));
  await environment(run, "cold", { cacheBytesMax: 0 }).turn(poke(all));
  assert.deepEqual(run.output("out").slice(-3), [
    ["a", 31],
    ["b", 30],
    ["a", 63],
  ]);
});

test("the ring is never overrun: a base is taken before it is full, and a cold start reads from it", async () => {
  const run = await engine();
  const { ringSize } = run.ports.journal;
  for (let n = 0; n < ringSize * 2 + 10; n++) await run.push("in", a(1));
  await run.crash();
  await run.push("in", a(1));
  assert.deepEqual(run.output("out").at(-1), ["a", ringSize * 2 + 11]);
});
