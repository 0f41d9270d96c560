/**
 * Orders to a job (C1): a savepoint, a stop, going on again, going back. The coordinator dies at every call of a port in turn, before the call
 * has its effect and after it, and another goes on; the order is given again, as whoever gave it would.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { isKind, MillraceError } from "../../runtime/base/errors.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import { rootTasks } from "../../runtime/driver/topology.ts";
import type { BlobName } from "../../runtime/base/ids.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { Order } from "../../runtime/snapshots/decide-order.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { decodeManifest, type Manifest } from "../../runtime/snapshots/manifest.ts";
import { inboxName, jobRing, manifestName } from "../../runtime/snapshots/names.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { harness, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { replacing } from "./faulty-ports.ts";
import { type Death, Died, mortal } from "./mortal-ports.ts";

const counting = keyedProcess({
  key: type<string>(),
  state: { seen: value<number>() },
  output: type<readonly [string, number]>(),
  onRecord({ key }: Event, ctx) {
    const seen = (ctx.state.seen.get() ?? 0) + 1;
    ctx.state.seen.set(seen);
    ctx.emit([key, seen]);
  },
});

function jobAt(parallelism: number) {
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting), { parallelism });
  return harness(build, { shards: 2 }) as Promise<RunningHarness>;
}

/** Events of the keys k0 to k3, one after the other, on both shards. */
function enqueue(run: RunningHarness, count: number): void {
  for (let n = 0; n < count; n++) run.enqueue("in", { value: event(`k${n % 4}`, 0), shard: n % 2 });
}

let lives = 0;
function coordinatorOn(run: RunningHarness, ports: Ports): Coordinator {
  const id = `life-${++lives}`;
  const createStream = (stream: string, shards: number) => (run.ports.log as any).createStream(stream, shards);
  return new Coordinator(run.graph, ports, { id, deployment: 1, safeguards: allSafeguards, createStream });
}

async function recordOf(run: RunningHarness): Promise<JobRecord> {
  return (await readJobRecord(run.ports, run.graph.name))!;
}

/** Gives the order again and again and looks on, until `reached`. Returns whether the first coordinator died. */
async function follow(
  run: RunningHarness,
  order: Order,
  death: Death | undefined,
  reached: (record: JobRecord) => boolean,
): Promise<boolean> {
  let died = false;
  let coordinator = coordinatorOn(run, death === undefined ? run.ports : mortal(run.ports, death.at, death.when));
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      died = true;
      coordinator = coordinatorOn(run, run.ports);
    }
  };
  const environment = run.environment(`tasks-${++lives}`);
  for (let steps = 0; steps < 50; steps++) {
    await attempt(() => coordinator.order(order));
    await attempt(() => coordinator.start());
    await attempt(() => coordinator.tick());
    for (const task of await coordinatorOn(run, run.ports).livingTasks()) await environment.turn({ kind: "poke", task });
    if (steps < 3) enqueue(run, 4);
    if (reached(await recordOf(run))) return died;
  }
  return assert.fail(
    `${order.kind} does not get there: ${JSON.stringify(await recordOf(run), (_, v) => (typeof v === "bigint" ? String(v) : v))}`,
  );
}

async function manifestOf(run: RunningHarness, name: JobRecord["savepoint"]): Promise<Manifest> {
  return decodeManifest((await run.ports.blobs.get(name!))!) as Manifest;
}

/** How often each key was counted up to which number. */
function counted(run: RunningHarness): Record<string, number[]> {
  const counts: Record<string, number[]> = {};
  for (const [key, n] of run.output<[string, number]>("out")) (counts[key] ??= []).push(n);
  return counts;
}

function upTo(n: number): Record<string, number[]> {
  return Object.fromEntries(["k0", "k1", "k2", "k3"].map((key) => [key, Array.from({ length: n }, (_, i) => i + 1)]));
}

const stop: Order = { kind: "stop", id: "stop-1" };
const resume: Order = { kind: "resume", id: "resume-1" };
const isStopped = ({ phase }: JobRecord) => phase === "stopped";
const isRunning = ({ phase, generation }: JobRecord) => phase === "running" && generation === 2;

/** Stops a job and lets it go on; returns which of the two coordinators died. */
async function stopAndResume(parallelism: number, deaths: { readonly stop?: Death; readonly resume?: Death }) {
  const run = await jobAt(parallelism);
  enqueue(run, 8);
  await run.settle();
  const stopDied = await follow(run, stop, deaths.stop, isStopped);
  const { savepoint, completed, retained } = await recordOf(run);
  assert.equal(savepoint, completed);
  assert.deepEqual(
    retained.filter((kept) => kept.savepoint).map(({ manifest }) => manifest),
    [savepoint],
  );
  const { kind, totals } = await manifestOf(run, savepoint);
  assert.equal(kind, "savepoint");
  assert.equal(run.output("out").length, totals.records, "nothing is written beyond the savepoint");
  enqueue(run, 4);
  const resumeDied = await follow(run, resume, deaths.resume, isRunning);
  const read = run.environment(`after-${++lives}`);
  for (let round = 0; round < 4; round++)
    for (const task of await coordinatorOn(run, run.ports).livingTasks()) await read.turn({ kind: "poke", task });
  return { run, stopDied, resumeDied, records: run.output("out").length };
}

describe("a stop with a savepoint, and going on from it", () => {
  for (const parallelism of [1, 2])
    test(`takes in every record once at parallelism ${parallelism}`, async () => {
      const { run, records } = await stopAndResume(parallelism, {});
      assert.deepEqual(counted(run), upTo(records / 4));
    });

  for (const parallelism of [1, 2])
    for (const when of ["before", "after"] as const)
      test(`wherever the coordinator dies ${when} a call, at parallelism ${parallelism}`, async () => {
        let deaths = 0;
        for (let at = 1; ; at++) {
          const { run, stopDied, resumeDied, records } = await stopAndResume(parallelism, {
            stop: { at, when },
            resume: { at, when },
          });
          assert.deepEqual(counted(run), upTo(records / 4), `at call ${at}`);
          if (!stopDied && !resumeDied) break;
          deaths += Number(stopDied) + Number(resumeDied);
        }
        assert.ok(deaths > 20, `it died ${deaths} times`);
      });

  test("takes nothing in behind the barrier, and everything once the stop is given up", async () => {
    const run = await jobAt(1);
    const coordinator = coordinatorOn(run, run.ports);
    await coordinator.order(stop);
    await coordinator.tick();
    const [task] = await coordinator.livingTasks();
    const environment = run.environment("tasks");
    assert.equal((await environment.turn({ kind: "poke", task: task! })).outcome, "done");
    enqueue(run, 4);
    assert.equal((await environment.turn({ kind: "poke", task: task! })).outcome, "waiting");
    assert.deepEqual(run.output("out"), []);

    await coordinator.order({ kind: "resume", id: "never mind" });
    await coordinator.tick();
    assert.equal((await recordOf(run)).phase, "running");
    await coordinator.tick();
    assert.equal((await environment.turn({ kind: "poke", task: task! })).outcome, "done");
    assert.deepEqual(counted(run), upTo(1));
    await coordinator.tick();
    assert.equal((await recordOf(run)).wanted, undefined);
  });
});

describe("an order", () => {
  test("to stop ends with a savepoint of its own, not with a checkpoint under way, nor when it was given up", async () => {
    const run = await jobAt(1);
    const coordinator = coordinatorOn(run, run.ports);
    const environment = run.environment("tasks");
    const look = async () => {
      for (const task of await coordinator.livingTasks()) await environment.turn({ kind: "poke", task });
      await coordinator.tick();
    };
    await coordinator.triggerNow(false);
    await coordinator.order(stop);
    await look();
    const underWay = await recordOf(run);
    assert.ok(underWay.completed !== undefined, "the one under way is complete");
    assert.equal(underWay.savepoint, undefined);
    assert.equal(underWay.phase, "stopping");

    await coordinator.tick();
    const [task] = await coordinator.livingTasks();
    await environment.turn({ kind: "poke", task: task! });
    await coordinator.order({ kind: "resume", id: "never mind" });
    for (let n = 0; n < 3; n++) await look();
    const goesOn = await recordOf(run);
    assert.equal(goesOn.savepoint, undefined);
    assert.equal(goesOn.phase, "running");
  });

  test("for a savepoint is granted by the next savepoint, not by a checkpoint under way", async () => {
    const run = await jobAt(1);
    const coordinator = coordinatorOn(run, run.ports);
    await coordinator.triggerNow(false);
    await coordinator.order({ kind: "savepoint", id: "one" });
    const environment = run.environment("tasks");
    const look = async () => {
      for (const task of await coordinator.livingTasks()) await environment.turn({ kind: "poke", task });
      await coordinator.tick();
    };
    await look();
    assert.deepEqual(
      (await recordOf(run)).retained.map((kept) => kept.savepoint),
      [false],
    );
    for (let n = 0; n < 3; n++) await look();
    const record = await recordOf(run);
    assert.deepEqual(
      record.retained.map((kept) => kept.savepoint),
      [false, true],
    );
    assert.equal(record.wanted, undefined);
  });

  test("to go back begins one generation, however often it is given", async () => {
    const run = await jobAt(2);
    enqueue(run, 8);
    await run.settle();
    await run.checkpoint();
    const order: Order = { kind: "restore", id: "back", manifest: undefined };
    const coordinator = coordinatorOn(run, run.ports);
    for (let n = 0; n < 3; n++) await coordinator.order(order);
    assert.equal((await coordinator.start()).generation, 2);
    assert.equal((await coordinator.order(order)).generation, 2);
  });

  test("to go back gives up the checkpoints beyond: what they count as put out has been taken back", async () => {
    const run = await jobAt(2);
    const taken: BlobName[] = [];
    for (const savepoint of [false, true, false]) {
      enqueue(run, 4);
      await run.settle();
      taken.push(manifestName((await run.runner.checkpoint(savepoint))!));
    }
    const [first, savepoint, last] = taken as [BlobName, BlobName, BlobName];
    const goBack = (id: string, manifest: BlobName | undefined) =>
      coordinatorOn(run, run.ports).order({ kind: "restore", id, manifest });
    const drain = async () => {
      await coordinatorOn(run, run.ports).start();
      const environment = run.environment(`back-${++lives}`);
      for (let round = 0; round < 4; round++)
        for (const task of await coordinatorOn(run, run.ports).livingTasks()) await environment.turn({ kind: "poke", task });
      // The harness takes nothing back: what came again stands twice.
      const distinct = Object.entries(counted(run)).map(([key, counts]) => [key, [...new Set(counts)]]);
      assert.deepEqual(Object.fromEntries(distinct), upTo(3));
    };

    await goBack("to the first", first);
    const { completed, retained, superseded } = await recordOf(run);
    assert.deepEqual(
      { completed, retained, superseded },
      { completed: first, retained: [{ manifest: first, savepoint: false }], superseded: [savepoint] },
    );
    await drain();
    await assert.rejects(goBack("to the savepoint", savepoint), /only a job of another name can begin from it/);
    await assert.rejects(goBack("to the last", last), /not retained/);
    await goBack("to the latest", undefined);
    assert.equal((await recordOf(run)).manifest, first);
    await drain();

    await coordinatorOn(run, run.ports).collectGarbage();
    for (const { index } of (await manifestOf(run, savepoint)).tasks)
      if (index !== undefined) assert.notEqual(await run.ports.blobs.get(index.blob, index), undefined);
  });

  /** Goes back to the first of two checkpoints with what came in since, which is read again; returns whether the coordinator died. */
  async function goBack(parallelism: number, death: Death): Promise<boolean> {
    const run = await jobAt(parallelism);
    const taken: BlobName[] = [];
    for (let n = 0; n < 2; n++) {
      enqueue(run, 8);
      await run.settle();
      taken.push(manifestName((await run.runner.checkpoint(false))!));
    }
    const [first] = taken as [BlobName, BlobName];
    const died = await follow(run, { kind: "restore", id: "back", manifest: first }, death, isRunning);
    const { manifest, retained, generation } = await recordOf(run);
    assert.deepEqual({ manifest, generation }, { manifest: first, generation: 2 });
    assert.ok(
      retained.every((kept) => kept.manifest !== taken[1]),
      "what lies beyond is given up",
    );
    const environment = run.environment(`back-${++lives}`);
    for (let round = 0; round < 4; round++)
      for (const task of await coordinatorOn(run, run.ports).livingTasks()) await environment.turn({ kind: "poke", task });
    // The harness takes nothing back: what came again stands twice, as it was.
    const counts = Object.entries(counted(run)).map(([key, seen]) => [key, [...new Set(seen)]] as const);
    const put = counts[0]![1].length;
    assert.ok(put >= 4);
    assert.deepEqual(Object.fromEntries(counts), upTo(put));
    for (const seen of Object.values(counted(run))) {
      const again = seen.slice(seen.lastIndexOf(3));
      assert.deepEqual(
        again,
        Array.from(again, (_, n) => n + 3),
        "from the checkpoint on, everything once",
      );
    }
    return died;
  }

  for (const parallelism of [1, 2])
    for (const when of ["before", "after"] as const)
      test(`to go back comes to the same, wherever the coordinator dies ${when} a call, at parallelism ${parallelism}`, async () => {
        let at = 1;
        while (await goBack(parallelism, { at, when })) at++;
        assert.ok(at > 8, `it died ${at - 1} times`);
      });

  test("to stop leaves nothing to do for what lies in an inbox, and all that sources bring; to pause leaves both", async () => {
    const run = await jobAt(2);
    enqueue(run, 8);
    await run.settle();
    const stage = run.graph.stages.find(({ kind }) => kind === "keyed")!.id;
    const inbox = inboxName(1, stage);
    const ring = async () => {
      const env = new Environment(run.graph, run.ports, { ...defaultEnvironment, id: `rung-${++lives}` });
      const all = { records: 100, bytes: 1e9 };
      const { id: shard } = (await run.ports.log.shards(inbox))[0]!;
      const frames = await run.ports.log.read(inbox, shard, "horizon", all);
      assert.ok(frames.records.length > 0);
      const { id: from } = (await run.source("in").shards())[0]!;
      const { records } = await run.source("in").read("in", from, "horizon", all);
      const inboxes = await env.turn({ kind: "inbox", stage, shard, records: frames.records });
      return [inboxes.outcome, (await env.turn({ kind: "records", source: "in", shard: from, records })).outcome];
    };
    await follow(run, { kind: "pause", id: "pause-1" }, undefined, ({ phase }) => phase === "paused");
    assert.deepEqual(await ring(), ["waiting", "waiting"]);
    await follow(run, { kind: "resume", id: "resume-1" }, undefined, ({ phase }) => phase === "running");
    await follow(run, { kind: "stop", id: "stop-1" }, undefined, ({ phase }) => phase === "stopped");
    assert.deepEqual(await ring(), ["stale", "waiting"]);
  });

  test("to stop is heard by a late turn that finds what does not fit any more; without it, that is an error", async () => {
    for (const stops of [true, false]) {
      const run = await jobAt(1);
      enqueue(run, 8);
      await run.settle();
      const read = async () => {
        if (stops) await follow(run, stop, undefined, isStopped);
        // As it may be from then on for another job that has been forked in this one's place.
        throw new MillraceError("invalid", "the objects are others");
      };
      const source = (uid: string) => {
        const reader = run.ports.source(uid);
        const get = (_: object, name: keyof typeof reader) => (name === "read" ? read : (reader[name] as any)?.bind?.(reader));
        return new Proxy(reader, { get: get as never });
      };
      const late = new Environment(run.graph, { ...run.ports, source }, { ...defaultEnvironment, id: "late" });
      const turn = late.turn({ kind: "poke", task: rootTasks((await recordOf(run)).topology[0]!)[0]!.task });
      if (stops) assert.deepEqual(await turn, { outcome: "waiting" });
      else await assert.rejects(turn, { kind: "invalid" });
    }
  });

  test("to stop is asked for anew with each batch: what comes when the job runs again is not passed over", async () => {
    const run = await jobAt(2);
    enqueue(run, 8);
    await run.settle();
    await follow(run, stop, undefined, isStopped);
    // Whoever is rung for a source, and then cannot look at its shards, has read the job record.
    const away = { shards: () => Promise.reject(new MillraceError("unavailable", "no shards today")) };
    const ports = { ...run.ports, source: () => away } as unknown as Ports;
    const env = new Environment(run.graph, ports, { ...defaultEnvironment, id: `rung-${++lives}` });
    await assert.rejects(env.ring("in"), { kind: "unavailable" });
    await follow(run, resume, undefined, isRunning);
    const stage = run.graph.stages.find(({ kind }) => kind === "keyed")!.id;
    const inbox = inboxName(2, stage);
    for (const { id: shard } of await run.ports.log.shards(inbox)) {
      const { records } = await run.ports.log.read(inbox, shard, "horizon", { records: 100, bytes: 1e9 });
      assert.equal((await env.turn({ kind: "inbox", stage, shard, records })).outcome, "done");
    }
  });

  test("that comes again when others have been followed since changes nothing", async () => {
    const run = await jobAt(2);
    await run.settle();
    const stop: Order = { kind: "stop", id: "stop-1" };
    await follow(run, stop, undefined, ({ phase }) => phase === "stopped");
    await follow(run, { kind: "resume", id: "resume-1" }, undefined, ({ phase }) => phase === "running");
    await follow(run, { kind: "restore", id: "back-1", manifest: undefined }, undefined, ({ generation }) => generation === 3);
    for (const late of [
      stop,
      { kind: "resume", id: "resume-1" },
      { kind: "restore", id: "back-1", manifest: undefined },
    ] as const)
      await coordinatorOn(run, run.ports).order(late);
    const { phase, generation, order } = await recordOf(run);
    assert.deepEqual([phase, generation, order], ["running", 3, "back-1"]);
    // Not for ever: what is remembered is of a bounded size.
    for (let n = 0; n < 60; n++) await coordinatorOn(run, run.ports).order({ kind: "resume", id: `resume-again-${n}` });
    assert.ok((await recordOf(run)).orders!.length < 40);
  });

  test("that cannot be followed is refused", async () => {
    const run = await jobAt(1);
    const coordinator = coordinatorOn(run, run.ports);
    const refused = (order: Order) =>
      assert.rejects(coordinator.order(order), (error) => isKind(error, "invalid"), JSON.stringify(order));
    await refused({ kind: "restore", id: "1", manifest: undefined });
    await follow(run, stop, undefined, isStopped);
    await refused({ kind: "savepoint", id: "2" });
    await refused({ kind: "stop", id: "3" });
  });

  test("of a job that has stopped stays: looks do not wake it", async () => {
    const run = await jobAt(1);
    await follow(run, stop, undefined, isStopped);
    const before = await recordOf(run);
    const coordinator = coordinatorOn(run, run.ports);
    await coordinator.start();
    await coordinator.tick();
    assert.deepEqual(await recordOf(run), before);
    assert.deepEqual(await coordinator.livingTasks(), []);
  });
});

describe("a pause", () => {
  const pause: Order = { kind: "pause", id: "pause-1" };
  const isPaused = ({ phase }: JobRecord) => phase === "paused";
  const goesOn = ({ phase, wanted, pending }: JobRecord) => phase === "running" && wanted === undefined && pending === undefined;

  /** Pauses a job and lets it go on; returns which of the two coordinators died. */
  async function pauseAndResume(parallelism: number, deaths: { readonly pause?: Death; readonly resume?: Death }) {
    const run = await jobAt(parallelism);
    enqueue(run, 8);
    await run.settle();
    // It knows the job as running, and reads the record no more.
    const unknowing = run.environment(`unknowing-${++lives}`);
    for (const task of await coordinatorOn(run, run.ports).livingTasks()) await unknowing.turn({ kind: "poke", task });
    const pauseDied = await follow(run, pause, deaths.pause, isPaused);
    const { completed, generation } = await recordOf(run);
    const { totals } = await manifestOf(run, completed);
    assert.equal(run.output("out").length, totals.records, "nothing is written beyond the checkpoint");
    enqueue(run, 4);
    const readers = (await recordOf(run)).topology.filter(({ kind }) => kind !== "keyed").flatMap(rootTasks);
    for (const environment of [unknowing, run.environment(`paused-${++lives}`)])
      for (const { task } of readers) assert.equal((await environment.turn({ kind: "poke", task })).outcome, "waiting");
    const resumeDied = await follow(run, resume, deaths.resume, goesOn);
    assert.equal((await recordOf(run)).generation, generation, "no other generation begins");
    const read = run.environment(`after-${++lives}`);
    for (let round = 0; round < 4; round++)
      for (const task of await coordinatorOn(run, run.ports).livingTasks()) await read.turn({ kind: "poke", task });
    return { run, pauseDied, resumeDied };
  }

  for (const parallelism of [1, 2])
    for (const when of ["before", "after"] as const)
      test(`takes in every record once, wherever the coordinator dies ${when} a call, at parallelism ${parallelism}`, async () => {
        let deaths = 0;
        for (let at = 1; ; at++) {
          const { run, pauseDied, resumeDied } = await pauseAndResume(parallelism, { pause: { at, when }, resume: { at, when } });
          assert.deepEqual(counted(run), upTo(run.output("out").length / 4), `at call ${at}`);
          if (!pauseDied && !resumeDied) break;
          deaths += Number(pauseDied) + Number(resumeDied);
        }
        assert.ok(deaths > 10, `it died ${deaths} times`);
      });

  test("is no savepoint, and takes orders to stop and to go back", async () => {
    const run = await jobAt(1);
    await follow(run, pause, undefined, isPaused);
    const coordinator = coordinatorOn(run, run.ports);
    await assert.rejects(coordinator.order({ kind: "savepoint", id: "2" }), (error) => isKind(error, "invalid"));
    await follow(run, stop, undefined, isStopped);
    assert.notEqual((await recordOf(run)).savepoint, undefined);
  });

  test("given after a stop was given up takes a checkpoint of its own", async () => {
    const run = await jobAt(1);
    const coordinator = coordinatorOn(run, run.ports);
    await coordinator.order(stop);
    await coordinator.tick();
    await coordinator.order(resume);
    await coordinator.order(pause);
    assert.equal((await recordOf(run)).pending?.stop, false);
    await follow(run, pause, undefined, isPaused);
    assert.equal((await recordOf(run)).savepoint, undefined);
    assert.ok((await recordOf(run)).lastCheckpoint > 1);
  });
});

describe("a look", () => {
  test("reads the job ring once, and knows the tasks that live, at each step of a stop", async () => {
    const run = await jobAt(2);
    const read = { rings: 0 };
    const countingReads = replacing("journal", "tail", (tail) => (task, after) => {
      if (task === jobRing) read.rings++;
      return tail(task, after);
    });
    const coordinator = coordinatorOn(run, countingReads(run.ports));
    await coordinator.start();
    enqueue(run, 8);
    const environment = run.environment(`tasks-${++lives}`);
    const phases: string[] = [];
    for (let looks = 0; looks < 20 && phases.at(-1) !== "stopped"; looks++) {
      if (looks === 2) await coordinator.order({ kind: "stop", id: "stop" });
      read.rings = 0;
      const { record, living } = await coordinator.look();
      assert.equal(read.rings, 1, record.phase);
      assert.deepEqual(record, await recordOf(run));
      assert.deepEqual(living, await coordinator.livingTasks(), record.phase);
      for (const task of living) await environment.turn({ kind: "poke", task });
      phases.push(record.phase);
    }
    assert.deepEqual([...new Set(phases)], ["running", "stopping", "stopped"]);
  });
});
