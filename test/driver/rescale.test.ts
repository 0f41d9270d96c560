/**
 * One path: stop with a savepoint, seal, begin again at another parallelism. 1 → 4 → 2, with the coordinator dying at every call of a port in
 * turn, before the call has its effect and after it: every record is taken in once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { MemoryJournal } from "../../runtime/adapters/memory/memory-journal.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";
import { planJob } from "../../runtime/plan/plan-job.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { harness, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { Died, mortal } from "./mortal-ports.ts";

const keys = 8;
const counting = keyedProcess({
  key: type<string>(),
  state: { seen: value<number>() },
  output: type<readonly [string, number]>(),
  onRecord({ key }: Event, ctx) {
    const seen = (ctx.state.seen.get() ?? 0) + 1;
    ctx.state.seen.set(seen);
    ctx.emit([key as string, seen]);
  },
});

let lives = 0;

/** The job on the harness's ports, at whatever parallelism. */
class Deployment {
  readonly run: RunningHarness;
  readonly graph: JobGraph;
  readonly #parallelism: number;

  constructor(run: RunningHarness, parallelism: number) {
    this.run = run;
    const { graph } = run.graph;
    const options = { parallelism };
    this.graph = planJob({ name: graph.name, options, graph });
    this.#parallelism = parallelism;
  }

  coordinator(ports: Ports = this.run.ports): Coordinator {
    // As on AWS where each task has a cell of its own: what is deployed has so many.
    const createStream = async (stream: string, shards: number) => {
      assert.equal(shards % this.#parallelism, 0, "each cell has as many shards");
      await (ports.log as any).createStream(stream, shards);
    };
    const id = `c${++lives}`;
    return new Coordinator(this.graph, ports, { id, deployment: 1, safeguards: allSafeguards, createStream });
  }

  async turns(): Promise<void> {
    const environment = new Environment(this.graph, this.run.ports, { ...defaultEnvironment, id: `e${++lives}` });
    for (const task of await this.coordinator().livingTasks()) await environment.turn({ kind: "poke", task });
  }

  async record(): Promise<JobRecord> {
    return (await readJobRecord(this.run.ports, this.graph.name))!;
  }

  /** Gives the order again and again until it has come about; the first coordinator dies at its `at`-th call. Returns whether it did. */
  async follow(kind: "stop" | "resume", at: number, when: "before" | "after", isDone: (record: JobRecord) => boolean) {
    const order = { kind, id: `${kind}-${++lives}` } as const;
    let died = false;
    let coordinator = this.coordinator(mortal(this.run.ports, at, when));
    for (let steps = 0; steps < 50; steps++) {
      for (const work of [() => coordinator.order(order), () => coordinator.start(), () => coordinator.tick()]) {
        try {
          await work();
        } catch (error) {
          if (!(error instanceof Died)) throw error;
          died = true;
          coordinator = this.coordinator();
        }
      }
      await this.turns();
      if (isDone(await this.record())) return died;
    }
    return assert.fail(`${kind} does not come about: ${(await this.record()).phase}`);
  }
}

const withoutInboxes = (run: RunningHarness): Ports => {
  const log = Object.create(run.ports.log, { createStream: { value: () => Promise.reject(new Died()) } }) as Ports["log"];
  return { ...run.ports, log };
};

/** Every record that was put is taken in once. */
function checkCounts(run: RunningHarness, put: number, message = ""): void {
  const out = run.output<[string, number]>("out");
  for (let k = 0; k < keys; k++)
    assert.deepEqual(
      out.filter(([key]) => key === `k${k}`).map(([, seen]) => seen),
      Array.from({ length: put }, (_, n) => n + 1),
      `k${k}${message}`,
    );
}

function enqueue(run: RunningHarness, count: number): void {
  for (let n = 0; n < count * keys; n++) run.enqueue("in", { value: event(`k${n % keys}`, 0), shard: n % 2 });
}

/** Returns whether any coordinator died. */
async function rescaleTwice(at: number, when: "before" | "after"): Promise<boolean> {
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting), { parallelism: 1 });
  const run = (await harness(build, { shards: 2 })) as RunningHarness;
  enqueue(run, 2);
  await run.settle();
  let [died, put] = [false, 2];
  let current = new Deployment(run, 1);
  for (const parallelism of [4, 2]) {
    died = (await current.follow("stop", at, when, ({ phase }) => phase === "stopped")) || died;
    enqueue(run, 1);
    put++;
    const { generation } = await current.record();
    current = new Deployment(run, parallelism);
    died =
      (await current.follow("resume", at, when, (now) => now.phase === "running" && now.generation === generation + 1)) || died;
    const tasks = (await current.record()).topology.find(({ kind }) => kind === "keyed")?.tasks.length;
    assert.equal(tasks, parallelism);
    for (let round = 0; round < 4; round++) await current.turns();
  }
  checkCounts(run, put, `, at call ${at}`);
  return died;
}

describe("a rescale 1 → 4 → 2", () => {
  for (const when of ["before", "after"] as const)
    test(`takes in every record once, wherever the coordinator dies ${when} a call`, async () => {
      let at = 1;
      while (await rescaleTwice(at, when)) at++;
      assert.ok(at > 15, `it died ${at - 1} times`);
    });
});

describe("a restore that other code has begun, and that what is deployed could not finish", () => {
  test("is given up for one of its own, from the same checkpoint", async () => {
    const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting), { parallelism: 1 });
    const run = (await harness(build, { shards: 2 })) as RunningHarness;
    enqueue(run, 2);
    await run.settle();
    await new Deployment(run, 1).follow("stop", Infinity, "before", ({ phase }) => phase === "stopped");
    enqueue(run, 1);
    const dying = new Deployment(run, 4).coordinator(withoutInboxes(run));
    await assert.rejects(dying.order({ kind: "resume", id: "go on" }), Died);
    const next = new Deployment(run, 3);
    const { phase, manifest, generation } = await next.record();
    assert.equal(phase, "restoring");
    await next.coordinator().rehearse();
    const restored = await next.coordinator().start();
    assert.deepEqual([restored.phase, restored.manifest, restored.generation], ["running", manifest, generation + 1]);
    for (let round = 0; round < 4; round++) await next.turns();
    checkCounts(run, 3);
  });

  test("begins anew where nothing has run", async () => {
    const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting), { parallelism: 1 });
    const run = (await harness(build, { shards: 2 })) as RunningHarness;
    // As before anybody has begun it.
    Object.assign(run.ports, { journal: new MemoryJournal() });
    enqueue(run, 2);
    await assert.rejects(new Deployment(run, 4).coordinator(withoutInboxes(run)).start(), Died);
    const next = new Deployment(run, 3);
    await assert.rejects(next.coordinator().rehearse(), /no checkpoint to go on from/, "by then it may have begun");
    assert.equal((await next.coordinator().start()).phase, "running");
    for (let round = 0; round < 4; round++) await next.turns();
    checkCounts(run, 2);
  });
});

test("newer code of another parallelism waits for a generation of its own: its inboxes may be other streams", async () => {
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting), { parallelism: 2 });
  const run = (await harness(build, { shards: 2 })) as RunningHarness;
  enqueue(run, 1);
  const [now, next] = [new Deployment(run, 2), new Deployment(run, 4)];
  assert.equal(now.graph.fingerprint, next.graph.fingerprint);
  const outcomes = async ({ graph }: Deployment) => {
    const environment = new Environment(graph, run.ports, { ...defaultEnvironment, id: `e${++lives}` });
    const tasks = await now.coordinator().livingTasks();
    const all = await Promise.all(tasks.map((task) => environment.turn({ kind: "poke", task })));
    return [...new Set(all.map(({ outcome }) => outcome))];
  };
  assert.deepEqual(await outcomes(next), ["waiting"]);
  assert.deepEqual(await outcomes(now), ["done"]);
});
