/** A turn near the end of its invocation commits what is done and says where the rest begins. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { id, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { harness, type HarnessOptions, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";

const all = id<TaskId>("g1.in~all");
const shard = id<ShardId>("shard-0");
const reserveMs = 500;
const costMs = 10;

/** A job each of whose records takes its time, by the harness's clock. */
async function start(options: HarnessOptions = {}) {
  let run: RunningHarness | undefined = undefined;
  const slow = keyedProcess({
    key: type<string>(),
    state: { count: value<number>() },
    output: type<number>(),
    onRecord({ n = 0 }: Event, ctx) {
      run?.clock.advance(costMs);
      ctx.state.count.set((ctx.state.count.get() ?? 0) + 1);
      ctx.emit(n);
    },
  });
  const job = pipeline((events) => events.keyBy(({ key }) => key as string).process("slow", slow));
  run = (await harness(job, options)) as RunningHarness;
  return run;
}

function fill(run: RunningHarness, count: number): number[] {
  const ns = Array.from({ length: count }, (_, n) => n);
  run.enqueue("in", ...ns.map((n) => ({ value: event(`k${n % 5}`, n, n) })));
  return ns;
}

function environment(run: RunningHarness) {
  return new Environment(run.graph, run.ports, { ...defaultEnvironment, reserveMs, id: "limited" });
}

describe("a batch that takes longer than the invocation", () => {
  test("is committed as far as the time goes, with the reserve left, and its rest is named", async () => {
    const run = await start();
    const ns = fill(run, 1_000);
    const env = environment(run);
    const { records } = await run.source("in").read("in", shard, "horizon", { records: 10_000, bytes: 1e9 });
    let rest = records;
    const parts: number[] = [];
    while (rest.length > 0) {
      run.clock.setDeadline(run.clock.now() + 3_000);
      const outcome = await env.turn({ kind: "records", source: "in", shard, records: rest });
      assert.ok(outcome.outcome === "done");
      assert.ok(run.clock.remainingMs() > reserveMs / 2, `${run.clock.remainingMs()} ms are left`);
      const at =
        outcome.unprocessed === undefined ? rest.length : rest.findIndex(({ position }) => position === outcome.unprocessed);
      assert.equal(run.output("out").length, ns.length - rest.length + at, "what comes before it is done, and nothing else");
      parts.push(at);
      rest = rest.slice(at);
    }
    assert.deepEqual(run.output("out"), ns);
    assert.ok(parts.length >= 4 && parts.length <= 6, `turns of ${parts}`);
  });

  test("gets on by one part at least, however short the time is", async () => {
    const run = await start();
    const ns = fill(run, 100);
    const env = environment(run);
    for (let turns = 0; run.output("out").length < ns.length; turns++) {
      assert.ok(turns < 100);
      run.clock.setDeadline(run.clock.now());
      await env.turn({ kind: "poke", task: all });
    }
    assert.deepEqual(run.output("out"), ns);
  });

  test("is taken in whole where nothing ends the invocation", async () => {
    const run = await start();
    const ns = fill(run, 1_000);
    const outcome = await environment(run).turn({ kind: "poke", task: all });
    assert.ok(outcome.outcome === "done" && outcome.commits === 1 && outcome.unprocessed === undefined);
    assert.deepEqual(run.output("out"), ns);
  });
});

test("a poke that runs out of time leaves other shards to the next", async () => {
  const run = await start({ shards: 3 });
  for (let n = 0; n < 300; n++) run.enqueue("in", { value: event("k", n, n), shard: n % 3 });
  const env = environment(run);
  const done: number[] = [];
  while (run.output("out").length < 300) {
    run.clock.setDeadline(run.clock.now() + 1_500);
    await env.turn({ kind: "poke", task: all });
    assert.ok(run.clock.remainingMs() > 0, "within its time");
    done.push(run.output("out").length);
    assert.ok(done.length < 20);
  }
  assert.deepEqual(
    [...run.output<number>("out")].sort((a, b) => a - b),
    Array.from({ length: 300 }, (_, n) => n),
  );
});

test("the gap before a batch is read within the time too, and the batch comes again", async () => {
  const run = await start();
  fill(run, 400);
  const env = environment(run);
  const { records } = await run.source("in").read("in", shard, "horizon", { records: 10_000, bytes: 1e9 });
  const batch = records.slice(390);
  run.clock.setDeadline(run.clock.now() + 2_000);
  const outcome = await env.turn({ kind: "records", source: "in", shard, records: batch });
  assert.ok(outcome.outcome === "done");
  assert.equal(outcome.unprocessed, batch[0]!.position);
  assert.ok(run.output("out").length > 0 && run.output("out").length < 390);
});
