/** Whoever takes up a task from its journal goes on as if nothing had happened, wherever the one before stopped. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  generator,
  ndjson,
  fileSink,
  planJob,
  seconds,
  session,
  tumbling,
} from "../../runtime/index.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { decodePartOperation } from "../../runtime/connectors/files/part-operation.ts";
import { openSource } from "../../runtime/connectors/open-sources.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { JobRunner } from "../../runtime/driver/job-runner.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { SinkEffect } from "../../runtime/ports/sink-driver.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";

const events = 600;
const source = generator({
  seed: 1,
  count: events,
  next: (index, random) => ({ key: `k${Math.floor(random() * 12)}`, at: index * 1_000 + Math.floor(random() * 5_000) }),
});

function jobAt(parallelism: number) {
  const build = defineJob(
    "restarted",
    (job) => {
      const keyed = job
        .source("events", source, { timestamps: (event) => event.at, watermarks: boundedOutOfOrderness(seconds(6)) })
        .keyBy((event) => event.key);
      keyed
        .window(tumbling(seconds(30)))
        .aggregate("counts", count(), (key, { start }, n) => ({ key, start, n }))
        .sinkTo("counts-out", fileSink({ path: "counts", format: ndjson() }));
      keyed
        .window(session(seconds(20)))
        .aggregate("sessions", count(), (key, { start, end }, n) => ({ key, start, end, n }))
        .sinkTo("sessions-out", fileSink({ path: "sessions", format: ndjson() }));
    },
    { parallelism, checkpoints: { interval: seconds(1) } },
  );
  return planJob(build);
}

/** Runs the job in turns of ten records; after each step `restarts` says whether another environment goes on. Returns the rows. */
async function run(parallelism: number, restarts: (step: number) => boolean): Promise<readonly string[]> {
  const job = jobAt(parallelism);
  const clock = new ManualClock({ now: 1 });
  const memory = openMemory({ clock });
  const written = new Map<string, string>();
  const carryOut = async ({ operator, payload }: SinkEffect) => {
    const operation = decodePartOperation(payload);
    written.set(`${operator} ${operation.file} ${operation.offset}`, Buffer.from(operation.bytes).toString());
  };
  const sinks = { carryOut, deadLetters: async () => assert.fail("a dead letter"), quarantine: async () => undefined };
  let environments = 0;
  const take = async () => {
    const name = `environment-${++environments}`;
    const reader = openSource("events", source, new Map(), { clock, spoolDirectory: "none", stdin: undefined });
    const ports: Ports = { ...memory, sinks, source: () => reader };
    const environment = new Environment(job, ports, { id: name, ...defaultEnvironment, recordsPerTurn: 10 });
    const createStream = (stream: string, shards: number) => memory.log.createStream(stream, shards);
    const coordinator = new Coordinator(job, ports, { id: name, deployment: 1, safeguards: allSafeguards, createStream });
    const runner = new JobRunner(environment, coordinator, clock, { pollMs: 1, collectEvery: 3 });
    await runner.start();
    return runner;
  };
  let runner = await take();
  for (let step = 0; step < 1_000; step++) {
    clock.advance(300);
    if ((await runner.step()).finished) return [...written.values()].flatMap((rows) => rows.split("\n").filter(Boolean)).sort();
    if (restarts(step)) runner = await take();
  }
  return assert.fail("the job does not end");
}

suite("restarts", () => {
  for (const parallelism of [1, 2])
    test(`at every step, every third and every seventh, at parallelism ${parallelism}`, async () => {
      const undisturbed = await run(parallelism, () => false);
      assert.equal(
        undisturbed.reduce((sum, row) => sum + ((JSON.parse(row) as { n: number }).n ?? 0), 0),
        2 * events,
      );
      for (const every of [1, 3, 7]) assert.deepEqual(await run(parallelism, (step) => step % every === 0), undisturbed);
    });
});
