/**
 * What rests behind the barrier of a stop: its savepoint is all that the job has put out, whatever the clock says meanwhile. And how tasks
 * go on, in every way in which a stop ends.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyedProcess, list, millis, count, tumbling, type, value } from "../../runtime/index.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";
import type { Coordinator } from "../../runtime/driver/coordinator.ts";
import type { Doorbell } from "../../runtime/driver/doorbell.ts";
import type { Environment } from "../../runtime/driver/environment.ts";
import { loadCommit, storeCommit } from "../../runtime/driver/journal-entry.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { encodeManifest } from "../../runtime/snapshots/manifest.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { inboxName, jobRing, manifestName } from "../../runtime/snapshots/names.ts";
import { harness, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { deadly } from "./deadly-job.ts";
import { Fault, replacing } from "./faulty-ports.ts";
import { Mortals } from "./mortal.ts";

const delayMs = 1_000;

/** Gives each event, and once more after a while by the clock. */
const echoing = keyedProcess({
  key: type<string>(),
  state: { kept: list<number>() },
  output: type<readonly [what: string, key: string, n: number]>(),
  onRecord({ n = 0 }: Event, { key, state, timers, processingTime, emit }) {
    emit(["record", key, n]);
    state.kept.add(n);
    timers.processingTime(processingTime + delayMs);
  },
  onTimer(_at, { key, state, emit }) {
    for (const n of state.kept.get()) emit(["timer", key, n]);
    state.kept.clear();
  },
});

const jobAt = (parallelism: number) =>
  pipeline((events) => events.keyBy(({ key }) => key as string).process("echo", echoing), { parallelism });
const keys = ["k0", "k1", "k2", "k3"];
const poke = (task: TaskId) => ({ kind: "poke", task }) as const;

/** A job whose coordinator and tasks are rung by hand. */
class Rig {
  readonly run: RunningHarness;
  readonly coordinator: Coordinator;
  env: Environment;
  #lives = 0;

  constructor(run: RunningHarness) {
    this.run = run;
    this.coordinator = run.coordinator("by-hand");
    this.env = run.environment("by-hand");
  }

  record(): Promise<JobRecord> {
    return readJobRecord(this.run.ports, this.run.graph.name) as Promise<JobRecord>;
  }

  async tasks(kind: "source" | "keyed"): Promise<TaskId[]> {
    const { topology, generation } = await this.record();
    const stage = topology.find((known) => known.kind === kind)!;
    if (kind === "keyed") return stage.tasks.map(({ task }) => task);
    return ["shard-0", "shard-1"].map((shard) => id<TaskId>(`g${generation}.${stage.stage}~in:${shard}`));
  }

  async ring(kind: "source" | "keyed"): Promise<void> {
    for (const task of await this.tasks(kind)) await this.env.turn(poke(task));
  }

  /** All that there is of each shard, as its mapping brings it. */
  async batches(): Promise<readonly Doorbell[]> {
    const source = this.run.source("in");
    return Promise.all(
      (await source.shards()).map(async ({ id: shard }) => {
        const { records } = await source.read("in", shard, "horizon", { records: 100, bytes: 1 << 20 });
        return { kind: "records", source: "in", shard, records } as const;
      }),
    );
  }

  /** Whoever rings next knows nothing. */
  forget(): void {
    this.env = this.run.environment(`life-${++this.#lives}`);
  }

  /** Event n of each key. */
  enqueue(n: number): void {
    for (const [at, key] of keys.entries()) this.run.enqueue("in", { value: event(key, 0, n), shard: at % 2 });
  }

  /** Looks on, and rings all, as often as it takes. */
  async goOn(rounds = 6): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.coordinator.start();
      await this.coordinator.tick();
      for (const task of await this.coordinator.livingTasks()) await this.env.turn(poke(task));
    }
  }

  /** What came out, in its order, of one key. */
  output(key = "k0"): string[] {
    const rows = this.run.output<readonly [string, string, number]>("out").filter(([, of]) => of === key);
    return rows.map(([what, , n]) => `${what} ${n}`);
  }

  async rests(): Promise<boolean[]> {
    return Promise.all(
      (await this.tasks("keyed")).map(async (task) => {
        const { entries } = await this.run.ports.journal.tail(task, "head");
        const head = await loadCommit(task, entries[0]!, this.run.ports.blobs);
        return head.progress.alignment.rests ?? false;
      }),
    );
  }
}

/** All tasks have made their part of the savepoint or checkpoint with which the job comes to rest, and timers are due. */
async function resting(kind: "stop" | "pause" = "stop", wrapPorts = (ports: Ports) => ports): Promise<Rig> {
  const rig = new Rig((await harness(jobAt(2), { shards: 2, wrapPorts })) as RunningHarness);
  rig.enqueue(1);
  await rig.run.settle();
  await rig.coordinator.order({ kind, id: kind });
  await rig.coordinator.tick();
  await rig.ring("source");
  await rig.ring("keyed");
  assert.deepEqual(await rig.rests(), [true, true]);
  rig.run.clock.advance(5 * delayMs);
  return rig;
}

describe("behind the barrier of a stop", () => {
  test("no timer fires until the job runs again, whoever rings", async () => {
    const rig = await resting();
    for (let n = 0; n < 3; n++) {
      for (const task of await rig.tasks("keyed")) {
        const outcome = await rig.env.turn(poke(task));
        assert.deepEqual(outcome.outcome === "done" && [outcome.commits, outcome.wakeAt], [0, Infinity]);
      }
      rig.forget();
    }
    await rig.coordinator.tick();
    await rig.coordinator.tick();
    assert.equal((await rig.record()).phase, "stopped");
    for (const key of keys) assert.deepEqual(rig.output(key), ["record 1"]);

    await rig.coordinator.order({ kind: "resume", id: "resume" });
    await rig.goOn();
    for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "timer 1"]);
  });

  test("frames that are repeated are passed over, and nothing else comes of them", async () => {
    const rig = await resting();
    // Whoever finds the sources' heads sends what they say once more.
    rig.forget();
    await rig.ring("source");
    const commits = [];
    for (const task of await rig.tasks("keyed")) {
      const outcome = await rig.env.turn(poke(task));
      commits.push(outcome.outcome === "done" && outcome.commits);
    }
    assert.deepEqual(commits, [1, 1], "their inboxes have been read further");
    assert.deepEqual(await rig.rests(), [true, true]);
    assert.deepEqual(rig.output(), ["record 1"]);
  });

  test("a batch that is brought meanwhile waits, and repeats nothing of what its source's task has sent", async () => {
    let appends = 0;
    const counting = replacing("log", "append", (append) => (...call) => {
      appends++;
      return append(...call);
    });
    const rig = await resting("stop", counting);
    rig.enqueue(2);
    appends = 0;
    for (let n = 0; n < 2; n++) {
      rig.forget();
      for (const bell of await rig.batches()) assert.deepEqual(await rig.env.turn(bell), { outcome: "waiting" });
    }
    assert.equal(appends, 0);
  });

  test("what a source's task died of before it had sent its barrier is sent when it is rung, whatever is brought before", async () => {
    const sending = new Fault();
    const rig = new Rig(
      (await harness(jobAt(2), {
        shards: 2,
        wrapPorts: replacing("log", "append", (append) => sending.around(append)),
      })) as RunningHarness,
    );
    rig.enqueue(1);
    await rig.run.settle();
    await rig.ring("source");
    await rig.coordinator.order({ kind: "stop", id: "stop" });
    await rig.coordinator.tick();
    for (const task of await rig.tasks("source")) {
      sending.before = 100;
      await assert.rejects(rig.env.turn(poke(task)), { kind: "unavailable" });
      sending.before = 0;
    }
    rig.forget();
    rig.enqueue(2);
    for (const bell of await rig.batches()) assert.deepEqual(await rig.env.turn(bell), { outcome: "waiting" });
    await rig.goOn(3);
    assert.equal((await rig.record()).phase, "stopped");
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    await rig.goOn();
    assert.deepEqual(
      rig.output().filter((row) => row.startsWith("record")),
      ["record 1", "record 2"],
    );
  });

  for (const parallelism of [1, 2])
    test(`a source that has come to its end ends when the job runs again, at parallelism ${parallelism}`, async () => {
      const counted = pipeline(
        (events) =>
          events
            .keyBy(({ key }) => key as string)
            .window(tumbling(millis(1_000)))
            .aggregate("count", count(), (key, _window, n) => ["window", key, n]),
        { parallelism },
      );
      const rig = new Rig((await harness(counted, { shards: 2 })) as RunningHarness);
      rig.enqueue(1);
      await rig.run.settle();
      await rig.coordinator.order({ kind: "stop", id: "stop" });
      await rig.coordinator.tick();
      rig.run.source("in").end();
      const readers = (await rig.coordinator.livingTasks()).slice(0, parallelism);
      for (let n = 0; n < 2; n++)
        for (const task of readers) {
          const outcome = await rig.env.turn(poke(task));
          assert.equal(outcome.outcome === "done" && outcome.ended, false);
        }
      await rig.goOn(3);
      assert.equal((await rig.record()).phase, "stopped");

      await rig.coordinator.order({ kind: "resume", id: "resume" });
      await rig.goOn();
      for (const key of keys) assert.deepEqual(rig.output(key), ["window 1"]);
      assert.ok((await rig.coordinator.tick()).finished);
    });
});

/** Commits are written as by code that did not say in them whether a task rests. */
function sayingLess(ports: Ports): Ports {
  const plain = { inlineBytesMax: Infinity, compressFromBytes: Infinity };
  return replacing("journal", "write", (write) => async (task, entry) => {
    if (task === jobRing) return write(task, entry);
    const { progress, ...commit } = await loadCommit(task, entry, ports.blobs);
    const { last, current } = progress.alignment;
    const less = { ...commit, progress: { ...progress, alignment: { last, current } } };
    return write(task, { ...entry, bytes: await storeCommit(less, ports.blobs, plain) });
  })(ports);
}

test("what reads sources rests behind the barrier of a stop, though its commit is of code that did not say so", async () => {
  const rig = new Rig((await harness(jobAt(2), { shards: 2, wrapPorts: sayingLess })) as RunningHarness);
  rig.enqueue(1);
  await rig.run.settle();
  await rig.coordinator.order({ kind: "stop", id: "stop" });
  await rig.coordinator.tick();
  await rig.ring("source");
  rig.forget();
  rig.enqueue(2);
  await rig.goOn(3);
  assert.equal((await rig.record()).phase, "stopped");
  for (const key of keys) assert.deepEqual(rig.output(key), ["record 1"]);
  await rig.coordinator.order({ kind: "resume", id: "resume" });
  await rig.goOn();
  for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "record 2"]);
});

/** Ways in which a job goes on that rests, or is about to. */
const ways: Record<string, (rig: Rig) => Promise<unknown>> = {
  "the stop is given up before its savepoint is complete": (rig) => rig.coordinator.order({ kind: "resume", id: "resume" }),
  "it is given up, and the job stopped once more": async (rig) => {
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    await rig.coordinator.order({ kind: "stop", id: "again" });
    await rig.goOn();
    await rig.coordinator.order({ kind: "resume", id: "resume again" });
  },
  "it is given up, and a savepoint taken": async (rig) => {
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    await rig.coordinator.order({ kind: "savepoint", id: "savepoint" });
  },
  "it is given up, and the job paused": async (rig) => {
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    await rig.coordinator.order({ kind: "pause", id: "pause" });
    await rig.goOn();
    assert.equal((await rig.record()).phase, "paused");
    await rig.coordinator.order({ kind: "resume", id: "resume again" });
  },
  "the job goes back to the savepoint": async (rig) => {
    await rig.goOn();
    assert.equal((await rig.record()).phase, "stopped");
    await rig.coordinator.order({ kind: "restore", id: "restore", manifest: undefined });
  },
  "its savepoint fails, another is taken, and the job resumed": async (rig) => {
    const { pending } = await rig.record();
    const { checkpoint } = pending!;
    await rig.run.ports.blobs.put(manifestName(checkpoint), encodeManifest({ version: 1, checkpoint, abandoned: "timed out" }));
    await rig.coordinator.tick();
    assert.deepEqual([(await rig.record()).phase, (await rig.record()).pending], ["stopping", undefined]);
    await rig.goOn();
    const { phase, savepoint } = await rig.record();
    assert.deepEqual([phase, savepoint], ["stopped", manifestName(checkpoint + 1)]);
    await rig.coordinator.order({ kind: "resume", id: "resume" });
  },
  "its savepoint fails, and the stop is given up": async (rig) => {
    const { checkpoint } = (await rig.record()).pending!;
    await rig.run.ports.blobs.put(manifestName(checkpoint), encodeManifest({ version: 1, checkpoint, abandoned: "timed out" }));
    await rig.coordinator.order({ kind: "resume", id: "resume" });
  },
  "the job is resumed by another coordinator and other environments": async (rig) => {
    rig.forget();
    await rig.run.coordinator("another").order({ kind: "resume", id: "resume" });
  },
  "its sources end once the stop is given up": async (rig) => {
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    rig.run.clock.advance(0);
    await rig.goOn();
    rig.run.source("in").end();
    await rig.goOn();
    assert.ok((await rig.coordinator.tick()).finished);
  },
};

describe("timers fire again, once,", () => {
  for (const [name, act] of Object.entries(ways))
    test(`when ${name}`, async () => {
      const rig = await resting();
      await act(rig);
      await rig.goOn();
      for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "timer 1"]);
      assert.ok(["running"].includes((await rig.record()).phase));
      if (name.includes("sources end")) return;
      assert.deepEqual(await rig.rests(), [false, false]);
      rig.enqueue(2);
      await rig.goOn(2);
      rig.run.clock.advance(5 * delayMs);
      await rig.goOn(2);
      for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "timer 1", "record 2", "timer 2"]);
    });

  test("when a job that was paused is resumed, in the same generation", async () => {
    const rig = await resting("pause");
    await rig.goOn(2);
    assert.equal((await rig.record()).phase, "paused");
    assert.deepEqual(rig.output(), ["record 1"]);
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    await rig.goOn();
    for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "timer 1"]);
    assert.equal((await rig.record()).generation, 1);
  });

  test("before the record that says that the job goes on", async () => {
    const rig = await resting();
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    rig.enqueue(2);
    await rig.goOn();
    for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "timer 1", "record 2"]);
  });

  test("before the records that a single task takes in then", async () => {
    const rig = new Rig((await harness(jobAt(1), { shards: 2 })) as RunningHarness);
    rig.enqueue(1);
    await rig.run.settle();
    await rig.coordinator.order({ kind: "stop", id: "stop" });
    await rig.coordinator.tick();
    const [single] = await rig.coordinator.livingTasks();
    await rig.env.turn(poke(single!));
    rig.run.clock.advance(5 * delayMs);
    assert.equal((await rig.env.turn(poke(single!))).outcome, "waiting");
    await rig.coordinator.order({ kind: "resume", id: "resume" });
    rig.enqueue(2);
    await rig.goOn();
    for (const key of keys) assert.deepEqual(rig.output(key), ["record 1", "timer 1", "record 2"]);
  });
});

test("L14 what kills behind the barrier of a stop is found, though more timers are due at each attempt", async () => {
  const mortals = new Mortals();
  const firing = keyedProcess({
    key: type<string>(),
    state: { seen: value<number>() },
    output: type<string>(),
    onRecord({ n = 0 }: Event, { key, state, timers, emit }) {
      if (n === deadly) mortals.die();
      state.seen.set(n);
      timers.processingTime(n * 1_000);
      emit(`record ${key}`);
    },
    onTimer(_at, { key, emit }) {
      emit(`timer ${key}`);
    },
  });
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("fire", firing), { parallelism: 2 });
  const rig = new Rig((await harness(build, { shards: 2 })) as RunningHarness);
  const { run } = rig;
  for (let n = 1; n <= 800; n++) run.enqueue("in", { value: event(`k${n}`, 0, n), shard: n % 2 });
  await run.settle();
  await rig.coordinator.order({ kind: "stop", id: "stop" });
  await rig.coordinator.tick();
  await rig.ring("source");
  await rig.ring("keyed");
  assert.deepEqual(await rig.rests(), [true, true]);
  await rig.coordinator.order({ kind: "resume", id: "resume" });
  run.enqueue("in", { value: event("k1", 0, deadly), shard: 0 });
  for (let looks = 0; looks < 3; looks++) {
    await rig.coordinator.tick();
    await rig.ring("source");
  }
  const [inbox, tasks] = [inboxName(1, "fire"), await rig.tasks("keyed")];
  for (const [at, { id: shard }] of (await run.ports.log.shards(inbox)).entries()) {
    const { records } = await run.ports.log.read(inbox, shard, "horizon", { records: 1_000, bytes: 1e9 });
    for (let done = false; !done;) {
      run.clock.advance(15_000);
      done = (await mortals.turn(run, { kind: "frames", task: tasks[at]!, records })) !== "died";
      assert.ok(mortals.deaths < 30, "it is found");
    }
  }
  assert.match(run.deadLetters()[0]!.reason, /has killed the environment/);
  assert.equal(run.deadLetters().length, 1);
  const rows = run.output<string>("out");
  assert.equal(new Set(rows).size, rows.length);
  assert.ok(mortals.deaths > 2);
});
