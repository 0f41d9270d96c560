/** EventBridge on loopback, as AWS's own client meets it. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  DescribeEventBusCommand,
  EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
} from "@aws-sdk/client-eventbridge";
import { type EventRule, type Events, startEvents } from "../../../emulator/events/start-events.ts";
import type { HttpFault } from "../../../emulator/http-faults.ts";

let events: Events;
let client: EventBridgeClient;
let fault: HttpFault | undefined;
const sent: { readonly queue: string; readonly body: string }[] = [];

before(async () => {
  events = await startEvents({
    region: "eu-central-1",
    account: "123456789012",
    send: (queue, body) => void sent.push({ queue, body }),
    faults: () => fault,
  });
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  client = new EventBridgeClient({ endpoint: events.endpoint, region: "eu-central-1", credentials, maxAttempts: 1 });
});
after(async () => {
  client.destroy();
  await events.stop();
});
beforeEach(() => {
  fault = undefined;
  sent.length = 0;
  events.use(["shop"], [rule({ source: ["orders"] }, ["all"])]);
});

const rule = (eventPattern: object, queues: readonly string[], eventBusName = "default"): EventRule => {
  return { eventPattern, queues, eventBusName };
};
const entry = (more: PutEventsRequestEntry = {}): PutEventsRequestEntry => {
  return { Source: "orders", DetailType: "placed", Detail: `{"n":1}`, ...more };
};
const put = (...Entries: readonly PutEventsRequestEntry[]) => client.send(new PutEventsCommand({ Entries: [...Entries] }));
const queues = () => sent.map(({ queue }) => queue);

describe("an event that is put", () => {
  test("goes to the queues of the rules that it matches, in the form that a queue has it, its detail as it was put", async () => {
    const Time = new Date("2026-03-04T05:06:07.890Z");
    const { Entries = [], FailedEntryCount } = await put(
      entry({ Time, Resources: ["arn:x"], Detail: `{ "big": 12345678901234567890 }` }),
    );
    assert.equal(FailedEntryCount, 0);
    assert.deepEqual(queues(), ["all"]);
    const { body } = sent[0]!;
    assert.match(body, /"detail":\{ "big": 12345678901234567890 \}\}$/);
    const { detail: _, ...around } = JSON.parse(body) as Record<string, unknown>;
    assert.deepEqual(around, {
      version: "0",
      id: Entries[0]!.EventId,
      "detail-type": "placed",
      source: "orders",
      account: "123456789012",
      time: "2026-03-04T05:06:07Z",
      region: "eu-central-1",
      resources: ["arn:x"],
    });
  });

  test("goes nowhere where no rule of its bus matches, by source, type or detail", async () => {
    events.use(
      ["shop"],
      [
        rule({ source: ["orders"], "detail-type": ["placed"] }, ["placed"]),
        rule({ detail: { n: [{ numeric: [">", 1] }] } }, ["large"]),
        rule({ source: [{ prefix: "ord" }] }, ["shop"], "shop"),
      ],
    );
    await put(entry({ DetailType: "paid" }), entry({ Source: "other" }));
    assert.deepEqual(queues(), []);
    await put(entry({ Detail: `{"n":2}` }));
    assert.deepEqual(queues().sort(), ["large", "placed"]);
    sent.length = 0;
    await put(entry({ EventBusName: "arn:aws:events:eu-central-1:123456789012:event-bus/shop" }));
    assert.deepEqual(queues(), ["shop"]);
  });

  test("is refused by itself, with the reason, and its neighbours are taken", async () => {
    const { Entries = [], FailedEntryCount } = await put(
      entry({ Detail: "[1]" }),
      entry({ Source: "" }),
      entry(),
      entry({ EventBusName: "elsewhere" }),
    );
    assert.equal(FailedEntryCount, 3);
    assert.deepEqual(
      Entries.map(({ ErrorCode }) => ErrorCode),
      ["MalformedDetail", "InvalidArgument", undefined, "InvalidArgument"],
    );
    assert.deepEqual(queues(), ["all"]);
  });

  test("is refused with all others beyond what a request may have, and when the service refuses", async () => {
    await assert.rejects(put(...Array<PutEventsRequestEntry>(11).fill(entry())), { name: "ValidationException" });
    const half = entry({ Detail: JSON.stringify({ text: "x".repeat(600_000) }) });
    await assert.rejects(put(half, half), { name: "ValidationException" });
    fault = "throttle";
    await assert.rejects(put(entry()), { name: "ThrottlingException" });
    assert.deepEqual(queues(), []);
  });
});

test("a bus is looked at by its name; one that is not there is refused", async () => {
  const { Name, Arn } = await client.send(new DescribeEventBusCommand({ Name: "shop" }));
  assert.deepEqual([Name, Arn], ["shop", "arn:aws:events:eu-central-1:123456789012:event-bus/shop"]);
  assert.equal((await client.send(new DescribeEventBusCommand({}))).Name, "default");
  await assert.rejects(client.send(new DescribeEventBusCommand({ Name: "none" })), { name: "ResourceNotFoundException" });
});

test("a pattern with an operator that is not known here is refused, and the rules stay as they were", async () => {
  assert.throws(() => events.use([], [rule({ source: [{ cidr: "10.0.0.0/8" }] }, ["all"])]), /operator/);
  await put(entry());
  assert.deepEqual(queues(), ["all"]);
});
