/** Shards that follow others: nobody but their own batches tells that it is their turn (L8, L11). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openMemory } from "../../runtime/adapters/memory/open-memory.ts";
import { ManualClock } from "../../runtime/adapters/memory/manual-clock.ts";
import type { Source } from "../../runtime/api/connector.ts";
import { id, type Position, type ShardId } from "../../runtime/base/ids.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment } from "../../runtime/driver/environment-options.ts";
import { ancestorsOf } from "../../runtime/driver/shard-lineage.ts";
import { customSink, defineJob, planJob } from "../../runtime/index.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { LogReader, Shard } from "../../runtime/ports/log.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";

const source: Source<string> = {
  kind: "test",
  name: "texts",
  bounded: false,
  options: {},
  decode: ({ bytes }, target) => target.accept(Buffer.from(bytes).toString()),
};

const top = (1n << 128n) - 1n;

/** A job that is rung by nobody but the test. */
async function start(parallelism: number, instead: (log: LogReader) => LogReader = (log) => log) {
  const graph = planJob(
    defineJob("resharding", (job) => job.source("in", source).sinkTo("out", customSink<string>(unwritten)), { parallelism }),
  );
  const clock = new ManualClock({ now: 1 });
  const memory = openMemory({ clock });
  const { log } = memory;
  await log.createStream("texts", 1);
  const out: string[] = [];
  const carryOut = async ({ payload }: { readonly payload: Uint8Array }) => void out.push(Buffer.from(payload).toString());
  const sinks = { carryOut, deadLetters: async () => assert.fail("a dead letter"), quarantine: async () => undefined };
  const reader = instead(log);
  const ports: Ports = { ...memory, sinks, source: () => reader };
  const createStream = (stream: string, shards: number) => log.createStream(stream, shards);
  const coordinator = new Coordinator(graph, ports, { id: "one", deployment: 1, safeguards: allSafeguards, createStream });
  await coordinator.start();
  const environment = new Environment(graph, ports, { ...defaultEnvironment, id: "one", recordsPerTurn: 2 });
  return {
    log,
    environment,
    coordinator,
    put: (hashKey: bigint, ...texts: string[]) =>
      log.append(
        "texts",
        texts.map((text) => ({ hashKey, bytes: Buffer.from(text) })),
      ),
    /** What its mapping delivers: all that a shard holds. */
    deliver: async (shard: ShardId) => {
      const { records } = await log.read("texts", shard, "horizon", { records: 100, bytes: 1e6 });
      return environment.turn({ kind: "records", source: "in", shard, records });
    },
    /** The texts that were put out, in their order. */
    texts: () => out.flatMap((payload) => payload.match(/(?:parent|low|high|child|grandchild)-?\d/g) ?? []),
    open: async () => (await log.shards("texts")).filter(({ closed }) => !closed),
  };
}

const unwritten = { name: "unwritten", accepts: ["append"], guarantee: "atLeastOnce", write: async () => undefined } as const;

for (const parallelism of [1, 2])
  describe(`L8, L11: at parallelism ${parallelism}, a child's batch`, () => {
    test("has what is left of its parent read first, whose mapping is late", async () => {
      const job = await start(parallelism);
      await job.put(0n, "parent1", "parent2", "parent3", "parent4", "parent5");
      const [parent] = await job.open();
      const [low, high] = await job.log.splitShard("texts", parent!.id);
      await job.put(0n, "low1");
      await job.put(top, "high1");
      const brought = await job.deliver(high);
      assert.ok(brought.outcome === "done");
      // What is read of the parent is committed by itself, so that it stays when a race for what follows is lost.
      if (parallelism === 1) assert.equal(brought.commits, 4);
      assert.deepEqual(job.texts(), ["parent1", "parent2", "parent3", "parent4", "parent5", "high1"]);
      assert.equal((await job.deliver(low)).outcome, "done");
      assert.equal((await job.deliver(parent!.id)).outcome, "done", "and the parent's own batch is done, without further effect");
      assert.deepEqual(job.texts().toSorted(), ["high1", "low1", "parent1", "parent2", "parent3", "parent4", "parent5"]);
    });

    test("has all its ancestors read, oldest first, those of a merged shard too", async () => {
      const job = await start(parallelism);
      await job.put(0n, "parent1", "parent2", "parent3");
      const [parent] = await job.open();
      const [low, high] = await job.log.splitShard("texts", parent!.id);
      await job.put(0n, "low1", "low2", "low3");
      await job.put(top, "high1");
      const merged = await job.log.mergeShards("texts", low, high);
      await job.put(0n, "grandchild1");
      assert.equal((await job.deliver(merged)).outcome, "done");
      const texts = job.texts();
      assert.deepEqual(texts.slice(0, 3), ["parent1", "parent2", "parent3"]);
      assert.deepEqual(texts.slice(3, 7).toSorted(), ["high1", "low1", "low2", "low3"]);
      assert.deepEqual(texts.slice(7), ["grandchild1"]);
    });

    test("is not done while its parent cannot be read to its end, and nothing of it is put out", async () => {
      let isOpen = true;
      // A parent whose end does not show yet.
      const job = await start(parallelism, (log) => ({
        shards: (stream) => log.shards(stream),
        read: async (stream, shard, after, limit) => {
          const read = await log.read(stream, shard, after, limit);
          return isOpen && read.next === undefined ? { ...read, next: after === "horizon" ? id<Position>("0") : after } : read;
        },
      }));
      await job.put(0n, "parent1");
      const [parent] = await job.open();
      const [low] = await job.log.splitShard("texts", parent!.id);
      await job.put(0n, "low1");
      const refused = await job.deliver(low);
      assert.ok(refused.outcome === "waiting" || (refused.outcome === "done" && refused.unprocessed !== undefined));
      assert.deepEqual(job.texts(), ["parent1"]);
      isOpen = false;
      const done = await job.deliver(low);
      assert.ok(done.outcome === "done" && done.unprocessed === undefined);
      assert.deepEqual(job.texts(), ["parent1", "low1"]);
    });

    test("waits while the job is being stopped: its parent rests at its end, and nothing of it would be in the savepoint", async () => {
      const job = await start(parallelism);
      await job.put(0n, "parent1");
      const [parent] = await job.open();
      assert.equal((await job.deliver(parent!.id)).outcome, "done");
      const [low] = await job.log.splitShard("texts", parent!.id);
      await job.put(0n, "low1");
      await job.coordinator.order({ kind: "stop", id: "stop" });
      await job.coordinator.tick();
      // Of a single task the children are read in the turn in which the parent ends: what comes behind that turn is the question.
      for (const task of await job.coordinator.livingTasks()) await job.environment.turn({ kind: "poke", task });
      const contained = job.texts();
      await job.put(0n, "low2");
      assert.equal((await job.deliver(low)).outcome, "waiting");
      assert.deepEqual(job.texts(), contained);
      await job.coordinator.tick();
      await job.coordinator.tick();
      assert.equal((await job.coordinator.order({ kind: "resume", id: "resume" })).generation, 2);
      await job.deliver(low);
      assert.deepEqual(job.texts().toSorted(), ["low1", "low2", "parent1"]);
    });
  });

for (const parallelism of [1, 2])
  test(
    `a batch whose shard's parent rests is answered at once, at parallelism ${parallelism}`,
    { timeout: 600_000 },
    async () => {
      const job = await start(parallelism);
      await job.put(0n, "parent1");
      const [parent] = await job.open();
      const [low] = await job.log.splitShard("texts", parent!.id);
      await job.put(0n, "low1");
      assert.equal((await job.deliver(low)).outcome, "done");
      await job.coordinator.order({ kind: "stop", id: "stop" });
      // The first look asks those with whom the generation began, the second those who go on after them.
      for (let look = 0; look < 2; look++) await job.coordinator.tick();
      for (const task of await job.coordinator.livingTasks()) await job.environment.turn({ kind: "poke", task });
      const [lowest] = await job.log.splitShard("texts", low);
      await job.put(0n, "grandchild1");
      assert.equal((await job.deliver(lowest)).outcome, "waiting");
      assert.deepEqual(job.texts(), ["parent1", "low1"]);
    },
  );

test("ancestors come oldest first, each once", () => {
  const shard = (name: string, ...parents: string[]): Shard => ({
    id: id<ShardId>(name),
    range: { from: 0n, to: 0n },
    parents: parents.map((parent) => id<ShardId>(parent)),
    closed: true,
  });
  const shards = [shard("a"), shard("b", "a"), shard("c", "a"), shard("d", "b", "c"), shard("e", "d"), shard("f")];
  const ancestors = ancestorsOf(id<ShardId>("e"), shards);
  assert.equal(ancestors.length, 4);
  assert.equal(ancestors[0], "a");
  assert.equal(ancestors[3], "d");
  assert.deepEqual(ancestorsOf(id<ShardId>("f"), shards), []);
});
