/** What the mapping of a queue is given of a message on the stand-in of SQS: as Lambda's event has it. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { type Messaging, startMessaging } from "../../../emulator/messaging/start-messaging.ts";

let messaging: Messaging;
let client: SQSClient;

afterEach(async () => {
  client.destroy();
  await messaging.stop();
});

async function start(name: string, attributes?: Readonly<Record<string, string>>) {
  messaging = await startMessaging();
  const { url } = messaging.createQueue(name, attributes);
  const credentials = { accessKeyId: "x", secretAccessKey: "y" };
  client = new SQSClient({ region: "us-east-1", endpoint: messaging.endpoint, credentials });
  return url;
}

describe("a message that is received", () => {
  test("tells how often it has been, and when it was sent", async () => {
    const url = await start("tasks", { VisibilityTimeout: "0" });
    const before = Date.now();
    await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: "one" }));
    const source = messaging.source("tasks");
    for (const count of ["1", "2", "3"]) {
      const [message] = source.receive(10);
      assert.equal(message!.attributes.ApproximateReceiveCount, count);
      const sentAt = Number(message!.attributes.SentTimestamp);
      assert.ok(sentAt >= before && sentAt <= Date.now());
      assert.equal(message!.attributes.MessageGroupId, undefined);
    }
  });

  test("of a FIFO queue tells its group", async () => {
    const url = await start("tasks.fifo");
    const sent = { QueueUrl: url, MessageBody: "one", MessageGroupId: "g", MessageDeduplicationId: "d" };
    await client.send(new SendMessageCommand(sent));
    const [message] = messaging.source("tasks.fifo").receive(10);
    const { MessageGroupId, MessageDeduplicationId, ApproximateReceiveCount } = message!.attributes;
    assert.deepEqual([MessageGroupId, MessageDeduplicationId, ApproximateReceiveCount], ["g", "d", "1"]);
  });
});
