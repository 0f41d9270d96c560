/** Tumbling windows: state from invocation to invocation. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dataOf, makeRig, type Rig, type RigOptions, sequenceNumbersOf } from "./rig.ts";

/** Counts by data, and keeps what windows ended with. */
function makeCounter(options: RigOptions = {}, windowSeconds = 60): Rig {
  const count = (event: any) => {
    const state = event.state;
    for (const data of dataOf(event)) state[data] = (state[data] ?? 0) + 1;
    return { state };
  };
  return makeRig({ handler: count, ...options, settings: { tumblingWindowInSeconds: windowSeconds, ...options.settings } });
}

const endings = (rig: Rig) => rig.calls.filter(({ event }) => event.isFinalInvokeForWindow).map(({ event }) => event);

describe("a tumbling window", () => {
  test("hands the state on, ends with an invocation of its own, and the next begins with none", async () => {
    const rig = makeCounter({ settings: { batchSize: 2 } });
    for (const data of ["a", "a", "b"]) rig.stream.put("key", data);
    await rig.clock.advance(61_000);
    rig.stream.put("key", "c");
    await rig.clock.advance(5_000);
    const shown = rig.calls.map(({ event, data }) => [data.join(""), event.state, event.isFinalInvokeForWindow]);
    assert.deepEqual(shown, [
      ["aa", {}, false],
      ["b", { a: 2 }, false],
      ["", { a: 2, b: 1 }, true],
      ["c", {}, false],
    ]);
    await rig.stop();
  });

  test("is told in the event, with shard and stream", async () => {
    const rig = makeCounter();
    await rig.clock.advance(70_000);
    rig.stream.put("key", "a");
    await rig.clock.advance(2_000);
    const { Records, ...rest } = rig.calls[0]!.event;
    assert.equal(Records.length, 1);
    assert.deepEqual(rest, {
      window: { start: "2026-01-01T00:01:00Z", end: "2026-01-01T00:02:00Z" },
      state: {},
      shardId: "shardId-000000000000",
      eventSourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/stream",
      isFinalInvokeForWindow: false,
      isWindowTerminatedEarly: false,
    });
    await rig.stop();
  });

  test("is the one of the time of arrival: no batch spans two", async () => {
    const rig = makeCounter({ enabled: false });
    for (let n = 0; n < 6; n++) {
      rig.stream.put("key", String(n));
      await rig.clock.advance(30_000);
    }
    rig.mapping.enable();
    await rig.clock.advance(1_000);
    assert.deepEqual(rig.delivered(), [["0", "1"], [], ["2", "3"], [], ["4", "5"]]);
    await rig.stop();
  });

  test("waits two minutes after its end for records that do not come", async () => {
    const rig = makeCounter();
    rig.stream.put("key", "a");
    await rig.clock.advance(179_000);
    assert.deepEqual(endings(rig), []);
    await rig.clock.advance(2_000);
    assert.deepEqual(
      endings(rig).map(({ state, window }) => [state, window.end]),
      [[{ a: 1 }, "2026-01-01T00:01:00Z"]],
    );
    assert.equal(rig.seconds(rig.calls.at(-1)!.at), 180);
    await rig.stop();
  });

  test("ends when its shard ends; the children begin with none", async () => {
    const rig = makeCounter();
    rig.stream.put("key", "a");
    await rig.clock.advance(2_000);
    rig.stream.split("shardId-000000000000");
    rig.stream.put("key", "b");
    await rig.clock.advance(20_000);
    assert.deepEqual(
      endings(rig).map(({ state, shardId }) => [state, shardId]),
      [[{ a: 1 }, "shardId-000000000000"]],
    );
    assert.deepEqual(rig.calls.at(-1)!.event.state, {});
    assert.deepEqual(rig.calls.at(-1)!.data, ["b"]);
    await rig.stop();
  });

  test("ends early when its state is above 1 MB, and goes on with none", async () => {
    const rig = makeCounter({
      settings: { batchSize: 1 },
      handler: (event) => ({ state: { last: dataOf(event)[0], filler: "x".repeat(dataOf(event)[0] === "big" ? 1_048_577 : 1) } }),
    });
    for (const data of ["a", "big", "c"]) rig.stream.put("key", data);
    await rig.clock.advance(1_000);
    assert.deepEqual(
      rig.calls.map(({ event, data }) => [
        data.join(),
        event.state.last,
        event.isWindowTerminatedEarly,
        event.isFinalInvokeForWindow,
      ]),
      [
        ["a", undefined, false, false],
        ["big", "a", false, false],
        ["", "big", true, false],
        ["c", undefined, false, false],
      ],
    );
    assert.equal(new Set(rig.calls.map(({ event }) => event.window.start)).size, 1);
    await rig.stop();
  });

  test("a response without a state is a failed invocation", async () => {
    let isBad = true;
    const rig = makeCounter({
      handler: () => {
        isBad = !isBad;
        return isBad ? { state: {} } : {};
      },
    });
    rig.stream.put("key", "a");
    await rig.clock.advance(10_000);
    assert.deepEqual(rig.delivered(), [["a"], ["a"]]);
    await rig.stop();
  });

  test("waits with all that follows until its last invocation succeeds", async () => {
    const rig = makeCounter({
      handler: (event) => {
        if (event.isFinalInvokeForWindow && rig.seconds() < 100) throw new Error("not yet");
        return { state: { n: 1 } };
      },
    });
    rig.stream.put("key", "a");
    await rig.clock.advance(61_000);
    rig.stream.put("key", "b");
    await rig.clock.advance(100_000);
    const next = rig.calls.find(({ data }) => data[0] === "b")!;
    assert.ok(rig.seconds(next.at) >= 100);
    assert.ok(endings(rig).length > 2);
    assert.ok(endings(rig).every(({ state }) => state.n === 1));
    await rig.stop();
  });

  test("its last invocation has the retry quota and the record age, too", async () => {
    for (const settings of [{ maximumRetryAttempts: 2 }, { maximumRecordAgeInSeconds: 300 }]) {
      const rig = makeCounter({
        settings,
        handler: (event) => {
          if (event.isFinalInvokeForWindow) throw new Error("never");
          return { state: {} };
        },
      });
      const { sequenceNumber } = rig.stream.put("key", "a");
      await rig.clock.advance(261_000);
      rig.stream.put("key", "b");
      await rig.clock.advance(200_000);
      assert.ok(rig.calls.some(({ data }) => data[0] === "b"));
      const { KinesisBatchInfo, requestContext } = rig.discards[0]!.record;
      assert.equal(KinesisBatchInfo.startSequenceNumber, sequenceNumber);
      assert.equal(KinesisBatchInfo.batchSize, 0);
      const isByAge = "maximumRecordAgeInSeconds" in settings;
      assert.equal(requestContext.condition, isByAge ? "RecordAgeExceeded" : "RetryAttemptsExhausted");
      await rig.stop();
    }
  });

  test("of a last invocation that is given up S3 gets the state", async () => {
    const payloads: any[] = [];
    const put = (_key: string, body: string) => Promise.resolve(void payloads.push(JSON.parse(JSON.parse(body).payload)));
    const rig = makeCounter({
      settings: { maximumRetryAttempts: 0 },
      onFailure: { kind: "s3", put },
      handler: (event) => {
        if (event.isFinalInvokeForWindow) throw new Error("never");
        return { state: { n: event.Records.length } };
      },
    });
    rig.stream.put("key", "a");
    await rig.clock.advance(300_000);
    assert.deepEqual(
      payloads.map(({ Records, state, isFinalInvokeForWindow }) => [Records, state, isFinalInvokeForWindow]),
      [[[], { n: 1 }, true]],
    );
    await rig.stop();
  });

  test("keeps the state of a partial response: what it covers does not come again", async () => {
    let isFirst = true;
    const rig = makeCounter({
      settings: { functionResponseTypes: ["ReportBatchItemFailures"] },
      handler: (event) => {
        const all = dataOf(event);
        const taken = isFirst ? all.slice(0, 2) : all;
        const failed = isFirst ? [{ itemIdentifier: sequenceNumbersOf(event)[2] }] : [];
        isFirst = false;
        return { state: { seen: [...(event.state.seen ?? []), ...taken] }, batchItemFailures: failed };
      },
    });
    for (const data of ["a", "b", "c", "d"]) rig.stream.put("key", data);
    await rig.clock.advance(200_000);
    assert.deepEqual(endings(rig)[0].state, { seen: ["a", "b", "c", "d"] });
    await rig.stop();
  });

  test("needs a parallelization factor of 1", () => {
    assert.throws(() => makeCounter({ settings: { parallelizationFactor: 2 } }), /parallelizationFactor of 1: 2/);
  });
});
