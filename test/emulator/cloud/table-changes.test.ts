/** A mapping over the changes of an emulated table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TableChanges } from "../../../emulator/cloud/table-changes.ts";
import { TableStreams } from "../../../emulator/dynamodb/table-streams.ts";
import { EventSourceMapping, VirtualClock } from "../../../emulator/event-source-mapping/index.ts";
import { EnvironmentPool } from "../../../emulator/lambda/environment-pool.ts";
import { inProcessEnvironments } from "../../../emulator/lambda/in-process-environment.ts";
import { decodeBrought } from "../../../functions/brought-events.ts";

const arn = "arn:aws:dynamodb:us-east-1:000000000000:table/items/stream/2026-01-01T00:00:00.000";

function makeMapping(startingPosition: "TRIM_HORIZON" | "LATEST", refuse: (event: any) => string | undefined) {
  const clock = new VirtualClock();
  const streams = new TableStreams(undefined);
  const stream = streams.create({ table: "items", arn, view: "NEW_AND_OLD_IMAGES", keys: ["id"] });
  const put = (n: number) => stream.note({ id: { S: "a" } }, undefined, { id: { S: "a" }, n: { N: String(n) } });
  const events: any[] = [];
  const answer = (event: any) => {
    events.push(event);
    const itemIdentifier = refuse(event);
    return { batchItemFailures: itemIdentifier === undefined ? [] : [{ itemIdentifier }] };
  };
  const begin = () => {
    const pool = new EnvironmentPool({
      factory: inProcessEnvironments({ clock, start: () => answer }),
      clock,
      timeoutMs: 60_000,
    });
    const mapping = new EventSourceMapping({
      stream: new TableChanges("items", () => streams.of("items")),
      invoker: pool,
      clock,
      settings: { startingPosition, batchSize: 3, functionResponseTypes: ["ReportBatchItemFailures"] },
    });
    return async () => {
      await clock.until(mapping.stop());
      await pool.stop();
    };
  };
  const told = () => events.map(({ Records }) => Records.map(({ dynamodb }: any) => Number(dynamodb.NewImage.n.N)));
  return { clock, put, events, told, begin };
}

test("brings them in their order, and again from the one that the function names", async () => {
  let refused = 0;
  const { clock, put, events, told, begin } = makeMapping("TRIM_HORIZON", ({ Records }) =>
    refused++ === 0 ? Records[1].dynamodb.SequenceNumber : undefined,
  );
  for (let n = 1; n <= 4; n++) put(n);
  const end = begin();
  await clock.advance(5_000);
  put(5);
  await clock.advance(5_000);
  await end();
  assert.deepEqual(told(), [[1, 2, 3], [2, 3], [4], [5]]);
  const [first] = events[0].Records;
  assert.deepEqual(decodeBrought(events[0]), { kind: "table", table: "items", first: first.dynamodb.SequenceNumber });
  assert.deepEqual([first.eventName, first.eventSource, first.eventSourceARN], ["INSERT", "aws:dynamodb", arn]);
});

test("begins with what comes, where it starts at the latest", async () => {
  const { clock, put, told, begin } = makeMapping("LATEST", () => undefined);
  put(1);
  const end = begin();
  await clock.advance(5_000);
  put(2);
  await clock.advance(5_000);
  await end();
  assert.deepEqual(told(), [[2]]);
});
