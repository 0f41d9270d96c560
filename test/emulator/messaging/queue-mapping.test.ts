/** The mapping of a queue: what it deletes, what comes again, how much is under way at once. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { FunctionInvoker } from "../../../emulator/lambda/execution-environment.ts";
import { checkQueueMapping, QueueMapping, type QueueMappingSettings } from "../../../emulator/messaging/queue-mapping.ts";
import type { MessageSource } from "../../../emulator/messaging/start-messaging.ts";
import { VirtualClock } from "../../../emulator/virtual-clock.ts";

type Answer = Awaited<ReturnType<FunctionInvoker["invoke"]>>;

const arn = "arn:aws:sqs:us-east-1:000000000000:tasks";
let mapping: QueueMapping | undefined;
let clock: VirtualClock;

afterEach(async () => {
  if (mapping !== undefined) await clock.until(mapping.stop());
  mapping = undefined;
});

/** Receives each message once; what is not deleted is looked at. */
function queueOf(count: number) {
  const waiting = Array.from({ length: count }, (_, n) => String(n));
  const deleted: string[] = [];
  const queue: MessageSource = {
    arn,
    receive: (max) =>
      waiting.splice(0, max).map((id) => ({
        ...{ messageId: id, receiptHandle: `receipt of ${id}`, body: `body of ${id}`, md5OfBody: "" },
        ...{ attributes: { SentTimestamp: "7" }, messageAttributes: {} },
      })),
    delete: (receiptHandle) => void deleted.push(receiptHandle.replace("receipt of ", "")),
  };
  return { queue, waiting, deleted };
}

const answers = (value: unknown): Answer => ({ outcome: "returned", payload: Buffer.from(JSON.stringify(value)) });

function start(queue: MessageSource, settings: QueueMappingSettings, invoke: (event: any) => Promise<Answer> | Answer): void {
  clock = new VirtualClock();
  const invoker = { invoke: async (payload: Uint8Array) => invoke(JSON.parse(Buffer.from(payload).toString())) };
  mapping = new QueueMapping({ queue, region: "us-east-1", invoker: invoker as FunctionInvoker, settings, clock });
}

const partial = { functionResponseTypes: ["ReportBatchItemFailures"] } as const;

describe("a mapping of a queue", () => {
  test("hands messages over as Lambda does, and deletes those that are not named as failed", async () => {
    const { queue, deleted } = queueOf(3);
    const events: any[] = [];
    start(queue, partial, (event) => {
      events.push(event);
      return answers({ batchItemFailures: [{ itemIdentifier: "1" }] });
    });
    await clock.untilTrue(() => deleted.length > 0);
    assert.deepEqual(deleted, ["0", "2"]);
    const [{ messageId, body, attributes, eventSource, eventSourceARN, awsRegion }] = events[0].Records;
    assert.deepEqual(
      { messageId, body, attributes, eventSource, eventSourceARN, awsRegion },
      {
        ...{ messageId: "0", body: "body of 0", attributes: { SentTimestamp: "7" } },
        ...{ eventSource: "aws:sqs", eventSourceARN: arn, awsRegion: "us-east-1" },
      },
    );
  });

  test("deletes nothing of a batch that failed, was throttled, or was answered with what is not of it", async () => {
    const bad: readonly Answer[] = [
      { outcome: "throttled" } as Answer,
      { outcome: "failed", cause: "exception", payload: Buffer.from("{}") } as Answer,
      answers({ batchItemFailures: [{ itemIdentifier: "elsewhere" }] }),
      { outcome: "returned", payload: Buffer.from("{") },
    ];
    for (const answer of bad) {
      const { queue, deleted, waiting } = queueOf(2);
      let calls = 0;
      start(queue, partial, () => {
        calls++;
        return answer;
      });
      await clock.untilTrue(() => calls === 1 && waiting.length === 0);
      await clock.until(mapping!.stop());
      assert.deepEqual(deleted, [], JSON.stringify(answer));
    }
  });

  test("gathers to its batch size, or until its window is over", async () => {
    const { queue, deleted } = queueOf(25);
    const sizes: number[] = [];
    start(queue, { ...partial, batchSize: 20, maximumBatchingWindowInSeconds: 5, maximumConcurrency: 2 }, ({ Records }) => {
      sizes.push(Records.length);
      return answers({});
    });
    const from = clock.now();
    await clock.untilTrue(() => deleted.length === 25);
    assert.deepEqual(sizes, [20, 5]);
    assert.ok(clock.now() - from >= 5_000);
  });

  test("has no more batches under way than it may (Q2)", async () => {
    const { queue, deleted } = queueOf(40);
    let running = 0;
    let most = 0;
    start(queue, { batchSize: 10, maximumConcurrency: 2 }, async () => {
      most = Math.max(most, ++running);
      await clock.sleep(1_000);
      running--;
      return answers(null);
    });
    await clock.untilTrue(() => deleted.length === 40);
    assert.equal(most, 2);
  });

  test("is refused as AWS refuses it", () => {
    for (const [queue, settings, why] of [
      ["tasks", { batchSize: 11 }, /batchSize is a whole number from 1 to 10: 11/],
      ["tasks.fifo", { maximumBatchingWindowInSeconds: 1 }, /from 0 to 0: 1/],
      ["tasks", { maximumConcurrency: 1 }, /from 2 to 1000: 1/],
    ] as const)
      assert.throws(() => checkQueueMapping(queue, settings), why);
    checkQueueMapping("tasks", { batchSize: 10_000, maximumBatchingWindowInSeconds: 1 });
  });
});
