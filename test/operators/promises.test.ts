/** A plain function that returns a promise is the author's error: what it waits for would come after its record. Nothing of it is passed on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type DataStream, type Job, keyedProcess, map, seconds, tumbling, type, value } from "../../runtime/index.ts";
import { harness } from "../../runtime/testing/index.ts";
import { type Event, event, pipeline } from "./pipeline.ts";

const isOdd = ({ n }: Event): boolean => n === 13;
const keyOf = ({ key }: Event): string => key as string;
/** As an author without types may write it. One that fails ends no process. */
const later = (): any => Promise.reject(new Error("nobody waits for it"));
const output = type<Event>();
const passing = (event: Event, ctx: { emit(event: Event): void }): void => (isOdd(event) ? later() : ctx.emit(event));
const nothing = (): void => undefined;
const rules = { rules: map<string, number>() };

/** Each passes on what comes in, but for the odd one. */
const operators: Readonly<Record<string, (events: DataStream<Event>, none: DataStream<Event>) => DataStream<any>>> = {
  map: (events) => events.map("of", (e) => (isOdd(e) ? later() : e)),
  filter: (events) => events.filter("of", (e) => (isOdd(e) ? later() : true)),
  flatMap: (events) => events.flatMap("of", (e) => (isOdd(e) ? later() : [e])),
  process: (events) => events.process("of", { output, onRecord: passing }),
  "process by key": (events) => events.keyBy(keyOf).process("of", keyedProcess({ output, state: {}, onRecord: passing })),
  "map of two inputs": (events, none) => events.connect(none).map("of", (e) => (isOdd(e) ? later() : e), later),
  "flatMap of two inputs": (events, none) => events.connect(none).flatMap("of", (e) => (isOdd(e) ? later() : [e]), later),
  "process of two inputs": (events, none) => events.connect(none).process("of", { output, onLeft: passing, onRight: nothing }),
  "process of two inputs by key": (events, none) =>
    none.keyBy(keyOf).connect(events.keyBy(keyOf)).process("of", { output, state: {}, onLeft: nothing, onRight: passing }),
  "process beside a broadcast": (events, none) =>
    events.connect(none.broadcast("rules", rules)).process("of", { output, onRecord: passing, onBroadcast: nothing }),
  "process by key beside a broadcast": (events, none) =>
    events
      .keyBy(keyOf)
      .connect(none.broadcast("rules", rules))
      .process("of", { output, state: {}, onRecord: passing, onBroadcast: nothing }),
  "a broadcast": (events, none) =>
    none.connect(events.broadcast("rules", rules)).process("of", { output, onRecord: nothing, onBroadcast: passing }),
};

/** What the job of three events, of which the second is odd, puts out and puts aside. */
async function outcomeOf(job: Job) {
  const events = [event("a", 0, 1), event("b", 1, 13), event("a", 2, 2)];
  const run = await harness(job);
  await run.push("in", ...events.map((value) => ({ value })), { watermark: 20_000 });
  return { events, out: run.output("out"), reasons: run.deadLetters().map(({ reason }) => reason) };
}

function assertOne(reasons: readonly string[], expected: RegExp): void {
  assert.equal(reasons.length, 1);
  assert.match(reasons[0]!, expected);
}

describe("a plain function that returns a promise", () => {
  for (const [name, operator] of Object.entries(operators))
    test(`sends its record to the dead letters: ${name}`, async () => {
      const job = pipeline((events) =>
        operator(
          events,
          events.filter("none", () => false),
        ),
      );
      const { events, out, reasons } = await outcomeOf(job);
      assert.deepEqual(
        out,
        events.filter((event) => !isOdd(event)),
      );
      assertOne(reasons, /returned a promise.*operator of\)/);
    });

  test("sends its timer to the dead letters", async () => {
    const timed = keyedProcess({
      key: type<string>(),
      state: { event: value<Event>() },
      output,
      onRecord(event: Event, ctx) {
        ctx.state.event.set(event);
        ctx.timers.eventTime(10_000);
      },
      onTimer: (_, ctx) => passing(ctx.state.event.get()!, ctx),
    });
    const { out, reasons } = await outcomeOf(pipeline((events) => events.keyBy(keyOf).process("of", timed)));
    assert.deepEqual(out, [event("a", 2, 2)]);
    assertOne(reasons, /returned a promise.*operator of\)/);
  });

  const windowed = (events: DataStream<Event>) => events.keyBy(keyOf).window(tumbling(seconds(10)));
  const results: Readonly<Record<string, (events: DataStream<Event>) => DataStream<any>>> = {
    reduce: (events) =>
      windowed(events).reduce(
        "of",
        (_, e) => e,
        (key, _, e) => (isOdd(e) ? later() : key),
      ),
    apply: (events) => windowed(events).apply("of", (key, _, [first]) => (isOdd(first!) ? later() : [key])),
    process: (events) =>
      windowed(events).process("of", {
        output: type<string>(),
        onWindow: (_, [first], ctx) => (isOdd(first!) ? later() : ctx.emit(ctx.key)),
      }),
    aggregate: (events) =>
      windowed(events).aggregate("of", {
        create: () => event("", 0),
        add: (_, e: Event) => e,
        result: (e: Event) => (isOdd(e) ? later() : e.key),
      }),
  };
  for (const [name, operator] of Object.entries(results))
    test(`sends its window to the dead letters: ${name}`, async () => {
      const { out, reasons } = await outcomeOf(pipeline(operator));
      assert.deepEqual(out, ["a"]);
      assertOne(reasons, /returned a promise.*operator of\)/);
    });

  test("keeps nothing of it in state", async () => {
    const keeping = keyedProcess({
      key: type<string>(),
      state: { event: value<Event>() },
      output,
      onRecord(event: Event, ctx) {
        ctx.state.event.set(isOdd(event) ? (Promise.resolve() as any) : event);
        ctx.emit(event);
      },
    });
    const { events, out, reasons } = await outcomeOf(pipeline((events) => events.keyBy(keyOf).process("of", keeping)));
    assert.deepEqual(
      out,
      events.filter((event) => !isOdd(event)),
    );
    assertOne(reasons, /a promise cannot be stored.*operator of\)/);
  });
});
