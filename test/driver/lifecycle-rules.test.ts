/** Rules that show in how a task is rung and how its turn ends: R5's one proof with L4, L11, L13, L16. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { boundedOutOfOrderness, keyedProcess, millis, minutes, seconds, type, value } from "../../runtime/index.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { id, type ShardId, type TaskId } from "../../runtime/base/ids.ts";
import { carryOut } from "../../runtime/driver/carry-out.ts";
import { Coordinator } from "../../runtime/driver/coordinator.ts";
import type { Doorbell } from "../../runtime/driver/doorbell.ts";
import { InboxShards } from "../../runtime/driver/inbox-shards.ts";
import { Environment } from "../../runtime/driver/environment.ts";
import { defaultEnvironment, type EnvironmentOptions } from "../../runtime/driver/environment-options.ts";
import { loadCommit } from "../../runtime/driver/journal-entry.ts";
import type { LogReader } from "../../runtime/ports/log.ts";
import type { Ports } from "../../runtime/ports/ports.ts";
import type { Commit } from "../../runtime/state/commit.ts";
import { endMessage, inboxName } from "../../runtime/snapshots/names.ts";
import { fullRange } from "../../runtime/streaming/hash-range.ts";
import { allSafeguards } from "../../runtime/task/safeguards.ts";
import { harness, type HarnessOptions, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { replacing } from "./faulty-ports.ts";

const summing = keyedProcess({
  key: type<string>(),
  state: { sum: value<number>() },
  output: type<number>(),
  onRecord({ n = 0 }: Event, ctx) {
    ctx.state.sum.set((ctx.state.sum.get() ?? 0) + n);
    ctx.emit(ctx.state.sum.get() ?? 0);
  },
});
const sums = pipeline((events) => events.keyBy(({ key }) => key as string).process("sum", summing));

const all = id<TaskId>("g1.in~all");
const reader = id<TaskId>("g1.in~in:shard-0");
const shard = (n: number) => id<ShardId>(`shard-${n}`);
const poke = (task: TaskId) => ({ kind: "poke", task }) as const;
const a = (n: number) => ({ value: event("a", 0, n) });

async function start(options: HarnessOptions = {}): Promise<RunningHarness> {
  return (await harness(sums, options)) as RunningHarness;
}

function environment(run: RunningHarness, name: string, options: Partial<EnvironmentOptions> = {}, ports: Ports = run.ports) {
  return new Environment(run.graph, ports, { ...defaultEnvironment, ...options, id: name });
}

async function commitsOf({ ports }: RunningHarness, task: TaskId) {
  const { entries } = await ports.journal.tail(task, 0);
  return Promise.all(entries.map((entry) => loadCommit(task, entry, ports.blobs)));
}

/** How often the sink effects of which entry were carried out. */
class SinkCalls {
  readonly seqs: number[] = [];
  readonly wrapPorts = replacing("sinks", "carryOut", (carryOut) => async (effect) => {
    if (effect.n === 0) this.seqs.push(effect.seq);
    await carryOut(effect);
  });
}

/** What a mapping would deliver: records `from` to `to` of a shard, by position. */
async function batch(run: RunningHarness, from: number, to: number, n = 0): Promise<Doorbell> {
  const { records } = await run.source("in").read("in", shard(n), "horizon", { records: 1_000, bytes: 1e9 });
  return { kind: "records", source: "in", shard: shard(n), records: records.slice(from - 1, to) };
}

describe("R5 a head's effects are proven done", () => {
  /** One environment takes the first batch of a mapping and is not seen again; `next` is rung after it. Returns the sink calls. */
  async function after(
    next: (run: RunningHarness) => Promise<Doorbell>,
    options: {
      readonly shards?: number;
      readonly deployment?: number;
      readonly first?: (run: RunningHarness) => Promise<Doorbell>;
    } = {},
  ): Promise<readonly number[]> {
    const calls = new SinkCalls();
    const { shards = 1, deployment = 1, first = (run) => batch(run, 1, 3) } = options;
    const run = await start({ wrapPorts: calls.wrapPorts, shards });
    for (let n = 0; n < shards; n++) run.enqueue("in", ...[1, 2, 3, 4, 5, 6].map((i) => ({ ...a(i), shard: n })));
    await environment(run, "first").turn(await first(run));
    assert.deepEqual(calls.seqs, [1]);
    await environment(run, "next", { deployment }).turn(await next(run));
    return calls.seqs;
  }

  test("by its mapping's next batch, which comes only after success", async () => {
    assert.deepEqual(await after((run) => batch(run, 4, 6)), [1, 2]);
  });

  test("not by the same batch, nor by one that begins with a part of it", async () => {
    assert.deepEqual(await after((run) => batch(run, 1, 3)), [1, 1]);
    assert.deepEqual(await after((run) => batch(run, 3, 6)), [1, 1, 2]);
  });

  test("not by a poke, nor by a batch that somebody read for himself", async () => {
    assert.deepEqual(await after(async () => poke(all)), [1, 1, 2]);
    assert.deepEqual(await after(async (run) => ({ ...(await batch(run, 4, 6)), after: "3" }) as Doorbell), [1, 1, 2]);
  });

  test("not when the head was written in a poke's turn", async () => {
    const options = { first: async () => poke(all) };
    const seqs = await after(async (run) => {
      run.enqueue("in", a(7));
      return batch(run, 7, 7);
    }, options);
    assert.deepEqual(seqs, [1, 1, 2]);
  });

  test("not with several shards: the mapping of one says nothing of the other's batch", async () => {
    assert.deepEqual(await after((run) => batch(run, 4, 6), { shards: 2 }), [1, 1, 2]);
    assert.deepEqual(await after((run) => batch(run, 1, 3, 1), { shards: 2 }), [1, 1, 2]);
  });

  test("L4 not in another deployment, whose mapping may begin elsewhere", async () => {
    assert.deepEqual(await after((run) => batch(run, 4, 6), { deployment: 2 }), [1, 1, 2]);
  });

  test("not when the head only read up to its batch", async () => {
    const calls = new SinkCalls();
    // Every frame ends a commit, so what was read before the batch is a commit of its own.
    const run = await start({ wrapPorts: calls.wrapPorts });
    run.enqueue("in", ...[1, 2, 3, 4, 5].map(a));
    let written = 0;
    const journal = replacing("journal", "write", (write) => async (task, entry) => {
      if (task === all && ++written > 1) throw new MillraceError("unavailable", "gone after the first");
      return write(task, entry);
    });
    const limited = environment(
      run,
      "limited",
      { reserveMs: 10 },
      { ...journal(run.ports), clock: { ...run.clock, now: () => 0, sleep: async () => {}, remainingMs: () => 5 } },
    );
    const delivered = await batch(run, 4, 5);
    await limited.turn(delivered);
    const [head] = await commitsOf(run, all);
    assert.equal(head?.by, "poke");
    await environment(run, "next").turn(delivered);
    assert.deepEqual(calls.seqs, [1, 1, 2]);
  });

  test("not while one who was given a batch before a restore may live, however long the restore took", async () => {
    const run = await start();
    await run.checkpoint();
    run.enqueue("in", a(1), a(2));
    const slowly = replacing("sinks", "quarantine", (quarantine) => async (...args) => {
      run.clock.advance(30 * 60_000);
      await quarantine(...args);
    })(run.ports);
    const options = { id: "restorer", deployment: 1, safeguards: allSafeguards, createStream: async () => undefined };
    const { phase } = await new Coordinator(run.graph, slowly, options).restore(run.runner.record!.completed!);
    assert.equal(phase, "running");
    const dying = replacing("sinks", "carryOut", () => async () => {
      throw new MillraceError("unavailable", "dies before the effects");
    })(run.ports);
    await assert.rejects(environment(run, "dying", {}, dying).turn(await batch(run, 1, 1)), { kind: "unavailable" });
    await environment(run, "next").turn(await batch(run, 2, 2));
    assert.deepEqual(run.output("out"), [1, 3]);
  });

  test("right after a restore, behind the place where a read has found nothing more", async () => {
    const run = await start();
    let n = 0;
    for (const generation of [2, 3]) {
      const { phase } = await run.coordinator(`restorer ${generation}`).restore(await run.checkpoint());
      assert.equal(phase, "running");
      const before = run.telemetry.total("turn.effectsRepeated");
      for (const repeated of [0, 1, 1, 1]) {
        run.enqueue("in", a(++n));
        await environment(run, `environment ${n}`).turn(await batch(run, n, n));
        assert.equal(run.telemetry.total("turn.effectsRepeated") - before, repeated, `batch ${n}`);
      }
    }
  });

  test("of a keyed task by its inbox's next batch", async () => {
    const calls = new SinkCalls();
    const run = await start({ parallelism: 2, wrapPorts: calls.wrapPorts });
    const frames = environment(run, "source");
    for (const n of [1, 2]) {
      run.enqueue("in", a(n));
      await frames.turn(poke(reader));
    }
    const { tasks } = run.runner.record!.topology.find(({ kind }) => kind === "keyed")!;
    const stream = inboxName(1, "sum");
    const shards = await run.ports.log.shards(stream);
    for (const [n, { task }] of tasks.entries()) {
      const { records } = await run.ports.log.read(stream, shards[n]!.id, "horizon", { records: 100, bytes: 1e9 });
      if (records.length < 2) continue;
      await environment(run, "first").turn({ kind: "frames", task, records: records.slice(0, 1) });
      await environment(run, "next").turn({ kind: "frames", task, records: records.slice(1) });
      await environment(run, "third").turn({ kind: "frames", task, records: records.slice(1) });
    }
    assert.deepEqual(calls.seqs, [1, 2, 2]);
  });
});

/** Emits what was taken in, and a second later by the clock. */
const echoing = keyedProcess({
  key: type<string>(),
  state: { last: value<number>() },
  output: type<readonly [what: string, n: number]>(),
  onRecord({ n = 0 }: Event, { state, timers, processingTime, emit }) {
    emit(["record", n]);
    state.last.set(n);
    timers.processingTime(processingTime + 1_000);
  },
  onTimer(_at, { state, emit }) {
    emit(["timer", state.last.get() ?? 0]);
  },
});

/** As on AWS: a stage's inbox is one stream in all generations. */
function withLastingInboxes(ports: Ports): Ports {
  const lasting = (stream: string) => stream.replace(/^inbox-\d+-/, "inbox-1-");
  const named = (method: "append" | "read" | "shards") =>
    replacing(
      "log",
      method,
      (inner: any) =>
        (stream: string, ...rest: unknown[]) =>
          inner(lasting(stream), ...rest),
    );
  return (["append", "read", "shards"] as const).reduce((wrapped, method) => named(method)(wrapped), ports);
}

/** A job of two keyed tasks that has been restored; its inbox, and what lay there `before`. */
async function restoredOverInbox() {
  const build = pipeline((events) => events.keyBy(({ key }) => key as string).process("echo", echoing), { parallelism: 2 });
  const run = (await harness(build, { wrapPorts: withLastingInboxes })) as RunningHarness;
  await run.push("in", a(1));
  await run.checkpoint();
  const inbox = inboxName(1, "echo");
  const { tasks } = run.runner.record!.topology.find(({ kind }) => kind === "keyed")!;
  const isBusy = async (task: TaskId) => (await commitsOf(run, task)).some(({ rows }) => rows.length > 0);
  const busy = (await isBusy(tasks[0]!.task)) ? 0 : 1;
  const { id: shard } = (await run.ports.log.shards(inbox))[busy]!;
  const brought = async () => (await run.ports.log.read(inbox, shard, "horizon", { records: 100, bytes: 1e9 })).records;
  const before = await brought();
  const { phase } = await run.coordinator("restorer").restore(run.runner.record!.completed!);
  assert.equal(phase, "running");
  const source = environment(run, "source");
  /** Records come, and go on into the inbox: what is new there. */
  const send = async (...events: ReturnType<typeof a>[]) => {
    const known = (await brought()).length;
    run.enqueue("in", ...events);
    await source.turn(poke(id<TaskId>("g2.in~in:shard-0")));
    return (await brought()).slice(known);
  };
  return { run, before, send, bell: { kind: "inbox", stage: "echo", shard } as const };
}

describe("an inbox that outlives generations", () => {
  const dying = (run: RunningHarness) => {
    const carryOut = replacing("sinks", "carryOut", () => async () => {
      throw new MillraceError("unavailable", "dies before the effects");
    });
    return environment(run, "dying", {}, carryOut(run.ports));
  };

  test("R5 does not prove a head's effects done while one who was given a batch of it before a restore may live", async () => {
    const { run, before, send, bell } = await restoredOverInbox();
    run.clock.advance(5_000);
    await assert.rejects(dying(run).turn({ ...bell, records: before }), { kind: "unavailable" });
    await environment(run, "next").turn({ ...bell, records: await send(a(2)) });
    assert.deepEqual(run.output("out"), [
      ["record", 1],
      ["timer", 1],
      ["record", 2],
    ]);
  });

  test("R5 proves them done right after a restore, once a frame of the generation has come", async () => {
    const { run, send, bell } = await restoredOverInbox();
    await environment(run, "first").turn({ ...bell, records: await send(a(2)) });
    await environment(run, "next").turn({ ...bell, records: await send(a(3)) });
    assert.equal(run.telemetry.total("turn.effectsRepeated"), 0);
    await environment(run, "poked").turn(poke(id<TaskId>("g2.echo~0")));
    await environment(run, "poked").turn(poke(id<TaskId>("g2.echo~1")));
    assert.ok(run.telemetry.total("turn.effectsRepeated") > 0, "a poke proves nothing");
  });

  test("L3 is read before a batch until a frame of the generation has come, and a batch that followed", async () => {
    const { run, before, send, bell } = await restoredOverInbox();
    let reads = 0;
    const counted = replacing(
      "log",
      "read",
      (read) =>
        async (...args) => (reads++, read(...args)),
    )(run.ports);
    const env = environment(run, "young", {}, counted);
    const readsOf = async (records: typeof before) => {
      reads = 0;
      await env.turn({ ...bell, records });
      return reads;
    };
    const [first, second, third] = [await send(a(2)), await send(a(3)), await send(a(4))];
    assert.ok((await readsOf(before)) > 0, "nothing of the generation has come");
    assert.ok((await readsOf(second)) > 0, "what lies before it has not been brought");
    assert.equal(await readsOf(third), 0);
    assert.equal(await readsOf(first), 0, "it comes again");
    assert.deepEqual(
      run.output<[string, number]>("out").filter(([what]) => what === "record"),
      [1, 2, 3, 4].map((n) => ["record", n]),
    );
  });
});

describe("L11 the end of a shard", () => {
  test("does not show in batches: a poke finds it, seals the ring with it and takes a base", async () => {
    const run = await start({ parallelism: 2 });
    run.enqueue("in", a(1), a(2));
    run.source("in").end();
    const env = environment(run, "mapped");
    const delivered = await batch(run, 1, 2);
    const first = await env.turn(delivered);
    assert.ok(first.outcome === "done" && !first.ended, "the batch was the last, and nobody knows");
    const second = await env.turn(poke(reader));
    assert.ok(second.outcome === "done" && second.ended);
    const commits = await commitsOf(run, reader);
    const head = commits.at(-1)!;
    assert.ok(head.progress.ended);
    assert.equal(head.base?.seq, head.seq);
    assert.ok(head.effects.some(({ effect }) => effect === "ended"));
    for (const bell of [delivered, poke(reader)])
      for (const other of [env, environment(run, "cold")]) {
        const outcome = await other.turn(bell);
        assert.ok(outcome.outcome === "done" && outcome.ended && outcome.commits === 0);
      }
    assert.equal((await commitsOf(run, reader)).length, commits.length, "nothing is written over the end");
  });
});

test("L11 a task says that it has ended only when all else is done: nobody would look at it again", async () => {
  const run = await start();
  run.enqueue("in", a(1));
  run.source("in").end();
  await run.settle();
  const commit = (await commitsOf(run, all)).at(-1)!;
  assert.ok(commit.effects.some(({ effect }) => effect === "ended"));
  const plan = run.runner.environment.peek(all)!.plan;
  const last: Commit = {
    ...commit,
    effects: [...commit.effects, { effect: "sink", operator: "out", n: 9, payload: new Uint8Array() }],
  };
  const said: string[] = [];
  let away = true;
  const sinks = replacing("sinks", "carryOut", () => async () => {
    if (away) throw new MillraceError("unavailable", "the outside is away");
  });
  const journal = replacing("journal", "post", () => async (_task, { name }) => {
    said.push(name);
    return "posted";
  });
  const ports = sinks(journal(run.ports));
  await assert.rejects(carryOut(last, plan, ports, new InboxShards(ports.log), Infinity), { kind: "unavailable" });
  assert.deepEqual(said, []);
  away = false;
  await carryOut(last, plan, ports, new InboxShards(ports.log), Infinity);
  assert.deepEqual(said, [endMessage(all)]);
});

describe("L13 a shard is idle", () => {
  const idle = pipeline((events) => events.keyBy(({ key }) => key as string).process("sum", summing), {
    watermarks: boundedOutOfOrderness(millis(0)).withIdleness(minutes(1)),
  });

  /** Reads as `source` does, but what is there is not handed over while `hidden`, and `behindMs` says whether it is said to be there. */
  function hiding(source: LogReader, hidden: { shard: ShardId | undefined; behindMs: number }): LogReader {
    return {
      shards: (stream) => source.shards(stream),
      read: async (stream, asked, after, limit) => {
        const result = await source.read(stream, asked, after, limit);
        if (asked !== hidden.shard) return result;
        return { records: [], next: after, behindMs: hidden.behindMs, gap: false };
      },
    };
  }

  async function quiet(behindMs: number): Promise<number> {
    const hidden = { shard: undefined as ShardId | undefined, behindMs };
    let inner: ((uid: string) => LogReader) | undefined;
    const wrapPorts = (ports: Ports): Ports => {
      inner = (uid) => ports.source(uid);
      return { ...ports, source: (uid) => hiding(inner!(uid), hidden) };
    };
    const run = (await harness(idle, { shards: 2, wrapPorts })) as RunningHarness;
    await run.push("in", { value: event("a", 1_000, 1), shard: 0 }, { value: event("a", 1_000, 1), shard: 1 });
    hidden.shard = shard(1);
    run.clock.advance(minutes(5));
    run.enqueue("in", { value: event("a", 500_000, 1), shard: 0 });
    await run.settle();
    await run.settle();
    return run.runner.environment.peek(all)!.watermark;
  }

  test("when a read from its position was empty and nothing is behind", async () => {
    assert.ok((await quiet(0)) > 100_000, "the other shard goes on alone");
  });

  test("not when the stream says that something is behind, though the read was empty", async () => {
    assert.ok((await quiet(10)) < 1_000, "it holds the watermark");
  });

  test("not after a restore: what it had been read up to when it was may lie before what it has now", async () => {
    for (const parallelism of [1, 2]) {
      const run = (await harness(idle, { shards: 2, parallelism })) as RunningHarness;
      const watermarks = () =>
        run.runner.record!.topology.at(-1)!.tasks.map(({ task }) => run.runner.environment.peek(task)!.watermark);
      await run.push("in", { value: event("a", 1_000, 1), shard: 0 }, { value: event("a", 1_000, 1), shard: 1 });
      run.clock.advance(minutes(5));
      await run.push("in", { value: event("a", 2_000, 1), shard: 0 });
      await run.advanceProcessingTime(seconds(30));
      assert.deepEqual(new Set(watermarks()), new Set([1_999]), "the other is idle");
      await run.coordinator("restorer").restore(await run.checkpoint());
      run.enqueue("in", { value: event("a", 3_000, 1), shard: 1 }, { value: event("a", 500_000, 1), shard: 0 });
      await environment(run, "first").turn(await batch(run, 3, 3, 0));
      await run.crash();
      await run.settle();
      await run.advanceProcessingTime(seconds(30));
      assert.deepEqual(new Set(watermarks()), new Set([2_999]), "it is waited for");
    }
  });

  test("not because batches of others come and its own do not", async () => {
    const run = (await harness(idle, { shards: 2 })) as RunningHarness;
    await run.push("in", { value: event("a", 1_000, 1), shard: 0 }, { value: event("a", 1_000, 1), shard: 1 });
    const env = environment(run, "mapped");
    await env.turn(poke(all));
    run.clock.advance(minutes(5));
    run.enqueue("in", { value: event("a", 500_000, 1), shard: 0 }, { value: event("a", 1_001, 1), shard: 1 });
    await env.turn(await batch(run, 2, 2, 0));
    assert.ok(env.peek(all)!.watermark < 1_000, "the other's record is on its way");
  });
});

describe("L16", () => {
  test("attempts are named by the environment and a counter: no two are the same", async () => {
    const run = await start();
    const [one, two] = [environment(run, "one"), environment(run, "two")];
    for (let n = 0; n < 6; n++) {
      run.enqueue("in", a(n));
      await (n % 2 === 0 ? one : two).turn(poke(all));
    }
    const attempts = (await commitsOf(run, all)).map(({ attempt }) => attempt);
    assert.deepEqual(attempts, ["one.1", "two.1", "one.2", "two.2", "one.3", "two.3"]);
  });

  test("a frame that went to another shard than its task's is loud, and is sent again until it arrives", async () => {
    let astray = 2;
    const wrapPorts = replacing("log", "append", (append) => async (stream, records) => {
      const results = await append(stream, records);
      if (astray-- <= 0) return results;
      return results.map(() => ({ outcome: "appended", shard: shard(77) }) as const);
    });
    const run = await start({ parallelism: 2, wrapPorts });
    run.enqueue("in", a(1));
    const env = environment(run, "env");
    for (let n = 0; n < 2; n++)
      await assert.rejects(env.turn(poke(reader)), { kind: "corrupt", message: /inbox-1-sum was resharded.* went to shard-77/ });
    await run.settle();
    assert.deepEqual(run.output("out"), [1]);
  });

  test("nothing goes into an inbox with a shard of several tasks, and all arrives once each has its own", async () => {
    let isShared = false;
    const lists = replacing("log", "shards", (shards) => async (stream) => {
      const listed = await shards(stream);
      if (!isShared || !stream.startsWith("inbox-")) return listed;
      return listed.slice(0, 1).map((first) => ({ ...first, id: shard(77), range: fullRange }));
    });
    const takes = replacing("log", "append", (append) => async (stream, records) => {
      if (!isShared) return append(stream, records);
      return records.map(({ bytes }) => ({ outcome: "appended", shard: shard(77), position: id("1"), bytes }) as const);
    });
    const wrapPorts = (ports: Ports) => lists(takes(ports));
    const run = await start({ parallelism: 2, wrapPorts });
    run.enqueue("in", a(1));
    isShared = true;
    const env = environment(run, "env");
    for (let n = 0; n < 2; n++)
      await assert.rejects(env.turn(poke(reader)), { kind: "unavailable", message: /1 shards for 2 tasks.*inbox-1-sum/ });
    isShared = false;
    await run.settle();
    assert.deepEqual(run.output("out"), [1]);
  });

  test("a turn that fails waits for all that it has begun", async () => {
    let open = 0;
    let goOn: (() => void) | undefined;
    const wrapPorts = (ports: Ports): Ports => {
      const failing = replacing("sinks", "carryOut", () => async () => {
        throw new MillraceError("unavailable", "the outside is away");
      });
      return replacing("sinks", "deadLetters", (deadLetters) => async (letters) => {
        open++;
        await new Promise<void>((resolve) => (goOn = resolve));
        await deadLetters(letters);
        open--;
      })(failing(ports));
    };
    const run = await start({ wrapPorts });
    run.enqueue("in", a(1), { value: event(null, 0, 1) });
    let ended = false;
    const turn = environment(run, "env")
      .turn(poke(all))
      .finally(() => (ended = true));
    const outcome = assert.rejects(turn, { kind: "unavailable", message: /the outside is away/ });
    for (let n = 0; n < 200; n++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ended, false, "the dead letters are still under way");
    assert.equal(open, 1);
    goOn!();
    await outcome;
    assert.equal(open, 0);
  });
});

describe("L2 a batch of an inbox's shard", () => {
  async function exchanged() {
    const run = (await harness(
      pipeline((events) => events.keyBy(({ key }) => key as string).process("sum", summing), { parallelism: 2 }),
    )) as RunningHarness;
    const stage = run.graph.stages.find(({ kind }) => kind === "keyed")!.id;
    run.enqueue("in", a(1), a(2), a(3));
    await environment(run, "sender").turn(poke(reader));
    return { run, stage, inbox: inboxName(1, stage) };
  }

  test("is the task's that has the shard's range", async () => {
    const { run, stage, inbox } = await exchanged();
    const env = environment(run, "receiver");
    for (const { id: shard } of await run.ports.log.shards(inbox)) {
      const { records } = await run.ports.log.read(inbox, shard, "horizon", { records: 100, bytes: 1e9 });
      const outcome = await env.turn({ kind: "inbox", stage, shard, records });
      assert.equal(outcome.outcome, "done");
    }
    assert.deepEqual(
      run.output<number>("out").toSorted((x, y) => x - y),
      [1, 3, 6],
    );
  });

  test("that nobody knows is brought again, after a look at the job record as it is now", async () => {
    let reads = 0;
    const { run, stage } = await exchanged();
    const counted = replacing("journal", "tail", (tail) => async (task, after) => {
      if (task === "job") reads++;
      return tail(task, after);
    });
    const env = environment(run, "receiver", {}, counted(run.ports));
    await env.turn(poke(reader));
    const before = reads;
    assert.deepEqual(await env.turn({ kind: "inbox", stage, shard: shard(9), records: [] }), { outcome: "waiting" });
    assert.equal(reads, before + 1);
  });

  test("that a restore has closed holds nothing of this generation", async () => {
    const { run, stage, inbox } = await exchanged();
    const [first] = await run.ports.log.shards(inbox);
    await (run.ports.log as unknown as { splitShard: (...args: unknown[]) => Promise<unknown> }).splitShard(inbox, first!.id);
    const env = environment(run, "receiver");
    assert.deepEqual(await env.turn({ kind: "inbox", stage, shard: first!.id, records: [] }), { outcome: "stale" });
  });
});
