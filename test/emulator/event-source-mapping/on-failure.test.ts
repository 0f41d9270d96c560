/** What a destination gets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dataOf, makeRig, putNumbers } from "./rig.ts";

const fails = () => {
  throw new Error("never");
};
const once = { maximumRetryAttempts: 0 };
const streamArn = "arn:aws:kinesis:us-east-1:000000000000:stream/stream";
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("a queue or a topic", () => {
  test("gets what identifies the records, and not the records", async () => {
    const functionArn = "arn:aws:lambda:us-east-2:123456789012:function:myfunction";
    const rig = makeRig({ settings: once, handler: fails, functionArn });
    await rig.clock.advance(100);
    const first = rig.stream.put("key", "0");
    await rig.clock.advance(200);
    const last = rig.stream.put("key", "1");
    await rig.clock.advance(10_000);
    const { record, key } = rig.discards[0]!;
    assert.equal(key, undefined);
    assert.match(record.requestContext.requestId, uuid);
    assert.deepEqual(record, {
      requestContext: {
        requestId: record.requestContext.requestId,
        functionArn,
        condition: "RetryAttemptsExhausted",
        approximateInvokeCount: 1,
      },
      responseContext: { statusCode: 200, executedVersion: "$LATEST", functionError: "Unhandled" },
      version: "1.0",
      timestamp: "2026-01-01T00:00:01.000Z",
      KinesisBatchInfo: {
        shardId: first.shardId,
        startSequenceNumber: first.sequenceNumber,
        endSequenceNumber: last.sequenceNumber,
        approximateArrivalOfFirstRecord: "2026-01-01T00:00:00.100Z",
        approximateArrivalOfLastRecord: "2026-01-01T00:00:00.300Z",
        batchSize: 2,
        streamArn,
      },
    });
    await rig.stop();
  });
});

describe("a bucket", () => {
  test("gets the whole event too, as a string, under a key of mapping, shard and time", async () => {
    const objects = new Map<string, string>();
    const put = (key: string, body: string) => {
      objects.set(key, body);
      return Promise.resolve();
    };
    const rig = makeRig({ settings: once, handler: fails, onFailure: { kind: "s3", put } });
    putNumbers(rig.stream, 2);
    await rig.clock.advance(10_000);
    const [[key, body]] = [...objects] as [[string, string]];
    const [prefix, name] = [key.slice(0, key.lastIndexOf("/")), key.slice(key.lastIndexOf("/") + 1)];
    assert.equal(prefix, `aws/lambda/${rig.mapping.uuid}/shardId-000000000000/2026/01/01`);
    assert.equal(name.slice(0, 20), "2026-01-01T00.00.00-");
    assert.match(name.slice(20), uuid);
    const { payload, ...rest } = JSON.parse(body);
    assert.deepEqual(JSON.parse(payload), rig.calls[0]!.event);
    assert.deepEqual(Object.keys(rest), ["requestContext", "responseContext", "version", "timestamp", "KinesisBatchInfo"]);
    await rig.stop();
  });
});

describe("records that bisection discards one by one", () => {
  const run = async (joinsDiscards: boolean) => {
    const bodies: any[] = [];
    const put = (_key: string, body: string) => Promise.resolve(void bodies.push(JSON.parse(body)));
    const rig = makeRig({
      settings: { ...once, bisectBatchOnFunctionError: true },
      handler: (event) => {
        if (dataOf(event).some((data) => "237".includes(data))) throw new Error("poison");
      },
      onFailure: { kind: "s3", put },
      faults: { joinsDiscards },
    });
    const numbers = putNumbers(rig.stream, 8);
    await rig.clock.advance(120_000);
    await rig.stop();
    const delivered = rig.events.flatMap((event) =>
      event.kind === "invoked" && event.outcome === "success" ? event.sequenceNumbers : [],
    );
    assert.equal(new Set(delivered).size, numbers.length - 3);
    assert.equal(rig.mapping.metrics.droppedEventCount, 3);
    return bodies.map(({ KinesisBatchInfo, payload }) => [KinesisBatchInfo.batchSize, dataOf(JSON.parse(payload)).join("")]);
  };

  test("have an invocation record each", async () => {
    assert.deepEqual(await run(false), [
      [1, "2"],
      [1, "3"],
      [1, "7"],
    ]);
  });

  test("share one where they are neighbours, with joinsDiscards", async () => {
    assert.deepEqual(await run(true), [
      [2, "23"],
      [1, "7"],
    ]);
  });
});

test("a destination that refuses is counted, and the shard goes on", async () => {
  const rig = makeRig({
    settings: { ...once, batchSize: 1 },
    handler: fails,
    onFailure: { kind: "sqs", send: () => Promise.reject(new Error("no such queue")) },
  });
  putNumbers(rig.stream, 2);
  await rig.clock.advance(10_000);
  assert.equal(rig.mapping.metrics.destinationDeliveryFailures, 2);
  assert.equal(rig.mapping.metrics.onFailureDestinationDeliveredEventCount, 0);
  assert.deepEqual(rig.delivered(), [["0"], ["1"]]);
  await rig.stop();
});

test("the counts add up", async () => {
  let calls = 0;
  const rig = makeRig({
    settings: {
      batchSize: 2,
      maximumRetryAttempts: 1,
      filterCriteria: { filters: [{ pattern: '{"data":{"n":[{"numeric":["<",6]}]}}' }] },
    },
    // The first batch fails twice, which discards it.
    handler: () => (++calls <= 2 ? fails() : undefined),
  });
  for (let n = 0; n < 10; n++) rig.stream.put("key", JSON.stringify({ n }));
  await rig.clock.advance(30_000);
  assert.deepEqual(rig.mapping.metrics, {
    polledEventCount: 10,
    filteredOutEventCount: 4,
    invokedEventCount: 2 + 2 + 2 + 2,
    failedInvokeEventCount: 2 + 2,
    droppedEventCount: 2,
    onFailureDestinationDeliveredEventCount: 2,
    destinationDeliveryFailures: 0,
    iteratorAgeMs: rig.calls.at(-1)!.at - Date.UTC(2026, 0, 1),
  });
  await rig.stop();
});
