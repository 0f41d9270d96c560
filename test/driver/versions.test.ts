/** L5: what a sink calls its objects and what effects and dead letters are versioned by go on from the parents' when a shard is split. */
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
import type { DeadLetterBatch, SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { bytesOf, textOf } from "../ports/adapter-maker.ts";

const source: Source<string> = {
  kind: "texts",
  name: "texts",
  bounded: false,
  options: {},
  decode: ({ bytes }, target) => {
    target.accept(textOf(bytes));
    target.reject("a letter beside each");
  },
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

test("L5: a sink's writer is told the version that its effects have, above those of the tasks before it", async () => {
  const graph = defineJob("versions", (job) => job.source("in", source).sinkTo("out", sink), {
    parallelism: 2,
    checkpoints: { interval: seconds(60) },
  });
  const job = planJob(graph);
  const clock = new ManualClock({ now: 1 });
  const memory = openMemory({ clock });
  await memory.log.createStream("texts", 1);
  const [parent] = await memory.log.shards("texts");
  const effects: SinkEffect[] = [];
  const carryOut = async (effect: SinkEffect) => void effects.push(effect);
  const letters: DeadLetterBatch[] = [];
  const deadLetters = async (batch: DeadLetterBatch) => void letters.push(batch);
  const sinks = { carryOut, deadLetters, quarantine: async () => undefined };
  const ports: Ports = { ...memory, sinks, source: () => memory.log };
  const environment = new Environment(job, ports, { ...defaultEnvironment, id: "one", recordsPerTurn: 1 });
  const createStream = (stream: string, shards: number) => memory.log.createStream(stream, shards);
  const coordinator = new Coordinator(job, ports, { id: "one", deployment: 1, safeguards: allSafeguards, createStream });
  const runner = new JobRunner(environment, coordinator, clock, { pollMs: 1, collectEvery: 100 });
  await runner.start();
  const settle = async () => {
    for (let worked = true; worked; clock.advance(10)) ({ worked } = await runner.step());
  };
  const append = (hashKey: bigint) => memory.log.append("texts", [{ hashKey, bytes: bytesOf("x") }]);
  for (let n = 0; n < 3; n++) await append(0n);
  await settle();
  await memory.log.splitShard("texts", parent!.id);
  await append(0n);
  await settle();
  const told = effects.map(({ payload }) => Number(textOf(payload)));
  assert.deepEqual(
    effects.map(({ seq }) => seq),
    told,
  );
  const versionOf = ({ task, seq }: SinkEffect | DeadLetterBatch) => [task, seq];
  assert.deepEqual(letters.map(versionOf), effects.map(versionOf), "dead letters are told to be beyond a checkpoint by it too");
  const ofChild = effects.filter(({ task }) => task !== effects[0]!.task);
  assert.equal(ofChild.length, 1);
  assert.ok(ofChild[0]!.seq > Math.max(...effects.filter(({ task }) => task === effects[0]!.task).map(({ seq }) => seq)));
});
