/** The testing kit itself: what it promises to job authors, and that its failures can be read. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { count, defineJob, keyedProcess, outputTag, seconds, tumbling, type, value } from "../../runtime/index.ts";
import { harness, verifyOperator } from "../../runtime/testing/index.ts";
import { type Event, anySink, anySource, event, pipeline, steps } from "../operators/pipeline.ts";

const counts = pipeline((events) =>
  events
    .keyBy(({ key }) => key as string)
    .window(tumbling(seconds(10)))
    .aggregate("count", count(), (key, { start }, n) => ({ key, start, n })),
);

describe("harness", () => {
  test("processes at once what is pushed, and takes watermarks among the records", async () => {
    const run = await harness(counts);
    await run.push("in", { value: event("a", 1) }, { watermark: 9_999 }, { value: event("a", 2) }, { value: event("a", 10_000) });
    assert.deepEqual(run.output("out"), [{ key: "a", start: 0, n: 1 }]);
    await run.endInput();
    assert.deepEqual(run.output("out"), [
      { key: "a", start: 0, n: 1 },
      { key: "a", start: 10_000, n: 1 },
    ]);
  });

  test("takes timestamps given with a record instead of the job's", async () => {
    const run = await harness(counts);
    await run.push("in", { value: { key: "a" }, timestamp: 25_000 }, { value: event("a", 1), timestamp: 26_000 });
    await run.endInput("in");
    assert.deepEqual(run.output("out"), [{ key: "a", start: 20_000, n: 2 }]);
  });

  test("without timestamps in the job, a record's is when it was pushed", async () => {
    const job = defineJob("plain", (build) => {
      build
        .source("in", anySource<number>("in"))
        .map("same", (n) => n)
        .sinkTo("out", anySink());
    });
    const run = await harness(job, { startAt: 5_000 });
    await run.push("in", { value: 1 }, { value: 2, timestamp: 7 });
    await run.advanceProcessingTime(seconds(1));
    await run.push("in", { value: 3 });
    assert.deepEqual(
      run.rows("out").map(({ timestamp }) => timestamp),
      [5_000, 7, 6_000],
    );
    await assert.rejects(run.advanceWatermark("in", 1), {
      kind: "invalid",
      message: /source in has no watermarks: declare a strategy/,
    });
  });

  test("gives handlers values of their own: one that changes its input spoils no second try", async () => {
    let calls = 0;
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process("spoil", {
          output: type<unknown>(),
          onRecord(e, ctx) {
            (e as { n: number }).n = (e.n ?? 0) + 1;
            ctx.timers.eventTime(1);
            ctx.emit(e.n);
            if (++calls === 2) throw new Error("once");
          },
        }),
    );
    const run = await harness(job);
    await run.push("in", { value: event("a", 0, 1) }, { value: event("a", 0, 10) });
    assert.deepEqual(run.output("out"), [2, 11]);
  });

  test("crash drops caches alone; a snapshot goes on in another harness, with its clock and its sources", async () => {
    const run = await harness(counts, { startAt: 1_000 });
    await run.push("in", { value: event("a", 1) });
    await run.crash();
    await run.push("in", { value: event("a", 2) });
    await run.advanceProcessingTime(seconds(5));
    const snapshot = await run.snapshot();
    assert.equal(snapshot.checkpoint, 1);
    assert.ok(snapshot.sizeBytes > 100);
    const restored = await harness(counts, { from: snapshot, parallelism: 3 });
    assert.equal(restored.processingTime, 6_000);
    await restored.push("in", { value: event("a", 3) }, { watermark: 9_999 });
    await run.push("in", { watermark: 9_999 });
    assert.deepEqual(restored.output("out"), [{ key: "a", start: 0, n: 3 }]);
    assert.deepEqual(run.output("out"), [{ key: "a", start: 0, n: 2 }], "the first goes on by itself");
    const twice = await harness(counts, { from: snapshot });
    await twice.push("in", { watermark: 9_999 });
    assert.deepEqual(twice.output("out"), [{ key: "a", start: 0, n: 2 }], "a snapshot can be used again");
  });

  test("takes a snapshot of a job that has ended, too: one that goes on from it gives nothing again", async () => {
    for (const parallelism of [1, 2]) {
      const run = await harness(counts, { parallelism });
      await run.push("in", { value: event("a", 1) });
      await run.endInput();
      const restored = await harness(counts, { from: await run.snapshot(), parallelism: 3 - parallelism });
      assert.deepEqual(restored.output("out"), []);
      assert.equal(run.output("out").length, 1);
    }
  });

  test("shows side outputs that nobody reads", async () => {
    const late = outputTag<Event>("late");
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .window(tumbling(seconds(10)))
        .sideOutputLate(late)
        .aggregate("count", count()),
    );
    for (const parallelism of [1, 2]) {
      const run = await harness(job, { parallelism });
      await run.push("in", { watermark: 20_000 }, { value: event("a", 1) });
      assert.deepEqual(run.sideOutput(late), [event("a", 1)]);
      assert.deepEqual(run.sideOutput(late, "count"), [event("a", 1)]);
    }
  });

  test("says what is there when asked for what is not", async () => {
    const run = await harness(counts);
    await assert.rejects(run.push("inn", { value: 1 }), {
      kind: "invalid",
      message: "the job has no source of uid inn: it has in",
    });
    assert.throws(() => run.output("oot"), { kind: "invalid", message: "the job has no sink of uid oot: it has out" });
    assert.throws(() => run.sideOutput(outputTag("x")), { kind: "invalid", message: /no operator declares the side output x/ });
    await assert.rejects(run.push("in", { value: event("a", 0), shard: 3 }), {
      message: "source in has no shard 3: give the harness { shards: 4 }",
    });
    await assert.rejects(run.advanceWatermark("in", 0.5), { message: "a watermark is whole epoch milliseconds: 0.5" });
    await assert.rejects(run.advanceProcessingTime(-1 as never), { message: /not back: -1/ });
    await run.endInput();
    await assert.rejects(run.push("in", { value: event("a", 0) }), { message: "shard 0 of source in has ended" });
  });
});

/** The message with which a test case fails. */
async function failure(run: Promise<void>): Promise<string> {
  let message = "";
  await assert.rejects(run, (error: Error) => {
    message = error.message;
    return error.name === "AssertionError";
  });
  return message;
}

describe("verifyOperator fails", () => {
  test("with the step after which something else was given, and what is right around it", async () => {
    const job = pipeline((events) => events.map("twice", ({ n = 0 }) => n * 2));
    const message = await failure(
      verifyOperator(job, { steps: steps(...[1, 2, 3, 4].map((n) => event("a", n, n))), expected: { out: [2, 4, 7, 8, 9] } }),
    );
    assert.equal(
      message,
      [
        "job pipeline, element by element: out was given other values than expected (order: asListed)",
        "    2",
        "    4",
        "  - 7   expected",
        "  + 6   given after step 3 of 4 ({ at: 3, key: 'a', n: 3 } into in)",
        "    8",
        "  - 9   expected",
      ].join("\n"),
    );
  });

  /** An operator that remembers beside its state. */
  const forgetful = () => {
    let seen = 0;
    return pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process(
          "forget",
          keyedProcess({
            state: { sum: value<number>() },
            output: type<unknown>(),
            onRecord: (_event: Event, ctx) => ctx.emit((seen += 1)),
          }),
        ),
    );
  };

  test("in the mode that shows it: state beside the state is seen by running twice", async () => {
    const test = { steps: steps(event("a", 1), event("a", 2)), expected: { out: [1, 2] } };
    assert.match(await failure(verifyOperator(forgetful(), test)), /^job pipeline, in batches: out was given other values/);
  });

  test("after a restore, with a hint that the state is at fault", async () => {
    let lives = 0;
    const job = pipeline((events) =>
      events
        .keyBy(({ key }) => key as string)
        .process(
          "cached",
          keyedProcess({
            state: { sum: value<{ n: number }>() },
            output: type<unknown>(),
            onRecord({ n = 0 }: Event, ctx) {
              const sum = ctx.state.sum.get() ?? { n: 0 };
              if (lives++ === 0 || sum.n === 0) ctx.state.sum.set(sum);
              sum.n += n; // changed, and not set again
              ctx.emit(sum.n);
            },
          }),
        ),
    );
    const message = await failure(
      verifyOperator(job, { steps: steps(event("a", 1, 1), event("a", 2, 2), event("a", 3, 4)), expected: { out: [1, 3, 7] } }),
    );
    assert.match(
      message,
      /snapshot and restore after every step: out was given other values.*element by element it is right, so its state/,
    );
    assert.match(message, /- 7 {3}expected\n {2}\+ 5 {3}given after step 3 of 3/);
  });

  test("for dead letters that nobody expects, with their reasons, and for expected ones that are not there", async () => {
    const job = pipeline((events) => events.map("get", (e) => (e.key as { a: number }).a));
    assert.equal(
      await failure(verifyOperator(job, { steps: steps(event(null, 0)), expected: { out: [] } })),
      "job pipeline, element by element: there are dead letters that are not expected\n" +
        "  + get: Cannot read properties of null (reading 'a') (thrown in operator get)",
    );
    assert.match(
      await failure(verifyOperator(job, { steps: [], expected: { out: [] }, deadLetters: ["get"] })),
      /expected a dead letter of operator get, there is none/,
    );
  });

  test("when a step throws, naming it", async () => {
    const job = pipeline(
      (events) =>
        events.map("fail", () => {
          throw new Error("no");
        }),
      { onUserError: "fail" },
    );
    assert.equal(
      await failure(verifyOperator(job, { steps: steps(10, event("a", 0)), expected: { out: [] } })),
      "job pipeline, element by element: failed at step 2 of 2 ({ at: 0, key: 'a' } into in): no (thrown in operator fail): record at position 2 of shard-0",
    );
  });

  test("by the order that is asked for", async () => {
    const job = pipeline((events) => events.map("same", ({ key, n }) => [key, n]));
    const input = steps(event("a", 0, 1), event("b", 0, 1), 5, event("a", 0, 2), { endInput: true });
    const [a1, b1, a2] = [
      ["a", 1],
      ["b", 1],
      ["a", 2],
    ];
    const keyOf = ([key]: [string]) => key;
    await verifyOperator(job, { steps: input, expected: { out: [a1, b1, a2] } });
    await failure(verifyOperator(job, { steps: input, expected: { out: [b1, a1, a2] } }));
    await verifyOperator(job, { steps: input, expected: { out: [b1, a1, a2] }, order: "anyBetweenWatermarks" });
    await failure(verifyOperator(job, { steps: input, expected: { out: [b1, a2, a1] }, order: "anyBetweenWatermarks" }));
    await verifyOperator(job, { steps: input, expected: { out: [a1, a2, b1] }, order: "perKey", keyOf });
    assert.match(
      await failure(verifyOperator(job, { steps: input, expected: { out: [a2, a1, b1] }, order: "perKey", keyOf })),
      /of key 'a':/,
    );
    await verifyOperator(job, { steps: input, expected: { out: [a2, b1, a1] }, order: "any" });
    await failure(verifyOperator(job, { steps: input, expected: { out: [a2, b1, b1] }, order: "any" }));
    await assert.rejects(verifyOperator(job, { steps: input, expected: {}, order: "perKey" }), {
      kind: "invalid",
      message: /needs keyOf/,
    });
  });
});
