/**
 * Whatever the input and however it is cut into batches, crashed, restored and rescaled: results are those of ten obvious lines, or
 * of the same job run plainly.
 */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  boundedOutOfOrderness,
  count,
  keyedProcess,
  list,
  map,
  millis,
  seconds,
  session,
  tumbling,
  type,
  value,
} from "../../runtime/index.ts";
import { type Event, event, pipeline } from "./pipeline.ts";
import { plainly, runOn, schedules, sorted } from "./schedule.ts";

const options = { numRuns: 120 };
const boundMs = 3_000;
const watermarks = boundedOutOfOrderness(millis(boundMs));

const events = fc.array(fc.record({ key: fc.constantFrom("a", "b", "c", "d"), at: fc.integer({ min: -20_000, max: 60_000 }) }), {
  maxLength: 60,
});

/** The source's watermark after a record, on the grid of one second. */
function watermarkAfter(before: number, { at }: Event): number {
  return Math.max(before, Math.floor((at - boundMs) / 1_000) * 1_000 - 1);
}

test("tumbling counts are the oracle's, late records apart", async () => {
  const job = pipeline(
    (stream) =>
      stream
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .aggregate("count", count(), (key, { start }, n) => ({ key, start, n })),
    { watermarks },
  );
  await fc.assert(
    fc.asyncProperty(events, schedules, async (input, schedule) => {
      const windows = new Map<string, { key: string; start: number; n: number }>();
      let watermark = -Infinity;
      for (const e of input) {
        const start = Math.floor(e.at / 10_000) * 10_000;
        const window = windows.get(`${e.key} ${start}`) ?? { key: e.key, start, n: 0 };
        if (start + 9_999 > watermark) windows.set(`${e.key} ${start}`, { ...window, n: window.n + 1 });
        watermark = watermarkAfter(watermark, e);
      }
      const { out, deadLetters } = await runOn(
        job,
        input.map((e) => ({ value: e })),
        schedule,
      );
      assert.deepEqual(sorted(out), sorted([...windows.values()]));
      assert.deepEqual(deadLetters, []);
    }),
    options,
  );
});

test("sessions are the oracle's, late records apart", async () => {
  const gap = 4_000;
  const job = pipeline(
    (stream) =>
      stream
        .keyBy(({ key }) => key as string)
        .window(session(millis(gap)))
        .aggregate("count", count(), (key, { start, end }, n) => ({ key, start, end, n })),
    { watermarks },
  );
  await fc.assert(
    fc.asyncProperty(events, schedules, async (input, schedule) => {
      let open: { key: string; start: number; end: number; n: number }[] = [];
      const closed: unknown[] = [];
      let watermark = -Infinity;
      for (const e of input) {
        const joins = open.filter((s) => s.key === e.key && s.start <= e.at + gap && e.at <= s.end);
        const start = Math.min(e.at, ...joins.map((s) => s.start));
        const end = Math.max(e.at + gap, ...joins.map((s) => s.end));
        const n = joins.reduce((total, s) => total + s.n, 1);
        if (end - 1 > watermark) open = [...open.filter((s) => !joins.includes(s)), { key: e.key, start, end, n }];
        watermark = watermarkAfter(watermark, e);
        closed.push(...open.filter((s) => s.end - 1 <= watermark));
        open = open.filter((s) => s.end - 1 > watermark);
      }
      const { out, deadLetters } = await runOn(
        job,
        input.map((e) => ({ value: e })),
        schedule,
      );
      assert.deepEqual(sorted(out), sorted([...closed, ...open]));
      assert.deepEqual(deadLetters, []);
    }),
    options,
  );
});

/** Does what records say to all kinds of state and timers, and fails when told to. */
const machine = keyedProcess({
  state: { last: value<unknown>(), all: list<unknown>(), entries: map<number, unknown>() },
  output: type<unknown>(),
  onRecord({ n: command, at }: Event, ctx) {
    const [verb, x] = command as unknown as [string, number];
    const { last, all, entries } = ctx.state;
    if (verb === "set") last.set({ x, at });
    if (verb === "unset") last.clear();
    if (verb === "add") all.addAll([x, x + 1]);
    if (verb === "update") all.update(x % 3 === 0 ? [] : [x]);
    if (verb === "put") entries.set(x % 5, x);
    if (verb === "delete") entries.delete(x % 5);
    if (verb === "clear") (x % 2 === 0 ? entries : all).clear();
    if (verb === "timer") ctx.timers.eventTime(at + 500 * (x % 7));
    if (verb === "cancel") ctx.timers.cancelEventTime(at + 500 * (x % 7));
    ctx.emit([ctx.key, verb, x, last.get(), all.get(), [...entries.entries()]]);
    if (verb === "fail" || x === 13) throw new Error(`told to fail at ${at}`);
  },
  onTimer(at, ctx) {
    const { last, all, entries } = ctx.state;
    ctx.emit([ctx.key, "timer", at, ctx.watermark, last.get(), all.get(), [...entries.entries()]]);
    last.set(at);
    if (at % 1_500 === 0) all.clear();
    if (at % 4 === 0) ctx.timers.eventTime(at + 250);
    if (at % 1_000 === 250) throw new Error(`timer fails at ${at}`);
  },
});

const verbs = ["set", "unset", "add", "update", "put", "delete", "clear", "timer", "timer", "cancel", "fail"];
const commands = fc.array(
  fc.record({
    key: fc.constantFrom("a", "b", 1, 2n, true, ["t", 1]),
    at: fc.integer({ min: 0, max: 40 }).map((n) => n * 500),
    n: fc.tuple(fc.constantFrom(...verbs), fc.nat({ max: 20 })),
  }),
  { maxLength: 50 },
);

test("what a key sees of its state and timers does not depend on batches, crashes, restores, eviction or parallelism", async () => {
  const job = pipeline((stream) => stream.keyBy(({ key }) => key).process("machine", machine), { watermarks });
  const perKey = (out: readonly unknown[]) => {
    const byKey = new Map<string, unknown[]>();
    for (const row of out as [unknown, ...unknown[]][]) {
      const key = typeof row[0] === "bigint" ? "bigint" : JSON.stringify(row[0]);
      byKey.set(key, [...(byKey.get(key) ?? []), row]);
    }
    return new Map([...byKey].sort());
  };
  await fc.assert(
    fc.asyncProperty(commands, schedules, async (input, schedule) => {
      const pushed = input.map((e) => ({ value: e }));
      const plain = await runOn(job, pushed, plainly);
      const other = await runOn(job, pushed, schedule);
      assert.deepEqual(perKey(other.out), perKey(plain.out));
      assert.deepEqual(other.deadLetters.toSorted(), plain.deadLetters.toSorted());
    }),
    { numRuns: 250 },
  );
});

test("two operators in a row, the second keyed otherwise: results do not depend on the schedule", async () => {
  const job = pipeline(
    (stream) =>
      stream
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(5)))
        .aggregate("first", count(), (key, { start }, n) => event(start, start, n) as Event & { key: number })
        .keyBy(({ key }) => key)
        .window(tumbling(seconds(10)))
        .reduce("second", (a, b) => event(0, Math.max(a.at, b.at), (a.n ?? 0) + (b.n ?? 0))),
    { watermarks },
  );
  await fc.assert(
    fc.asyncProperty(events, schedules, async (input, schedule) => {
      const pushed = input.map((e) => ({ value: e }));
      const plain = await runOn(job, pushed, plainly);
      const other = await runOn(job, pushed, schedule);
      assert.deepEqual(sorted(other.out.map((e) => (e as Event).n)), sorted(plain.out.map((e) => (e as Event).n)));
    }),
    { numRuns: 60 },
  );
});

test("several shards: every record counts once when nothing is late", async () => {
  const job = pipeline((stream) =>
    stream
      .keyBy(({ key }) => key as string)
      .window(session(seconds(2)))
      .aggregate("count", count(), (key, { start, end }, n) => ({ key, start, end, n })),
  );
  await fc.assert(
    fc.asyncProperty(events, schedules, fc.integer({ min: 1, max: 3 }), async (input, schedule, shards) => {
      const pushed = input.map((e, n) => ({ value: e, shard: n % shards }));
      const plain = await runOn(
        job,
        input.map((e) => ({ value: e })),
        plainly,
      );
      const other = await runOn(job, pushed, schedule, { shards });
      assert.deepEqual(sorted(other.out), sorted(plain.out));
    }),
    { numRuns: 60 },
  );
});
