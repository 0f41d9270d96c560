/** A job that would drain its input into the dead letters pauses: what it put aside stays within the ceiling, and it says why. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { harness, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";

const perMinuteMax = 20;
/** Records that are taken in before a task looks. */
const overshoot = 256;

const broken = { yes: true };
const counting = keyedProcess({
  key: type<string>(),
  state: { seen: value<number>() },
  output: type<readonly [string, number]>(),
  onRecord({ key }: Event, ctx) {
    if (broken.yes) throw new Error("broken");
    const seen = (ctx.state.seen.get() ?? 0) + 1;
    ctx.state.seen.set(seen);
    ctx.emit([key as string, seen]);
  },
});

async function jobAt(parallelism: number, ceiling: number | undefined): Promise<RunningHarness> {
  const options = { parallelism, ...(ceiling !== undefined && { deadLetters: { perMinuteMax: ceiling } }) };
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting), options);
  const run = (await harness(build, { shards: 2 })) as RunningHarness;
  for (let n = 0; n < 3_000; n++) run.enqueue("in", { value: event(`k${n % 4}`, 0), shard: n % 2 });
  return run;
}

let lives = 0;
function coordinatorOn(run: RunningHarness): Coordinator {
  const createStream = (stream: string, shards: number) => (run.ports.log as any).createStream(stream, shards);
  return new Coordinator(run.graph, run.ports, { id: `c${++lives}`, deployment: 1, safeguards: allSafeguards, createStream });
}

/** Other environments each time, as Lambda does. */
async function go(run: RunningHarness, rounds: number): Promise<void> {
  const coordinator = coordinatorOn(run);
  for (let round = 0; round < rounds; round++) {
    for (const task of await coordinator.livingTasks()) await run.environment(`e${++lives}`).turn({ kind: "poke", task });
    await coordinator.start();
    await coordinator.tick();
  }
}

async function recordOf(run: RunningHarness) {
  return (await readJobRecord(run.ports, run.graph.name))!;
}

describe("a ceiling on dead letters", () => {
  for (const parallelism of [1, 2])
    test(`pauses the job at parallelism ${parallelism}, which goes on where it was once it is told to`, async () => {
      broken.yes = true;
      const run = await jobAt(parallelism, perMinuteMax);
      await go(run, 12);
      const { phase, reason, completed } = await recordOf(run);
      assert.equal(phase, "paused");
      assert.match(reason!, /too many dead letters, of task g1\..*: \d+ within a minute, the job allows 20$/);
      assert.notEqual(completed, undefined);
      const aside = run.deadLetters().length;
      if (parallelism === 1) assert.ok(aside > perMinuteMax && aside <= perMinuteMax + overshoot, `${aside} were put aside`);

      broken.yes = false;
      await coordinatorOn(run).order({ kind: "resume", id: "fixed" });
      await go(run, 12);
      assert.equal((await recordOf(run)).phase, "running");
      assert.equal((await recordOf(run)).reason, undefined);
      assert.equal(run.output("out").length + run.deadLetters().length, 3_000, "nothing is lost or taken in twice");
      assert.equal(run.deadLetters().length, aside);
    });

  test("that is not reached, or not set, changes nothing", async () => {
    broken.yes = true;
    for (const ceiling of [3_000, undefined]) {
      const run = await jobAt(1, ceiling);
      await go(run, 12);
      assert.equal((await recordOf(run)).phase, "running");
      assert.equal(run.deadLetters().length, 3_000);
      assert.equal(run.telemetry.total("turn.deadLetters"), 3_000, "each is counted in the turn that puts it aside, once");
    }
  });
});
