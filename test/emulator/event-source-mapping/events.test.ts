/** What the function is handed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { makeRig } from "./rig.ts";

describe("the event", () => {
  test("has the fields of a Kinesis event, and no other", async () => {
    const rig = makeRig({ roleArn: "arn:aws:iam::123456789012:role/lambda-role" });
    await rig.clock.advance(1_987);
    const { shardId, sequenceNumber } = rig.stream.put("ключ", Uint8Array.of(0, 255, 128));
    const arrival = rig.clock.now();
    await rig.clock.advance(1_000);
    const streamArn = "arn:aws:kinesis:us-east-1:000000000000:stream/stream";
    assert.deepEqual(rig.calls[0]!.event, {
      Records: [
        {
          kinesis: {
            kinesisSchemaVersion: "1.0",
            partitionKey: "ключ",
            sequenceNumber,
            data: "AP+A",
            approximateArrivalTimestamp: arrival / 1000,
          },
          eventSource: "aws:kinesis",
          eventVersion: "1.0",
          eventID: `${shardId}:${sequenceNumber}`,
          eventName: "aws:kinesis:record",
          invokeIdentityArn: "arn:aws:iam::123456789012:role/lambda-role",
          awsRegion: "us-east-1",
          eventSourceARN: streamArn,
        },
      ],
    });
    await rig.stop();
  });

  test("has records of one shard alone", async () => {
    const rig = makeRig({ shards: 4 });
    for (let n = 0; n < 50; n++) rig.stream.put(`key ${n}`, String(n));
    await rig.clock.advance(2_000);
    for (const { event } of rig.calls) {
      assert.equal(new Set(event.Records.map(({ eventID }: any) => eventID.split(":")[0])).size, 1);
    }
    assert.equal(rig.delivered().flat().length, 50);
    await rig.stop();
  });
});
