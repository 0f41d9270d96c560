/** Timers that failed, rows and messages that a sink could not take, and broadcasts that one task could not: given back once, at any parallelism. */
import assert from "node:assert/strict";
import { before, beforeEach, mock, suite, test } from "node:test";
import {
  boundedOutOfOrderness,
  count,
  defineJob,
  hours,
  type Job,
  keyedProcess,
  map,
  millis,
  session,
  sliding,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import type { Sink } from "../../runtime/api/connector.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { TaskId } from "../../runtime/base/ids.ts";
import { encodeMessages } from "../../runtime/connectors/messages/message.ts";
import { MessageWriter } from "../../runtime/connectors/messages/message-writer.ts";
import { rowVersion } from "../../runtime/connectors/row-version.ts";
import { encodeGiven, givenName } from "../../runtime/snapshots/given-letters.ts";
import { instanceOf, stageOf } from "../../runtime/streaming/channel.ts";
import type { HarnessOptions, RunningHarness } from "../../runtime/testing/harness.ts";
import type { TakenSnapshot } from "../../runtime/testing/harness-snapshot.ts";
import { HarnessSinkWriter } from "../../runtime/testing/harness-sink.ts";
import { anySink, anySource, type Event, event, pipeline, twoSources } from "../operators/pipeline.ts";
import { replacing } from "./faulty-ports.ts";
import { atEveryCall, give, givenBack, lettersIn, restoreAndDie, snapshotWith, watch } from "./put-aside.ts";

/** Whether the code that runs has the mistake. */
let broken = true;
beforeEach(() => {
  broken = true;
});

const keys = ["a", "b", "c", "d"];
const at = (...times: readonly number[]) => times.flatMap((time) => keys.map((key) => ({ value: event(key, time) })));

const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort();
const ofEachKey = (...rows: readonly (readonly unknown[])[]) => sorted(keys.flatMap((key) => rows.map((row) => [key, ...row])));

function failing(): void {
  if (broken) throw new Error("broken");
}

/** A timer a tick after each record, which says how many records the key has had by then. */
const reminding = pipeline(
  (events) =>
    events
      .keyBy(({ key }) => key as string)
      .process(
        "remind",
        keyedProcess({
          key: type<string>(),
          state: { seen: value<number>() },
          output: type<readonly [string, number, number]>(),
          onRecord({ at: time }: Event, ctx) {
            ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
            ctx.timers.eventTime(time + 1);
          },
          onTimer(time, ctx) {
            failing();
            ctx.emit([ctx.key, time, ctx.state.seen.get()!]);
          },
        }),
      ),
  { onUserError: "deadLetter" },
);

suite("timers that failed", () => {
  for (const parallelism of [1, 2, 3])
    test(`fire once more when they are given back, with the state as it is then, at parallelism ${parallelism}`, async () => {
      const first = await watch(reminding);
      await first.running.push("in", ...at(10, 20), { watermark: 15 }, ...at(30));
      assert.deepEqual(first.running.output("out"), []);
      const from = await givenBack(first);
      broken = false;
      const { running } = await watch(reminding, { from, parallelism });
      assert.deepEqual(sorted(running.output("out")), ofEachKey([11, 3]));
      await running.push("in", { watermark: 40 });
      const all = ofEachKey([11, 3], [21, 3], [31, 3]);
      assert.deepEqual(sorted(running.output("out")), all);
      const name = await running.checkpoint();
      await running.coordinator().restore(name);
      await running.crash();
      assert.deepEqual(sorted(running.output("out")), all, "no second time");
    });

  test("fire once wherever the environment dies that takes them in", async () => {
    const deaths = await atEveryCall(async (death) => {
      broken = true;
      const { running, put } = await watch(reminding);
      await running.push("in", ...at(10), { watermark: 15 });
      const name = await running.checkpoint();
      await give(running, 1, lettersIn(put));
      broken = false;
      const died = await restoreAndDie(running, name, death);
      await running.push("in", ...at(30), { watermark: 40 });
      assert.deepEqual(sorted(running.output("out")), ofEachKey([11, 1], [31, 2]), `${death.when} call ${death.at}`);
      return died;
    });
    assert.ok(deaths > 20, `it died ${deaths} times`);
  });

  test("and fail again are letters anew; those of a history that was given up are left out", async () => {
    const { running, put } = await watch(reminding);
    await running.push("in", ...at(10));
    const earlier = await running.checkpoint();
    await running.push("in", { watermark: 15 });
    const later = await running.checkpoint();
    await give(running, 1, lettersIn(put));
    const before = put.length;
    await running.coordinator().restore(later);
    await running.crash();
    const again = lettersIn(put.slice(before));
    assert.deepEqual(
      sorted(again.map(({ generation, back }) => [generation, back])),
      sorted(lettersIn(put.slice(0, before)).map(({ back }) => [2, back])),
    );
    broken = false;
    await running.coordinator().restore(earlier);
    await running.crash();
    assert.deepEqual(sorted(running.output("out")), ofEachKey([11, 1]));
  });
});

/** Windows whose results fail. */
const windows: readonly {
  readonly name: string;
  readonly job: Job;
  /** What comes of records at 5 and 7, and, after the failure of what is over at 12, of one at 13; by the rows of a key. */
  readonly failed: readonly (readonly unknown[])[];
  readonly later: readonly (readonly unknown[])[];
}[] = [
  { name: "tumbling", build: (it: Keyed) => it.window(tumbling(millis(10))), failed: [[0, 2]], later: [[10, 1]] },
  {
    name: "tumbling, with lateness",
    build: (it: Keyed) => it.window(tumbling(millis(10))).allowedLateness(millis(5)),
    failed: [[0, 2]],
    later: [[10, 1]],
  },
  {
    name: "sliding",
    build: (it: Keyed) => it.window(sliding(millis(10), millis(5))),
    failed: [
      [-5, 0],
      [0, 2],
    ],
    later: [
      [5, 3],
      [10, 1],
    ],
  },
  { name: "session", build: (it: Keyed) => it.window(session(millis(4))), failed: [[5, 2]], later: [[13, 1]] },
].map(({ name, build, failed, later }) => ({
  name,
  failed: failed.filter(([, n]) => n !== 0),
  later,
  job: pipeline(
    (events) =>
      build(events.keyBy(({ key }) => key as string)).aggregate(
        "windows",
        count(),
        (key: string, { start }: { readonly start: number }, n: number) => {
          failing();
          return [key, start, n] as const;
        },
      ),
    { onUserError: "deadLetter" },
  ),
}));
type Keyed = any;

suite("windows that failed when they fired", () => {
  for (const { name, job, failed, later } of windows)
    for (const parallelism of [1, 2, 3])
      test(`${name}: give their results when their timers are given back, at parallelism ${parallelism}`, async () => {
        const first = await watch(job);
        await first.running.push("in", ...at(5, 7), { watermark: 12 });
        assert.equal(first.running.deadLetters().length, keys.length * failed.length);
        broken = false;
        await first.running.push("in", ...at(13));
        const from = await givenBack(first);
        const { running } = await watch(job, { from, parallelism });
        assert.deepEqual(sorted(running.output("out")), ofEachKey(...failed));
        await running.push("in", { watermark: 100 });
        assert.deepEqual(sorted(running.output("out")), ofEachKey(...failed, ...later));
      });

  test("give them however late, once more windows are over", async () => {
    for (const { name, job, failed, later } of windows) {
      broken = true;
      const first = await watch(job);
      await first.running.push("in", ...at(5, 7), { watermark: 12 });
      broken = false;
      await first.running.push("in", ...at(13), { watermark: 1_000 }, ...at(2_000), { watermark: 3_000 });
      const { running } = await watch(job, { from: await givenBack(first) });
      const now = first.running.output<readonly unknown[]>("out").filter(([, start]) => (start as number) < 1_000);
      assert.deepEqual(sorted(now), ofEachKey(...later), `${name}: what did not fail came in its time`);
      assert.deepEqual(sorted(running.output("out")), ofEachKey(...failed), name);
    }
  });

  test("give nothing once a late record has had them fire", async () => {
    for (const { name, job } of windows.slice(1, 2)) {
      const first = await watch(job);
      await first.running.push("in", ...at(5, 7), { watermark: 12 });
      broken = false;
      await first.running.push("in", ...at(6));
      assert.deepEqual(sorted(first.running.output("out")), ofEachKey([0, 3]), name);
      const { running } = await watch(job, { from: await givenBack(first) });
      assert.deepEqual(running.output("out"), []);
    }
  });
});

// ---- sinks ----

/** The sinks of the harness refuse odd numbers as long as the code is broken, and send messages. */
const { add } = HarnessSinkWriter.prototype;
before(() => {
  mock.method(HarnessSinkWriter.prototype, "add", function (this: HarnessSinkWriter, row: Event, ...more: [number, "+I"]) {
    if (broken && row.n! % 2 === 1) throw new MillraceError("invalid", "odd");
    add.call(this, row, ...more);
  });
  Object.assign(HarnessSinkWriter.prototype, {
    addAgain(this: HarnessSinkWriter, message: Uint8Array) {
      add.call(this, { message }, undefined, "+I");
    },
  });
});

function writing(key?: (row: Event) => string): Job {
  const sink: Sink<Event> = { ...anySink(), ...(key && { key }) };
  const watermarks = boundedOutOfOrderness(hours(1));
  return defineJob(
    "writing",
    (it) => it.source("in", anySource<Event>("in"), { timestamps: (row: Event) => row.at, watermarks }).sinkTo("out", sink),
    { onUserError: "deadLetter" },
  );
}
const table = writing((row) => row.key as string);
const log = writing();

const numbered = (...numbers: readonly number[]) => numbers.map((n) => ({ value: event(keys[Math.floor(n / 10)], n, n) }));

/** What a table holds after all that was ever written to it, whatever the order. */
function tableOf(...watched: readonly Awaited<ReturnType<typeof watch>>[]): Record<string, number> {
  const rows: Record<string, { readonly n: number; readonly version: bigint }> = {};
  for (const { running, written } of watched)
    for (const [place, effect] of written.entries()) {
      const { key, n } = (running.rows<Event>("out")[place] as { readonly value: Event }).value as { key: string; n: number };
      const version = rowVersion(effect, 0);
      if (version > (rows[key]?.version ?? 0n)) rows[key] = { n, version };
    }
  return Object.fromEntries(Object.entries(rows).map(([key, { n }]) => [key, n]));
}

suite("rows that a sink could not write", () => {
  for (const parallelism of [1, 2, 3])
    test(`come into a table where nothing newer stands, at parallelism ${parallelism}`, async () => {
      const first = await watch(table);
      // Of a: 2 stands, 3 is refused. Of b: 11 is refused, 12 stands. Of c: nothing but 21, refused with 23 in one commit. Of d: 31, then 32.
      await first.running.push("in", ...numbered(2));
      await first.running.push("in", ...numbered(3, 11, 21, 23));
      await first.running.push("in", ...numbered(12));
      await first.running.push("in", ...numbered(31, 32));
      assert.deepEqual(tableOf(first), { a: 2, b: 12, d: 32 });
      assert.equal(first.running.deadLetters().length, 5);
      const from = await givenBack(first);
      broken = false;
      const after = await watch(table, { from, parallelism });
      assert.deepEqual(tableOf(first, after), { a: 3, b: 12, c: 23, d: 32 });
      await after.running.push("in", ...numbered(4));
      assert.deepEqual(tableOf(first, after), { a: 4, b: 12, c: 23, d: 32 });
      assert.equal(after.written.length, 6, "each is written once");
    });

  test("are new rows of a sink that has no keys, each once, wherever the environment dies", async () => {
    const deaths = await atEveryCall(async (death) => {
      broken = true;
      const { running, put } = await watch(log);
      await running.push("in", ...numbered(1, 2, 3));
      const name = await running.checkpoint();
      await give(running, 1, lettersIn(put));
      broken = false;
      const died = await restoreAndDie(running, name, death);
      await running.push("in", ...numbered(4));
      const rows = running.rows<Event>("out").map((row) => [row.value.n, row.timestamp]);
      assert.deepEqual(
        rows,
        [2, 1, 3, 4].map((n) => [n, n]),
        `${death.when} call ${death.at}`,
      );
      return died;
    });
    assert.ok(deaths > 10, `it died ${deaths} times`);
  });

  test("and are refused again are written as they would have been the first time", async () => {
    const first = await watch(table);
    await first.running.push("in", ...numbered(3));
    const between = await watch(table, { from: await givenBack(first) });
    await between.running.push("in", ...numbered(4));
    assert.equal(between.put.length, 1);
    const snapshot = (await between.running.snapshot()) as TakenSnapshot;
    const blobs = new Map([...snapshot.blobs, [givenName(2), encodeGiven(lettersIn(between.put))] as const]);
    broken = false;
    const after = await watch(table, { from: snapshotWith(snapshot, blobs) });
    assert.deepEqual(tableOf(first, between, after), { a: 4 });
  });
});

test("a message that its receiver refused is sent again under its id", async () => {
  const message = { body: Buffer.from("hello"), group: "g", id: "job/1/2", fields: { subject: "s" } };
  const writer = new MessageWriter(() => assert.fail("no row is made to a message"));
  writer.addAgain(encodeMessages([message]));
  assert.deepEqual(writer.flush(), [encodeMessages([message])]);

  const { running } = await watch(log);
  const name = await running.checkpoint();
  const back = { what: "message", to: "out", value: Buffer.from(encodeMessages([message])).toString("base64") } as const;
  const task = (await running.coordinator().livingTasks())[0]!;
  await give(running, 1, [{ id: "one", generation: 1, task, seq: 0, back, bytes: "" }]);
  await running.coordinator().restore(name);
  await running.crash();
  const [row] = running.output<{ readonly message: Uint8Array }>("out");
  assert.deepEqual(Buffer.from(row!.message), Buffer.from(encodeMessages([message])));
});

// ---- broadcasts ----

/** Limits that are broadcast; each record says its key's limit as its task knows it. */
const limited = twoSources(
  (limits, events) =>
    events
      .keyBy(({ key }) => key as string)
      .connect(limits.broadcast("limits", { of: map<string, number>() }))
      .process("over", {
        output: type<readonly [string, number]>(),
        onBroadcast: ({ key, n = 0 }, ctx) => {
          if (broken && n === 7 && instanceOf(turnOf) === "0") throw new Error("seven");
          ctx.broadcast.of.set(key as string, n);
        },
        onRecord: ({ key }, ctx) => ctx.emit([key as string, ctx.broadcast.of.get("all") ?? 0]),
      }),
  { onUserError: "deadLetter" },
);
/** The task whose turn it is. */
let turnOf = "g1.none~x" as TaskId;
const noteTurn = replacing("journal", "tail", (inner) => (task, after) => {
  if (stageOf(task) === "over") turnOf = task;
  return inner(task, after);
});

const watchLimits = (options: HarnessOptions = {}) => watch(limited, { ...options, wrapPorts: noteTurn });

const many = Array.from({ length: 40 }, (_, n) => `k${n}`);

async function limitsOf(running: RunningHarness): Promise<readonly number[]> {
  const before = running.output("out").length;
  await running.push("b", ...many.map((key) => ({ value: event(key, 0) })));
  const known = running.output<readonly [string, number]>("out").slice(before);
  return [...new Set(known.map(([, limit]) => limit))].sort();
}

suite("a broadcast that one task could not take in", () => {
  for (const parallelism of [1, 2, 4])
    test(`goes to those that go on with what that task kept, at parallelism ${parallelism}`, async () => {
      const first = await watchLimits();
      await first.running.push("a", { value: event("all", 0, 5) }, { value: event("all", 0, 7) });
      assert.equal(first.running.deadLetters().length, 1);
      assert.deepEqual(await limitsOf(first.running), [5, 7]);
      const letters = lettersIn(first.put);
      assert.deepEqual(
        letters.map(({ back: { what, to } }) => [what, to]),
        [["copy", "over"]],
      );
      const from = await givenBack(first);
      broken = false;
      const { running } = await watchLimits({ from, parallelism });
      assert.deepEqual(await limitsOf(running), [7]);
      assert.equal(running.deadLetters().length, 0);
    });

  test("that had taken in nothing before stays its task's, which fails again", async () => {
    const first = await watchLimits();
    await first.running.push("a", { value: event("all", 0, 7) });
    assert.deepEqual(await limitsOf(first.running), [0, 7]);
    const { running, put } = await watchLimits({ from: await givenBack(first) });
    assert.deepEqual(await limitsOf(running), [0, 7]);
    assert.deepEqual(
      lettersIn(put).map(({ back }) => back),
      lettersIn(first.put).map(({ back }) => back),
    );
  });
});

test("what a finished job gives back goes through, at any parallelism", async () => {
  for (const parallelism of [1, 2]) {
    broken = true;
    const first = await watch(log);
    await first.running.push("in", ...numbered(1, 2, 3));
    await first.running.endInput();
    const from = await givenBack(first);
    broken = false;
    const { running } = await watch(log, { from, parallelism });
    assert.deepEqual(sorted(running.output<Event>("out").map(({ n }) => n)), ["1", "3"]);
  }
});
