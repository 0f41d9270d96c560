/** What a test can make go wrong, and that nothing else does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Fault } from "../../../emulator/kinesis/index.ts";
import { bytesOf, clientOf, named, newStream, put, read, startSubject, textsOf } from "./subject.ts";

/** A server that does as `next` says, until told otherwise. */
async function startFaulty() {
  const faulty: { next: Fault | readonly Fault[] | undefined; operation: string } = { next: undefined, operation: "PutRecords" };
  const subject = await startSubject({
    limits: "off",
    faults: ({ operation }) => (operation === faulty.operation ? faulty.next : undefined),
  });
  const StreamName = await newStream(subject.client);
  const texts = ["a", "b", "c", "d", "e", "f"];
  const Records = texts.map((text) => ({ Data: bytesOf(text), PartitionKey: text }));
  const putAll = (client = subject.client) => client.send(new sdk.PutRecordsCommand({ StreamName, Records }));
  return { ...subject, faulty, StreamName, texts, putAll };
}

describe("a fault", () => {
  it("refuses picked records of a put as throttled, and takes the others", async () => {
    const { client, faulty, StreamName, putAll } = await startFaulty();
    faulty.next = { kind: "throttleRecords", picks: (index) => index % 3 === 0 };
    const output = await putAll();
    assert.equal(output.FailedRecordCount, 2);
    assert.deepEqual(
      output.Records!.map(({ ErrorCode }) => ErrorCode ?? "taken"),
      ["a", "", "", "d", "", ""].map((text) => (text === "" ? "taken" : "ProvisionedThroughputExceededException")),
    );
    assert.deepEqual(textsOf(await read(client, StreamName)), ["b", "c", "e", "f"]);
    faulty.operation = "PutRecord";
    await assert.rejects(put(client, StreamName, "g"), named("ProvisionedThroughputExceededException"));
  });

  it("refuses a call with any of Kinesis' exceptions, of the server's kind too", async () => {
    const { client, faulty, StreamName, putAll } = await startFaulty();
    for (const type of ["AccessDeniedException", "InternalFailure", "ServiceUnavailable", "LimitExceededException"] as const) {
      faulty.next = { kind: "refuse", type };
      await assert.rejects(putAll(), (error: any) => {
        assert.equal(error.name, type);
        assert.equal(error.$metadata.httpStatusCode, { InternalFailure: 500, ServiceUnavailable: 503 }[type as string] ?? 400);
        return true;
      });
    }
    faulty.next = undefined;
    assert.deepEqual((await read(client, StreamName)).Records, []);
  });

  it("cuts the connection before the effect or after it, over either version of HTTP", async () => {
    for (const config of [{}, { requestHandler: new NodeHttpHandler() }]) {
      const { endpoint, faulty, StreamName, texts, putAll } = await startFaulty();
      const client = clientOf(endpoint, config);
      faulty.next = { kind: "dropBefore" };
      await assert.rejects(putAll(client));
      assert.deepEqual((await read(client, StreamName)).Records, []);
      faulty.next = { kind: "dropAfter" };
      await assert.rejects(putAll(client));
      assert.deepEqual(textsOf(await read(client, StreamName)), texts);
      faulty.next = undefined;
      await putAll(client);
      assert.deepEqual(textsOf(await read(client, StreamName)), [...texts, ...texts]);
    }
  });

  it("delays a call until the clock has been turned", async () => {
    const { client, clock, faulty, StreamName, texts, putAll } = await startFaulty();
    faulty.next = { kind: "delay", ms: 5000 };
    const putting = putAll();
    while (clock.nextWakeUp() === undefined) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual((await read(client, StreamName)).Records, []);
    clock.advance(5000);
    assert.equal((await putting).FailedRecordCount, 0);
    assert.deepEqual(textsOf(await read(client, StreamName)), texts);
  });

  it("may be several at once", async () => {
    const { client, faulty, StreamName, putAll } = await startFaulty();
    faulty.next = [{ kind: "throttleRecords", picks: (index) => index > 0 }, { kind: "dropAfter" }];
    await assert.rejects(putAll());
    assert.deepEqual(textsOf(await read(client, StreamName)), ["a"]);
  });
});
