/**
 * L5: what a sink calls its objects, what its effects are versioned by and what dead letters are called go on from the parents' when a shard is
 * split.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import type { Sink, Source } from "../../runtime/api/connector.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import { defineJob, planJob, seconds } from "../../runtime/index.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { DeadLetterBatch, SinkDriver, SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";

const source: Source<string> = {
  kind: "texts",
  name: "texts",
  bounded: false,
  options: {},
  decode: ({ bytes }, target) => (textOf(bytes) === "bad" ? target.reject("it is bad") : target.accept(textOf(bytes))),
};

/** A payload is the seq that its writer was told. */
const sink: Sink<string> = {
  kind: "seqs",
  name: "seqs",
  guarantee: "exactlyOnce",
  options: {},
  createWriter: ({ seq }) => {
    let rows = 0;
    return {
      add: () => void rows++,
      flush: () => (rows > 0 ? ((rows = 0), [bytesOf(String(seq()))]) : []),
      state: () => undefined,
      restore: () => undefined,
    };
  },
};

/** A job on a stream of one shard, whose effects are kept. */
async function openRun() {
  const graph = defineJob("versions", (job) => job.source("in", source).sinkTo("out", sink), {
    parallelism: 2,
    checkpoints: { interval: seconds(60) },
    onUserError: "deadLetter",
  });
  const job = planJob(graph);
  const clock = new ManualClock({ now: 1 });
  const memory = openMemory({ clock });
  await memory.log.createStream("texts", 1);
  const [parent] = await memory.log.shards("texts");
  const effects: SinkEffect[] = [];
  const batches: DeadLetterBatch[] = [];
  const sinks: SinkDriver = {
    carryOut: async (effect) => void effects.push(effect),
    deadLetters: async (batch) => void batches.push(batch),
    quarantine: async () => undefined,
  };
  const ports: Ports = { ...memory, sinks, source: () => memory.log };
  const environment = new Environment(job, ports, { ...defaultEnvironment, id: "one", recordsPerTurn: 1 });
  const createStream = (stream: string, shards: number) => memory.log.createStream(stream, shards);
  const coordinator = new Coordinator(job, ports, { id: "one", deployment: 1, safeguards: allSafeguards, createStream });
  const runner = new JobRunner(environment, coordinator, clock, { pollMs: 1, collectEvery: 100 });
  await runner.start();
  return {
    effects,
    batches,
    settle: async () => {
      for (let worked = true; worked; clock.advance(10)) ({ worked } = await runner.step());
    },
    append: (...texts: readonly string[]) =>
      memory.log.append(
        "texts",
        texts.map((text) => ({ hashKey: 0n, bytes: bytesOf(text) })),
      ),
    split: () => memory.log.splitShard("texts", parent!.id),
  };
}

test("L5: a sink's writer is told the version that its effects have, above those of the tasks before it", async () => {
  const { effects, settle, append, split } = await openRun();
  for (let n = 0; n < 3; n++) await append("x");
  await settle();
  await split();
  await append("x");
  await settle();
  const told = effects.map(({ payload }) => Number(textOf(payload)));
  assert.deepEqual(
    effects.map(({ seq }) => seq),
    told,
  );
  const ofChild = effects.filter(({ task }) => task !== effects[0]!.task);
  assert.equal(ofChild.length, 1);
  assert.ok(ofChild[0]!.seq > Math.max(...effects.filter(({ task }) => task === effects[0]!.task).map(({ seq }) => seq)));
});

test("L5: a dead letter has the version of its commit, by which a restore tells what was put aside after its checkpoint", async () => {
  const { effects, batches, settle, append, split } = await openRun();
  for (let n = 0; n < 3; n++) await append("x");
  await settle();
  await split();
  await append("x", "bad");
  await settle();
  const [letter] = batches;
  assert.equal(effects.length, 4);
  assert.ok(letter!.seq > Math.max(...effects.map(({ seq }) => seq)), `${letter!.seq} stands above what came before it`);
});
