/** L14: what kills environments without an exception is narrowed down by those that come after, and the rest goes on. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { boundedOutOfOrderness, millis, type, value } from "../../runtime/index.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";
import { attemptPrefix } from "../../runtime/snapshots/names.ts";
import { decodeAttempts, defaultAttempts } from "../../runtime/driver/attempt-log.ts";
import type { Doorbell } from "../../runtime/driver/doorbell.ts";
import { without } from "../../runtime/task/safeguards.ts";
import { harness, type HarnessOptions, type RunningHarness } from "../../runtime/testing/harness.ts";
import { type Event, event, pipeline } from "../operators/pipeline.ts";
import { counting, deadly } from "./deadly-job.ts";
import { replacing } from "./faulty-ports.ts";
import { Mortals } from "./mortal.ts";

const all = id<TaskId>("g1.in~all");
const bell = { kind: "poke", task: all, oneAtATime: true } as const;

async function start(mortals: Mortals, options: HarnessOptions = {}, policy: "fail" | "deadLetter" = "deadLetter") {
  const job = pipeline((events) => events.keyBy(({ key }) => key as string).process("count", counting(mortals)), {
    onUserError: policy,
  });
  return (await harness(job, options)) as RunningHarness;
}

function numbers(count: number, ...poison: readonly number[]): number[] {
  return Array.from({ length: count }, (_, n) => (poison.includes(n) ? deadly : n));
}

function records(ns: readonly number[]) {
  return ns.map((n, i) => ({ value: event(`k${i % 7}`, i, n) }));
}

function sorted(ns: readonly unknown[]): unknown[] {
  return [...ns].sort((a, b) => Number(a) - Number(b));
}

/** What the mapping of a shard would bring that stands so many records in. */
async function batchOf(run: RunningHarness, shard: number, taken: number): Promise<Doorbell> {
  const { id: of } = (await run.source("in").shards())[shard]!;
  const { records } = await run.source("in").read("in", of, "horizon", { records: 1_000, bytes: 1 << 20 });
  return { kind: "records", source: "in", shard: of, records: records.slice(taken) };
}

/** Something that one waits for and another gives. */
function signal() {
  let give = () => {};
  const given = new Promise<void>((resolve) => (give = resolve));
  return { given, give };
}

/** Posts of attempts, as long as they are watched. */
function countPosts(counts: { posts: number }) {
  return replacing("journal", "post", (post) => async (task, message) => {
    if (message.name.startsWith(attemptPrefix)) counts.posts++;
    return post(task, message);
  });
}

describe("L14 a record that kills the environment", () => {
  for (const size of [1, 2, 3, 100, 1_000])
    for (const place of new Set([0, Math.floor(size / 3), size - 1]))
      test(`at ${place} of a batch of ${size} is the only one that goes to the dead letters`, async () => {
        const mortals = new Mortals();
        const run = await start(mortals);
        const ns = numbers(size, place);
        run.enqueue("in", ...records(ns));
        await mortals.ring(run, bell);
        assert.deepEqual(sorted(run.output("out")), sorted(ns.filter((n) => n !== deadly)));
        const [letter, ...others] = run.deadLetters();
        assert.equal(others.length, 0);
        const { operator, shard, position, bytes, reason } = letter!;
        assert.deepEqual({ operator, shard, position }, { operator: "in", shard: "shard-0", position: String(place + 1) });
        assert.deepEqual(JSON.parse(Buffer.from(bytes).toString()), event(`k${place % 7}`, place, deadly));
        assert.match(reason, new RegExp(`record shard-0 ${place + 1} has killed the environment ${mortals.deaths} times`));
        assert.ok(mortals.deaths <= 2 + Math.ceil(Math.log2(size)) + 3, `found after ${mortals.deaths} deaths`);
        run.enqueue("in", ...records([1]));
        await mortals.ring(run, bell);
        assert.equal(run.output("out").length, size);
      });

  test("several of them, near each other and far, each go alone", async () => {
    const mortals = new Mortals();
    const run = await start(mortals);
    const ns = numbers(64, 10, 11, 12, 40, 63);
    run.enqueue("in", ...records(ns));
    await mortals.ring(run, bell);
    assert.deepEqual(sorted(run.output("out")), sorted(ns.filter((n) => n !== deadly)));
    assert.deepEqual(
      run.deadLetters().map(({ position }) => position),
      ["11", "12", "13", "41", "64"],
    );
  });

  test("among several shards is found, whichever is read first", async () => {
    const mortals = new Mortals();
    const run = await start(mortals, { shards: 3 });
    const ns = numbers(30, 17);
    run.enqueue("in", ...records(ns).map((record, n) => ({ ...record, shard: n % 3 })));
    await mortals.ring(run, bell);
    assert.deepEqual(sorted(run.output("out")), sorted(ns.filter((n) => n !== deadly)));
    assert.deepEqual(
      run.deadLetters().map(({ shard, position }) => [shard, position]),
      [["shard-2", "6"]],
    );
  });

  for (const [who, isMortal] of [
    ["while environments that live go on with the task's other shards", false],
    ["by environments that have all committed on another shard of the task first", true],
  ] as const)
    test(`is found ${who}`, async () => {
      const mortals = new Mortals();
      const run = await start(mortals, { shards: 2 });
      const poisoned = numbers(40, 17);
      run.enqueue("in", ...records(poisoned).map((record) => ({ ...record, shard: 0 })));
      const other = run.environment("other");
      const neighbours = (bell: Doorbell) => (isMortal ? mortals.turn(run, bell) : other.turn(bell));
      for (let rounds = 0; run.deadLetters().length === 0 && rounds < 40; rounds++) {
        run.enqueue("in", { value: event(`other${rounds}`, 100, 100 + rounds), shard: 1 });
        assert.notEqual(await neighbours(await batchOf(run, 1, rounds)), "died");
        await mortals.turn(run, await batchOf(run, 0, 0));
      }
      assert.deepEqual(
        run.deadLetters().map(({ shard, position }) => [shard, position]),
        [["shard-0", "18"]],
      );
      assert.ok(mortals.deaths <= 2 + Math.ceil(Math.log2(40)) + 3, `found after ${mortals.deaths} deaths`);
      await mortals.ring(run, bell);
      const alive = poisoned.filter((n) => n !== deadly);
      assert.deepEqual(sorted(run.output<number>("out").filter((n) => n < 100)), sorted(alive));
    });

  test("stops a job whose policy is to fail, and says which record it is", async () => {
    const mortals = new Mortals();
    const run = await start(mortals, {}, "fail");
    run.enqueue("in", ...records(numbers(20, 7)));
    await assert.rejects(mortals.ring(run, bell), {
      kind: "user",
      message: /record shard-0 8 has killed the environment \d+ times/,
    });
    await assert.rejects(mortals.ring(run, bell), { kind: "user" }, "and says so again");
    assert.deepEqual(run.deadLetters(), []);
  });

  test("kills for ever without the count", async () => {
    const mortals = new Mortals({ safeguards: without("L14") });
    const run = await start(mortals);
    run.enqueue("in", ...records(numbers(4, 2)));
    await assert.rejects(mortals.ring(run, bell, 60), /died 61 times/);
  });
});

describe("L14 what kills", () => {
  test("an element of a frame: the others of the frame go on", async () => {
    const mortals = new Mortals();
    const run = await start(mortals, { parallelism: 2 });
    const ns = numbers(200, 50, 51, 120);
    run.enqueue("in", ...records(ns));
    await run.environment("source").turn({ kind: "poke", task: id<TaskId>("g1.in~in:shard-0") });
    const { tasks } = run.runner.record!.topology.find(({ kind }) => kind === "keyed")!;
    for (const { task } of tasks) await mortals.ring(run, { kind: "poke", task, oneAtATime: true });
    assert.deepEqual(sorted(run.output("out")), sorted(ns.filter((n) => n !== deadly)));
    const letters = run.deadLetters();
    assert.equal(letters.length, 3);
    for (const { operator, bytes } of letters) {
      assert.equal(operator, "count");
      assert.match(Buffer.from(bytes).toString("latin1"), /key/);
    }
  });

  /** Sets a timer for every record, of the time n; those of deadly times end the environment. */
  function timed(mortals: Mortals, domain: "eventTime" | "processingTime") {
    return pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .process("later", {
            output: type<unknown>(),
            onRecord: ({ n = 0 }: Event, ctx) => ctx.timers[domain](n),
            onTimer: (at, ctx) => {
              if (at === deadly && ctx.key === "k4") mortals.die();
              ctx.emit(`${ctx.key} ${at}`);
            },
          }),
      { watermarks: boundedOutOfOrderness(millis(0)) },
    );
  }
  const times = Array.from({ length: 40 }, (_, n) => 6_660 + Math.floor(n / 3));
  const expected = times.map((at, i) => `k${i % 7} ${at}`).filter((row) => row !== `k4 ${deadly}`);
  const letterOf = ({ shard, position, bytes }: { shard: string; position: string; bytes: Uint8Array }) => ({
    shard,
    position,
    ...JSON.parse(Buffer.from(bytes).toString()).timer,
  });

  for (const domain of ["eventTime", "processingTime"] as const)
    test(`a timer of ${domain}: operator, key and time are blamed, other timers fire`, async () => {
      const mortals = new Mortals();
      const run = (await harness(timed(mortals, domain))) as RunningHarness;
      run.enqueue("in", ...records(times));
      await mortals.ring(run, bell);
      if (domain === "eventTime") run.enqueue("in", { value: event("k0", 50_000, 99_999) });
      else run.clock.set(50_000);
      await mortals.ring(run, bell);
      assert.deepEqual([...run.output<string>("out")].sort(), [...expected].sort());
      assert.deepEqual(run.deadLetters().map(letterOf), [
        { shard: "timer of later", position: String(deadly), operator: "later", key: "k4", at: deadly, domain },
      ]);
      assert.ok(mortals.deaths < 15, `found after ${mortals.deaths} deaths`);
    });

  test("a timer that fires at the end of the input", async () => {
    const mortals = new Mortals();
    const run = (await harness(timed(mortals, "eventTime"))) as RunningHarness;
    run.enqueue("in", ...records(times));
    run.source("in").end();
    await mortals.ring(run, bell);
    assert.deepEqual([...run.output<string>("out")].sort(), [...expected].sort());
    assert.equal(run.deadLetters().length, 1);
  });
});

test("L14 in batch mode: a sorted record and a timer that kill are found, and every other key is complete", async () => {
  const mortals = new Mortals();
  const job = pipeline(
    (events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("sorted", {
          state: { seen: value<number>() },
          output: type<unknown>(),
          onRecord: ({ n = 0 }: Event, ctx) => {
            if (n === deadly) mortals.die();
            ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
            ctx.timers.eventTime(1);
          },
          onTimer: (_at, ctx) => {
            if (ctx.key === "k5") mortals.die();
            ctx.emit(`${ctx.key} ${ctx.state.seen.get()}`);
          },
        }),
    { mode: "batch" },
  );
  const run = (await harness(job)) as RunningHarness;
  run.enqueue("in", ...records(numbers(70, 30)));
  run.source("in").end();
  await mortals.ring(run, bell);
  const counts = [0, 1, 2, 3, 4, 6].map((key) => `k${key} ${key === 30 % 7 ? 9 : 10}`);
  assert.deepEqual([...run.output<string>("out")].sort(), counts);
  assert.deepEqual(
    run.deadLetters().map(({ shard }) => shard),
    ["sorted input of sorted", "timer of sorted"],
  );
});

test("L14 in batch mode: a sorted record and a timer at the end that kill are found, though frames that come again are committed meanwhile", async () => {
  for (const kills of ["record", "timer"] as const) {
    const mortals = new Mortals();
    const job = pipeline(
      (events) =>
        events
          .keyBy(({ key }) => key as string)
          .process("sorted", {
            output: type<unknown>(),
            onRecord: ({ n = 0 }: Event, ctx) => {
              if (n === deadly && kills === "record") mortals.die();
              if (n === deadly) ctx.timers.eventTime(9);
              ctx.emit(n);
            },
            onTimer: () => mortals.die(),
          }),
      { mode: "batch" },
    );
    const run = (await harness(job, { parallelism: 2 })) as RunningHarness;
    run.enqueue("in", ...records(numbers(40, 20)));
    run.source("in").end();
    const source = { kind: "poke", task: id<TaskId>("g1.in~in:shard-0"), oneAtATime: true } as const;
    const { tasks } = run.runner.record!.topology.find(({ kind }) => kind === "keyed")!;
    for (let rounds = 0; run.deadLetters().length === 0 && rounds < 60; rounds++) {
      // Whoever did not see the effects of its end repeats them: frames come again.
      await run.environment(`again-${rounds}`).turn(source);
      for (const { task } of tasks) await mortals.turn(run, { kind: "poke", task, oneAtATime: true });
    }
    assert.equal(run.deadLetters().length, 1, kills);
    assert.ok(mortals.deaths <= 12, `found after ${mortals.deaths} deaths`);
  }
});

describe("L14 what is no poison", () => {
  test("counting costs one message per task when an environment is new, and none after its first commit", async () => {
    const counts = { posts: 0 };
    const mortals = new Mortals();
    const run = await start(mortals, { wrapPorts: countPosts(counts) });
    await mortals.ring(run, bell);
    assert.equal(counts.posts, 0, "nothing to do, nothing to say");
    for (let n = 0; n < 5; n++) {
      run.enqueue("in", ...records([n]));
      await mortals.ring(run, bell);
    }
    assert.equal(counts.posts, 1);
    mortals.replace();
    for (let n = 0; n < 5; n++) {
      run.enqueue("in", ...records([n]));
      await mortals.ring(run, bell);
    }
    assert.equal(counts.posts, 2);
  });

  test("failures that an environment survives are not counted, however many", async () => {
    let fails = 40;
    const mortals = new Mortals();
    const wrapPorts = replacing("journal", "write", (write) => async (task, entry) => {
      if (task === all && fails-- > 0) throw new MillraceError("unavailable", "the store is away");
      return write(task, entry);
    });
    const run = await start(mortals, { wrapPorts });
    run.enqueue("in", ...records([1, 2, 3]));
    for (;;) {
      const outcome = await mortals
        .turn(run, bell)
        .catch((error: unknown) => assert.ok((error as MillraceError).kind === "unavailable"));
      mortals.replace();
      if (outcome !== undefined) break;
    }
    assert.deepEqual(run.output("out"), [1, 2, 3]);
    assert.deepEqual(run.deadLetters(), []);
    assert.ok(fails < 0);
  });

  test("an environment that fails and lives says so: another may go on at once", async () => {
    let fails = 3;
    const wrapPorts = replacing("journal", "write", (write) => async (task, entry) => {
      if (task === all && fails-- > 0) throw new MillraceError("unavailable", "not now");
      return write(task, entry);
    });
    const run = await start(new Mortals(), { wrapPorts });
    run.enqueue("in", ...records([1]));
    await assert.rejects(run.environment("first").turn(bell), { kind: "unavailable" });
    const { messages } = await run.ports.journal.tail(all, "head");
    const attempts = messages.filter(({ name }) => name.startsWith(attemptPrefix)).map(({ bytes }) => decodeAttempts(bytes));
    assert.equal(attempts.length, 1);
    assert.deepEqual([attempts[0]!.worker, attempts[0]!.deaths], [undefined, 0]);
    assert.equal((await run.environment("other").turn(bell)).outcome, "done");
    assert.deepEqual(run.output("out"), [1]);
  });

  test("environments that come and go while nothing is to be done are not counted", async () => {
    const mortals = new Mortals();
    const run = await start(mortals);
    for (let n = 0; n < 20; n++) {
      await mortals.ring(run, bell);
      mortals.replace();
    }
    run.enqueue("in", ...records([1, 2, 3]));
    await mortals.ring(run, bell);
    assert.deepEqual(run.output("out"), [1, 2, 3]);
  });

  test("one that commits makes the count of those before it void", async () => {
    const mortals = new Mortals();
    const run = await start(mortals);
    let dies = 2;
    const journal = run.ports.journal;
    const post = journal.post.bind(journal);
    journal.post = async (task, message) => {
      const posted = await post(task, message);
      if (message.name.startsWith(attemptPrefix) && dies-- > 0) mortals.die();
      return posted;
    };
    run.enqueue("in", ...records([1, 2, 3, 4]));
    await mortals.ring(run, bell);
    assert.equal(mortals.deaths, 2);
    assert.deepEqual(run.output("out"), [1, 2, 3, 4]);
    dies = 2;
    mortals.replace();
    run.enqueue("in", ...records([5]));
    await mortals.ring(run, bell);
    assert.deepEqual(run.output("out"), [1, 2, 3, 4, 5]);
    assert.deepEqual(run.deadLetters(), []);
  });

  /** One environment has announced a record alone, after two deaths, and waits for its write. */
  async function slowOne() {
    const gate = signal();
    const reached = signal();
    let writes = 0;
    const wrapPorts = replacing("journal", "write", (write) => async (task, entry) => {
      if (task === all && writes++ === 0) {
        reached.give();
        await gate.given;
      }
      return write(task, entry);
    });
    const mortals = new Mortals();
    const run = await start(mortals, { wrapPorts });
    const journal = run.ports.journal;
    const post = journal.post.bind(journal);
    let dies = 2;
    journal.post = async (task, message) => {
      const posted = await post(task, message);
      if (message.name.startsWith(attemptPrefix) && dies-- > 0) mortals.die();
      return posted;
    };
    run.enqueue("in", ...records([1]));
    for (let n = 0; n < 2; n++) assert.equal(await mortals.turn(run, await batchOf(run, 0, 0)), "died");
    const slow = run.environment("slow").turn(await batchOf(run, 0, 0));
    await reached.given;
    return { run, slow, go: () => gate.give() };
  }

  test("a record that takes its time, whoever else is rung meanwhile", async () => {
    const { run, slow, go } = await slowOne();
    for (const other of ["a", "b", "c", "d"]) {
      const outcome = await run.environment(other).turn({ kind: "poke", task: all });
      assert.ok(outcome.outcome === "done" && outcome.commits === 0, `${other} leaves it to the one that is at it`);
    }
    go();
    assert.equal((await slow).outcome, "done");
    assert.deepEqual(run.output("out"), [1]);
    assert.deepEqual(run.deadLetters(), []);
  });

  test("an environment that is given up after its lease, and comes back too late", async () => {
    const { run, slow, go } = await slowOne();
    run.clock.set(run.clock.now() + defaultAttempts.leaseMs);
    const outcome = await run.environment("other").turn({ kind: "poke", task: all });
    assert.ok(outcome.outcome === "done" && outcome.commits === 1);
    go();
    assert.equal((await slow).outcome, "done");
    assert.deepEqual(run.output("out"), [1]);
    assert.deepEqual(run.deadLetters(), []);
  });
});
