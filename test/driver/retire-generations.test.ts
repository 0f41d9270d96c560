/** What generations that are over leave behind goes, all of it, and not before everybody who might look for it is gone. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment, type EnvironmentOptions } from "../../runtime/driver/environment-options.ts";
import { readJobRing } from "../../runtime/driver/job-ring.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { copyName, jobRing } from "../../runtime/snapshots/names.ts";
import { harness, type HarnessOptions, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { Fault, replacing } from "./faulty-ports.ts";

const hour = 60 * 60_000;
const summing = keyedProcess({
  key: type<string>(),
  state: { sum: value<number>() },
  output: type<unknown>(),
  onRecord({ n = 0 }: Event, ctx) {
    ctx.state.sum.set((ctx.state.sum.get() ?? 0) + n);
    ctx.emit([ctx.key, ctx.state.sum.get()]);
  },
});
const sums = pipeline((events) => events.keyBy(({ key }) => key as string).process("sum", summing), { statePlacement: "table" });
const a = (n: number) => ({ value: event("a", 0, n) });

async function start(options: HarnessOptions = {}): Promise<RunningHarness> {
  return (await harness(sums, { environment: { cacheBytesMax: 0 }, ...options })) as RunningHarness;
}

/** Another generation, from a checkpoint taken now. */
async function nextGeneration(run: RunningHarness): Promise<void> {
  const name = await run.checkpoint();
  await run.coordinator("restorer").restore(name);
  await run.crash();
}

/** Everything that is kept of a task outside of objects. */
async function leftOf({ ports }: RunningHarness, task: TaskId) {
  const { entries, messages } = await ports.journal.tail(task, 0);
  const said = (await ports.journal.tail(jobRing, 0)).messages.filter(({ name }) => name.endsWith(`/${task}`));
  const pages = await ports.pages.list(task);
  return { entries: entries.length, messages: messages.length, pages: pages.length, said: said.length };
}

const nothing = { entries: 0, messages: 0, pages: 0, said: 0 };

for (const parallelism of [1, 2])
  describe(`a generation that is over, at parallelism ${parallelism}`, () => {
    const tasksOf = (generation: number) =>
      (parallelism === 1 ? ["in~all"] : ["in~in:shard-0", "sum~0", "sum~1"]).map((name) => id<TaskId>(`g${generation}.${name}`));

    async function twoGenerations(options: HarnessOptions = {}): Promise<RunningHarness> {
      const run = await start({ parallelism, ...options });
      for (let n = 0; n < 5; n++) await run.push("in", { value: event(`k${n}`, 0, n) }, a(1));
      await nextGeneration(run);
      await run.push("in", a(10));
      return run;
    }

    test("leaves nothing behind, once nobody can know of it", async () => {
      const run = await twoGenerations();
      const before = await Promise.all(tasksOf(1).map((task) => leftOf(run, task)));
      assert.ok(before.every(({ entries }) => entries > 0) && before.some(({ pages }) => pages > 0));
      await run.coordinator().collectGarbage();
      assert.deepEqual(await Promise.all(tasksOf(1).map((task) => leftOf(run, task))), before, "too early");
      run.clock.advance(2 * hour);
      await run.coordinator().collectGarbage();
      for (const task of tasksOf(1)) assert.deepEqual(await leftOf(run, task), nothing, task);
      assert.deepEqual((await readJobRing(run.ports, "pipeline")).record?.former, []);
      assert.ok((await leftOf(run, tasksOf(2)[0]!)).entries > 0);
      await run.push("in", a(100));
      await nextGeneration(run);
      await run.push("in", a(0));
      assert.deepEqual(run.output("out").at(-1), ["a", 115]);
      await run.coordinator().collectGarbage();
      const objects = (await run.ports.blobs.list("")).blobs
        .map(({ name }) => name)
        .filter((name) => !name.startsWith("manifests/"));
      const { record } = await readJobRing(run.ports, "pipeline");
      assert.deepEqual(
        record?.former.map(({ stages }) => stages[0]?.generation),
        [2],
      );
      assert.ok(objects.length > 0 && objects.length < 10, objects.join(" "));
    });

    test("is retired by whoever comes next when one dies in the midst", async () => {
      const fault = new Fault();
      const run = await twoGenerations({ wrapPorts: replacing("journal", "forget", (forget) => fault.around(forget)) });
      run.clock.advance(2 * hour);
      fault.after = 1;
      await assert.rejects(run.coordinator().collectGarbage(), { kind: "unavailable" });
      await run.coordinator().collectGarbage();
      for (const task of tasksOf(1)) assert.deepEqual(await leftOf(run, task), nothing, task);
    });

    test("is known to no environment any more when it goes", async () => {
      const options: Partial<EnvironmentOptions> = { recordMsMax: hour / 3, invocationMsMax: hour / 3 };
      const one = await start({ parallelism });
      await one.push("in", a(1));
      const asleep = new Environment(one.graph, one.ports, { ...defaultEnvironment, ...options, id: "asleep" });
      const task = tasksOf(1).at(-1)!;
      assert.equal((await asleep.turn({ kind: "poke", task })).outcome, "done");
      await nextGeneration(one);
      one.clock.advance(2 * hour);
      await one.coordinator().collectGarbage();
      one.enqueue("in", a(5));
      assert.deepEqual(await asleep.turn({ kind: "poke", task }), { outcome: "stale" }, "it has read the job record anew");
      assert.deepEqual(await leftOf(one, task), nothing, "and written nothing");
    });
  });

test("a fork's copy to which nothing refers stays as long as the record may come to do so, and goes with the generation", async () => {
  const run = await start();
  const copy = copyName(1, "fork-other-7", 1);
  await run.ports.blobs.put(copy, new Uint8Array(1));
  const isThere = async () => {
    await run.coordinator().collectGarbage();
    return (await run.ports.blobs.get(copy)) !== undefined;
  };
  for (let n = 0; n < 5; n++) await run.push("in", a(1));
  assert.equal(await isThere(), true);
  await nextGeneration(run);
  assert.equal(await isThere(), true);
  run.clock.advance(2 * hour);
  await run.coordinator().collectGarbage();
  assert.equal(await isThere(), false);
});

test("tasks go in the reverse of the order in which they are found: those that name others last", async () => {
  const forgotten: TaskId[] = [];
  const wrapPorts = (ports: Ports): Ports =>
    replacing("journal", "forget", (forget) => async (task) => {
      forgotten.push(task);
      return forget(task);
    })(ports);
  const run = await start({ parallelism: 2, wrapPorts });
  await run.push("in", a(1));
  await nextGeneration(run);
  run.clock.advance(2 * hour);
  await run.coordinator().collectGarbage();
  assert.deepEqual(
    forgotten,
    ["g1.sum~1", "g1.sum~0", "g1.in~in:shard-0"].map((name) => id<TaskId>(name)),
  );
});
