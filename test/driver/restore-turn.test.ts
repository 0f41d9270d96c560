/**
 * G1: coordinators that restore a job at once take turns. One that is held up in the midst of it, and whose turn another has taken, changes
 * nothing any more when it comes back: by then the job may be a generation further, with other streams.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyedProcess, type, value } from "../../runtime/index.ts";
import { isKind } from "../../runtime/base/errors.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { restoreTurnMs } from "../../runtime/driver/generations.ts";
import { readJobRecord } from "../../runtime/driver/job-ring.ts";
import { takeLease } from "../../runtime/driver/lease.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import { restoreLease } from "../../runtime/snapshots/names.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { harness, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, pipeline } from "../operators/pipeline.ts";

const seen = keyedProcess({
  key: type<string>(),
  state: { seen: value<number>() },
  output: type<string>(),
  onRecord(_: Event, ctx) {
    ctx.emit(ctx.key);
  },
});

function start(): Promise<RunningHarness> {
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("seen", seen), { parallelism: 2 });
  return harness(build, { shards: 2 }) as Promise<RunningHarness>;
}

/** A step of a restore: what it was, and by whom. */
interface Step {
  readonly by: string;
  readonly what: "takes back" | "makes the inbox";
}

/** Coordinators on one job, whose steps are listed; `holdUp` is awaited in the midst of each. */
function coordinators(
  run: RunningHarness,
  holdUp: (by: string, at: Step["what"]) => Promise<void>,
  { takesTurns = true, clock = run.ports.clock }: { readonly takesTurns?: boolean; readonly clock?: Clock } = {},
) {
  const steps: Step[] = [];
  const atOnce = { now: 0, most: 0 };
  const of = (by: string): Coordinator => {
    const { sinks } = run.ports;
    const ports: Ports = {
      ...run.ports,
      clock,
      sinks: {
        carryOut: (effect) => sinks.carryOut(effect),
        deadLetters: (batch) => sinks.deadLetters(batch),
        quarantine: async (...args) => {
          steps.push({ by, what: "takes back" });
          atOnce.most = Math.max(atOnce.most, ++atOnce.now);
          await holdUp(by, "takes back");
          await sinks.quarantine(...args);
          atOnce.now--;
        },
      },
    };
    return new Coordinator(run.graph, ports, {
      id: by,
      deployment: 1,
      safeguards: allSafeguards,
      createStream: async (stream, shards, mayGoOn) => {
        await holdUp(by, "makes the inbox");
        if (!(await mayGoOn())) return;
        steps.push({ by, what: "makes the inbox" });
        await (run.ports.log as any).createStream(stream, shards);
      },
      ...(takesTurns && { restoreTurn: () => takeLease(ports, restoreLease, by, restoreTurnMs(ports.clock)) }),
    });
  };
  return { of, steps, atOnce };
}

/** A job with a checkpoint, and a restore of it that somebody has ordered and nobody has begun to carry out. */
async function ordered(): Promise<RunningHarness> {
  const run = await start();
  await run.checkpoint();
  const record = (await readJobRecord(run.ports, run.graph.name))!;
  const orderer = coordinators(run, () => Promise.reject(new Error("dies")), { takesTurns: false }).of("orderer");
  await assert.rejects(orderer.order({ kind: "restore", id: "go back", manifest: record.completed }), /dies/);
  assert.equal((await readJobRecord(run.ports, run.graph.name))!.phase, "restoring");
  return run;
}

describe("a restore (G1)", () => {
  test("is carried out by one; who looks meanwhile leaves it to it, who gives an order waits", async () => {
    const run = await ordered();
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const { of, steps, atOnce } = coordinators(run, () => held);
    const first = of("first").start();
    while (atOnce.now === 0) await new Promise(setImmediate);
    assert.equal((await of("looker").start()).phase, "restoring");
    const order = of("orderer").order({ kind: "savepoint", id: "save" });
    await new Promise(setImmediate);
    goOn();
    assert.equal((await first).phase, "running");
    run.clock.advance(1_000);
    assert.notEqual((await order).wanted, undefined);
    assert.equal(atOnce.most, 1);
    assert.deepEqual(steps, [
      { by: "first", what: "takes back" },
      { by: "first", what: "makes the inbox" },
    ]);
  });

  test("is taken over from one that is held up, which changes nothing when it comes back", async () => {
    const run = await ordered();
    let comeBack: () => void = () => undefined;
    const away = new Promise<void>((resolve) => (comeBack = resolve));
    const { of, steps, atOnce } = coordinators(run, (by) => (by === "first" ? away : Promise.resolve()));
    const first = of("first").start();
    while (atOnce.now === 0) await new Promise(setImmediate);
    run.clock.advance(restoreTurnMs(run.clock));
    const { phase, generation } = await of("second").start();
    assert.equal(phase, "running");
    comeBack();
    assert.deepEqual([(await first).phase, (await first).generation], ["running", generation]);
    assert.deepEqual(
      steps.filter(({ what }) => what === "makes the inbox").map(({ by }) => by),
      ["second"],
    );
  });

  test("is left, too, by one that was held up while it looked at an inbox, though it may be at the same generation", async () => {
    const run = await ordered();
    const held: (() => void)[] = [];
    const holdUp = (_: string, at: Step["what"]) =>
      at === "takes back" ? Promise.resolve() : new Promise<void>((resolve) => held.push(resolve));
    const { of, steps } = coordinators(run, holdUp);
    const first = of("first").start();
    while (held.length < 1) await new Promise(setImmediate);
    run.clock.advance(restoreTurnMs(run.clock));
    const second = of("second").start();
    while (held.length < 2) await new Promise(setImmediate);
    held[0]!();
    assert.equal((await first).phase, "restoring");
    held[1]!();
    assert.equal((await second).phase, "running");
    assert.deepEqual(
      steps.filter(({ what }) => what === "makes the inbox").map(({ by }) => by),
      ["second"],
    );
  });

  test("is not waited for beyond the time of the invocation", async () => {
    const run = await ordered();
    await takeLease(run.ports, restoreLease, "who is at it", restoreTurnMs(run.clock));
    const clock: Clock = { now: () => run.clock.now(), sleep: () => assert.fail("it waits"), remainingMs: () => 1_000 };
    const { of, steps } = coordinators(run, () => Promise.resolve(), { clock });
    await assert.rejects(
      of("orderer").order({ kind: "savepoint", id: "save" }),
      (error) => isKind(error, "unavailable") && /another coordinator restores/.test(error.message),
    );
    assert.deepEqual(steps, []);
  });
});
