/** What happens when the function fails: retries, bisection, age, throttling, discards. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dataOf, makeRig, putNumbers, type Rig, sequenceNumbersOf } from "./rig.ts";

/** Fails while a batch has one of these. */
const failsOn =
  (...bad: readonly string[]) =>
  (event: any) => {
    if (dataOf(event).some((data) => bad.includes(data))) throw new Error("poison");
  };

const invocations = (rig: Rig) => rig.events.flatMap((event) => (event.kind === "invoked" ? [event] : []));

describe("a function that fails", () => {
  test("gets the whole batch again, and its shard nothing else, until it succeeds", async () => {
    let failures = 5;
    const rig = makeRig({
      shards: 2,
      settings: { batchSize: 2 },
      handler: (event) => {
        if (dataOf(event).includes("0") && failures-- > 0) throw new Error("not yet");
      },
    });
    putNumbers(rig.stream, 4);
    await rig.clock.advance(600_000);
    assert.deepEqual(rig.delivered(), [...Array.from({ length: 6 }, () => ["0", "1"]), ["2", "3"]]);
    await rig.stop();
  });

  test("is retried without end by default", async () => {
    const rig = makeRig({ settings: { batchSize: 1 }, handler: failsOn("0") });
    putNumbers(rig.stream, 2);
    await rig.clock.advance(3 * 3_600_000);
    assert.ok(rig.calls.length > 180, String(rig.calls.length));
    assert.deepEqual(new Set(rig.delivered().flat()), new Set(["0"]));
    assert.deepEqual(rig.discards, []);
    await rig.stop();
  });

  test("pauses grow between retries, up to a bound", async () => {
    const rig = makeRig({ handler: failsOn("0"), timings: { backOffMs: 1_000, backOffMsMax: 60_000 } });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(600_000);
    const times = rig.calls.map(({ at }) => rig.seconds(at));
    const pauses = times.slice(1).map((time, n) => time - times[n]!);
    for (const [n, pause] of pauses.entries()) {
      const longest = Math.min(60, 2 ** n);
      assert.ok(pause >= longest / 2 && pause <= longest, `${n}: ${pause}`);
    }
    assert.ok(pauses.length > 8);
    await rig.stop();
  });

  test("is retried as often as the settings say, then the batch is discarded and the shard goes on", async () => {
    const rig = makeRig({ settings: { batchSize: 2, maximumRetryAttempts: 3 }, handler: failsOn("0") });
    putNumbers(rig.stream, 4);
    await rig.clock.advance(600_000);
    assert.deepEqual(rig.delivered(), [...Array.from({ length: 4 }, () => ["0", "1"]), ["2", "3"]]);
    assert.equal(rig.discards.length, 1);
    assert.equal(rig.discards[0]!.record.requestContext.approximateInvokeCount, 4);
    await rig.stop();
  });

  test("a retry quota of 0 is one attempt", async () => {
    const rig = makeRig({ settings: { maximumRetryAttempts: 0 }, handler: failsOn("0") });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(600_000);
    assert.equal(rig.calls.length, 1);
    assert.equal(rig.discards.length, 1);
    await rig.stop();
  });

  test("without a destination what is discarded is counted and gone", async () => {
    const rig = makeRig({ settings: { maximumRetryAttempts: 0 }, handler: failsOn("0"), hasDestination: false });
    putNumbers(rig.stream, 3);
    await rig.clock.advance(10_000);
    assert.equal(rig.mapping.metrics.droppedEventCount, 3);
    assert.equal(rig.mapping.metrics.onFailureDestinationDeliveredEventCount, 0);
    const [discarded] = rig.events.filter(({ kind }) => kind === "discarded") as any[];
    assert.equal(discarded.delivery, "none");
    await rig.stop();
  });

  test("a time-out, too large a response and an exception are failures alike", async () => {
    const answers = [
      () => rig.clock.sleep(100_000),
      () => "x".repeat(7 * 1024 * 1024),
      () => {
        throw new Error("exception");
      },
    ];
    const rig: Rig = makeRig({ handler: () => answers.shift()?.() });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(300_000);
    const reasons = invocations(rig).map(({ outcome, why }) => [outcome, why?.split(":")[0]]);
    assert.deepEqual(reasons, [
      ["failure", "timeout"],
      ["failure", "responseTooLarge"],
      ["failure", "exception"],
      ["success", undefined],
    ]);
    await rig.stop();
  });
});

test("a batch that timed out is retried while the zombie of its first attempt still has effects", async () => {
  const effects: string[] = [];
  let attempts = 0;
  const rig: Rig = makeRig({
    settings: { batchSize: 1 },
    pool: { timeoutMs: 10_000, zombieMsMax: 1_000_000 },
    handler: async (event) => {
      const attempt = ++attempts;
      if (attempt === 1) await rig.clock.sleep(60_000);
      effects.push(`${dataOf(event).join()} by attempt ${attempt}`);
    },
  });
  putNumbers(rig.stream, 2);
  await rig.clock.advance(120_000);
  assert.deepEqual(effects, ["0 by attempt 2", "1 by attempt 3", "0 by attempt 1"]);
  await rig.stop();
});

describe("bisection", () => {
  test("halves a batch until the bad record is alone; halving is no retry", async () => {
    const rig = makeRig({
      settings: { batchSize: 8, bisectBatchOnFunctionError: true, maximumRetryAttempts: 0 },
      handler: failsOn("5"),
    });
    putNumbers(rig.stream, 8);
    await rig.clock.advance(600_000);
    assert.deepEqual(
      rig.delivered().map((data) => data.join("")),
      ["01234567", "0123", "4567", "45", "4", "5", "67"],
    );
    assert.deepEqual(
      rig.discards.map(({ record }) => record.KinesisBatchInfo.batchSize),
      [1],
    );
    await rig.stop();
  });

  test("spends the retries on the record that is alone", async () => {
    const rig = makeRig({
      settings: { batchSize: 4, bisectBatchOnFunctionError: true, maximumRetryAttempts: 2 },
      handler: failsOn("2"),
    });
    putNumbers(rig.stream, 4);
    await rig.clock.advance(600_000);
    assert.deepEqual(
      rig.delivered().map((data) => data.join("")),
      ["0123", "01", "23", "2", "2", "2", "3"],
    );
    await rig.stop();
  });

  test("leaves the batch size as it was", async () => {
    const rig = makeRig({
      settings: { batchSize: 4, bisectBatchOnFunctionError: true, maximumRetryAttempts: 0 },
      handler: failsOn("0"),
    });
    putNumbers(rig.stream, 8);
    await rig.clock.advance(600_000);
    assert.equal(rig.delivered().at(-1)!.length, 4);
    await rig.stop();
  });

  test("of a time-out too: halves that are quick enough succeed", async () => {
    const rig = makeRig({
      settings: { batchSize: 8, bisectBatchOnFunctionError: true, maximumRetryAttempts: 0 },
      pool: { timeoutMs: 30_000 },
      handler: (event) => rig.clock.sleep(10_000 * event.Records.length),
    });
    putNumbers(rig.stream, 8);
    await rig.clock.advance(600_000);
    assert.deepEqual(
      rig.delivered().map(({ length }) => length),
      [8, 4, 2, 2, 4, 2, 2],
    );
    assert.deepEqual(rig.discards, []);
    await rig.stop();
  });
});

describe("age", () => {
  test("records above the maximum age are discarded without an invocation", async () => {
    const rig = makeRig({ enabled: false, settings: { maximumRecordAgeInSeconds: 60 } });
    putNumbers(rig.stream, 3);
    await rig.clock.advance(50_000);
    putNumbers(rig.stream, 2, 3);
    await rig.clock.advance(11_000);
    rig.mapping.enable();
    await rig.clock.advance(1_000);
    assert.deepEqual(rig.delivered(), [["3", "4"]]);
    const { record } = rig.discards[0]!;
    assert.equal(record.requestContext.condition, "RecordAgeExceeded");
    assert.equal(record.requestContext.approximateInvokeCount, 0);
    assert.equal(record.responseContext, undefined);
    assert.equal(record.KinesisBatchInfo.batchSize, 3);
    await rig.stop();
  });

  test("retries end with the maximum age", async () => {
    const rig = makeRig({ settings: { maximumRecordAgeInSeconds: 300 }, handler: failsOn("0") });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(3_600_000);
    assert.ok(rig.seconds(rig.calls.at(-1)!.at) <= 301);
    assert.equal(rig.discards[0]!.record.requestContext.condition, "RecordAgeExceeded");
    assert.equal(rig.discards[0]!.record.responseContext.functionError, "Unhandled");
    await rig.stop();
  });

  test("without one, retries end when the records expire in the stream", async () => {
    const rig = makeRig({ handler: failsOn("0"), retentionMs: 3_600_000 });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(2 * 3_600_000);
    rig.stream.put("key", "1");
    await rig.clock.advance(60_000);
    assert.ok(rig.seconds(rig.calls.at(-2)!.at) <= 3_601);
    assert.deepEqual(rig.delivered().at(-1), ["1"]);
    assert.equal(rig.discards.length, 1);
    await rig.stop();
  });
});

describe("what does not reach the function", () => {
  test("throttling is retried and is no attempt", async () => {
    const rig = makeRig({ settings: { maximumRetryAttempts: 0 }, pool: { reservedConcurrency: 0 } });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(3_600_000);
    assert.ok(invocations(rig).length > 10);
    assert.ok(invocations(rig).every(({ outcome }) => outcome === "throttled"));
    assert.deepEqual([rig.calls.length, rig.discards.length], [0, 0]);
    await rig.stop();
  });

  test("throttling goes on until the maximum age", async () => {
    const rig = makeRig({ settings: { maximumRecordAgeInSeconds: 600 }, pool: { reservedConcurrency: 0 } });
    putNumbers(rig.stream, 1);
    await rig.clock.advance(3_600_000);
    assert.equal(rig.discards[0]!.record.requestContext.condition, "RecordAgeExceeded");
    await rig.stop();
  });

  test("a record whose event is above 6 MB blocks its shard until it is too old, and is no attempt", async () => {
    const rig = makeRig({ settings: { maximumRecordAgeInSeconds: 600, maximumRetryAttempts: 0 } });
    rig.stream.put("key", "x".repeat(5 * 1024 * 1024));
    rig.stream.put("key", "small");
    await rig.clock.advance(300_000);
    assert.deepEqual([rig.calls.length, rig.discards.length], [0, 0]);
    await rig.clock.advance(600_000);
    assert.ok(invocations(rig).every(({ outcome }) => outcome === "tooLarge"));
    assert.equal(rig.discards[0]!.record.requestContext.condition, "RecordAgeExceeded");
    await rig.stop();
  });

  test("an invoker that rejects is asked again, and is no attempt", async () => {
    const rig = makeRig({ settings: { maximumRetryAttempts: 0 } });
    let rejections = 3;
    const invoke = rig.pool.invoke.bind(rig.pool);
    rig.pool.invoke = (payload) => (rejections-- > 0 ? Promise.reject(new Error("no connection")) : invoke(payload));
    putNumbers(rig.stream, 2);
    await rig.clock.advance(60_000);
    assert.deepEqual(rig.delivered(), [["0", "1"]]);
    assert.deepEqual(rig.discards, []);
    await rig.stop();
  });
});

describe("partial responses", () => {
  const reports = { functionResponseTypes: ["ReportBatchItemFailures"] as const };
  /** Reports those of these that a batch has. */
  const reporting =
    (...bad: readonly string[]) =>
    (event: any) => ({
      batchItemFailures: event.Records.map((record: any, n: number) => ({
        itemIdentifier: record.kinesis.sequenceNumber,
        data: dataOf(event)[n],
      })).filter(({ data }: any) => bad.includes(data)),
    });

  test("are not looked at unless the mapping says so", async () => {
    const rig = makeRig({ handler: reporting("2") });
    putNumbers(rig.stream, 4);
    await rig.clock.advance(60_000);
    assert.deepEqual(rig.delivered(), [["0", "1", "2", "3"]]);
    await rig.stop();
  });

  test("the lowest sequence number is the checkpoint: it and all after it come again", async () => {
    let isFirst = true;
    const rig = makeRig({
      settings: reports,
      handler: (event) => {
        if (!isFirst) return { batchItemFailures: [] };
        isFirst = false;
        const [, second, , fourth] = sequenceNumbersOf(event);
        return { batchItemFailures: [{ itemIdentifier: fourth }, { itemIdentifier: second }] };
      },
    });
    putNumbers(rig.stream, 5);
    await rig.clock.advance(60_000);
    assert.deepEqual(
      rig.delivered().map((data) => data.join("")),
      ["01234", "1234"],
    );
    await rig.stop();
  });

  test("without bisection the retries are of the whole rest, which is discarded as one", async () => {
    const rig = makeRig({ settings: { ...reports, maximumRetryAttempts: 2 }, handler: reporting("2") });
    putNumbers(rig.stream, 5);
    await rig.clock.advance(60_000);
    assert.deepEqual(
      rig.delivered().map((data) => data.join("")),
      ["01234", "234", "234"],
    );
    const { record } = rig.discards[0]!;
    assert.equal(record.KinesisBatchInfo.batchSize, 3);
    assert.equal(record.requestContext.condition, "RetryAttemptsExhausted");
    assert.deepEqual(record.responseContext, { statusCode: 200, executedVersion: "$LATEST" });
    await rig.stop();
  });

  test("with bisection the batch is cut at the reported record, which is no retry", async () => {
    const rig = makeRig({
      settings: { ...reports, maximumRetryAttempts: 0, bisectBatchOnFunctionError: true },
      handler: reporting("2"),
    });
    putNumbers(rig.stream, 6);
    await rig.clock.advance(60_000);
    // At 2 there is nothing to cut off before it: the rest is halved.
    assert.deepEqual(
      rig.delivered().map((data) => data.join("")),
      ["012345", "2345", "23", "2", "3", "45"],
    );
    assert.equal(rig.discards[0]!.record.KinesisBatchInfo.batchSize, 1);
    await rig.stop();
  });

  test("a failed invocation is bisected whatever the response types are", async () => {
    const rig = makeRig({
      settings: { ...reports, maximumRetryAttempts: 0, bisectBatchOnFunctionError: true },
      handler: failsOn("0"),
    });
    putNumbers(rig.stream, 4);
    await rig.clock.advance(60_000);
    assert.deepEqual(
      rig.delivered().map((data) => data.join("")),
      ["0123", "01", "0", "1", "23"],
    );
    await rig.stop();
  });
});
