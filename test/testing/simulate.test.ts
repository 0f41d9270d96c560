/** `simulate`, as a job's author uses it: what is wrong with a sink or a job is found, made small, and done again. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import {
  boundedOutOfOrderness,
  count,
  customSink,
  defineJob,
  dynamodb,
  files,
  fileSink,
  keyedProcess,
  millis,
  ndjson,
  type Sink,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import { simulate, SimulationError } from "../../runtime/testing/index.ts";
import { simulateAdding, simulateReplacing } from "../../docs/testing/page-counts.simulation.ts";

interface Click {
  readonly user: string;
  readonly at: number;
}

const clicks: Click[] = Array.from({ length: 30 }, (_, n) => ({ user: `u${n % 4}`, at: n * 10 }));
const clickSource = files({ paths: "clicks.ndjson", format: ndjson(type<Click>()) });
const inOrder = { timestamps: ({ at }: Click) => at, watermarks: boundedOutOfOrderness(millis(20)) };

async function failureOf(run: Promise<unknown>): Promise<SimulationError> {
  try {
    await run;
  } catch (error) {
    assert.ok(error instanceof SimulationError, String(error));
    return error;
  }
  assert.fail("the simulation found nothing");
}

/** Every click to a sink of the author's. */
function passOn(sink: Sink<Click>) {
  return defineJob("pass-on", (job) => void job.source("clicks", clickSource, inOrder).sinkTo("out", sink), {
    watermarkStep: millis(10),
  });
}

/** A set of ids: what comes again is known, but a restore gives it another. */
function byId() {
  const held = new Map<string, Click>();
  const sink = customSink<Click>({
    name: "out",
    guarantee: "atLeastOnce",
    write: (rows) => rows.forEach(({ id, value }) => held.set(id, value)),
  });
  return { job: passOn(sink), contents: { out: () => held.values() } };
}

suite("simulate", () => {
  test("catches the sink of docs/testing.md that adds up what comes again, and passes the one that replaces", async () => {
    const { runs, faults, restores } = await simulateReplacing();
    assert.equal(runs, 20);
    for (const fault of ["crashBefore", "crashAfter", "lostResponse", "zombieBefore", "echo"])
      assert.ok(faults[fault]! > 0, `no ${fault}`);
    assert.ok(restores > 0);
    const { problem, events, message } = await failureOf(simulateAdding());
    assert.match(problem, /sink totals does not hold what it holds without faults/);
    assert.ok(events.views!.length < 24, `${events.views!.length} events`);
    assert.match(message, /replay: simulate|replay: \{/);
  });

  test("does a failing run again, event for event, from what it has printed", async () => {
    const run = () => {
      let written: Click[] = [];
      const write = (rows: readonly { value: Click }[]) => void (written = [...written, ...rows.map(({ value }) => value)]);
      const sink = customSink<Click>({ name: "out", guarantee: "atLeastOnce", write });
      return { job: passOn(sink), contents: { out: () => written } };
    };
    const some = clicks.slice(0, 12);
    const options = { events: { clicks: some }, seeds: [1, 30], restores: false, faults: ["crash", "lost", "zombie"] } as const;
    const first = await failureOf(simulate(run, { ...options, minimiseMs: 3_600_000 }));
    const printed = /replay: (\{.*\}) \}\)$/.exec(first.message)?.[1];
    assert.ok(printed !== undefined, first.message);
    const replay = new Function(`return ${printed}`)() as typeof first.replay;
    const again = await failureOf(simulate(run, { ...options, replay }));
    assert.deepEqual([again.problem, again.trace, again.events], [first.problem, first.trace, first.events]);
    assert.ok(first.events.clicks!.length <= 3, `${first.events.clicks!.length} events`);
    // One repeated write is enough.
    assert.ok(first.replay.only!.length <= 3, `${first.replay.only!.length} faults`);
  });

  test("tells sinks that survive crashes from those that survive restores", async () => {
    await simulate(byId, { events: { clicks }, seeds: [1, 10], restores: false });
    const { problem } = await failureOf(simulate(byId, { events: { clicks }, seeds: [1, 30], minimiseMs: 0 }));
    assert.match(problem, /sink out/);
  });

  test("finds a late write of a process that was thought dead", async () => {
    const run = () => {
      const last = new Map<string, number>();
      const sink = customSink<{ user: string; n: number }>({
        name: "out",
        guarantee: "exactlyOnce",
        key: ({ user }) => user,
        write: (rows) => rows.forEach(({ value: { user, n } }) => last.set(user, n)),
      });
      const job = defineJob("totals", (builder) => {
        const total = keyedProcess({
          key: type<string>(),
          state: { n: value<number>() },
          output: type<{ user: string; n: number }>(),
          onRecord(_click: Click, ctx) {
            const n = (ctx.state.n.get() ?? 0) + 1;
            ctx.state.n.set(n);
            ctx.emit({ user: ctx.key, n });
          },
        });
        builder
          .source("clicks", clickSource, inOrder)
          .keyBy(({ user }) => user)
          .process("total", total)
          .sinkTo("out", sink);
      });
      return { job, contents: { out: () => last } };
    };
    const { problem } = await failureOf(
      simulate(run, { events: { clicks }, seeds: [1, 30], faults: ["echo", "zombie"], restores: false, minimiseMs: 0 }),
    );
    assert.match(problem, /sink out/);
  });

  test("awaits what sinks await: the same seed is the same run", async () => {
    const slow = async () => {
      const orders: string[][] = [];
      for (let n = 0; n < 2; n++) {
        const ids: string[] = [];
        const held = new Map<string, Click>();
        const sink = customSink<Click>({
          name: "out",
          guarantee: "atLeastOnce",
          write: async (rows) => {
            await setTimeout(n);
            for (const { id, value: click } of rows) {
              held.set(id, click);
              ids.push(id);
            }
          },
        });
        const job = passOn(sink);
        await simulate(() => (held.clear(), { job, contents: { out: () => held.values() } }), {
          events: { clicks: clicks.slice(0, 10) },
          seeds: [3, 4],
          restores: false,
        });
        orders.push(ids);
      }
      return orders;
    };
    const [a, b] = await slow();
    assert.deepEqual(a, b);
  });

  test("holds jobs with Millrace's own sinks against the run without faults, and calls an author's check", async () => {
    const job = defineJob(
      "per-user",
      (builder) => {
        const perUser = builder
          .source("clicks", clickSource, inOrder)
          .filter("valid", ({ user }) => {
            if (user === "broken") throw new Error("no user");
            return true;
          })
          .keyBy(({ user }) => user)
          .window(tumbling(millis(50)))
          .aggregate("count", count(), (user, { start }, n) => ({ user, start, n }));
        perUser.sinkTo("file", fileSink({ path: "out", format: ndjson() }));
        perUser.sinkTo("table", dynamodb({ table: "t", key: ["user", "start"] }));
      },
      { watermarkStep: millis(10) },
    );
    const events = { clicks: [...clicks, { user: "broken", at: 5 }] };
    const partitionKey = { clicks: ({ user }: Click) => user };
    const { checkpoints } = await simulate(job, { events, seeds: [1, 6], partitionKey });
    assert.ok(checkpoints > 0);
    const seen: (number | undefined)[] = [];
    interface Row {
      readonly user: string;
      readonly n: number;
    }
    await simulate<{ clicks: Click }, { file: Row; table: Row }>(job, {
      events,
      seeds: [1, 3],
      check({ file, table }, { seed, deadLetters }) {
        seen.push(seed);
        const sum = (rows: readonly Row[]) => rows.reduce((all, { n }) => all + n, 0);
        assert.deepEqual([sum(file), sum(table)], [clicks.length, clicks.length]);
        assert.deepEqual(new Set(deadLetters.map(({ operator }) => operator)), new Set(["valid"]));
        assert.deepEqual(deadLetters[0]!.value, { user: "broken", at: 5 });
      },
    });
    assert.deepEqual(new Set(seen), new Set([undefined, 1, 2, 3]));
  });

  test("finds a job whose result is not its input's alone", async () => {
    let calls = 0;
    const job = defineJob("counted", (builder) => {
      builder
        .source("clicks", clickSource, inOrder)
        .map("numbered", ({ user }) => ({ user, n: calls++ }))
        .sinkTo("file", fileSink({ path: "out", format: ndjson() }));
    });
    const { problem } = await failureOf(simulate(job, { events: { clicks }, seeds: [1, 2], minimiseMs: 0 }));
    assert.match(problem, /sink file/);
  });

  test("refuses events, sinks and faults that do not fit the job", async () => {
    const { job } = byId();
    await assert.rejects(simulate(job, { events: { clicks } }), /give a function that makes the job.*: out$/);
    await assert.rejects(simulate(byId, { events: {} }), /give `events` for every source.*: clicks$/);
    await assert.rejects(simulate(byId, { events: { clicks, others: [] } }), /no source of uid others/);
    await assert.rejects(simulate(byId, { events: { clicks }, faults: ["flood"] }), /no such fault: flood/);
    const failing = defineJob(
      "failing",
      (builder) => {
        builder
          .source("clicks", clickSource, inOrder)
          .map("never", (): Click => {
            throw new Error("not me");
          })
          .sinkTo("out", fileSink({ path: "out", format: ndjson() }));
      },
      { onUserError: "fail" },
    );
    await assert.rejects(simulate(failing, { events: { clicks } }), /the job fails without faults: .*not me/);
  });
});
