import { EnvironmentPool } from "../lambda/environment-pool.ts";
import { inProcessEnvironments } from "../lambda/in-process-environment.ts";
import { EventSourceMapping, MemoryStream, VirtualClock } from "./index.ts";

/** An hour of orders through a function that keeps totals, in environments and deliveries as unreliable as Lambda's. */
export async function anHourOfOrders(seed: number) {
  const clock = new VirtualClock();
  const stream = new MemoryStream({ clock, shards: 4 });
  const totals = new Map<string, number>();
  const seen = new Set<string>();
  const handler = (event: { Records: { eventID: string; kinesis: { partitionKey: string; data: string } }[] }) => {
    for (const { eventID, kinesis } of event.Records) {
      if (seen.has(eventID)) continue;
      seen.add(eventID);
      const { total } = JSON.parse(Buffer.from(kinesis.data, "base64").toString()) as { total: number };
      totals.set(kinesis.partitionKey, (totals.get(kinesis.partitionKey) ?? 0) + total);
    }
    return { batchItemFailures: [] };
  };
  const functionPool = new EnvironmentPool({
    factory: inProcessEnvironments({ clock, start: () => handler }),
    clock,
    seed,
    timeoutMs: 30_000,
    reservedConcurrency: 3,
    coldStartChance: 0.05,
  });
  const deadLetters: string[] = [];
  const mapping = new EventSourceMapping({
    stream,
    invoker: functionPool,
    clock,
    seed,
    settings: { startingPosition: "TRIM_HORIZON", batchSize: 50, functionResponseTypes: ["ReportBatchItemFailures"] },
    onFailure: { kind: "sqs", send: async (message) => void deadLetters.push(message) },
    faults: { duplicateChance: 0.1, goBackChance: 0.1 },
  });
  for (let minute = 0; minute < 60; minute++) {
    for (let n = 0; n < 10; n++) stream.put(`customer ${n}`, JSON.stringify({ total: minute }));
    if (minute === 30) stream.split("shardId-000000000000");
    await clock.advance(60_000);
  }
  await clock.until(mapping.stop());
  await functionPool.stop();
  return { totals, deadLetters, counts: functionPool.counts, metrics: mapping.metrics };
}
